package translate

import (
	"bytes"
	"encoding/base64"
)

// SourceOf reads where an image or a file is. A data: URL with base64 in it holds
// the bytes themselves; of any other the URL is all that is known.
func SourceOf(url Text) Source {
	rest, ok := bytes.CutPrefix(url, []byte("data:"))
	if !ok {
		return Source{URL: url}
	}
	head, data, _ := bytes.Cut(rest, []byte{','})
	head, ok = bytes.CutSuffix(head, []byte(";base64"))
	if !ok {
		return Source{URL: url}
	}
	media, _, _ := bytes.Cut(head, []byte{';'})
	return Source{MediaType: Text(media), Base64: Text(data)}
}

// FileSource reads the bytes of a file as OpenAI's protocols have them: a data:
// URL, or base64 without one. Text becomes Plain.
func (c *Conversation) FileSource(data Text) Source {
	s := SourceOf(data)
	if s.URL != nil {
		return Source{Base64: data}.Sniff()
	}
	if !bytes.HasPrefix(s.MediaType.AppendDecoded(nil), []byte("text/")) {
		return s
	}
	plain, err := base64.StdEncoding.AppendDecode(nil, s.Base64.AppendDecoded(nil))
	if err != nil {
		return s
	}
	return Source{MediaType: s.MediaType, Plain: c.OwnString(string(plain))}
}

// AppendDataURL appends a source that holds base64 as a data: URL, the inside of
// a string. mediaType is for one that has none.
func (s *Source) AppendDataURL(dst []byte, mediaType string) []byte {
	dst = append(dst, "data:"...)
	if len(s.MediaType) > 0 {
		dst = append(dst, s.MediaType...)
	} else {
		dst = append(dst, mediaType...)
	}
	dst = append(dst, ";base64,"...)
	return append(dst, s.Base64...)
}
