package translate

import "bytes"

// Marked reports whether there may be something in a request, or in a part of
// one, that only this gateway understands: an envelope or the signature of a call
// in its id. Mostly there is not, and two scans are all that it costs to know.
func Marked(body []byte) bool {
	return contains(body, signedCallID, '_') || contains(body, EnvelopeMark, '1')
}

// contains is bytes.Contains by way of a byte of mark that is rare in texts. To
// look for that one is a third of the cost (BenchmarkMarked): the letters in which
// most words begin have the library stop at every other word.
func contains(body []byte, mark string, rare byte) bool {
	before := bytes.IndexByte([]byte(mark), rare)
	for at := 0; ; at++ {
		found := bytes.IndexByte(body[at:], rare)
		if found < 0 {
			return false
		}
		at += found
		if start := at - before; start >= 0 && len(body)-start >= len(mark) && string(body[start:start+len(mark)]) == mark {
			return true
		}
	}
}
