package translate

import "crypto/sha256"

// shortCallID is how long the ids of [AppendShortCallID] are.
const shortCallID = 9

// AppendShortCallID appends an id as nine letters and digits, without a signature
// in it. One that is not of that form becomes a hash, which like [AppendCallID]
// depends on nothing but the id. With 62^9 of them, two ids of one conversation do
// not get the same.
func AppendShortCallID(dst []byte, id Text) []byte {
	id, _ = splitCallID(id)
	if len(id) == shortCallID && alphanumeric(id) {
		return append(dst, id...)
	}
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256(id.AppendDecoded(nil))
	var rest uint64
	for _, b := range sum[:8] {
		rest = rest<<8 | uint64(b)
	}
	for range shortCallID {
		dst = append(dst, digits[rest%uint64(len(digits))])
		rest /= uint64(len(digits))
	}
	return dst
}

func alphanumeric(t Text) bool {
	for _, c := range t {
		if !nameByte(c) || c == '_' || c == '-' {
			return false
		}
	}
	return true
}
