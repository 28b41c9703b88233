package rawjson

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"testing"

	"github.com/tidwall/gjson"
)

func TestMembersAreTheBytesOfTheDocument(t *testing.T) {
	doc := Parse([]byte(" {\"a\" : 1 ,\n\"b\\n\":\"x\\\"}\",\"c\":{\"d\":[1,{}]}, \"e\":[ ], \"\":null}\n"))
	want := []string{`a`, `1`, `b\n`, `"x\"}"`, `c`, `{"d":[1,{}]}`, `e`, `[ ]`, ``, `null`}
	var got []string
	for m := doc.Members(); m.Next(); {
		got = append(got, string(m.Name), string(m.Value))
	}
	if !slices.Equal(got, want) {
		t.Errorf("Members(%s) = %q, want %q", doc, got, want)
	}
}

func TestElementsAreTheBytesOfTheDocument(t *testing.T) {
	doc := Value(`[ 1.50 , "a,b" ,[2,[3]],{"x":1}, true]`)
	want := []string{`1.50`, `"a,b"`, `[2,[3]]`, `{"x":1}`, `true`}
	var got []string
	e := doc.Elements()
	for e.Next() {
		if e.Index != len(got) {
			t.Errorf("Index = %d, want %d", e.Index, len(got))
		}
		got = append(got, string(e.Value))
	}
	if !slices.Equal(got, want) || doc.Len() != len(want) {
		t.Errorf("Elements(%s) = %q, Len = %d, want %q", doc, got, doc.Len(), want)
	}
}

func TestOnlyObjectsHaveMembersAndOnlyArraysElements(t *testing.T) {
	for _, doc := range []string{``, `null`, `1`, `"{}"`, `true`} {
		m, e := Value(doc).Members(), Value(doc).Elements()
		if m.Next() || e.Next() || Value(doc).Len() != 0 || len(Value(doc).Get("a")) > 0 {
			t.Errorf("%s has members or elements", doc)
		}
	}
	if m := Value(`[1]`).Members(); m.Next() {
		t.Error("[1] has members")
	}
	if e := Value(`{"a":1}`).Elements(); e.Next() {
		t.Error(`{"a":1} has elements`)
	}
}

func TestAppendingToAPartLeavesTheDocumentAlone(t *testing.T) {
	doc := []byte(`{"a":"x","b":[1,2]}`)
	v := Parse(doc)
	for m := v.Members(); m.Next(); {
		_ = append(m.Name, "!!!"...)
		_ = append(m.Value, "!!!"...)
		_ = append(m.Value.Text(), "!!!"...)
		for e := m.Value.Elements(); e.Next(); {
			_ = append(e.Value, "!!!"...)
		}
	}
	if string(doc) != `{"a":"x","b":[1,2]}` {
		t.Errorf("document became %s", doc)
	}
}

