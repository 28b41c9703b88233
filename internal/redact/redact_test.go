package redact

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update-redact", false, "rewrite the golden files of redacted bodies")

// Each file of testdata is a body as it came, beside one with .want as it is kept.
func TestBodiesKeepTheirShapeAndNothingThatAnybodySaid(t *testing.T) {
	files, err := filepath.Glob("testdata/*.body")
	if err != nil || len(files) < 6 {
		t.Fatalf("bodies = %v, %v", files, err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got := string(Body(nil, body))
		golden := strings.TrimSuffix(file, ".body") + ".want"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs; run with -update-redact and look at the difference. Got:\n%s", golden, got)
		}
		if strings.Contains(got, "secret") {
			t.Errorf("%s: something secret is left:\n%s", file, got)
		}
	}
}

func TestWhatIsNotUnderstoodBecomesItsLength(t *testing.T) {
	for _, tc := range []struct{ body, want string }{
		{"", ""},
		{"a secret", "[8 characters]"},
		{"日本", "[2 characters]"},
		{"<html>", "[6 characters]"},
		{`"a secret"`, "[10 characters]"},
		{`{"model":"m"`, `{"model":"m"`},
		{`{"model":"m","messages":[{"role":"user","content":"a sec`, `{"model":"m","messages":[{"role":"user","content":"[5 characters]"`},
		{`{"messages":[{"role":"user","name":"Ada","content":[{"type":"tool_use","name":"f"}]}],"tools":[{"name":"f"}]}`, `{"messages":[{"role":"user","name":"[3 characters]","content":[{"type":"tool_use","name":"f"}]}],"tools":[{"name":"f"}]}`},
		{`{"mod`, `{"[3 characters]"`},
		{`{"model":"m"} secret`, `{"model":"m"}[6 characters]`},
		{`{"model":m}`, `{"model":[2 characters]`},
		{`{"model":"two words"}`, `{"model":"[9 characters]"}`},
		{`{"model":"` + strings.Repeat("x", 97) + `"}`, `{"model":"[97 characters]"}`},
		{`{"my name":"v","n":1}`, `{"[7 characters]":"[1 character]","n":1}`},
		{`{"pin":1234,"t":true,"z":null}`, `{"[3 characters]":"[number]","[1 character]":true,"[1 character]":null}`},
		{`{"content":""}`, `{"content":""}`},
		{`{"content":"\u65e5\n\"\ud83d\ude00"}`, `{"content":"[4 characters]"}`},
		{`{"n":` + strings.Repeat("1", 30) + `}`, `{"n":"[number]"}`},
		{`[{"error":{"message":"a secret","type":"x"}}]`, `[{"error":{"message":"[8 characters]","type":"x"}}]`},
		{`{"input":[1,2]}`, `{"input":["[number]","[number]"]}`},
		// Nobody's protocol: a tool's result that is an object of its own.
		{`{"output":{"name":"secret","id":"1","n":2}}`, `{"output":{"[4 characters]":"[6 characters]","[2 characters]":"[1 character]","[1 character]":"[number]"}}`},
		{`{"content":{"status":"secret"},"result":{"model":"secret"}}`, `{"content":{"[6 characters]":"[6 characters]"},"result":{"[5 characters]":"[6 characters]"}}`},
		{`{"content":[{"type":"text"}],"output":[{"id":"a"}],"data":[{"index":1}]}`, `{"content":[{"type":"text"}],"output":[{"id":"a"}],"data":[{"index":1}]}`},
		{`{"other":{"model":"m"}}`, `{"[5 characters]":{"[5 characters]":"[1 character]"}}`},
		{strings.Repeat("[", 600), strings.Repeat("[", 512) + "[88 characters]"},
		{"data: {\"id\":\"a\"}\n\ndata: [DONE]\n\n", "data: {\"id\":\"a\"}\n\ndata: [DONE]\n\n"},
		{"data:{\"id\":\"a\"}\r\n\r\n", "data: {\"id\":\"a\"}\n\n"},
		{"event: secret\ndata: secret\nid: secret\n: secret\nsecret: x\nsecret", "event: [6 characters]\ndata: [6 characters]\nid: [6 characters]\n: [6 characters]\n[9 characters]\n[6 characters]"},
		{"event: response.output_text.delta\n:\n", "event: response.output_text.delta\n:\n"},
		{"event: response.output_text.secret\n", "event: [27 characters]\n"},
		{"data: {\"arguments\":\ndata: {\"name\":\"secret\"}}\n\ndata: {\"name\":\"n\"}\n", "data: {\"arguments\":\ndata: [18 characters]\n\ndata: {\"name\":\"n\"}\n"},
		{"data: {\"content\":\"a sec", "data: {\"content\":\"[5 characters]\""},
	} {
		if got := string(Body(nil, []byte(tc.body))); got != tc.want {
			t.Errorf("Body(%.80q) = %q, want %q", tc.body, got, tc.want)
		}
	}
}

