package rawjson

import "testing"

func TestElementsAreLeftOutWithTheirComma(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{`[1,2,3]`, `[1,2,3]`},
		{`[0,2,3]`, `[2,3]`},
		{`[1,0,3]`, `[1,3]`},
		{`[1,2,0]`, `[1,2]`},
		{`[0,0,3]`, `[3]`},
		{`[0]`, `[]`},
		{`[]`, `[]`},
		{"[ 0 ,\n  2 ]", "[ 2 ]"},
		{"[ 1 ,\n  0 , 3\n]", "[ 1 , 3\n]"},
	} {
		got, kept := AppendWithElements(nil, Value(tc.in), func(dst []byte, e Value) ([]byte, bool) {
			return append(dst, e...), string(e) != "0"
		})
		if string(got) != tc.want || kept != Value(tc.want).Len() {
			t.Errorf("AppendWithElements(%q) = %q, %d, want %q", tc.in, got, kept, tc.want)
		}
	}
}

func TestOnlyTheMemberIsEdited(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{`{"a":1,"b":2}`, `{"a":1,"b":(2)}`},
		{" {\"b\" : [ 2 ] , \"a\":1 }\n", " {\"b\" : ([ 2 ]) , \"a\":1 }\n"},
		{`{"a":1}`, `{"a":1}`},
		{`{"a":{"b":1}}`, `{"a":{"b":1}}`},
	} {
		got := AppendWithMember(nil, []byte(tc.in), "b", func(dst []byte, v Value) []byte {
			return append(append(append(dst, '('), v...), ')')
		})
		if string(got) != tc.want {
			t.Errorf("AppendWithMember(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}
