package translate

import "bytes"

// Sniff returns the source with the media type that its data shows, where that
// is in base64 and of a known kind: what clients claim is often wrong, and some
// vendors refuse what is not what it claims to be.
func (s Source) Sniff() Source {
	if s.Base64 != nil {
		s.MediaType = mediaTypeOf(s.Base64, s.MediaType)
	}
	return s
}

// IsPDF reports whether the source is known to be a PDF file.
func (s *Source) IsPDF() bool { return s.MediaType.Is("application/pdf") }

// magic is how files begin, in base64: as much as does not depend on what
// follows.
var magic = [...]struct{ start, kind Text }{
	{Text("iVBORw0KGg"), Text("image/png")},
	{Text("/9j/"), Text("image/jpeg")},
	{Text("R0lGOD"), Text("image/gif")},
	{Text("UklGR"), Text("image/webp")}, // RIFF, whose other formats nobody sends
	{Text("JVBERi"), Text("application/pdf")},
}

// mediaTypeOf returns the media type of data that is claimed to be of the given
// one.
func mediaTypeOf(data, claimed Text) Text {
	start := data[:min(len(data), 16)]
	if !start.Plain() { // some clients write \/ for /
		start = start.AppendDecoded(nil)
	}
	for i := range magic {
		if bytes.HasPrefix(start, magic[i].start) {
			return magic[i].kind
		}
	}
	if claimed.Is("image/jpg") { // which is none, but common
		return magic[1].kind
	}
	return claimed
}
