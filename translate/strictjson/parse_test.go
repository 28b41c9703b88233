package strictjson

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// bom is a byte order mark in UTF-8.
const bom = "\xEF\xBB\xBF"

func nested(open, inner, closing string, n int) string {
	return strings.Repeat(open, n) + inner + strings.Repeat(closing, n)
}

// accepted are documents that Parse must let pass.
var accepted = []string{
	`{}`,
	" \t\r\n{ \t\r\n} \t\r\n",
	`{"a":1}`,
	`{"":0}`,
	`{"a":{"a":{"a":[{"a":1},{"a":2}]}}}`,
	`{"a":"` + "\x7f" + `"}`,
	`{"a":"\"\\\/\b\f\n\r\t\u0000\uFFFF\uabCD"}`,
	`{"a":"\ud83d\ude00 \uDBFF\uDFFF \uD800\uDC00"}`,
	`{"a":"ü – € 漢 😀 ` + "\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff" + `"}`,
	`{"model":1,"MODEL":2,"Model":3}`,
	`{"a":1,"a\u0000":2,"\u0000a":3}`,
	`{"a":[],"b":{},"c":[[]],"d":true,"e":false,"f":null}`,
	`{"a":[ 1 , 2 , [ ] , { } ] , "b" : "c" }`,
	`{"a":0,"b":-0,"c":-0.0,"d":0e0,"e":10.25E+3,"f":1e-400,"g":123456789012345678901234567890}`,
	`{"a":1.7976931348623157e308,"b":-1.7976931348623157e+308,"c":0e999,"d":0.0000001e309}`,
	`{"a":` + strings.Repeat("9", 300) + `}`,
	`{"a":1.` + strings.Repeat("0", maxNumber-2) + `}`,
	nested(`{"a":`, `1`, `}`, MaxDepth),
	`{"a":` + nested(`[`, ``, `]`, MaxDepth-1) + `}`,
	`{"a":[` + strings.Repeat(`{"b":[{}]},`, 1000) + `0]}`,
}

