package chat

import (
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// target is a provider with the quirks that change makes.
func target(change func(*translate.Quirks)) *translate.Target {
	t := &translate.Target{Protocol: translate.Chat, Provider: "acme", Model: "m"}
	if change != nil {
		change(&t.Quirks)
	}
	return t
}

// encode writes a conversation that must be encodable, and returns the request
// without its model.
func encode(t *testing.T, c *translate.Conversation, to *translate.Target) string {
	t.Helper()
	out, e := EncodeRequest(nil, c, to)
	if e != nil {
		t.Fatalf("EncodeRequest = %v, want no error", e)
	}
	if !rawjson.Valid(out) {
		t.Fatalf("EncodeRequest wrote what is no JSON: %s", out)
	}
	return "{" + strings.TrimPrefix(string(out), `{"model":"m",`)
}

// recode writes the request of a Chat client anew.
func recode(t *testing.T, body string, change func(*translate.Quirks)) string {
	t.Helper()
	return encode(t, decode(t, body), target(change))
}

// messagesOf returns the messages of an encoded request, without the brackets.
func messagesOf(encoded string) string {
	messages := rawjson.Parse([]byte(encoded)).Get("messages")
	return string(messages[1 : len(messages)-1])
}

// said is a conversation of a Messages client with what build adds.
func said(build func(c *translate.Conversation)) *translate.Conversation {
	c := new(translate.Conversation)
	c.Reset(translate.Messages)
	build(c)
	return c
}

func text(s string) translate.Block {
	return translate.Block{Kind: translate.KindText, Text: translate.Text(s)}
}

func toolCall(id, name, input string) translate.Block {
	return translate.Block{
		Kind: translate.KindToolCall, ID: translate.Text(id), Name: translate.Text(name),
		Input: translate.Input{JSON: translate.Value(input)},
	}
}

func result(id string) translate.Block {
	return translate.Block{Kind: translate.KindToolResult, ID: translate.Text(id)}
}

func picture(data string) translate.Block {
	return translate.Block{Kind: translate.KindImage, Source: translate.Source{MediaType: translate.Text("image/png"), Base64: translate.Text(data)}}
}

func TestSettingsAreWritten(t *testing.T) {
	const hi = `{"messages":[{"role":"user","content":"x"}]`
	for _, tc := range []struct {
		name, members, want string
		lost                string
		change              func(*translate.Quirks)
	}{
		{"nothing", ``, ``, "", nil},
		{"stream", `,"stream":true`, `,"stream":true,"stream_options":{"include_usage":true}`, "", nil},
		{"NoStreamOptions", `,"stream":true,"stream_options":{"include_usage":true}`, `,"stream":true`, "", func(q *translate.Quirks) { q.NoStreamOptions = true }},
		{"limit", `,"max_completion_tokens":9`, `,"max_tokens":9`, "", nil},
		{"MaxTokensField", `,"max_tokens":9`, `,"max_completion_tokens":9`, "", func(q *translate.Quirks) { q.MaxTokensField = "max_completion_tokens" }},
		{"numbers as they came", `,"temperature":0.70,"top_p":1e0`, `,"temperature":0.70,"top_p":1e0`, "", nil},
		{"top_k", `,"top_k":40`, ``, "top_k dropped", nil},
		{"Parameters", `,"top_k":40,"min_p":0.1`, `,"min_p":0.1,"top_k":40`, "", func(q *translate.Quirks) { q.Parameters = []string{"top_k", "min_p"} }},
		{"stop", `,"stop":["a","b","c","d","e"]`, `,"stop":["a","b","c","d"]`, "stop clamped", nil},
		{"effort", `,"reasoning_effort":"low"`, `,"reasoning_effort":"low"`, "", nil},
		{"format", `,"response_format":{"type":"json_object"}`, `,"response_format":{"type":"json_object"}`, "", nil},
		{
			"schema", `,"response_format":{"type":"json_schema","json_schema":{"name":"a b","schema":{},"description":"d"}}`,
			`,"response_format":{"type":"json_schema","json_schema":{"name":"a_b_c8687a08","description":"d","schema":{},"strict":false}}`, "", nil,
		},
		{"bookkeeping", `,"user":"u","prompt_cache_key":"k","service_tier":"auto","metadata":{"a":"b"},"store":false`, ``, "", nil},
		{
			"OpenAIParameters", `,"user":"u","prompt_cache_key":"k","service_tier":"standard_only","metadata":{"a":"b"},"moderation":{}`,
			`,"user":"u","prompt_cache_key":"k","service_tier":"default","moderation":{}`, "", func(q *translate.Quirks) { q.OpenAIParameters = true },
		},
		{
			"metadata needs store", `,"metadata":{"a":"b"},"store":true`,
			`,"metadata":{"a":"b"},"store":true`, "", func(q *translate.Quirks) { q.OpenAIParameters = true },
		},
		{"CacheControl", `,"cache_control":{"type":"ephemeral"}`, `,"cache_control":{"type":"ephemeral"}`, "", func(q *translate.Quirks) { q.CacheControl = true }},
		{"no CacheControl", `,"cache_control":{"type":"ephemeral"}`, ``, "", nil},
		{"store", `,"store":true`, ``, "store dropped", nil},
		{"defaults", `,"truncation":"disabled","top_logprobs":0,"fallbacks":[],"speed":"standard"`, ``, "", nil},
		{"unknown", `,"seed":1`, ``, "seed dropped", nil},
	} {
		c := decode(t, hi+tc.members+"}")
		if got, want := encode(t, c, target(tc.change)), hi+tc.want+"}"; got != want {
			t.Errorf("%s: %s\nbecomes %s\nwant    %s", tc.name, tc.members, got, want)
		}
		lost := ""
		for _, l := range c.Losses {
			lost += l.Param + " " + string(l.Action)
		}
		if lost != tc.lost {
			t.Errorf("%s: losses %q, want %q", tc.name, lost, tc.lost)
		}
	}
}

func TestUserIDOfMessagesFitsOpenAI(t *testing.T) {
	user := func(id string) string {
		c := said(func(c *translate.Conversation) {
			c.BeginTurn(translate.User, 0, false)
			c.Add(text("x"))
			c.Fields = []translate.Field{{Name: "metadata.user_id", Value: translate.Value(`"` + id + `"`)}}
		})
		out := encode(t, c, target(func(q *translate.Quirks) { q.OpenAIParameters = true }))
		return rawjson.Parse([]byte(out)).Get("safety_identifier").Text().String()
	}
	if got := user("user_1"); got != "user_1" {
		t.Errorf("user_1 becomes %s, want it as it is", got)
	}
	long, longer := user(strings.Repeat("u", 65)), user(strings.Repeat("u", 66))
	if len(long) != 64 || long == longer {
		t.Errorf("two long ids become %s and %s, want two different ones of 64 characters", long, longer)
	}
}

func TestWhatChatCannotHaveIsRefusedByName(t *testing.T) {
	user := func(b translate.Block) func(*translate.Conversation) {
		return func(c *translate.Conversation) {
			c.BeginTurn(translate.User, 4, false)
			c.Add(b)
		}
	}
	inResult := func(b translate.Block) func(*translate.Conversation) {
		return func(c *translate.Conversation) {
			c.BeginTurn(translate.Assistant, 1, false)
			c.Add(toolCall("a", "f", `{}`))
			c.BeginTurn(translate.User, 2, false)
			c.Add(result("a"))
			c.AddPart(b)
		}
	}
	document := func(s translate.Source) translate.Block {
		return translate.Block{Kind: translate.KindDocument, Source: s}
	}
	foreign := translate.Block{Kind: translate.KindForeign, Type: translate.Text("odd")}
	for _, tc := range []struct {
		name  string
		build func(*translate.Conversation)
		param string
	}{
		{"nothing to say", func(*translate.Conversation) {}, "messages"},
		{"orphan", func(c *translate.Conversation) { user(result("x"))(c) }, "messages[4]"},
		{"unanswered", func(c *translate.Conversation) {
			c.BeginTurn(translate.Assistant, 3, false)
			c.Add(toolCall("a", "f", `{}`))
		}, "messages[3]"},
		{"document by URL", user(document(translate.Source{URL: translate.Text("https://x.org")})), "messages[4].content[0]"},
		{"file by id", user(document(translate.Source{FileID: translate.Text("f")})), "messages[4].content[0]"},
		{"foreign block", user(foreign), "messages[4].content[0]"},
		{"foreign part", inResult(foreign), "messages[2]"},
		{"document by URL in a result", inResult(document(translate.Source{URL: translate.Text("https://x.org")})), "messages[2]"},
		{"image in a system turn", func(c *translate.Conversation) {
			c.BeginTurn(translate.System, 0, false)
			c.Add(picture("AAAA"))
		}, "messages[0].content[0]"},
		{"foreign block of the assistant", func(c *translate.Conversation) {
			c.BeginTurn(translate.Assistant, 0, false)
			c.Add(foreign)
		}, "messages[0].content[0]"},
		{"forced hosted tool", func(c *translate.Conversation) {
			user(text("x"))(c)
			c.ToolChoice = translate.ToolChoice{Mode: translate.ToolOne, Type: translate.Text("web_search")}
		}, "tool_choice"},
		{"nothing of what is allowed", func(c *translate.Conversation) {
			user(text("x"))(c)
			c.Tools = []translate.Tool{{Kind: translate.HostedTool, Type: translate.Text("shell")}}
			c.ToolChoice = translate.ToolChoice{Mode: translate.ToolAny, Allowed: []translate.Text{translate.Text("shell")}}
		}, "tool_choice"},
	} {
		if _, e := EncodeRequest(nil, said(tc.build), target(nil)); e == nil || e.Param != tc.param {
			t.Errorf("%s: EncodeRequest = %v, want an error about %s", tc.name, e, tc.param)
		}
	}
	c := said(user(text("x")))
	c.Tools = make([]translate.Tool, 129)
	if _, e := EncodeRequest(nil, c, target(func(q *translate.Quirks) { q.OpenAIParameters = true })); e == nil || e.Param != "tools" {
		t.Errorf("129 tools for OpenAI: EncodeRequest = %v, want an error about tools", e)
	}
	c = said(user(text("x")))
	c.Tools = []translate.Tool{{Kind: translate.HostedTool, Type: translate.Text("shell"), Index: 2}}
	to := target(nil)
	to.RefuseHosted = true
	if _, e := EncodeRequest(nil, c, to); e == nil || e.Param != "tools[2]" {
		t.Errorf("RefuseHosted: EncodeRequest = %v, want an error about tools[2]", e)
	}
}
