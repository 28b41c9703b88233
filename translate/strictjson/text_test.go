package strictjson

import "testing"

func TestStringDecodesWhatTheQuotesMean(t *testing.T) {
	for _, tc := range []struct {
		raw, want string
		ok        bool
	}{
		{`""`, "", true},
		{`"plain"`, "plain", true},
		{`"grüß 😀"`, "grüß 😀", true},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t", true},
		{`"a\u00e4b\u0000c"`, "aäb\x00c", true},
		{`"\ud83d\ude00!"`, "😀!", true},
		{`"\ud83d!"`, "\ufffd!", true},
		{`"\ud83d\u0041"`, "\ufffdA", true},
		{`"\ud83d\ud83d\ude00"`, "\ufffd😀", true},
		{`"\ude00"`, "\ufffd", true},
		{`"\ufffd"`, "\ufffd", true},

		{``, "", false},
		{`"`, "", false},
		{`"a`, "", false},
		{`a"`, "", false},
		{`"a"b"`, "", false},
		{`"a" `, "", false},
		{` "a"`, "", false},
		{`"a\"`, "", false},
		{`"\x"`, "", false},
		{"\"\n\"", "", false},
		{"\"\xff\"", "", false},
		{`12`, "", false},
		{`null`, "", false},
		{`{}`, "", false},
	} {
		if got, ok := String([]byte(tc.raw)); got != tc.want || ok != tc.ok {
			t.Errorf("String(%q) = %q, %v, want %q, %v", tc.raw, got, ok, tc.want, tc.ok)
		}
	}
}

func TestLineCountsFromOne(t *testing.T) {
	const doc = "{\n  \"ä\": 1,\r\n\n}"
	for _, tc := range []struct{ offset, line, column int }{
		{0, 1, 1},
		{1, 1, 2},
		{2, 2, 1},
		{5, 2, 4},
		{7, 2, 5}, // behind the two bytes of the letter
		{14, 3, 1},
		{15, 4, 1},
		{16, 4, 2},
		{999, 4, 2},
		{-1, 1, 1},
	} {
		if line, column := Line([]byte(doc), tc.offset); line != tc.line || column != tc.column {
			t.Errorf("Line(%q, %d) = %d, %d, want %d, %d", doc, tc.offset, line, column, tc.line, tc.column)
		}
	}
	if line, column := Line(nil, 0); line != 1 || column != 1 {
		t.Errorf("Line(nil, 0) = %d, %d, want 1, 1", line, column)
	}
}
