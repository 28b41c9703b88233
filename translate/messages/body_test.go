package messages

import (
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

var target = translate.Target{Protocol: translate.Messages, Provider: "p", Model: "m"}

// encoded writes a conversation, which must be possible. It is valid JSON.
func encoded(t testing.TB, c *translate.Conversation, to translate.Target) rawjson.Value {
	t.Helper()
	out, e := EncodeRequest(nil, c, &to)
	if e != nil {
		t.Fatalf("EncodeRequest = %v", e)
	}
	if !rawjson.Valid(out) {
		t.Fatalf("EncodeRequest = %s, which is no JSON", out)
	}
	return rawjson.Parse(out)
}

// conversation reads messages in the form of Messages, but as if they had come
// from a client of Chat Completions.
func conversation(t testing.TB, messages string) *translate.Conversation {
	t.Helper()
	c := decoded(t, `{"messages":`+messages+`}`)
	c.Protocol = translate.Chat
	return c
}

const hi = `[{"role":"user","content":"hi"}]`

// Short forms of messages for the tables below. Each is u(ser), a(ssistant) or
// s(ystem) with what follows the colon: words, or a call c1 or its result r1.
func short(list string) string {
	var out []string
	for _, m := range strings.Split(list, " | ") {
		role, rest, _ := strings.Cut(m, ":")
		var blocks []string
		for _, b := range strings.Fields(rest) {
			switch {
			case len(b) == 2 && b[0] == 'c':
				b = `{"type":"tool_use","id":"` + b[1:] + `","name":"f","input":{}}`
			case len(b) == 2 && b[0] == 'r':
				b = `{"type":"tool_result","tool_use_id":"` + b[1:] + `","content":[{"type":"text","text":"done"}]}`
			case b == "thought":
				b = `{"type":"thinking","thinking":"hm","signature":"` + sealed(`{"type":"thinking","thinking":"hm","signature":"Eq"}`) + `"}`
			default:
				b = `{"type":"text","text":"` + strings.ReplaceAll(b, "_", " ") + `"}`
			}
			blocks = append(blocks, b)
		}
		name := map[string]string{"u": "user", "a": "assistant", "s": "system"}[role]
		out = append(out, `{"role":"`+name+`","content":[`+strings.Join(blocks, ",")+`]}`)
	}
	return "[" + strings.Join(out, ",") + "]"
}

// shortened is the short form of messages that were written.
func shortened(messages rawjson.Value) string {
	var out []string
	for m := messages.Elements(); m.Next(); {
		words := string(m.Value.Get("role").Text()[:1]) + ":"
		for b := m.Value.Get("content").Elements(); b.Next(); {
			switch string(b.Value.Get("type").Text()) {
			case "tool_use":
				words += " c" + string(b.Value.Get("id").Text())
			case "tool_result":
				words += " r" + string(b.Value.Get("tool_use_id").Text())
			case "thinking":
				words += " thought"
			default:
				words += " " + strings.ReplaceAll(string(b.Value.Get("text").Text()), " ", "_")
			}
		}
		out = append(out, words)
	}
	return strings.Join(out, " | ")
}

func TestMessagesFollowTheLawsOfTheirProtocol(t *testing.T) {
	quoted := func(text string) string { return `<system-reminder>\n` + text + `\n</system-reminder>` }
	for _, tc := range []struct{ name, in, want, losses string }{
		{"as it is", "u: hi | a: yes c1 | u: r1 more", "u: hi | a: yes c1 | u: r1 more", ""},
		{"neighbours become one", "u: a | u: b | a: c | a: d | u: e", "u: a b | a: c d | u: e", ""},
		{"results come first", "u: a | a: c1 c2 | u: x r2 y r1", "u: a | a: c1 c2 | u: r1 r2 x y", ""},
		{"results in several messages", "u: a | a: c1 c2 | u: r1 | u: r2 | u: x", "u: a | a: c1 c2 | u: r1 r2 x", ""},
		{"results that came late", "u: a | a: c1 | u: x | a: y | u: r1", "u: a | a: c1 | u: r1 x | a: y", ""},
		{"calls behind calls", "u: a | a: c1 | u: r1 | a: c2 | u: r2", "u: a | a: c1 | u: r1 | a: c2 | u: r2", ""},
		{"calls in neighbours", "u: a | a: c1 | a: c2 | u: r1 r2", "u: a | a: c1 c2 | u: r1 r2", ""},
		{"an id that comes again", "u: a | a: c1 | u: r1 | a: c1 | u: r1", "u: a | a: c1 | u: r1 | a: c1_1 | u: r1_1", ""},
		{"empty texts", "u: a _ | a: _ | u: b", "u: a b", ""},
		{"the assistant begins", "a: hello | u: hi", "u: . | a: hello | u: hi", "messages"},
		{"white space at the end", "u: a | a: the_answer_is__", "u: a | a: the_answer_is", ""},
		{"white space elsewhere", "u: a_ | a: b_ | u: d_", "u: a_ | a: b_ | u: d_", ""},
		{"an empty end", "u: a | a: _", "u: a", ""},
		{"thinking that comes back", "u: a | a: thought b | u: c", "u: a | a: thought b | u: c", ""},
		{"thinking without more", "u: a | a: thought | u: c", "u: a c", ""},
		{"thinking behind all", "u: a | a: b thought | u: c", "u: a | a: b | u: c", ""},
		{"instructions before all", "s: x | s: y | u: a", "u: a", ""},
		{"nothing but instructions", "s: x", "u: .", "messages"},
		{"instructions between users", "u: a | s: x | u: b", "u: a " + quoted("x") + " b", "messages.role"},
		{"instructions before an answer", "u: a | s: x y | a: b | u: c", "u: a " + quoted("x") + " " + quoted("y") + " | a: b | u: c", "messages.role"},
		{"instructions at the end", "u: a | s: x", "u: a " + quoted("x"), "messages.role"},
		{"instructions between answers", "u: a | a: b | s: x | a: c", "u: a | a: b | u: " + quoted("x") + " | a: c", "messages.role"},
		{"instructions before results", "u: a | a: c1 | s: x | u: r1", "u: a | a: c1 | u: r1 " + quoted("x"), "messages.role"},
		{"an empty instruction", "u: a | s: _ | u: b", "u: a b", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := conversation(t, short(tc.in))
			out := encoded(t, c, target)
			if got := shortened(out.Get("messages")); got != tc.want {
				t.Errorf("messages of %q = %q, want %q", tc.in, got, tc.want)
			}
			if got := params(c.Losses); got != tc.losses {
				t.Errorf("losses of %q = %q, want %q", tc.in, got, tc.losses)
			}
		})
	}
}

