package translate

import "bytes"

// Marked reports whether there may be something in a request, or in a part of
// one, that only this gateway understands: an envelope or the signature of a call
// in its id. Mostly there is not, and two scans are all that it costs to know.
func Marked(body []byte) bool {
	return bytes.Contains(body, []byte(signedCallID)) || bytes.Contains(body, []byte(EnvelopeMark))
}
