package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// referenceValid says slowly what Valid should say.
func referenceValid(doc []byte) bool {
	return json.Valid(doc) && utf8.Valid(doc) && referenceDepth(doc) <= MaxDepth
}

// referenceParse says slowly what Parse should say.
func referenceParse(doc []byte) bool {
	return referenceValid(doc) &&
		bytes.TrimLeft(doc, " \t\r\n")[0] == '{' &&
		!referenceLoneSurrogate(doc) &&
		referenceMembers(doc)
}

// referenceDepth counts the levels of a valid document.
func referenceDepth(doc []byte) int {
	depth, deepest := 0, 0
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return deepest
		}
		if err != nil {
			panic(err)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

var escapes = regexp.MustCompile(`\\(u[0-9a-fA-F]{4}|.)`)

// referenceLoneSurrogate looks for one in the escapes of a valid document.
func referenceLoneSurrogate(doc []byte) bool {
	high, highEnd := rune(0), -1
	for _, at := range escapes.FindAllIndex(doc, -1) {
		if at[1]-at[0] < 6 {
			continue
		}
		unit, _ := strconv.ParseUint(string(doc[at[0]+2:at[1]]), 16, 16)
		r := rune(unit)
		if highEnd >= 0 {
			if at[0] != highEnd || utf16.DecodeRune(high, r) == utf8.RuneError {
				return true
			}
			highEnd = -1
			continue
		}
		if utf16.IsSurrogate(r) {
			high, highEnd = r, at[1]
		}
	}
	return highEnd >= 0
}

// referenceMembers checks names and numbers of a valid document.
func referenceMembers(doc []byte) bool {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	ok := true
	var walk func()
	walk = func() {
		token, err := d.Token()
		if err != nil {
			panic(err)
		}
		switch token := token.(type) {
		case json.Number:
			if _, err := token.Float64(); err != nil || len(token) > maxNumber {
				ok = false
			}
		case json.Delim:
			names := map[string]bool{}
			for d.More() {
				if token == '{' {
					name, _ := d.Token()
					if names[name.(string)] {
						ok = false
					}
					names[name.(string)] = true
				}
				walk()
			}
			_, _ = d.Token()
		}
	}
	walk()
	return ok
}

// checkAgainstReference compares everything this package says about doc.
func checkAgainstReference(t *testing.T, o *Object, doc []byte) {
	t.Helper()
	err := Valid(doc)
	checkError(t, doc, err)
	if want := referenceValid(doc); (err == nil) != want {
		t.Fatalf("Valid(%q) = %v, want accepted: %v", doc, err, want)
	}
	err = o.Parse(doc)
	checkError(t, doc, err)
	if want := referenceParse(doc); (err == nil) != want {
		t.Fatalf("Parse(%q) = %v, want accepted: %v", doc, err, want)
	}
	if err == nil {
		checkMembers(t, o, doc)
	}
}

// checkError wants an error that is short, printable and inside of doc.
func checkError(t *testing.T, doc []byte, err error) {
	t.Helper()
	var e *Error
	if err == nil {
		return
	}
	if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(doc) || len(e.Reason) > 400 {
		t.Fatalf("error for %q = %#v, want an *Error with a short reason and an offset inside of it", doc, err)
	}
	for _, r := range e.Reason {
		if !strconv.IsPrint(r) {
			t.Fatalf("reason for %q = %q, want printable text", doc, e.Reason)
		}
	}
}

// checkMembers compares Get and String with what encoding/json reads.
func checkMembers(t *testing.T, o *Object, doc []byte) {
	t.Helper()
	var want map[string]json.RawMessage
	if err := json.Unmarshal(doc, &want); err != nil {
		t.Fatalf("Unmarshal(%q) = %v, want nil", doc, err)
	}
	if len(o.Members) != len(want) {
		t.Fatalf("Parse(%q) has %d members, want %d", doc, len(o.Members), len(want))
	}
	for name, raw := range want {
		value, m, ok := o.Get(name)
		if !ok || !bytes.Equal(value, raw) || !bytes.Equal(doc[m.Start:m.End], raw) {
			t.Fatalf("Parse(%q).Get(%q) = %q, %v, want %q", doc, name, value, ok, raw)
		}
		if key, ok := String(doc[m.KeyStart-1 : m.KeyEnd+1]); !ok || key != name {
			t.Fatalf("name of %q in %q = %q, %v", name, doc, key, ok)
		}
		var text string
		isText := raw[0] == '"' && json.Unmarshal(raw, &text) == nil
		if got, ok := String(value); ok != isText || got != text {
			t.Fatalf("String(%q) = %q, %v, want %q, %v", value, got, ok, text, isText)
		}
	}
	if _, _, ok := o.Get("no such member " + strconv.Itoa(len(doc))); ok {
		t.Fatalf("Parse(%q).Get found a member that is not there", doc)
	}
}

func FuzzAcceptanceMatchesTheReference(f *testing.F) {
	for _, doc := range accepted {
		f.Add([]byte(doc))
	}
	for _, tc := range refused {
		f.Add([]byte(tc.doc))
	}
	f.Add([]byte(objectOf(40, `"\u0065nd"`)))
	var o Object
	f.Fuzz(func(t *testing.T, doc []byte) { checkAgainstReference(t, &o, doc) })
}

// generator writes random documents that are mostly well-formed.
type generator struct {
	*rand.Rand
	strings.Builder
}

var texts = []string{
	"a", "b", "model", "messages", "x y", `\n`, `\"`, `\\`, `\/`, `\u0041`, `A`, `\u00e4`, "ä", "€", `\u20AC`, "😀", `\ud83d\ude00`,
	"0123456789abcdef", "漢字", "ж", "\x7f",
}

var brokenTexts = []string{`\ud83d`, `\ude00`, "\x80", "\xe2\x82", "\n", `\x`, `\u12`, "\xed\xa0\x80", "\xf0\x80\x80\x80", `"`}

var scalars = []string{"0", "-1", "1.5", "2e3", "1E-7", "true", "false", "null", `""`, "[]", "{}", "[ ]", "{ }", "123456789012345678901234567890"}

var brokenScalars = []string{"01", "1e400", "tru", "NaN", "-", "1.", "+1", "", "[1,]", `{"a":1,}`, "{,}"}

func (g *generator) space() {
	if g.IntN(8) == 0 {
		g.WriteString([]string{" ", "\n\t", "\r\n    "}[g.IntN(3)])
	}
}

func (g *generator) text() {
	g.WriteByte('"')
	for range g.IntN(5) {
		if g.IntN(20_000) == 0 {
			g.WriteString(brokenTexts[g.IntN(len(brokenTexts))])
		}
		g.WriteString(texts[g.IntN(len(texts))])
	}
	g.WriteByte('"')
}

func (g *generator) value(depth int) {
	g.space()
	switch n := g.IntN(12); {
	case depth > 0 && n < 3:
		g.object(depth-1, g.IntN(6))
	case depth > 0 && n == 3:
		g.object(depth-1, g.IntN(60))
	case depth > 0 && n < 6:
		g.WriteByte('[')
		for i := range 1 + g.IntN(4) {
			if i > 0 {
				g.WriteByte(',')
			}
			g.value(depth - 1)
		}
		g.WriteByte(']')
	case n < 9:
		g.text()
	case g.IntN(3000) == 0:
		g.WriteString(brokenScalars[g.IntN(len(brokenScalars))])
	default:
		g.WriteString(scalars[g.IntN(len(scalars))])
	}
	g.space()
}

// object numbers most names, so that not every object has duplicates.
func (g *generator) object(depth, n int) {
	g.WriteByte('{')
	for i := range n {
		if i > 0 {
			g.WriteByte(',')
		}
		g.space()
		if i < 4 && g.IntN(10) == 0 {
			g.text()
		} else {
			g.WriteString(`"n` + []string{"", `\u006e`, "ä"}[g.IntN(3)] + strconv.Itoa(i-i/200*g.IntN(2)) + `"`)
		}
		g.space()
		g.WriteByte(':')
		g.value(depth)
	}
	g.WriteByte('}')
}

func TestRandomDocumentsMatchTheReference(t *testing.T) {
	var o Object
	var good int
	const rounds = 400
	for seed := range uint64(rounds) {
		g := generator{Rand: rand.New(rand.NewPCG(seed, 7))}
		g.space()
		g.object(3, g.IntN(20))
		doc := []byte(g.String())
		if seed%3 == 0 && len(doc) > 0 { // one byte changed, doubled or left out
			at := g.IntN(len(doc))
			switch g.IntN(3) {
			case 0:
				doc[at] = byte(g.IntN(256))
			case 1:
				doc = append(doc[:at+1], doc[at:]...)
			default:
				doc = append(doc[:at], doc[at+1:]...)
			}
		}
		checkAgainstReference(t, &o, doc)
		if len(o.Members) > 0 {
			good++
		}
	}
	if good < rounds/4 || good > rounds*9/10 {
		t.Errorf("%d of %d random documents were good, want a mix", good, rounds)
	}
}
