package redact

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// chatEvents is a stream that says these pieces.
func chatEvents(pieces ...string) string {
	var b strings.Builder
	for _, piece := range pieces {
		fmt.Fprintf(&b, "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}\n\n", piece)
	}
	return b.String()
}

func TestKeysAreRemovedWhereTheyAreSpread(t *testing.T) {
	s := NewSecrets([]string{"sk-abcdefgh", "sk-abcdefgh-longer", "with/slash", "schlüssel-ä😀"})
	for _, tc := range []struct {
		text string
		cut  bool
		want string
	}{
		{chatEvents("a sk-abc", "def", "gh b"), false, chatEvents("a [key removed]", "", " b")},
		{chatEvents("sk-abcdefgh", "-longer"), false, chatEvents("[key removed]", "-longer")}, // it is one already
		{chatEvents("sk-abcdefg", "h-longer"), false, chatEvents("[key removed]", "")},
		{chatEvents("s", "k", "-abcdefgh", "sk-", "abcdefgh"), false, chatEvents("[key removed]", "", "", "[key removed]", "")},
		{chatEvents("sk-abcd", "efg"), false, chatEvents("sk-abcd", "efg")},
		{chatEvents("sk-abcd", "efg"), true, chatEvents("[key removed]", "")},
		{chatEvents("sk-abcd", "efg")[:90] + "\n", true, chatEvents("[key removed]", "")[:96] + "\n"},
		{chatEvents(`with\`, `/slash`), false, chatEvents(`with\`, `/slash`)}, // no JSON
		{chatEvents(`with\/`, `sla\u0073h`), false, chatEvents("[key removed]", "")},
		{chatEvents(`{\"k\":\"sk-ab`, `cdefgh\"}`), false, chatEvents(`{\"k\":\"[key removed]`, `\"}`)},
		{chatEvents(`schl\u00fcssel-`, `\u00e4\ud83d\ude00`), false, chatEvents("[key removed]", "")},
		{`{"x":"\u0073k-abc\u0064efgh","y":"\n"}`, false, `{"x":"[key removed]","y":"\n"}`},
		{`{"x":"with\u002fslash/"}`, false, `{"x":"[key removed]/"}`},
		{`{"x":"with\u002f","y":"slash"}`, false, `{"x":"with\u002f","y":"slash"}`},
		{`{"\u0073k":"with\u002fsl`, true, `{"\u0073k":"[key removed]`},
		{`{"x":"with\u002fsl\u00`, true, `{"x":"[key removed]\u00`},
		{`{"x":"\ud83d`, true, `{"x":"\ud83d`},
		{
			"event: a\ndata: {\"type\":\"d\",\"delta\":{\"text\":\"sk-ab\"}}\n\nevent: a\ndata: {\"type\":\"d\",\"delta\":{\"text\":\"cdefgh\"}}\n\n", false,
			"event: a\ndata: {\"type\":\"d\",\"delta\":{\"text\":\"[key removed]\"}}\n\nevent: a\ndata: {\"type\":\"d\",\"delta\":{\"text\":\"\"}}\n\n",
		},
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

// However a stream spreads a key, what it says then is the same without it, and nothing
// else is changed.
func FuzzSpread(f *testing.F) {
	f.Add("before ", " after", uint8(3), uint8(5), false)
	f.Add("\"", "\\", uint8(0), uint8(9), true)
	f.Add("sk-", "abc", uint8(1), uint8(1), true)
	f.Fuzz(func(t *testing.T, before, after string, first, second uint8, escaped bool) {
		const key = "sk-abcdefgh"
		all := before + key + after
		if strings.Count(all, "sk-") > 1 || len(all) > 200 || !utf8.ValidString(all) {
			t.Skip("too long, not text, or with a second key: that is not what is tried here")
		}
		runes := []rune(all)
		n := int(first) % (len(runes) + 1)
		m := n + int(second)%(len(runes)-n+1)
		var pieces []string
		for _, piece := range [][]rune{runes[:n], runes[n:m], runes[m:]} {
			quoted, err := json.Marshal(string(piece))
			if err != nil {
				t.Fatal(err)
			}
			inside := string(quoted[1 : len(quoted)-1])
			if escaped {
				inside = strings.ReplaceAll(inside, "s", `\u0073`)
			}
			pieces = append(pieces, inside)
		}
		said := ""
		for line := range strings.Lines(string(NewSecrets([]string{key}).Remove([]byte(chatEvents(pieces...)), false))) {
			var event struct {
				Choices []struct{ Delta struct{ Content string } }
			}
			data, is := strings.CutPrefix(line, "data: ")
			if !is {
				continue
			}
			if err := json.Unmarshal([]byte(data), &event); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			said += event.Choices[0].Delta.Content
		}
		if want := strings.Replace(all, key, removed, 1); said != want {
			t.Errorf("%q in %q says %q, want %q", all, pieces, said, want)
		}
	})
}

func BenchmarkRemove(b *testing.B) {
	body, err := os.ReadFile(filepath.Join("testdata", "messages_stream.body"))
	if err != nil {
		b.Fatal(err)
	}
	for len(body) < 64<<10 {
		body = append(body, body...)
	}
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprintf("sk-key-of-some-client-%020d", i)
	}
	s := NewSecrets(keys)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		s.Remove(body, true)
	}
}
