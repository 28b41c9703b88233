package rawjson

// AppendCompact appends a value without the white space between its tokens, so
// that it stands in one line, as in an event stream it must.
func AppendCompact(dst []byte, v Value) []byte {
	from := 0 // up to where v has been appended
	for i := 0; i < len(v); {
		switch c := v[i]; {
		case c == '"':
			i = stringEnd(v, i)
		case c <= ' ':
			dst = append(dst, v[from:i]...)
			i++
			from = i
		default:
			i++
		}
	}
	return append(dst, v[from:]...)
}
