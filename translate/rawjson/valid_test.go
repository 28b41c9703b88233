package rawjson

import (
	"strings"
	"testing"
)

func TestATextIsValidWhereItsStringIs(t *testing.T) {
	for _, text := range []string{
		"", "plain", "ünï 日本 😀", `a \"quoted\" \\ \/ \b\f\n\r\t`, `\u00e9\uD83D\uDE00`, `\uD83D`, "\u007f",
		`\`, `\x`, `\u12`, `\u12g4`, `\u123`, "tab\t", "line\n", "\x00", "cut \xe6\x97", "\xff", "\xed\xa0\x80",
		strings.Repeat("x", 1000) + `\"`,
	} {
		if got, want := Text(text).Valid(), Valid([]byte(`"`+text+`"`)); got != want {
			t.Errorf("Text(%q).Valid() = %v, want %v", text, got, want)
		}
	}
	if Text(`a"b`).Valid() {
		t.Error("a text with a bare quote is valid")
	}
}

func FuzzTextValid(f *testing.F) {
	f.Add("a \\u00e9 \\n")
	f.Fuzz(func(t *testing.T, text string) {
		if QuoteEnd([]byte(text)) >= 0 {
			return // the string would end in its middle
		}
		if slashes := len(text) - len(strings.TrimRight(text, `\`)); slashes%2 == 1 {
			return // or not at its end
		}
		if got, want := Text(text).Valid(), Valid([]byte(`"`+text+`"`)); got != want {
			t.Errorf("Text(%q).Valid() = %v, want %v", text, got, want)
		}
	})
}

func TestOnlyRealNestingIsTooDeep(t *testing.T) {
	if doc := "[" + strings.Repeat("{},", 200) + "1]"; !Valid([]byte(doc)) {
		t.Error("many small objects are not valid")
	}
}
