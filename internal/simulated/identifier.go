package simulated

import "math/rand/v2"

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newID returns 22 random letters and digits, enough to stay unique over
// restarts: clients send the ids of calls back in later requests.
func newID() string {
	var b [22]byte
	for half := range 2 {
		u := rand.Uint64()
		for i := range 11 { // 62^11 > 2^64
			b[half*11+i] = alphabet[u%62]
			u /= 62
		}
	}
	return string(b[:])
}
