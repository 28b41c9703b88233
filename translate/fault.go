package translate

// maxBlocks is how many blocks an answer may have: more than any model writes,
// and little enough to keep them all waiting for the first.
const maxBlocks = 4096

// Break tells that the upstream's answer makes no sense, and why. Whatever else
// comes is passed over. The client is told by [Assembler.Fail], since others have
// to know of it first.
func (a *Assembler) Break(e *Error) {
	if !a.ignores() {
		a.broken = e
	}
}

// Broken returns what [Assembler.Break] was told, nil while the answer makes
// sense.
func (a *Assembler) Broken() *Error { return a.broken }

// Room reports whether an answer may have another block, or whatever else its
// decoder keeps a list of, besides n that it has. If not, the answer is broken.
func (a *Assembler) Room(n int) bool {
	if n >= maxBlocks {
		a.Break(&Error{Status: 502, Message: "the upstream's answer has too many parts"})
	}
	return n < maxBlocks && a.broken == nil
}

// ignores reports whether nothing that comes is told any more.
func (a *Assembler) ignores() bool { return a.over || a.broken != nil }
