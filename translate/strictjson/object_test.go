package strictjson

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestGetFindsMembersByTheirDecodedName(t *testing.T) {
	doc := ` { "model" : "m" , "mess\u0061ges":[ 1, 2 ],"\u0041":{"deep":1}, "A\\":-1.5e3 ,"" : null,"ä":true,"\ud83d\ude00":"x"} `
	var o Object
	if err := o.Parse([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		key, want string
		ok        bool
	}{
		{"model", `"m"`, true},
		{"messages", `[ 1, 2 ]`, true},
		{"A", `{"deep":1}`, true},
		{`A\`, `-1.5e3`, true},
		{"", `null`, true},
		{"ä", `true`, true},
		{"😀", `"x"`, true},
		{"Model", "", false},
		{"mode", "", false},
		{"models", "", false},
		{"deep", "", false},
		{`mess\u0061ges`, "", false},
		{`\u0041`, "", false},
		{`A\\`, "", false},
	} {
		value, m, ok := o.Get(tc.key)
		if ok != tc.ok || string(value) != tc.want {
			t.Errorf("Get(%q) = %q, %v, want %q, %v", tc.key, value, ok, tc.want, tc.ok)
		}
		if doc[m.Start:m.End] != tc.want {
			t.Errorf("Get(%q) is at %q, want %q", tc.key, doc[m.Start:m.End], tc.want)
		}
	}
	if got := string(o.Document()); got != doc {
		t.Errorf("Document() = %q, want %q", got, doc)
	}
}

func TestMembersAreThoseOfTheTopLevelInOrder(t *testing.T) {
	doc := `{"a":{"x":1,"y":{"z":2}},"\u0062" : [ {"q":3} ] ,"c":4}`
	var o Object
	if err := o.Parse([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range o.Members {
		got = append(got, doc[m.KeyStart:m.KeyEnd]+"="+doc[m.Start:m.End])
	}
	want := []string{`a={"x":1,"y":{"z":2}}`, `\u0062=[ {"q":3} ]`, `c=4`}
	if !slices.Equal(got, want) {
		t.Errorf("Members = %q, want %q", got, want)
	}
}

func TestArraysTellTheDepthsOfTheirBareElements(t *testing.T) {
	for _, tc := range []struct {
		value string
		want  []int
	}{
		{`{}`, nil},
		{`[]`, nil},
		{`[ ]`, nil},
		{`null`, nil},
		{`{"b":null}`, nil},
		{`["x",{},[ ]]`, nil},
		{`[1]`, []int{2}},
		{`["x", null]`, []int{2}},
		{`[{"b":1},true]`, []int{2}},
		{`[[1]]`, []int{3}},
		{`[{"content":[{},false]}]`, []int{4}},
		{`[{"content":[-1]},null]`, []int{2, 4}},
		{nested("[", "1", "]", 30), []int{31}},
		{nested("[", "1", "]", 31), nil},
	} {
		var o Object
		if err := o.Parse([]byte(`{"before":[1],"a":` + tc.value + `,"after":[[1]]}`)); err != nil {
			t.Fatal(err)
		}
		_, m, _ := o.Get("a")
		var got []int
		for depth := range MaxDepth {
			if m.Bare(depth) {
				got = append(got, depth)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("depths of bare elements in %s = %v, want %v", tc.value, got, tc.want)
		}
	}
}

func TestARefusedDocumentLeavesTheObjectEmpty(t *testing.T) {
	var o Object
	if err := o.Parse([]byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	for _, doc := range []string{`{"a":1,"b":2`, `{"a":1}x`, ``} {
		if o.Parse([]byte(doc)) == nil {
			t.Fatalf("Parse(%q) = nil, want an error", doc)
		}
		if _, _, ok := o.Get("a"); ok || len(o.Members) != 0 || o.Document() != nil {
			t.Errorf("after Parse(%q) the Object has %d members and document %q, want none", doc, len(o.Members), o.Document())
		}
	}
}

func TestAZeroObjectIsEmpty(t *testing.T) {
	var o Object
	if _, _, ok := o.Get(""); ok || o.Document() != nil {
		t.Errorf("a zero Object has a member or a document, want none")
	}
}

func TestAReusedObjectDoesNotAllocate(t *testing.T) {
	docs := [][]byte{agentBody(sourceCode), []byte(smallBody), []byte(objectOf(100, `"\u0065nd"`))}
	var o Object
	allocs := testing.AllocsPerRun(50, func() {
		for _, doc := range docs {
			if err := o.Parse(doc); err != nil {
				t.Fatal(err)
			}
			if err := Valid(doc); err != nil {
				t.Fatal(err)
			}
			o.Get("model")
			o.Get("end")
			o.Get("stream")
		}
	})
	if allocs != 0 {
		t.Errorf("Parse, Valid and Get on a reused Object allocate %v times, want 0", allocs)
	}
}

func TestSizesOfTableEntriesAreRight(t *testing.T) {
	if got := reflect.TypeFor[Member]().Size(); got > memberSize {
		t.Errorf("size of Member = %d, want at most %d", got, memberSize)
	}
	if got := reflect.TypeFor[span]().Size(); got != spanSize {
		t.Errorf("size of span = %d, want %d", got, spanSize)
	}
}

func TestMemoryOfHostileDocumentsIsGivenUp(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, `"\u0061%d":1,`, i)
	}
	var o Object
	for _, doc := range []string{`{` + b.String() + `"a":1}`, `{` + b.String() + `"a0":1}`} {
		_ = o.Parse([]byte(doc))
		_ = o.Parse([]byte(smallBody))
		kept := map[string]int{
			"Members": cap(o.Members) * memberSize,
			"names":   cap(o.scan.names.names) * spanSize,
			"decoded": cap(o.scan.names.decoded),
			"slots":   cap(o.scan.names.slots) * slotSize,
		}
		for table, size := range kept {
			if size > maxKept {
				t.Errorf("%s keeps %d bytes, want at most %d", table, size, maxKept)
			}
		}
	}
}