// refused are documents that Parse must refuse, with the place and the reason.
var refused = []struct {
	doc    string
	offset int
	reason string
}{
	{``, 0, `empty body`},
	{" \t\r\n", 0, `empty body`},
	{bom + `{}`, 0, `byte order mark before the document`},
	{"\xFF\xFE{\x00}\x00", 0, `expected an object, found byte 0xff`},
	{"{\x00}\x00", 1, `expected a member name in double quotes, found byte 0x00`},
	{`[{}]`, 0, `expected an object, found '['`},
	{`"a"`, 0, `expected an object, found '"'`},
	{`1e5`, 0, `expected an object, found '1'`},
	{`null`, 0, `expected an object, found 'n'`},
	{`// hi` + "\n{}", 0, `expected an object, found '/'`},
	{`<html>`, 0, `expected an object, found '<'`},

	{`{`, 1, `unexpected end of input, expected a member name in double quotes`},
	{`{"a"`, 4, `unexpected end of input, expected ':' after a member name`},
	{`{"a":`, 5, `unexpected end of input, expected a value`},
	{`{"a":1`, 6, `unexpected end of input, expected ',' or '}' after a member`},
	{`{"a":1,`, 7, `unexpected end of input, expected a member name in double quotes`},
	{`{"a":[`, 6, `unexpected end of input, expected a value`},
	{`{"a":[1`, 7, `unexpected end of input, expected ',' or ']' after an element`},
	{`{"a":"b`, 7, `unexpected end of input inside a string`},
	{`{"a":"b\`, 8, `unexpected end of input inside a string`},
	{`{"a":"b\u12`, 11, `unexpected end of input inside a string`},
	{`{"a":"b\"`, 9, `unexpected end of input inside a string`},
	{`{"a":tru`, 8, `unexpected end of input, expected the literal true`},
	{`{"a":-`, 6, `unexpected end of input, expected a digit`},
	{`{"a":1.`, 7, `unexpected end of input, expected a digit`},
	{`{"a":1e+`, 8, `unexpected end of input, expected a digit`},

	{`{}{}`, 2, `trailing bytes after the document`},
	{`{}]`, 2, `trailing bytes after the document`},
	{"{}\x00", 2, `trailing bytes after the document`},
	{"{}\v", 2, `trailing bytes after the document`},
	{`{} ` + bom, 3, `trailing bytes after the document`},

	{`{'a':1}`, 1, `expected a member name in double quotes, found '\''`},
	{`{a:1}`, 1, `expected a member name in double quotes, found 'a'`},
	{`{"a":1,}`, 7, `expected a member name in double quotes, found '}'`},
	{`{,}`, 1, `expected a member name in double quotes, found ','`},
	{`{"a" 1}`, 5, `expected ':' after a member name, found '1'`},
	{`{"a":1 "b":2}`, 7, `expected ',' or '}' after a member, found '"'`},
	{`{"a":1]`, 6, `expected ',' or '}' after a member, found ']'`},
	{`{"a":[1}`, 7, `expected ',' or ']' after an element, found '}'`},
	{`{"a":[1,]}`, 8, `expected a value, found ']'`},
	{`{"a":[,1]}`, 6, `expected a value, found ','`},
	{`{"a":}`, 5, `expected a value, found '}'`},
	{`{"a":NaN}`, 5, `expected a value, found 'N'`},
	{`{"a":True}`, 5, `expected a value, found 'T'`},
	{`{"a":treu}`, 7, `expected the literal true, found 'e'`},
	{`{"a":nul}`, 8, `expected the literal null, found '}'`},
	{`{"a":truex}`, 9, `expected ',' or '}' after a member, found 'x'`},
	{"{\"a\":\u00a01}", 5, `expected a value, found byte 0xc2`},
	{"{\"a\":1/**/}", 6, `expected ',' or '}' after a member, found '/'`},

	{`{"a":007}`, 5, `number with a leading zero`},
	{`{"a":-01}`, 6, `number with a leading zero`},
	{`{"a":0x10}`, 6, `expected ',' or '}' after a member, found 'x'`},
	{`{"a":1_0}`, 6, `expected ',' or '}' after a member, found '_'`},
	{`{"a":+1}`, 5, `expected a value, found '+'`},
	{`{"a":.5}`, 5, `expected a value, found '.'`},
	{`{"a":-Infinity}`, 6, `expected a digit, found 'I'`},
	{`{"a":-}`, 6, `expected a digit, found '}'`},
	{`{"a":1.}`, 7, `expected a digit, found '}'`},
	{`{"a":1e}`, 7, `expected a digit, found '}'`},
	{`{"a":1e5.5}`, 8, `expected ',' or '}' after a member, found '.'`},
	{`{"a":1e400}`, 5, `number out of range`},
	{`{"a":-1e309}`, 5, `number out of range`},
	{`{"a":1.7976931348623159e308}`, 5, `number out of range`},
	{`{"a":1` + strings.Repeat("0", 309) + `}`, 5, `number out of range`},
	{`{"a":1e` + strings.Repeat("9", 100) + `}`, 5, `number out of range`},
	{`{"a":0.` + strings.Repeat("0", maxNumber-1) + `}`, 5, `number longer than 1000 bytes`},

	{"{\"a\":\"b\nc\"}", 7, `unescaped control character in a string, byte 0x0a`},
	{"{\"a\":\"12345678\x00\"}", 14, `unescaped control character in a string, byte 0x00`},
	{"{\"a\x1f\":1}", 3, `unescaped control character in a string, byte 0x1f`},
	{`{"a":"\q"}`, 7, `expected one of "\/bfnrtu after a backslash, found 'q'`},
	{`{"a":"\U0041"}`, 7, `expected one of "\/bfnrtu after a backslash, found 'U'`},
	{"{\"a\":\"\\\n\"}", 7, `expected one of "\/bfnrtu after a backslash, found byte 0x0a`},
	{`{"a":"\u12"}`, 10, `expected four hexadecimal digits after \u, found '"'`},
	{`{"a":"\u00g0"}`, 10, `expected four hexadecimal digits after \u, found 'g'`},
	{`{"a":"\ud83d"}`, 6, `lone surrogate escape \ud83d`},
	{`{"a":"\uDE00\ud83d"}`, 6, `lone surrogate escape \uDE00`},
	{`{"a":"\ud83d\u0041"}`, 6, `lone surrogate escape \ud83d`},
	{`{"a":"\ud83d\ud83d\ude00"}`, 6, `lone surrogate escape \ud83d`},
	{`{"a":"\ud83dude00"}`, 6, `lone surrogate escape \ud83d`},
	{`{"a":"\ud83d\nde00"}`, 6, `lone surrogate escape \ud83d`},
	{`{"\ud800":1}`, 2, `lone surrogate escape \ud800`},

	{"{\"a\":\"\xff\xfe\"}", 6, `invalid UTF-8`},
	{"{\"a\":\"\x80abcdefgh\"}", 6, `invalid UTF-8`},
	{"{\"a\":\"\xc0\xafabcdefgh\"}", 6, `invalid UTF-8`},
	{"{\"a\":\"\xc1\xbfabcdefgh\"}", 6, `invalid UTF-8`},
	{"{\"a\":\"\xe0\x9f\xbfabcdefgh\"}", 6, `invalid UTF-8`},
	{"{\"a\":\"\xed\xa0\x80abcdefgh\"}", 6, `invalid UTF-8`},
	{"{\"a\":\"\xed\xbf\xbfabcdefgh\"}", 6, `invalid UTF-8`},
	{"{\"a\":\"\xf0\x8f\xbf\xbfabcdefgh\"}", 6, `invalid UTF-8`},
	{"{\"a\":\"\xf4\x90\x80\x80abcdefgh\"}", 6, `invalid UTF-8`},
	{"{\"a\":\"\xe6\xbc\"}", 6, `invalid UTF-8`},
	{"{\"a\":\"\xe6\xbc\xa2\xc3\"}", 9, `invalid UTF-8`},
	{"{\"\xe9\":1}", 2, `invalid UTF-8`},

	{`{"model":"a","x":1,"model":"b"}`, 19, `duplicate member "model"`},
	{`{"model":1,"mod\u0065l":2}`, 11, `duplicate member "model"`},
	{`{"mod\u0065l":1,"model":2}`, 16, `duplicate member "model"`},
	{`{"\u006d":1,"\u006D":2}`, 12, `duplicate member "m"`},
	{`{"\/":1,"/":2}`, 8, `duplicate member "/"`},
	{`{"\ud83d\ude00":1,"😀":2}`, 18, `duplicate member "😀"`},
	{`{"":1,"":2}`, 6, `duplicate member ""`},
	{`{"a":[0,{"b":{"c":1,"c":2}}]}`, 20, `duplicate member "c"`},
	{`{"a":{"x":1,"y":2},"b":3,"a":4}`, 25, `duplicate member "a"`},
	{`{"\u001b[2J\n":1,"\u001b[2J\n":2}`, 17, `duplicate member "\x1b[2J\n"`},

	{nested(`{"a":`, `1`, `}`, MaxDepth+1), 5 * MaxDepth, `nesting deeper than 128 levels`},
	{`{"a":` + nested(`[`, ``, `]`, MaxDepth), 5 + MaxDepth - 1, `nesting deeper than 128 levels`},
}

func TestOneMeaningDocumentsAreAccepted(t *testing.T) {
	var o Object
	for _, doc := range accepted {
		if err := o.Parse([]byte(doc)); err != nil {
			t.Errorf("Parse(%.80q) = %v, want nil", doc, err)
		}
		if err := Valid([]byte(doc)); err != nil {
			t.Errorf("Valid(%.80q) = %v, want nil", doc, err)
		}
	}
}

func TestRefusalsNameThePlaceAndTheReason(t *testing.T) {
	var o Object
	for _, tc := range refused {
		err := o.Parse([]byte(tc.doc))
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("Parse(%.80q) = %v, want an *Error", tc.doc, err)
			continue
		}
		if e.Offset != tc.offset || e.Reason != tc.reason {
			t.Errorf("Parse(%.80q) = %d, %q, want %d, %q", tc.doc, e.Offset, e.Reason, tc.offset, tc.reason)
		}
		want := fmt.Sprintf("invalid JSON at byte %d: %s", tc.offset, tc.reason)
		if e.Error() != want {
			t.Errorf("Parse(%.80q).Error() = %q, want %q", tc.doc, e.Error(), want)
		}
	}
}

// Every refusal must be independent of where the string's words begin, since
// strings are scanned by words of eight bytes.
func TestStringsAreCheckedAtEveryPlaceInAWord(t *testing.T) {
	var o Object
	for _, tc := range []struct {
		text string
		ok   bool
	}{
		{`\n`, true},
		{`\\`, true},
		{`\"`, true},
		{`\\\"\\`, true},
		{`\n\n\n\n\n\n\n\n\n`, true},
		{`\u00e4`, true},
		{`\ud83d\ude00`, true},
		{"ä", true},
		{"€", true},
		{"😀", true},
		{"\x7f", true},
		{`\x`, false},
		{`\\\`, false},
		{`\u00e`, false},
		{`\ud83d`, false},
		{`\ude00`, false},
		{"\x1f", false},
		{"\x00", false},
		{"\n", false},
		{"\x80", false},
		{"\xc3", false},
		{"\xe2\x82", false},
		{"\xf0\x9f\x98", false},
		{`"`, false},
	} {
		for before := range 18 {
			for after := range 18 {
				doc := `{"a":"` + strings.Repeat("x", before) + tc.text + strings.Repeat("y", after) + `"}`
				if err := o.Parse([]byte(doc)); (err == nil) != tc.ok {
					t.Errorf("Parse(%q) = %v, want accepted: %v", doc, err, tc.ok)
				}
			}
		}
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	doc := `{"model":"mö\u00e4\ud83d\ude00","a":[1.5e3,-2,true,false,null,{"b":"c\n"}],"d":{}}`
	var o Object
	if err := o.Parse([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	for n := range len(doc) {
		cut := []byte(doc[:n])
		if o.Parse(cut) == nil {
			t.Errorf("Parse(%q) = nil, want an error", cut)
		}
		if Valid(cut) == nil {
			t.Errorf("Valid(%q) = nil, want an error", cut)
		}
	}
}

func TestValidLetsProvidersRepeatMembersAndCutSurrogates(t *testing.T) {
	for _, tc := range []struct {
		doc string
		ok  bool
	}{
		{`{"a":1,"a":2}`, true},
		{`"\ud83d"`, true},
		{`"\ude00\ud83d\u0041"`, true},
		{`1e400`, true},
		{strings.Repeat("9", 5000), true},
		{` [1, "a", null] `, true},
		{`true`, true},
		{nested("[", "", "]", MaxDepth), true},

		{``, false},
		{` `, false},
		{`tru`, false},
		{`01`, false},
		{`"`, false},
		{`"\ud83"`, false},
		{"\"\xff\"", false},
		{"\"\xed\xa0\x80\"", false},
		{bom + `1`, false},
		{`1 2`, false},
		{nested("[", "", "]", MaxDepth+1), false},
	} {
		if err := Valid([]byte(tc.doc)); (err == nil) != tc.ok {
			t.Errorf("Valid(%.80q) = %v, want accepted: %v", tc.doc, err, tc.ok)
		}
	}
}

func TestHostileNestingFailsAtTheBound(t *testing.T) {
	var o Object
	objects := []byte(strings.Repeat(`{"a":`, 2_000_000))
	arrays := []byte(strings.Repeat("[", 8<<20))
	for _, tc := range []struct {
		name   string
		err    error
		offset int
	}{
		{"Parse of objects", o.Parse(objects), 5 * MaxDepth},
		{"Parse of arrays in an object", o.Parse(append([]byte(`{"a":`), arrays...)), 5 + MaxDepth - 1},
		{"Valid of objects", Valid(objects), 5 * MaxDepth},
		{"Valid of arrays", Valid(arrays), MaxDepth},
	} {
		var e *Error
		if !errors.As(tc.err, &e) || e.Offset != tc.offset {
			t.Errorf("%s = %v, want an error at %d", tc.name, tc.err, tc.offset)
		}
	}
}

func TestAnObjectOfTooManyMembersIsRefused(t *testing.T) {
	var doc strings.Builder
	for i := range maxMembers {
		fmt.Fprintf(&doc, `"%d":0,`, i)
	}
	fits, tooMany := `{"a":{`+doc.String()[:doc.Len()-1]+`}}`, `{"a":{`+doc.String()+`"":0}}`
	var o Object
	if err := o.Parse([]byte(fits)); err != nil {
		t.Errorf("Parse of %d members = %v, want nil", maxMembers, err)
	}
	if err := o.Parse([]byte(tooMany)); err == nil || !strings.Contains(err.Error(), "more than 100000 members") {
		t.Errorf("Parse of one more = %v, want an error that says how many are allowed", err)
	}
}

// A generous bound that a quadratic walk would miss by orders of magnitude.
func TestLargeDocumentsTakeLinearTime(t *testing.T) {
	const bound = 20 * time.Second
	var members, nestedMembers, escaped strings.Builder
	for i := range maxMembers - 1 {
		fmt.Fprintf(&members, `"member number %d":%d,`, i, i)
		fmt.Fprintf(&escaped, `"\u006dember number %d":%d,`, i, i)
	}
	for i := range 100 {
		nestedMembers.WriteString(`{`)
		for k := range 5000 {
			fmt.Fprintf(&nestedMembers, `"%d":0,`, k)
		}
		fmt.Fprintf(&nestedMembers, `"next %d":`, i)
	}
	for _, tc := range []struct{ name, doc string }{
		{"many members", `{` + members.String() + `"":0}`},
		{"many escaped names", `{` + escaped.String() + `"":0}`},
		{"many large objects inside each other", nestedMembers.String() + `0` + strings.Repeat("}", 100)},
		{"many numbers that need computing", `{"a":[` + strings.Repeat(strings.Repeat("9", 308)+`e-1,`, 20_000) + `0]}`},
		{"one long name", `{"` + strings.Repeat("k", 8<<20) + `":1}`},
		{"one long text of escapes", `{"a":"` + strings.Repeat(`\u0041`, 1<<20) + `"}`},
		{"white space", `{` + strings.Repeat(" ", 8<<20) + `}`},
	} {
		var o Object
		start := time.Now()
		if err := o.Parse([]byte(tc.doc)); err != nil {
			t.Errorf("%s: Parse = %v, want nil", tc.name, err)
		}
		if took := time.Since(start); took > bound {
			t.Errorf("%s: Parse took %v, want at most %v", tc.name, took, bound)
		}
	}
}