func TestKeysAreRemovedHoweverTheyAreWritten(t *testing.T) {
	s := NewSecrets([]string{"sk-abcdefgh", "with/slash+and\"quote", "short", "", "sk-abcdefgh-longer"})
	for _, tc := range []struct {
		text string
		cut  bool
		want string
	}{
		{"nothing", false, "nothing"},
		{"a sk-abcdefgh b sk-abcdefgh", false, "a [key removed] b [key removed]"},
		{"sk-abcdefgh-longer", false, "[key removed]"},
		{`{"k":"with/slash+and\"quote"}`, false, `{"k":"[key removed]"}`},
		{`{"k":"with\/slash+and\"quote"}`, false, `{"k":"[key removed]"}`},
		{"short", false, "short"},
		{"the end sk-abc", false, "the end sk-abc"},
		{"the end sk-abc", true, "the end [key removed]"},
		{"the end sk-", true, "the end sk-"},
	} {
		text := []byte(tc.text)
		if got := string(s.Remove(text, tc.cut)); got != tc.want {
			t.Errorf("Remove(%q, %v) = %q, want %q", tc.text, tc.cut, got, tc.want)
		}
		if string(text) != tc.text {
			t.Errorf("Remove(%q) changed its argument to %q", tc.text, text)
		}
	}
}

// canary is in no name and no word. The spaces around it keep it from being an id.
const canary = " zwxqvu zwxqvu "

// Wherever a text stands, it is not in what is kept, unless it is one of the known
// names or short and a word where words are kept.
func FuzzBody(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.body")
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for at := 0; at < len(body); at += 97 {
			f.Add(body, uint(at))
		}
	}
	f.Add([]byte(`{"model":"m","x":["y",{"z":1e5}]}`), uint(12))
	f.Add([]byte("event: response.x\ndata: {\n"), uint(9))
	f.Fuzz(func(t *testing.T, body []byte, at uint) {
		if strings.Contains(string(body), "zwxqvu") {
			t.Skip("the input holds what is planted")
		}
		n := int(at % uint(len(body)+1))
		planted := string(body[:n]) + canary + string(body[n:])
		if got := Body(nil, []byte(planted)); strings.Contains(string(got), "zwxqvu") {
			t.Fatalf("Body(%q) = %q", planted, got)
		}
		got := string(Body(nil, body))
		if again := string(Body(nil, body[:n])); len(again) > 20*n+20 {
			t.Fatalf("Body(%q) is %d bytes", body[:n], len(again))
		}
		var value any
		if json.Unmarshal(body, &value) == nil {
			wantHidden(t, body, got, value, "")
		}
	})
}

// wantHidden makes sure that no text of a value is in what is kept but those of
// members whose words are.
func wantHidden(t *testing.T, body []byte, got string, value any, name string) {
	t.Helper()
	switch value := value.(type) {
	case string:
		if len(value) > 5 && names[name] != words && strings.Contains(got, value) && !mayStand(value) {
			t.Fatalf("Body(%q) = %q has %q of member %q", body, got, value, name)
		}
	case []any:
		for _, element := range value {
			wantHidden(t, body, got, element, name)
		}
	case map[string]any:
		for member, inside := range value {
			if _, known := names[member]; !known && len(member) > 5 && strings.Contains(got, member) && !mayStand(member) {
				t.Fatalf("Body(%q) = %q has the name %q", body, got, member)
			}
			wantHidden(t, body, got, inside, member)
		}
	}
}

// mayStand reports whether a text may be in a redacted body for other reasons than
// that somebody said it there: it is a part of a name or a number, or a word where
// words are kept, which this does not tell.
func mayStand(text string) bool {
	if isWord([]byte(text)) || strings.Trim(text, "0123456789+-.eE[]{},:\"\n ") == "" {
		return true
	}
	return strings.Contains("[0 characters] [1 character] [number]", text)
}

func BenchmarkBody(b *testing.B) {
	body, err := os.ReadFile("testdata/messages_request.body")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = Body(dst[:0], body)
	}
}
