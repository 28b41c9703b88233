package rawjson

// AppendWithMember appends an object in which edit appends the value of the
// first member of that name. Everything else stays, byte by byte, white space
// around the object included.
func AppendWithMember(dst, object []byte, name string, edit func(dst []byte, value Value) []byte) []byte {
	doc := Parse(object)
	lead := 0 // white space before it
	for lead < len(object) && object[lead] <= ' ' {
		lead++
	}
	for m := doc.Members(); m.Next(); {
		if string(m.Name) == name {
			end := lead + m.at
			dst = append(dst, object[:end-len(m.Value)]...)
			dst = edit(dst, m.Value)
			return append(dst, object[end:]...)
		}
	}
	return append(dst, object...)
}

// AppendWithElements appends an array with each element as edit appends it, and
// without those for which edit returns false. Everything else stays, byte by
// byte. kept is how many elements are left.
func AppendWithElements(dst []byte, array Value, edit func(dst []byte, element Value) ([]byte, bool)) (out []byte, kept int) {
	if !array.IsArray() {
		return append(dst, array...), 0
	}
	dst = append(dst, '[')
	var lead []byte // what stands before the first element
	behind := 1     // the element before
	for e := array.Elements(); e.Next(); {
		start := e.at - len(e.Value)
		gap := array[behind:start]
		behind = e.at
		if e.Index == 0 {
			lead = gap
		}
		if kept == 0 {
			gap = lead
		}
		before := len(dst)
		dst = append(dst, gap...)
		var keep bool
		if dst, keep = edit(dst, e.Value); keep {
			kept++
		} else {
			dst = dst[:before]
		}
	}
	return append(dst, array[behind:]...), kept
}