func TestKindsOfValues(t *testing.T) {
	for _, tc := range []struct {
		doc  string
		want string // the first letters of those that hold
	}{
		{``, "null empty"},
		{`null`, "null empty"},
		{`true`, "true"},
		{`false`, "false"},
		{`0`, "number"},
		{`-1.5e3`, "number"},
		{`""`, "string empty"},
		{`" "`, "string"},
		{`"a"`, "string"},
		{`{}`, "object empty"},
		{"{\n}", "object empty"},
		{`{"a":1}`, "object"},
		{`[]`, "array empty"},
		{`[ ]`, "array empty"},
		{`[0]`, "array"},
	} {
		v := Value(tc.doc)
		got := ""
		for _, kind := range []struct {
			name string
			is   bool
		}{
			{"null", v.IsNull()},
			{"true", v.IsTrue()},
			{"false", v.IsFalse()},
			{"number", v.IsNumber()},
			{"string", v.IsString()},
			{"object", v.IsObject()},
			{"array", v.IsArray()},
			{"empty", v.IsEmpty()},
		} {
			if kind.is {
				if got != "" {
					got += " "
				}
				got += kind.name
			}
		}
		if got != tc.want {
			t.Errorf("%q is %s, want %s", tc.doc, got, tc.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tc := range []struct {
		doc  string
		want int64
		ok   bool
	}{
		{`0`, 0, true},
		{`-12`, -12, true},
		{`9007199254740993`, 9007199254740993, true},
		{`1.9`, 1, true},
		{`1e3`, 1000, true},
		{`1e30`, 1 << 62, true},
		{`-1e999`, -1 << 62, true},
		{`"1"`, 0, false},
		{`true`, 0, false},
		{``, 0, false},
	} {
		if got, ok := Value(tc.doc).Int(); got != tc.want || ok != tc.ok {
			t.Errorf("Int(%s) = %d, %v, want %d, %v", tc.doc, got, ok, tc.want, tc.ok)
		}
	}
	if f, ok := Value(`0.7`).Float(); f != 0.7 || !ok {
		t.Errorf("Float(0.7) = %v, %v", f, ok)
	}
	if _, ok := Value(`"0.7"`).Float(); ok {
		t.Error("a string is a number")
	}
}

func TestGetFindsTheFirst(t *testing.T) {
	v := Value(`{"x":{"a":1},"a":"first","a":"second"}`)
	if got := v.Get("a"); string(got) != `"first"` {
		t.Errorf("Get(a) = %s", got)
	}
	if got := v.Get("b"); len(got) > 0 {
		t.Errorf("Get(b) = %s, want nothing", got)
	}
}

func TestWhatIsTooDeepIsNotValid(t *testing.T) {
	deep := func(n int) []byte {
		return append(bytes.Repeat([]byte{'['}, n), bytes.Repeat([]byte{']'}, n)...)
	}
	for _, tc := range []struct {
		doc  []byte
		want bool
	}{
		{[]byte(`{"a":[1,"]"]}`), true},
		{deep(maxDepth), true},
		{deep(maxDepth + 1), false},
		{[]byte("\"\xff\""), false},
		{[]byte(``), false},
		{[]byte(`{"a":1`), false},
		{[]byte(`{"a":1}{}`), false},
		{[]byte("\"a\nb\""), false},
	} {
		if got := Valid(tc.doc); got != tc.want {
			t.Errorf("Valid(%.40q) = %v, want %v", tc.doc, got, tc.want)
		}
	}
}

// plain builds what encoding/json reads of a document out of what this package
// reads.
func plain(v Value) any {
	switch {
	case v.IsObject():
		object := map[string]any{}
		for m := v.Members(); m.Next(); {
			object[m.Name.String()] = plain(m.Value)
		}
		return object
	case v.IsArray():
		array := []any{}
		for e := v.Elements(); e.Next(); {
			array = append(array, plain(e.Value))
		}
		return array
	case v.IsString():
		return v.Text().String()
	case v.IsTrue(), v.IsFalse():
		return v.IsTrue()
	case v.IsNumber():
		return json.Number(v)
	}
	return nil
}

// FuzzValue holds the package to encoding/json on valid documents, and to not
// panicking or reading beyond the document on others.
func FuzzValue(f *testing.F) {
	for _, doc := range []string{
		`{"a":[1,-2.5e-3,"x\"y\\",{"b":null}],"c\u0064":true,"e":{}}`, ` [ [ ] , { } ,"\ud83d\ude00"] `,
		`{"a"`, `{"a":`, `[1,2`, `"\`, `{]`, `}`, `[[[[`, `{"a":1,}`, "\x00",
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		v := Parse(doc)
		got := plain(v)
		v.Int()
		v.Float()
		v.Get("a").IsEmpty()
		if !Valid(doc) || !gjson.ValidBytes(doc) {
			return
		}
		var want any
		reader := json.NewDecoder(bytes.NewReader(doc))
		reader.UseNumber()
		if err := reader.Decode(&want); err != nil {
			t.Fatalf("Valid(%q), but encoding/json says %v", doc, err)
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if !bytes.Equal(a, b) {
			t.Errorf("read %q as %s, encoding/json as %s", doc, a, b)
		}
	})
}

// agentRequest is like what an agent sends after a dozen turns.
func agentRequest(size int) []byte {
	doc := []byte(`{"model":"m","stream":true,"messages":[`)
	for i := 0; len(doc) < size; i++ {
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = append(doc, `{"role":"assistant","content":[{"type":"text","text":"Let me look at the file first.\n"},{"type":"tool_use","id":"toolu_`...)
		doc = strconv.AppendInt(doc, int64(i), 10)
		doc = append(doc, `","name":"Read","input":{"path":"/src/main.go","limit":200}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_`...)
		doc = strconv.AppendInt(doc, int64(i), 10)
		doc = append(doc, `","content":"`...)
		for range 30 {
			doc = append(doc, `\tif err := run(ctx, \"input\", n); err != nil {\n\t\treturn fmt.Errorf(\"running: %w\", err)\n\t}\n`...)
		}
		doc = append(doc, `"}]}`...)
	}
	return append(doc, `]}`...)
}

// BenchmarkWalk compares what a decoder does, going through all members and
// elements of a request without a look at most strings.
func BenchmarkWalk(b *testing.B) {
	doc := agentRequest(120 << 10)
	b.Run("rawjson", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			walk(Parse(doc))
		}
	})
	b.Run("gjson", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			walkGJSON(gjson.ParseBytes(doc))
		}
	})
}

func walk(v Value) (n int) {
	for m := v.Members(); m.Next(); {
		n += 1 + walk(m.Value)
	}
	for e := v.Elements(); e.Next(); {
		n += 1 + walk(e.Value)
	}
	return n
}

func walkGJSON(v gjson.Result) (n int) {
	if v.IsObject() || v.IsArray() {
		v.ForEach(func(_, value gjson.Result) bool {
			n += 1 + walkGJSON(value)
			return true
		})
	}
	return n
}

func TestBothWalksAreTheSame(t *testing.T) {
	doc := agentRequest(4 << 10)
	if a, b := walk(Parse(doc)), walkGJSON(gjson.ParseBytes(doc)); a != b || a < 20 {
		t.Errorf("walk = %d, walkGJSON = %d", a, b)
	}
}
