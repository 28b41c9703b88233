package chat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
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