func TestInstructionsStayBetweenTheTurnsWhereTheModelTakesThem(t *testing.T) {
	yes := true
	to := target
	to.Capabilities.SystemTurns = &yes
	for _, tc := range []struct{ in, want string }{
		{"u: a | s: x | a: b | u: c", "u: a | s: x | a: b | u: c"},
		{"u: a | s: x | s: y", "u: a | s: x y"},
		{"u: a | a: c1 | s: x | u: r1", "u: a | a: c1 | u: r1 | s: x"},
		{"u: a | s: x | u: b", `u: a <system-reminder>\nx\n</system-reminder> b`},
		{"u: a | a: b | s: x", `u: a | a: b | u: <system-reminder>\nx\n</system-reminder>`},
		{"s: z | u: a | s: x", "u: a | s: x"},
	} {
		out := encoded(t, conversation(t, short(tc.in)), to)
		if got := shortened(out.Get("messages")); got != tc.want {
			t.Errorf("messages of %q = %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestConversationsThatCannotBeToldAreRefused(t *testing.T) {
	for _, tc := range []struct{ in, param string }{
		{short("u: a | a: c1 | u: b"), "messages[1]"},
		{short("u: a | a: c1"), "messages[1]"},
		{short("u: a | u: r1"), "messages[1]"},
		{short("u: a | a: c1 | u: r1 r1"), "messages[2]"},
		{short("u: _"), "messages"},
		{`[{"role":"assistant","content":[{"type":"image","source":{"type":"url","url":"https://e.org/a"}}]}]`, "messages[0]"},
		{`[{"role":"user","content":[{"type":"container_upload"}]}]`, "messages[0]"},
		{`[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]`, "messages[0]"},
		{`[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"http://e.org/a"}}]}]`, "messages[0]"},
		{`[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/svg+xml","data":"PHN2Zz4="}}]}]`, "messages[0]"},
		{`[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/zip","data":"UEsDBA=="}}]}]`, "messages[0]"},
	} {
		_, e := EncodeRequest(nil, conversation(t, tc.in), &target)
		if e == nil || e.Param != tc.param || e.Status != 400 {
			t.Errorf("EncodeRequest(%s) = %v, want a 400 about %s", tc.in, e, tc.param)
		}
	}
}

func TestEncodingAgainGivesTheSame(t *testing.T) {
	c := conversation(t, short("s: z | a: x | u: a | s: y | a: c1 c2 | u: r2 b | u: r1"))
	first := string(encoded(t, c, target))
	if second := string(encoded(t, c, target)); second != first {
		t.Errorf("EncodeRequest = %s, and then %s", first, second)
	}
}

func TestContentIsWritten(t *testing.T) {
	png, jpeg := "iVBORw0KGgoAAAANSUhEUg==", "/9j/4AAQSkZJRgABAQAAAQ=="
	for _, tc := range []struct {
		name, want string
		block      translate.Block
	}{
		{"text", `{"type":"text","text":"a\nb"}`, translate.Block{Kind: translate.KindText, Text: translate.Text(`a\nb`)}},
		{
			"image", `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + png + `"}}`,
			translate.Block{Kind: translate.KindImage, Source: translate.Source{MediaType: translate.Text("image/png"), Base64: translate.Text(png)}},
		},
		{
			"image of another type", `{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"` + jpeg + `"}}`,
			translate.Block{Kind: translate.KindImage, Source: translate.Source{MediaType: translate.Text("image/png"), Base64: translate.Text(jpeg)}},
		},
		{
			"image of no type that is one", `{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"AAAA"}}`,
			translate.Block{Kind: translate.KindImage, Source: translate.Source{MediaType: translate.Text("image/jpg"), Base64: translate.Text("AAAA")}},
		},
		{
			"image URL", `{"type":"image","source":{"type":"url","url":"https://e.org/a.png"}}`,
			translate.Block{Kind: translate.KindImage, Source: translate.Source{URL: translate.Text(`https:\/\/e.org\/a.png`), Detail: translate.Text("high")}},
		},
		{
			"PDF for an image", `{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0x"}}`,
			translate.Block{Kind: translate.KindImage, Source: translate.Source{MediaType: translate.Text("application/pdf"), Base64: translate.Text("JVBERi0x")}},
		},
		{
			"PDF", `{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0x"},"title":"a.pdf"}`,
			translate.Block{Kind: translate.KindDocument, Name: translate.Text("a.pdf"), Source: translate.Source{Base64: translate.Text("JVBERi0x")}},
		},
		{
			"text file", `{"type":"document","source":{"type":"text","media_type":"text/plain","data":"a,b"},"title":"a.csv","context":"c"}`,
			translate.Block{
				Kind: translate.KindDocument, Name: translate.Text("a.csv"), Context: translate.Text("c"),
				Source: translate.Source{MediaType: translate.Text("text/csv"), Plain: translate.Text("a,b")},
			},
		},
		{
			"file URL", `{"type":"document","source":{"type":"url","url":"https://e.org/a.pdf"}}`,
			translate.Block{Kind: translate.KindDocument, Source: translate.Source{URL: translate.Text("https://e.org/a.pdf")}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := conversation(t, hi)
			c.Blocks = append(c.Blocks[:0], tc.block)
			got := string(encoded(t, c, target).Get("messages"))
			if want := `[{"role":"user","content":[` + tc.want + `]}]`; got != want {
				t.Errorf("messages = %s, want %s", got, want)
			}
		})
	}
}

func TestCallsAndResultsAreWritten(t *testing.T) {
	for _, tc := range []struct {
		name, call, result, losses string
		input                      translate.Block
		answer                     string
	}{
		{
			name: "object", call: `{"a": 1}`, result: `,"content":[{"type":"text","text":"ok"}]`,
			input: translate.Block{Input: translate.Input{Text: translate.Text(`{\"a\": 1}`)}}, answer: `"ok"`,
		},
		{name: "nothing", call: `{}`, result: ``, answer: `""`},
		{name: "white space", call: `{}`, input: translate.Block{Input: translate.Input{Text: translate.Text(` \n`)}}, result: ``, answer: `" "`},
		{
			name: "no object", call: `{"input":"[1]"}`, losses: "messages.arguments",
			input: translate.Block{Input: translate.Input{Text: translate.Text(`[1]`)}}, result: ``, answer: `[]`,
		},
		{
			name: "no JSON", call: `{"input":"{\"a\":"}`, losses: "messages.arguments",
			input: translate.Block{Input: translate.Input{Text: translate.Text(`{\"a\":`)}}, result: ``, answer: `[]`,
		},
		{
			name: "custom", call: `{"input":"*** Begin\nx"}`,
			input: translate.Block{Custom: true, Input: translate.Input{Text: translate.Text(`*** Begin\nx`)}}, result: ``, answer: `[]`,
		},
		{
			name: "many parts", call: `{}`, answer: `[{"type":"text","text":""},{"type":"text","text":"a"},{"type":"image","source":{"type":"url","url":"https://e.org/a"}}]`,
			result: `,"content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"url","url":"https://e.org/a"}}]`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := conversation(t, `[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"functions.f:0","name":"f","input":""}]},`+
				`{"role":"user","content":[{"type":"tool_result","tool_use_id":"functions.f:0","content":`+tc.answer+`}]}]`)
			c.Blocks[1].Custom, c.Blocks[1].Input = tc.input.Custom, tc.input.Input
			got := string(encoded(t, c, target).Get("messages"))
			const id = `"call_xZnVuY3Rpb25zLmY6MA"`
			want := `[{"role":"user","content":[{"type":"text","text":"hi"}]},` +
				`{"role":"assistant","content":[{"type":"tool_use","id":` + id + `,"name":"f","input":` + tc.call + `}]},` +
				`{"role":"user","content":[{"type":"tool_result","tool_use_id":` + id + tc.result + `}]}]`
			if got != want {
				t.Errorf("messages = %s, want %s", got, want)
			}
			if got := params(c.Losses); got != tc.losses {
				t.Errorf("losses = %q, want %q", got, tc.losses)
			}
		})
	}
}

func TestFailedResultsSaySo(t *testing.T) {
	c := conversation(t, `[{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":{}}]},`+
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","is_error":true,"content":"no"}]}]`)
	got := string(encoded(t, c, target).Get("messages"))
	if want := `{"type":"tool_result","tool_use_id":"1","is_error":true,"content":[{"type":"text","text":"no"}]}`; !strings.Contains(got, want) {
		t.Errorf("messages = %s, want %s in it", got, want)
	}
}

func TestThinkingOfOthersStaysHere(t *testing.T) {
	const thought = `{"type":"thinking","thinking":"hm","signature":"Eq+/="}`
	const redacted = `{"type":"redacted_thinking","data":"EqX"}`
	for _, tc := range []struct {
		provider, seal, want string
		mode                 translate.ThinkingMode
	}{
		{"p", thought, thought + ",", translate.ThinkingAdaptive},
		{"p", redacted, redacted + ",", translate.ThinkingUnset},
		{"p", thought, "", translate.ThinkingOff},
		{"other", thought, "", translate.ThinkingAdaptive},
		{"p", `{"type":"reasoning","id":"rs_1"}`, "", translate.ThinkingAdaptive},
		{"p", ``, "", translate.ThinkingAdaptive},
	} {
		c := conversation(t, `[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"`+
			sealed(tc.seal)+`"},{"type":"text","text":"yes"}]},{"role":"user","content":"so?"}]`)
		to := target
		to.Provider, c.Thinking.Mode = tc.provider, tc.mode
		got := string(encoded(t, c, to).Get("messages"))
		want := `[{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","content":[` + tc.want +
			`{"type":"text","text":"yes"}]},{"role":"user","content":[{"type":"text","text":"so?"}]}]`
		if got != want {
			t.Errorf("messages with %s for %s = %s, want %s", tc.seal, tc.provider, got, want)
		}
		if len(c.Losses) > 0 {
			t.Errorf("losses with %s for %s = %v, want none", tc.seal, tc.provider, c.Losses)
		}
	}
}

func TestHostedCallsOfTheHistoryAreLostOnlyWithTheirTurn(t *testing.T) {
	const search = `{"type":"server_tool_use","id":"s","name":"web_search","input":{}}`
	for _, tc := range []struct{ content, losses string }{
		{search + `,{"type":"text","text":"found it"}`, ""},
		{search, "messages.server_tool_use"},
	} {
		c := conversation(t, `[{"role":"user","content":"hi"},{"role":"assistant","content":[`+tc.content+`]},{"role":"user","content":"so?"}]`)
		encoded(t, c, target)
		if got := params(c.Losses); got != tc.losses {
			t.Errorf("losses of %s = %q, want %q", tc.content, got, tc.losses)
		}
	}
}

func TestSystemIsOneListOfTexts(t *testing.T) {
	c := conversation(t, short("s: a | s: b c | u: hi"))
	got := string(encoded(t, c, target).Get("system"))
	if want := `[{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"text","text":"c"}]`; got != want {
		t.Errorf("system = %s, want %s", got, want)
	}
}
