package translate

import "testing"

func TestSourceOfTellsDataURLsFromOthers(t *testing.T) {
	for _, tc := range []struct{ url, media, base64, rest string }{
		{"data:image/png;base64,AAAA", "image/png", "AAAA", ""},
		{`data:image\/png;base64,AA\/A`, `image\/png`, `AA\/A`, ""},
		{"data:text/plain;charset=utf-8;base64,AAAA", "text/plain", "AAAA", ""},
		{"data:text/plain,hello", "", "", "data:text/plain,hello"},
		{"https://example.org/a.png", "", "", "https://example.org/a.png"},
	} {
		s := SourceOf(Text(tc.url))
		if string(s.MediaType) != tc.media || string(s.Base64) != tc.base64 || string(s.URL) != tc.rest {
			t.Errorf("SourceOf(%q) = %q, %q, %q, want %q, %q, %q",
				tc.url, s.MediaType, s.Base64, s.URL, tc.media, tc.base64, tc.rest)
		}
	}
}

func TestFileSourceReadsTextAndKnowsPDF(t *testing.T) {
	c := new(Conversation)
	c.Reset(Chat)
	for _, tc := range []struct{ data, media, base64, plain string }{
		{"data:application/pdf;base64,JVBERi0x", "application/pdf", "JVBERi0x", ""},
		{"JVBERi0x", "application/pdf", "JVBERi0x", ""},
		{"AAAA", "", "AAAA", ""},
		{"data:text/plain;base64,YSJiCg==", "text/plain", "", `a\"b\n`},
		{"data:text/plain;base64,%%", "text/plain", "%%", ""},
	} {
		s := c.FileSource(Text(tc.data))
		if string(s.MediaType) != tc.media || string(s.Base64) != tc.base64 || string(s.Plain) != tc.plain {
			t.Errorf("FileSource(%q) = %q, %q, %q, want %q, %q, %q",
				tc.data, s.MediaType, s.Base64, s.Plain, tc.media, tc.base64, tc.plain)
		}
	}
}

func TestAppendDataURLUndoesSourceOf(t *testing.T) {
	const url = "data:image/png;base64,AAAA"
	s := SourceOf(Text(url))
	if got := string(s.AppendDataURL(nil, "image/jpeg")); got != url {
		t.Errorf("AppendDataURL(SourceOf(%q)) = %q", url, got)
	}
	s.MediaType = nil
	if got, want := string(s.AppendDataURL(nil, "image/jpeg")), "data:image/jpeg;base64,AAAA"; got != want {
		t.Errorf("AppendDataURL without a media type = %q, want %q", got, want)
	}
}
