package simulated

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
)

// half is the length in bytes of each half of a seal: a digest of the text, and
// a digest of that, by which the service knows its own.
const half = 16

// seal returns what stands for the secret part of reasoning: the signature of
// Messages, the encrypted content of Responses. It depends on the text alone.
func seal(thinking string) string {
	text := sha256.Sum256([]byte("simulated reasoning: " + thinking))
	proof := sha256.Sum256(text[:half])
	return base64.StdEncoding.EncodeToString(append(text[:half], proof[:half]...))
}

// genuine reports whether a seal is one that this package made, of whatever text.
func genuine(seal string) bool {
	b, err := base64.StdEncoding.DecodeString(seal)
	if err != nil || len(b) != 2*half {
		return false
	}
	proof := sha256.Sum256(b[:half])
	return bytes.Equal(b[half:], proof[:half])
}
