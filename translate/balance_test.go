package translate

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

func TestAValueIsWholeWithItsLastBrace(t *testing.T) {
	for _, tc := range []struct {
		doc  string
		want bool
	}{
		{`{}`, true},
		{`[]`, true},
		{` {"a":"}"} `, true},
		{`{"a":"\"}`, false},
		{`{"a":"\\"}`, true},
		{`{"a":[1,2}`, false},
		{`{`, false},
		{``, false},
		{`12`, false},
		{`"{}"`, false},
		{`null`, false},
	} {
		var b balance
		b.add(rawjson.Of(tc.doc))
		if got := b.whole(); got != tc.want {
			t.Errorf("%s is whole: %v, want %v", tc.doc, got, tc.want)
		}
		if got := b.any; got != (tc.doc != "") {
			t.Errorf("%q has something: %v", tc.doc, got)
		}
	}
}

func TestOnlyWhatBreaksOffIsOpen(t *testing.T) {
	for _, tc := range []struct {
		doc  string
		want bool
	}{
		{`{"a":1}`, false}, {``, false}, {`null`, false}, {`"x"`, false}, {`{"a":`, true}, {`"x`, true}, {`[{}`, true},
	} {
		var b balance
		b.add(rawjson.Of(tc.doc))
		if got := b.open(); got != tc.want {
			t.Errorf("%s is open: %v, want %v", tc.doc, got, tc.want)
		}
	}
}

// coded writes s as the inside of a JSON string, every byte of ASCII in one of
// the forms that JSON has for it, as choices tell.
func coded(s string, choices []byte) Text {
	const hex = "0123456789abcdef"
	var t Text
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 0x80 && len(choices) > 0 && choices[i%len(choices)]%3 == 0 {
			t = append(t, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			continue
		}
		if c < 0x80 {
			t = rawjson.AppendEscaped(t, []byte{c})
			continue
		}
		t = append(t, c)
	}
	return t
}

// FuzzBalance holds it to a JSON reader: whole is a document that is valid, and
// nothing that comes before its last byte.
func FuzzBalance(f *testing.F) {
	f.Add(`{"a":["\\\"}",{"b":null}],"é":1}`, []byte{1, 0})
	f.Add(`[]`, []byte{})
	f.Add(`{"a`, []byte{0})
	f.Fuzz(func(t *testing.T, doc string, choices []byte) {
		var b balance
		text := coded(doc, choices)
		for i := range text {
			b.add(text[i : i+1])
		}
		var once balance
		once.add(text)
		if b != once {
			t.Fatalf("%s: byte by byte %+v, at once %+v", text, b, once)
		}
		trimmed := strings.Trim(doc, " \n\r\t")
		if !gjson.Valid(doc) || trimmed[0] != '{' && trimmed[0] != '[' {
			return
		}
		if !b.whole() || b.open() {
			t.Errorf("%s is not whole", doc)
		}
		var cut balance
		cut.add(coded(trimmed[:len(trimmed)-1], choices))
		if cut.whole() || !cut.open() {
			t.Errorf("%s without its last byte is whole", trimmed)
		}
	})
}
