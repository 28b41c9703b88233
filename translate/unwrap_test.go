package translate

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// unwrapAll returns what an unwrapper makes of a call in pieces that end at cuts.
func unwrapAll(call Text, cuts ...int) Text {
	var u unwrapper
	var text Text
	from := 0
	for _, cut := range append(cuts, len(call)) {
		text = append(text, u.add(call[from:cut])...)
		from = cut
	}
	return append(text, u.end()...)
}

func TestTheTextOfACustomToolComesOutOfItsWrapper(t *testing.T) {
	for _, tc := range []struct{ name, call, want string }{
		{"plain", `{"input":"*** Begin Patch"}`, `*** Begin Patch`},
		{"escapes stay", `{"input":"a\n\"b\"\\\t\u00e9\ud83d\ude00/"}`, `a\n\"b\"\\\t\u00e9\ud83d\ude00/`},
		{"white space", ` { "input" : "x" } `, `x`},
		{"empty", `{"input":""}`, ``},
		{"more behind it", `{"input":"x","why":"y"}`, `x`},
		{"not the first", `{"why":"y","input":"x"}`, `x`},
		{"another name", `{"patch":"x\ny"}`, `x\ny`},
		{"two other names", `{"a":"x","b":"y"}`, `{\"a\":\"x\",\"b\":\"y\"}`},
		{"no object", `"x"`, `\"x\"`},
		{"no JSON", `ls -l`, `ls -l`},
		{"nothing", ``, ``},
		{"empty object", `{}`, ``},
		{"line end that is not escaped", "{\"input\":\"a\nb\tc\"}", `a\nb\tc`},
		{"backslash that is not escaped", `{"input":"\d+\."}`, `\\d+\\.`},
		{"no code behind u", `{"input":"\users\u00zz"}`, `\\users\\u00zz`},
		{"cut", `{"input":"a\nb`, `a\nb`},
		{"cut in an escape", `{"input":"a\u00`, `a`},
		{"cut before it", `{"inp`, `{\"inp`},
	} {
		call := rawjson.Of(tc.call)
		if got := unwrapAll(call); string(got) != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
		for i := range call {
			if got := unwrapAll(call, i); string(got) != tc.want {
				t.Errorf("%s, cut at %d: %s, want %s", tc.name, i, got, tc.want)
			}
		}
	}
}

func TestTheTextOfACustomToolIsToldAsItComes(t *testing.T) {
	var u unwrapper
	for _, step := range []struct{ piece, want string }{
		{`{\"input\"`, ``}, {`: \"`, ``}, {`first`, `first`}, {` line\\nsec`, ` line\nsec`}, {`ond \`, `ond `}, {`\n`, `\n`}, {`third\"}`, `third`}, {` `, ``},
	} {
		if got := u.add(Text(step.piece)); string(got) != step.want {
			t.Errorf("add(%s) = %s, want %s", step.piece, got, step.want)
		}
	}
}

func TestCharactersThatAreCutInTwoStayWhole(t *testing.T) {
	call := Text(`{\"input\":\"\ud83d\ude00\"}`)
	for i := range call {
		if got := unwrapAll(call, i); got.String() != "😀" {
			t.Errorf("cut at %d: %s", i, got)
		}
	}
}

// FuzzUnwrapper: whatever a call is and wherever it is cut, what comes out is the
// same, is fit to stand in a JSON string, and is the member if it is JSON.
func FuzzUnwrapper(f *testing.F) {
	f.Add(`{"input":"a\n\"b\\😀\ud83d\ude00"}`, []byte{0}, uint16(3), uint16(9))
	f.Add(`{"input":"\d`+"\n\x01"+`\u12`, []byte{1}, uint16(12), uint16(13))
	f.Add(`{"x":"y"}`, []byte{}, uint16(1), uint16(1))
	f.Fuzz(func(t *testing.T, doc string, choices []byte, i, j uint16) {
		if !utf8.ValidString(doc) {
			return // an event is UTF-8
		}
		call := coded(doc, choices)
		a, b := int(i)%(len(call)+1), int(j)%(len(call)+1)
		a, b = min(a, b), max(a, b)
		for a > 0 && a < len(call) && !utf8.RuneStart(call[a]) {
			a--
		}
		for b > a && b < len(call) && !utf8.RuneStart(call[b]) {
			b--
		}
		once, pieces := unwrapAll(call), unwrapAll(call, a, b)
		if string(once) != string(pieces) {
			t.Fatalf("%s cut at %d and %d: %s, at once %s", call, a, b, pieces, once)
		}
		if !rawjson.Valid(rawjson.AppendText(nil, once)) {
			t.Fatalf("%s: %s is not fit for a string", call, once)
		}
		if input := gjson.Get(doc, "input"); gjson.Valid(doc) && rawjson.Valid([]byte(doc)) && strings.HasPrefix(doc, `{"input"`) && input.Type == gjson.String {
			if got, want := once.String(), Text(input.Raw[1:len(input.Raw)-1]).String(); got != want {
				t.Errorf("%s: %q, want %q", doc, got, want)
			}
		}
	})
}

func BenchmarkUnwrapper(b *testing.B) {
	piece := Text(`\tif err != nil {\\n\\t\\treturn err\\n`)
	b.ReportAllocs()
	var u unwrapper
	u.add(Text(`{\"input\":\"`))
	for b.Loop() {
		u.add(piece)
	}
}
