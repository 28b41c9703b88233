package rawjson

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTextsMeanWhatEncodingJSONReads(t *testing.T) {
	for _, raw := range []string{
		``, `plain`, `a\"b\\c\/d\b\f\n\r\t`, `\u0041\u00e9\u20AC`, `\ud83d\ude00`, `\uD83D\uDE00!`, `é€😀`,
		`\ud83d`, `\ude00`, `\ud83dx`, `\ud83d\n`, `\ud83d\ud83d\ude00`,
	} {
		var want string
		if err := json.Unmarshal([]byte(`"`+raw+`"`), &want); err != nil {
			t.Fatal(err)
		}
		if got := Text(raw).String(); got != want {
			t.Errorf("String(%s) = %q, want %q", raw, got, want)
		}
		if !Text(raw).Is(want) || Text(raw).Is(want+"x") {
			t.Errorf("Is(%s) does not tell %q from others", raw, want)
		}
		if got := Text(raw).RuneCount(); got != utf8.RuneCountInString(want) {
			t.Errorf("RuneCount(%s) = %d, want %d", raw, got, utf8.RuneCountInString(want))
		}
	}
}

func TestBlankTextsAreWhiteSpaceOnly(t *testing.T) {
	for _, tc := range []struct {
		raw  string
		want bool
	}{
		{``, true},
		{` `, true},
		{`\n\t \r`, true},
		{`\u0020\u000a`, true},
		{"\u00a0\u3000", true},
		{`\u00a0`, true},
		{`\\n`, false},
		{`.`, false},
		{` \" `, false},
		{`\u0041`, false},
		{"\u200b", false},
		{`\`, false},
		{`\u00`, false},
	} {
		if got := Text(tc.raw).Blank(); got != tc.want {
			t.Errorf("Blank(%s) = %v, want %v", tc.raw, got, tc.want)
		}
	}
}

func TestTrimRightTakesOnlyWhiteSpace(t *testing.T) {
	for _, tc := range []struct{ raw, want string }{
		{`a`, `a`},
		{`a \n\t`, `a`},
		{`a\\n`, `a\\n`},
		{`a\\\n`, `a\\`},
		{`a\u0020\u0009 `, `a`},
		{"a\u00a0\u3000", `a`},
		{` \n `, ``},
		{``, ``},
		{`n`, `n`},
		{`a\\u0020`, `a\\u0020`},
		{`a\ud83d\ude00`, `a\ud83d\ude00`},
		{"é", "é"},
	} {
		if got := Text(tc.raw).TrimRight(); string(got) != tc.want {
			t.Errorf("TrimRight(%s) = %s, want %s", tc.raw, got, tc.want)
		}
	}
}

func TestHalvesAtTheEndAreFound(t *testing.T) {
	for _, tc := range []struct {
		raw  string
		want int
	}{
		{`a\ud83d`, 6}, {`\uDBFF`, 6}, {`\ude00`, 0}, {`\ud83d\ude00`, 0}, {`\\ud83d`, 0}, {`\\\ud83d`, 6}, {`ud83d`, 0}, {`\u00e9`, 0}, {``, 0},
	} {
		if got := Text(tc.raw).HalfAtEnd(); got != tc.want {
			t.Errorf("HalfAtEnd(%s) = %d, want %d", tc.raw, got, tc.want)
		}
	}
}

func TestHalvesWithoutTheOtherBecomeReplacementCharacters(t *testing.T) {
	for _, tc := range []struct{ raw, want string }{
		{`plain`, `plain`},
		{`\n\"\\ud83d`, `\n\"\\ud83d`},
		{`\ud83d\ude00`, `\ud83d\ude00`},
		{`a\ud83d`, `a\ud83d`},
		{`a\ud83db`, "a\uFFFDb"},
		{`\ude00`, "\uFFFD"},
		{`\ud83d\ud83d\ude00`, "\uFFFD" + `\ud83d\ude00`},
		{`\ud83d\n\ude00`, "\uFFFD" + `\n` + "\uFFFD"},
		{`\u00e9\`, `\u00e9\`},
	} {
		if got := Text(tc.raw).Paired(); string(got) != tc.want {
			t.Errorf("Paired(%s) = %s, want %s", tc.raw, got, tc.want)
		}
	}
}

func TestPairedCopiesOnlyWhatIsBroken(t *testing.T) {
	text := Text(`a\n\ud83d\ude00`)
	if allocs := testing.AllocsPerRun(100, func() { text.Paired() }); allocs > 0 {
		t.Errorf("Paired allocates %v times", allocs)
	}
}

func TestStringsAreWrittenForPeople(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{`<a href="x">&amp;</a>`, `"<a href=\"x\">&amp;</a>"`},
		{"a\\b\n\r\t\x00\x1f\x7f", `"a\\b\n\r\t\u0000\u001f\u007f"`},
		{"é€😀\u2028", "\"é€😀\u2028\""},
		{"a\xffb\xc3", "\"a\uFFFDb\uFFFD\""},
		{"", `""`},
	} {
		if got := string(AppendString(nil, tc.in)); got != tc.want {
			t.Errorf("AppendString(%q) = %s, want %s", tc.in, got, tc.want)
		}
		if got := string(AppendText(nil, Of(tc.in))); got != tc.want {
			t.Errorf("Of(%q) = %s, want %s", tc.in, got, tc.want)
		}
	}
}

// FuzzText holds texts to encoding/json.
func FuzzText(f *testing.F) {
	for _, raw := range []string{`a\n\u00e9\ud83d\ude00\"`, `\ud83d`, `\\`, ` \u0020\t`, "\xff", `\u12`, `\`} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		text := Text(raw)
		text.TrimRight()
		text.Blank()
		text.HalfAtEnd()
		text.RuneCount()
		text.AppendDecoded(nil)
		paired := text.Paired()
		written := AppendString(nil, raw)
		var back string
		if err := json.Unmarshal(written, &back); err != nil || back != strings.ToValidUTF8(raw, "\uFFFD") && utf8.ValidString(raw) {
			t.Errorf("AppendString(%q) = %s", raw, written)
		}
		if !Valid([]byte(`"` + raw + `"`)) {
			return
		}
		var want string
		if err := json.Unmarshal([]byte(`"`+raw+`"`), &want); err != nil {
			t.Fatal(err)
		}
		if got := text.String(); got != want {
			t.Errorf("String(%s) = %q, want %q", raw, got, want)
		}
		if got := paired.String(); got != want {
			t.Errorf("Paired(%s) = %q, want %q", raw, got, want)
		}
		if got := text.Blank(); got != (strings.TrimSpace(want) == "") {
			t.Errorf("Blank(%s) = %v", raw, got)
		}
		if got := text.TrimRight().String(); strings.TrimSpace(got) != strings.TrimSpace(want) || !strings.HasPrefix(want, got) {
			t.Errorf("TrimRight(%s) = %q", raw, got)
		}
		if got := text.RuneCount(); got != utf8.RuneCountInString(want) {
			t.Errorf("RuneCount(%s) = %d, want %d", raw, got, utf8.RuneCountInString(want))
		}
	})
}

func BenchmarkAppendDecoded(b *testing.B) {
	text := Text(strings.Repeat(`\tif err := run(ctx, \"input\", n); err != nil {\n`, 2000))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = text.AppendDecoded(dst[:0])
	}
	if !bytes.Contains(dst, []byte(`"input"`)) {
		b.Fatal("not decoded")
	}
}
