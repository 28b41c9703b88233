package translate

import "testing"

func TestDataIsBelievedMoreThanWhatIsSaidOfIt(t *testing.T) {
	for _, tc := range []struct{ said, data, want string }{
		{"image/png", "iVBORw0KGgoAAAAN", "image/png"},
		{"image/png", "/9j/4AAQSkZJRg==", "image/jpeg"},
		{`image\/png`, `\/9j\/4AAQSkZJRg==`, "image/jpeg"},
		{"", "R0lGODlhAQABAAAA", "image/gif"},
		{"image/png", "UklGRiQAAABXRUJQ", "image/webp"},
		{"image/png", "JVBERi0xLjQ=", "application/pdf"},
		{"image/jpg", "AAAA", "image/jpeg"},
		{"image/svg+xml", "PHN2Zz4=", "image/svg+xml"},
		{"", "", ""},
	} {
		s := Source{MediaType: Text(tc.said), Base64: Text(tc.data)}.Sniff()
		if got := s.MediaType.String(); got != tc.want {
			t.Errorf("%q, said to be %q, is of type %q, want %q", tc.data, tc.said, got, tc.want)
		}
	}
	if s := (Source{URL: Text("https://x.org/a.png")}).Sniff(); s.MediaType != nil {
		t.Errorf("a URL is of type %q, want none", s.MediaType)
	}
}

func TestPDFIsToldFromOtherFiles(t *testing.T) {
	for kind, want := range map[string]bool{"application/pdf": true, `application\/pdf`: true, "image/png": false, "": false} {
		if got := (&Source{MediaType: Text(kind)}).IsPDF(); got != want {
			t.Errorf("IsPDF of %q = %v, want %v", kind, got, want)
		}
	}
}
