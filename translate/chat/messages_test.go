package chat

import (
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

func TestTurnsBecomeMessages(t *testing.T) {
	for _, tc := range []struct{ messages, want string }{
		{`{"role":"system","content":"a"},{"role":"user","content":"b"}`, `{"role":"system","content":"a"},{"role":"user","content":"b"}`},
		{`{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"user","content":"c"}`, `{"role":"system","content":"a\n\nb"},{"role":"user","content":"c"}`},
		{`{"role":"user","content":"a"},{"role":"system","content":"b"}`, `{"role":"user","content":"a"},{"role":"system","content":"b"}`},
		{`{"role":"system","content":""},{"role":"user","content":""}`, `{"role":"user","content":""}`},
		{`{"role":"user","content":[{"type":"text","text":"a"}]}`, `{"role":"user","content":"a"}`},
		{
			`{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b","cache_control":{"type":"ephemeral"}}]}`,
			`{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`,
		},
		{
			`{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://x.org/a.png","detail":"low"}}]}`,
			`{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://x.org/a.png","detail":"low"}}]}`,
		},
		{
			`{"role":"user","content":[{"type":"file","file":{"file_data":"JVBERi0x"}}]}`,
			`{"role":"user","content":[{"type":"file","file":{"filename":"document.pdf","file_data":"data:application/pdf;base64,JVBERi0x"}}]}`,
		},
		{`{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b"},{"type":"refusal","refusal":"c"}]}`, `{"role":"user","content":"a"},{"role":"assistant","content":"bc"}`},
		{`{"role":"user","content":"a"},{"role":"assistant","content":null,"reasoning_content":"hm"},{"role":"user","content":"b"}`, `{"role":"user","content":"a"},{"role":"user","content":"b"}`},
		{
			`{"role":"assistant","content":"a","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":\"\\\"\"}"}},{"id":"functions.g:0","type":"function","function":{"name":"g","arguments":""}}]},` +
				`{"role":"tool","tool_call_id":"functions.g:0","content":"2"},{"role":"user","content":"and"},{"role":"tool","tool_call_id":"c1","content":""}`,
			`{"role":"assistant","content":"a","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":\"\\\"\"}"}},{"id":"call_xZnVuY3Rpb25zLmc6MA","type":"function","function":{"name":"g","arguments":"{}"}}]},` +
				`{"role":"tool","tool_call_id":"c1","content":""},{"role":"tool","tool_call_id":"call_xZnVuY3Rpb25zLmc6MA","content":"2"},{"role":"user","content":"and"}`,
		},
		{
			`{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"custom","custom":{"name":"p","input":"a \"b\""}}]},{"role":"tool","tool_call_id":"c1","content":"r"}`,
			`{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"p","arguments":"{\"input\":\"a \\\"b\\\"\"}"}}]},{"role":"tool","tool_call_id":"c1","content":"r"}`,
		},
	} {
		if got := messagesOf(recode(t, `{"messages":[`+tc.messages+`]}`, nil)); got != tc.want {
			t.Errorf("messages %s\nbecome %s\nwant   %s", tc.messages, got, tc.want)
		}
	}
}

func TestQuirksChangeHowMessagesAreWritten(t *testing.T) {
	const call = `{"role":"assistant","content":null,"tool_calls":[{"id":"functions.g:0","type":"custom","custom":{"name":"g","input":"x"}}]},{"role":"tool","tool_call_id":"functions.g:0","content":"r"}`
	for _, tc := range []struct {
		name           string
		messages, want string
		change         func(*translate.Quirks)
	}{
		{
			"DeveloperRole", `{"role":"developer","content":"a"}`, `{"role":"developer","content":"a"}`,
			func(q *translate.Quirks) { q.DeveloperRole = true },
		},
		{
			"EmptyContent, OwnCallIDs", call,
			`{"role":"assistant","content":"","tool_calls":[{"id":"functions.g:0","type":"function","function":{"name":"g","arguments":"{\"input\":\"x\"}"}}]},{"role":"tool","tool_call_id":"functions.g:0","content":"r"}`,
			func(q *translate.Quirks) { q.EmptyContent, q.OwnCallIDs = true, true },
		},
		{
			"CustomTools", call,
			`{"role":"assistant","content":null,"tool_calls":[{"id":"call_xZnVuY3Rpb25zLmc6MA","type":"custom","custom":{"name":"g","input":"x"}}]},{"role":"tool","tool_call_id":"call_xZnVuY3Rpb25zLmc6MA","content":"r"}`,
			func(q *translate.Quirks) { q.CustomTools = true },
		},
		{
			"CacheControl", `{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"b","cache_control":{"type":"ephemeral"}}]},{"role":"user","content":[{"type":"text","text":"c","cache_control":{"type":"ephemeral","ttl":"1h"}}]}`,
			`{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"b","cache_control":{"type":"ephemeral"}}]},{"role":"user","content":[{"type":"text","text":"c","cache_control":{"type":"ephemeral","ttl":"1h"}}]}`,
			func(q *translate.Quirks) { q.CacheControl = true },
		},
		{
			"CacheControl, of another message", `{"role":"system","content":"a"},{"role":"user","content":"b"},{"role":"assistant","content":"c","tool_calls":[{"id":"d","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"d","content":"e"},{"role":"user","content":"g","cache_control":{"type":"ephemeral"}}`,
			`{"role":"system","content":[{"type":"text","text":"a"}]},{"role":"user","content":[{"type":"text","text":"b"}]},{"role":"assistant","content":[{"type":"text","text":"c"}],"tool_calls":[{"id":"d","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"d","content":[{"type":"text","text":"e"}]},{"role":"user","content":[{"type":"text","text":"g","cache_control":{"type":"ephemeral"}}]}`,
			func(q *translate.Quirks) { q.CacheControl = true },
		},
		{
			"ShortCallIDs, NoUserAfterTool", call + `,{"role":"user","content":"u"}`,
			`{"role":"assistant","content":null,"tool_calls":[{"id":"4gmnFDyZG","type":"function","function":{"name":"g","arguments":"{\"input\":\"x\"}"}}]},{"role":"tool","tool_call_id":"4gmnFDyZG","content":"r"},{"role":"assistant","content":"Understood."},{"role":"user","content":"u"}`,
			func(q *translate.Quirks) { q.ShortCallIDs, q.NoUserAfterTool = true, true },
		},
		{
			"OpenAIParameters", `{"role":"assistant","content":null,"refusal":"no"}`, `{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}`,
			func(q *translate.Quirks) { q.OpenAIParameters = true },
		},
	} {
		if got := messagesOf(recode(t, `{"messages":[`+tc.messages+`]}`, tc.change)); got != tc.want {
			t.Errorf("%s: messages %s\nbecome %s\nwant   %s", tc.name, tc.messages, got, tc.want)
		}
	}
}

func TestReasoningGoesBackForAllToolTurnsOrNone(t *testing.T) {
	const (
		q     = `{"role":"user","content":"q"},`
		f     = `"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]`
		r     = `{"role":"tool","tool_call_id":"c","content":"r"},`
		ask   = q + `{"role":"assistant","content":null,` + f + `},` + r
		think = q + `{"role":"assistant","content":null,"reasoning_content":"hm",` + f + `},` + r
		plain = `{"role":"assistant","content":"a"}`
	)
	field := func(q *translate.Quirks) { q.ReasoningField = "reasoning_content" }
	for _, tc := range []struct{ messages, want string }{
		{ask + plain, ask + plain},
		{ask + think + plain, strings.Replace(ask, `null,`, `null,"reasoning_content":"",`, 1) + think + plain},
	} {
		if got := messagesOf(recode(t, `{"messages":[`+tc.messages+`]}`, field)); got != tc.want {
			t.Errorf("messages %s\nbecome %s\nwant   %s", tc.messages, got, tc.want)
		}
	}
	if got := messagesOf(recode(t, `{"messages":[`+think+plain+`]}`, nil)); strings.Contains(got, "hm") {
		t.Errorf("a target that wants no reasoning gets %s", got)
	}
}

func TestSealedReasoningGoesBackToItsProviderOnly(t *testing.T) {
	c := said(func(c *translate.Conversation) {
		c.BeginTurn(translate.Assistant, 0, false)
		for _, seal := range []string{`[{"type":"reasoning.text","text":"a"}, {"x":1}]`, `[{"y":2}]`, `{"type":"thinking"}`} {
			c.Add(translate.Block{Kind: translate.KindThinking, Sealer: "acme", Seal: translate.Value(seal)})
		}
		c.Add(text("hi"))
	})
	details := func(q *translate.Quirks) { q.ReasoningField = "reasoning_details" }
	want := `{"role":"assistant","content":"hi","reasoning_details":[{"type":"reasoning.text","text":"a"}, {"x":1},{"y":2}]}`
	if got := messagesOf(encode(t, c, target(details))); got != want {
		t.Errorf("its own provider gets %s, want %s", got, want)
	}
	other := target(details)
	other.Provider = "other"
	if got, want := messagesOf(encode(t, c, other)), `{"role":"assistant","content":"hi"}`; got != want {
		t.Errorf("another provider gets %s, want %s", got, want)
	}
	c.BeginTurn(translate.Assistant, 1, false)
	c.Add(translate.Block{Kind: translate.KindThinking, Text: translate.Text("unsealed")})
	if got := messagesOf(encode(t, c, target(details))); got != want {
		t.Errorf("with a turn of nothing but others' thoughts its own provider gets %s, want %s", got, want)
	}
}

func TestSignatureOfACallGoesBack(t *testing.T) {
	id := translate.AppendSignedCallID(nil, translate.Text("c"), translate.Text("s/g"))
	c := said(func(c *translate.Conversation) {
		c.BeginTurn(translate.Assistant, 0, false)
		c.Add(toolCall(string(id), "f", `{}`))
		c.BeginTurn(translate.User, 1, false)
		c.Add(result(string(id)))
	})
	want := `{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s/g"}}}]},` +
		`{"role":"tool","tool_call_id":"c","content":""}`
	if got := messagesOf(encode(t, c, target(func(q *translate.Quirks) { q.ThoughtSignatures = true }))); got != want {
		t.Errorf("messages = %s, want %s", got, want)
	}
}

func TestImagesOfToolsFollowAllToolMessages(t *testing.T) {
	build := func(c *translate.Conversation) {
		c.BeginTurn(translate.Assistant, 0, false)
		c.Add(text("look"))
		c.Add(toolCall("a", "f", `{"x": "ü\n"}`))
		c.Add(text("again"))
		c.Add(toolCall("b", "f", `{}`))
		c.BeginTurn(translate.User, 1, false)
		r := result("a")
		r.Failed = true
		c.Add(r)
		c.AddPart(text("one"))
		c.AddPart(picture("AAAA"))
		c.Add(result("b"))
		c.AddPart(picture("BBBB"))
		c.AddPart(translate.Block{Kind: translate.KindToolReference, Name: translate.Text("g")})
		c.Add(text("thanks"))
	}
	calls := `{"role":"assistant","content":"look\n\nagain","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": \"ü\\n\"}"}},{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]},`
	want := calls +
		`{"role":"tool","tool_call_id":"a","content":"Error: one\n[image 1] (in the next message)"},` +
		`{"role":"tool","tool_call_id":"b","content":"[image 2] (in the next message)\nTool loaded: g"},` +
		`{"role":"user","content":[{"type":"text","text":"[image 1]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},` +
		`{"type":"text","text":"[image 2]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,BBBB"}},{"type":"text","text":"thanks"}]}`
	if got := messagesOf(encode(t, said(build), target(nil))); got != want {
		t.Errorf("messages =\n%s\nwant\n%s", got, want)
	}
	want = calls +
		`{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"Error: "},{"type":"text","text":"one"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},` +
		`{"role":"tool","tool_call_id":"b","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,BBBB"}},{"type":"text","text":"Tool loaded: g"}]},` +
		`{"role":"user","content":"thanks"}`
	if got := messagesOf(encode(t, said(build), target(func(q *translate.Quirks) { q.ToolImages = true }))); got != want {
		t.Errorf("with ToolImages messages =\n%s\nwant\n%s", got, want)
	}
}

func TestImagesOfToolsAreShownBeforeTheModelSpeaksAgain(t *testing.T) {
	c := said(func(c *translate.Conversation) {
		c.BeginTurn(translate.Assistant, 0, false)
		c.Add(toolCall("a", "f", `{}`))
		c.BeginTurn(translate.User, 1, false)
		c.Add(result("a"))
		c.AddPart(picture("AAAA"))
		c.BeginTurn(translate.Assistant, 2, false)
		c.Add(text("nice"))
	})
	want := `{"role":"tool","tool_call_id":"a","content":"[image 1] (in the next message)"},` +
		`{"role":"user","content":[{"type":"text","text":"[image 1]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},` +
		`{"role":"assistant","content":"nice"}`
	if got := messagesOf(encode(t, c, target(nil))); !strings.HasSuffix(got, want) {
		t.Errorf("messages = %s, want them to end in %s", got, want)
	}
}

func TestTextDocumentsBecomeText(t *testing.T) {
	c := said(func(c *translate.Conversation) {
		c.BeginTurn(translate.User, 0, false)
		c.Add(translate.Block{
			Kind: translate.KindDocument, Name: translate.Text("Title"), Context: translate.Text("ctx"), Cited: true,
			Source: translate.Source{Plain: translate.Text(`body\n`)},
		})
	})
	want := `{"role":"user","content":[{"type":"text","text":"Title\n\nctx\n\nbody\n"}]}`
	if got := messagesOf(encode(t, c, target(nil))); got != want {
		t.Errorf("messages = %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(c.Losses), "messages.content.citations"; !strings.Contains(got, want) {
		t.Errorf("losses = %v, want one about %s", got, want)
	}
}

func TestHostedCallsAreListedAsLostUnlessTextRemains(t *testing.T) {
	hosted := translate.Block{Kind: translate.KindHosted, Type: translate.Text("server_tool_use")}
	for _, tc := range []struct {
		blocks []translate.Block
		losses int
		want   string
	}{
		{[]translate.Block{hosted, text("found it")}, 0, `{"role":"user","content":"q"},{"role":"assistant","content":"found it"}`},
		{[]translate.Block{hosted}, 1, `{"role":"user","content":"q"}`},
	} {
		c := said(func(c *translate.Conversation) {
			c.BeginTurn(translate.User, 0, false)
			c.Add(text("q"))
			c.BeginTurn(translate.Assistant, 1, false)
			for _, b := range tc.blocks {
				c.Add(b)
			}
		})
		if got := messagesOf(encode(t, c, target(nil))); got != tc.want || len(c.Losses) != tc.losses {
			t.Errorf("messages = %s, losses %v, want %s and %d losses", got, c.Losses, tc.want, tc.losses)
		}
	}
}

func TestWhatAUserOnlyHadAVendorDoIsLeftOutAndListed(t *testing.T) {
	hosted := translate.Block{Kind: translate.KindHosted, Type: translate.Text("web_search_tool_result")}
	for _, tc := range []struct {
		blocks []translate.Block
		want   string
	}{
		{[]translate.Block{hosted}, `{"role":"user","content":"q"}`},
		{[]translate.Block{hosted, text("a")}, `{"role":"user","content":"q"},{"role":"user","content":"a"}`},
		{[]translate.Block{text("a"), text("b"), hosted}, `{"role":"user","content":"q"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`},
	} {
		c := said(func(c *translate.Conversation) {
			c.BeginTurn(translate.User, 0, false)
			c.Add(text("q"))
			c.BeginTurn(translate.User, 1, false)
			for _, b := range tc.blocks {
				c.Add(b)
			}
		})
		if got := messagesOf(encode(t, c, target(nil))); got != tc.want {
			t.Errorf("messages = %s, want %s", got, tc.want)
		}
		if got, want := string(c.Losses.AppendHeader(nil)), "param=messages.content.web_search_tool_result;action=dropped"; got != want {
			t.Errorf("losses = %q, want %q", got, want)
		}
	}
}

func TestServersOfOneSystemMessageGetNoOther(t *testing.T) {
	const (
		call     = `{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}`
		reminder = `{"type":"text","text":"<system-reminder>\ns\n</system-reminder>"}`
	)
	system := `{"role":"system","content":"s"}`
	for _, tc := range []struct {
		name, messages, want string
		changed              bool
	}{
		{
			"all before the conversation are one",
			`{"role":"system","content":"a"},{"role":"system","content":""},{"role":"developer","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]},{"role":"user","content":"q"}`,
			`{"role":"system","content":"a\n\nb\n\nc"},{"role":"user","content":"q"}`, false,
		},
		{"behind the user", `{"role":"user","content":"q"},` + system + `,` + system, `{"role":"user","content":[{"type":"text","text":"q"},` + reminder + `,` + reminder + `]}`, true},
		{
			"between two of the user", `{"role":"user","content":"q"},` + system + `,{"role":"user","content":"p"}`,
			`{"role":"user","content":[{"type":"text","text":"q"},` + reminder + `]},{"role":"user","content":"p"}`, true,
		},
		{
			"before the user", `{"role":"assistant","content":"h"},` + system + `,{"role":"user","content":"q"}`,
			`{"role":"assistant","content":"h"},{"role":"user","content":[` + reminder + `,{"type":"text","text":"q"}]}`, true,
		},
		{"behind a result", call + `,` + system, call + `,{"role":"user","content":[` + reminder + `]}`, true},
		{
			"before the assistant", call + `,` + system + `,{"role":"assistant","content":"h"}`,
			call + `,{"role":"user","content":[` + reminder + `]},{"role":"assistant","content":"h"}`, true,
		},
		{
			"beside an empty message", `{"role":"assistant","content":"h"},` + system + `,{"role":"user","content":""}`,
			`{"role":"assistant","content":"h"},{"role":"user","content":[` + reminder + `]}`, true,
		},
	} {
		c := decode(t, `{"messages":[`+tc.messages+`]}`)
		to := target(nil)
		to.Capabilities.SystemTurns = new(false)
		if got := messagesOf(encode(t, c, to)); got != tc.want {
			t.Errorf("%s: messages %s\nbecome %s\nwant   %s", tc.name, tc.messages, got, tc.want)
		}
		want := ""
		if tc.changed {
			want = "param=messages.role;action=changed"
		}
		if got := string(c.Losses.AppendHeader(nil)); got != want {
			t.Errorf("%s: losses = %q, want %q", tc.name, got, want)
		}
	}
}

func TestImagesAreOfTheTypeThatTheyAre(t *testing.T) {
	for _, tc := range []struct{ claimed, data, want string }{
		{"image/jpg", "AAAA", `{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,AAAA"}}`},
		{"image/png", "/9j/4AAQ", `{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,/9j/4AAQ"}}`},
		{"image/png", "JVBERi0x", `{"type":"file","file":{"filename":"document.pdf","file_data":"data:application/pdf;base64,JVBERi0x"}}`},
	} {
		c := said(func(c *translate.Conversation) {
			c.BeginTurn(translate.User, 0, false)
			b := picture(tc.data)
			b.Source.MediaType = translate.Text(tc.claimed)
			c.Add(b)
		})
		want := `{"role":"user","content":[` + tc.want + `]}`
		if got := messagesOf(encode(t, c, target(nil))); got != want {
			t.Errorf("%s %s becomes %s, want %s", tc.claimed, tc.data, got, want)
		}
	}
}

func TestCallsOfOtherModelsInTheCurrentLoopPassGooglesCheck(t *testing.T) {
	signed := string(translate.AppendSignedCallID(nil, translate.Text("b"), translate.Text("sig")))
	c := said(func(c *translate.Conversation) {
		for i, ids := range [][]string{{"old"}, {"a1", "a2"}, {signed, "b2"}} {
			c.BeginTurn(translate.Assistant, i, false)
			for _, id := range ids {
				c.Add(toolCall(id, "f", `{}`))
			}
			c.BeginTurn(translate.User, i, false)
			for _, id := range ids {
				c.Add(result(id))
			}
			if i == 0 {
				c.Add(text("go on"))
			}
		}
	})
	got := map[string]string{}
	messages := rawjson.Parse([]byte(encode(t, c, target(func(q *translate.Quirks) { q.ThoughtSignatures = true })))).Get("messages")
	for m := messages.Elements(); m.Next(); {
		for call := m.Value.Get("tool_calls").Elements(); call.Next(); {
			got[call.Value.Get("id").Text().String()] = thoughtSignature(call.Value.Get("extra_content")).String()
		}
	}
	want := map[string]string{"old": "", "a1": noSignature, "a2": "", "b": "sig", "b2": ""}
	if !maps.Equal(got, want) {
		t.Errorf("signatures = %v, want %v", got, want)
	}
}

// A body of many small thoughts would otherwise take the square of its size.
func TestThoughtsTakeMemoryByTheirLength(t *testing.T) {
	body := []byte(`{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":[` +
		strings.Repeat(`{"text":"a"},`, 20_000) + `{"text":"b"}]},{"type":"text","text":"c"}]}]}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := new(translate.Conversation)
	c.Reset(translate.Chat)
	if e := DecodeRequest(c, body); e != nil {
		t.Fatal(e)
	}
	runtime.ReadMemStats(&after)
	if got, most := after.TotalAlloc-before.TotalAlloc, 20*uint64(len(body)); got > most {
		t.Errorf("%d bytes take %d bytes of memory, want at most %d", len(body), got, most)
	}
	if got := c.Blocks[0].Text; len(got) != 20_001 {
		t.Errorf("the thought has %d bytes, want 20001", len(got))
	}
}
