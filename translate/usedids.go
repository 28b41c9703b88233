package translate

import (
	"hash/maphash"
	"slices"
)

// usedIDs knows the ids of the tool calls that a conversation has already, by
// their hashes alone. Two ids of the same hash cost one of them its own name.
type usedIDs []uint64 // in order

// idSeed keeps those who choose ids from choosing ones of the same hash.
var idSeed = maphash.MakeSeed()

// maxUsedIDs is how many calls are remembered, the last ones. No conversation has
// so many.
const maxUsedIDs = 4096

// usedIDs returns the ids of the calls in the conversation, as clients know them.
func (c *Conversation) usedIDs() usedIDs {
	var u usedIDs
	var id []byte
	for i := len(c.Blocks) - 1; i >= 0 && len(u) < maxUsedIDs; i-- {
		b := &c.Blocks[i]
		if b.Kind != KindToolCall {
			continue
		}
		id = AppendCallID(id[:0], b.ID)
		u = append(u, maphash.Bytes(idSeed, id))
	}
	slices.Sort(u)
	return u
}

// has reports whether a call has that id.
func (u usedIDs) has(id Text) bool {
	if len(u) == 0 {
		return false
	}
	_, found := slices.BinarySearch(u, maphash.Bytes(idSeed, id))
	return found
}
