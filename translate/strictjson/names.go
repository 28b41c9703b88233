package strictjson

import (
	"hash/maphash"
	"slices"
)

const (
	// fewNames is up to how many names of one object are compared one by one,
	// which is faster than hashing them.
	fewNames = 16

	// firstSlots is the size of an object's first hash table, at least twice
	// fewNames+1 and a power of two.
	firstSlots = 64

	spanSize = 12
	slotSize = 4
)

// hashSeed differs in each process, so that nobody can prepare names that
// collide.
var hashSeed = maphash.MakeSeed()

// nameTable finds duplicate names in one object. All open objects share it:
// names of an object lie above those of the objects around it, since only the
// innermost open object can get another one.
type nameTable struct {
	names []span

	// decoded holds the names that have escapes, decoded.
	decoded []byte

	// slots are the open-addressing hash tables of those objects that have
	// more than fewNames names. A slot is an index into the object's names
	// plus one, or zero. At most half of an object's slots are used.
	slots []uint32
}

// span is the place of one name: in the table's decoded bytes if decoded is
// set, otherwise in the document.
type span struct {
	start, end uint32
	decoded    bool
}

// tableMark is how much a nameTable held at some time.
type tableMark struct{ names, decoded, slots int }

// mark returns what t holds now: the state to rewind to at the end of an
// object that begins here.
func (t *nameTable) mark() tableMark {
	return tableMark{len(t.names), len(t.decoded), len(t.slots)}
}

// rewind forgets the object that began at m.
func (t *nameTable) rewind(m tableMark) {
	t.names, t.decoded, t.slots = t.names[:m.names], t.decoded[:m.decoded], t.slots[:m.slots]
}

// reset forgets all objects.
func (t *nameTable) reset() { t.rewind(tableMark{}) }

// release gives up the memory beyond what a reused Object may keep.
func (t *nameTable) release() {
	if cap(t.names) > maxKept/spanSize {
		t.names = nil
	}
	if cap(t.decoded) > maxKept {
		t.decoded = nil
	}
	if cap(t.slots) > maxKept/slotSize {
		t.slots = nil
	}
}

// text returns the decoded name at n.
func (t *nameTable) text(doc []byte, n span) []byte {
	if n.decoded {
		return t.decoded[n.start:n.end]
	}
	return doc[n.start:n.end]
}

// add notes the name doc[start:end] of the innermost object, which began at m.
// It reports false if the object has that name already.
func (t *nameTable) add(doc []byte, m tableMark, start, end int, escaped bool) bool {
	n := span{start: uint32(start), end: uint32(end)}
	if escaped {
		n = t.decode(doc[start:end])
	}
	name := t.text(doc, n)
	seen := t.names[m.names:]
	if len(seen) < fewNames {
		for _, other := range seen {
			if other.end-other.start == n.end-n.start && string(t.text(doc, other)) == string(name) {
				return false
			}
		}
		t.names = append(t.names, n)
		return true
	}
	if 2*(len(seen)+1) > len(t.slots)-m.slots {
		t.grow(doc, m)
	}
	slot, found := t.find(doc, m, name)
	if found {
		return false
	}
	t.names = append(t.names, n)
	t.slots[slot] = uint32(len(seen) + 1)
	return true
}

// decode keeps the decoded form of a raw name.
func (t *nameTable) decode(raw []byte) span {
	start := len(t.decoded)
	t.decoded = appendDecoded(t.decoded, raw)
	return span{start: uint32(start), end: uint32(len(t.decoded)), decoded: true}
}

// find returns the place in t.slots where name is or, if it is not there,
// where it belongs.
func (t *nameTable) find(doc []byte, m tableMark, name []byte) (slot int, found bool) {
	names, slots := t.names[m.names:], t.slots[m.slots:]
	mask := uint64(len(slots) - 1)
	for h := maphash.Bytes(hashSeed, name) & mask; ; h = (h + 1) & mask {
		k := slots[h]
		if k == 0 {
			return m.slots + int(h), false
		}
		if string(t.text(doc, names[k-1])) == string(name) {
			return m.slots + int(h), true
		}
	}
}

// grow doubles the hash table of the object that began at m, or makes its
// first one, and enters its names anew.
func (t *nameTable) grow(doc []byte, m tableMark) {
	size := max(firstSlots, 2*(len(t.slots)-m.slots))
	t.slots = slices.Grow(t.slots[:m.slots], size)[:m.slots+size]
	clear(t.slots[m.slots:])
	for k, n := range t.names[m.names:] {
		slot, _ := t.find(doc, m, t.text(doc, n))
		t.slots[slot] = uint32(k + 1)
	}
}
