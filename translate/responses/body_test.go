package responses

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// chat begins a conversation of a client of Chat Completions.
func chat() *translate.Conversation {
	c := new(translate.Conversation)
	c.Reset(translate.Chat)
	return c
}

// say adds a turn of one text.
func say(c *translate.Conversation, role translate.Role, text string) {
	c.BeginTurn(role, len(c.Turns), false)
	c.Add(translate.Block{Kind: translate.KindText, Text: translate.Text(text)})
}

// target is a provider of the Responses API of which nothing special is known.
func target() *translate.Target {
	return &translate.Target{Protocol: translate.Responses, Provider: "acme", Model: "m-1"}
}

// written encodes a conversation that must be accepted.
func written(t *testing.T, c *translate.Conversation, to *translate.Target) string {
	t.Helper()
	out, e := EncodeRequest(nil, c, to)
	if e != nil {
		t.Fatalf("EncodeRequest = %v", e)
	}
	if !gjson.ValidBytes(out) {
		t.Fatalf("EncodeRequest wrote no JSON: %s", out)
	}
	return string(out)
}

func losses(c *translate.Conversation) string { return string(c.Losses.AppendHeader(nil)) }

func TestTheSmallestRequestKeepsNothing(t *testing.T) {
	c := chat()
	say(c, translate.User, `say \"hi\"`)
	want := `{"model":"m-1","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"say \"hi\""}]}],"store":false}`
	if got := written(t, c, target()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTurnsBecomeItems(t *testing.T) {
	seal := `{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"}`
	add := func(role translate.Role, developer bool, blocks ...translate.Block) func(*translate.Conversation) {
		return func(c *translate.Conversation) {
			c.BeginTurn(role, len(c.Turns), false).Developer = developer
			for _, b := range blocks {
				c.Add(b)
			}
		}
	}
	result := func(failed bool, parts ...translate.Block) func(*translate.Conversation) {
		return func(c *translate.Conversation) {
			c.BeginTurn(translate.User, len(c.Turns), false)
			c.Add(translate.Block{Kind: translate.KindToolResult, ID: translate.Text("c1"), Failed: failed})
			for _, p := range parts {
				c.AddPart(p)
			}
		}
	}
	text := func(s string) translate.Block {
		return translate.Block{Kind: translate.KindText, Text: translate.Text(s)}
	}
	image := func(s translate.Source) translate.Block {
		return translate.Block{Kind: translate.KindImage, Source: s}
	}
	document := func(name, context string, s translate.Source) translate.Block {
		return translate.Block{Kind: translate.KindDocument, Name: translate.Text(name), Context: translate.Text(context), Source: s}
	}
	call := translate.Block{Kind: translate.KindToolCall, ID: translate.Text("c1"), Name: translate.Text("f"), Input: translate.Input{JSON: translate.Value(`{"a": "b"}`)}}
	thought := translate.Block{Kind: translate.KindThinking, Sealer: "acme", Seal: translate.Value(seal)}
	foreign := translate.Block{Kind: translate.KindThinking, Sealer: "other", Seal: translate.Value(`{"type":"reasoning"}`), Text: translate.Text("hm")}
	png := translate.Source{MediaType: translate.Text("image/png"), Base64: translate.Text("iVBORw0KGgoAAAA=")}
	user := add(translate.User, false, text("a"))
	const wroteUser = `{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]}`
	const wroteCall = `{"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\": \"b\"}","status":"completed"}`
	for _, tc := range []struct {
		name  string
		turns []func(*translate.Conversation)
		want  string
	}{
		{
			"instructions stay where they stand",
			[]func(*translate.Conversation){add(translate.System, false, text("s"), text("t")), user, add(translate.System, true, text("d"))},
			`{"type":"message","role":"system","content":[{"type":"input_text","text":"s"},{"type":"input_text","text":"t"}]},` + wroteUser +
				`,{"type":"message","role":"developer","content":[{"type":"input_text","text":"d"}]}`,
		},
		{
			"pictures and files",
			[]func(*translate.Conversation){add(
				translate.User, false, image(png), image(translate.Source{URL: translate.Text("http://x.test/a.png"), Detail: translate.Text("high")}),
				document("", "", translate.Source{MediaType: translate.Text("application/pdf"), Base64: translate.Text("JVBERi0x")}),
				document("a.pdf", "why", translate.Source{URL: translate.Text("https://x.test/a.pdf")}),
				document("Title", "Why", translate.Source{Plain: translate.Text("Text")}),
			)},
			`{"type":"message","role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgoAAAA="},` +
				`{"type":"input_image","image_url":"http://x.test/a.png","detail":"high"},` +
				`{"type":"input_file","filename":"document.pdf","file_data":"data:application/pdf;base64,JVBERi0x"},` +
				`{"type":"input_text","text":"why"},{"type":"input_file","file_url":"https://x.test/a.pdf"},` +
				`{"type":"input_text","text":"Title\nWhy\nText"}]}`,
		},
		{
			"what the assistant said, thought and called",
			[]func(*translate.Conversation){user, add(translate.Assistant, false, text("b"), text(""), thought, call), result(false, text("ok"))},
			wroteUser + `,{"type":"message","role":"assistant","content":[{"type":"output_text","text":"b"}]},` + seal + `,` + wroteCall +
				`,{"type":"function_call_output","call_id":"c1","output":"ok"}`,
		},
		{
			"refusals",
			[]func(*translate.Conversation){user, add(translate.Assistant, false, translate.Block{Kind: translate.KindRefusal, Text: translate.Text("no")}), user},
			wroteUser + `,{"type":"message","role":"assistant","content":[{"type":"refusal","refusal":"no"}]},` + wroteUser,
		},
		{
			"thoughts without what they led to, and those of others, are gone",
			[]func(*translate.Conversation){user, add(translate.Assistant, false, thought), user, add(translate.Assistant, false, foreign, text("b"), foreign, text("c"))},
			wroteUser + `,` + wroteUser + `,{"type":"message","role":"assistant","content":[{"type":"output_text","text":"b"},{"type":"output_text","text":"c"}]}`,
		},
		{
			"of two thoughts only the last one led to something",
			[]func(*translate.Conversation){user, add(translate.Assistant, false, translate.Block{Kind: translate.KindThinking, Sealer: "acme", Seal: translate.Value(`{"type":"reasoning","id":"rs_0"}`)}, thought, text("b")), user},
			wroteUser + `,` + seal + `,{"type":"message","role":"assistant","content":[{"type":"output_text","text":"b"}]},` + wroteUser,
		},
		{
			"a function without arguments",
			[]func(*translate.Conversation){add(translate.Assistant, false, translate.Block{Kind: translate.KindToolCall, ID: translate.Text("c1"), Name: translate.Text("f")}), result(false)},
			`{"type":"function_call","call_id":"c1","name":"f","arguments":"{}","status":"completed"},{"type":"function_call_output","call_id":"c1","output":""}`,
		},
		{
			"custom calls",
			[]func(*translate.Conversation){add(translate.Assistant, false, translate.Block{Kind: translate.KindToolCall, Custom: true, ID: translate.Text("c1"), Name: translate.Text("p"), Input: translate.Input{Text: translate.Text(`x\ny`)}}), result(false, text("ok"))},
			`{"type":"custom_tool_call","call_id":"c1","name":"p","input":"x\ny","status":"completed"},{"type":"custom_tool_call_output","call_id":"c1","output":"ok"}`,
		},
		{
			"ids and names that OpenAI refuses",
			[]func(*translate.Conversation){
				add(translate.Assistant, false, translate.Block{Kind: translate.KindToolCall, ID: translate.Text("functions.f:0"), Name: translate.Text("a.b"), Input: translate.Input{Text: translate.Text("{}")}}),
				func(c *translate.Conversation) {
					c.BeginTurn(translate.User, 1, false)
					c.Add(translate.Block{Kind: translate.KindToolResult, ID: translate.Text("functions.f:0")})
				},
			},
			`{"type":"function_call","call_id":"call_xZnVuY3Rpb25zLmY6MA","name":"a_b_2e7336dc","arguments":"{}","status":"completed"},` +
				`{"type":"function_call_output","call_id":"call_xZnVuY3Rpb25zLmY6MA","output":""}`,
		},
		{
			"results that failed",
			[]func(*translate.Conversation){add(translate.Assistant, false, call), result(true, text("no such file"))},
			wroteCall + `,{"type":"function_call_output","call_id":"c1","output":"Error: no such file"}`,
		},
		{
			"results of several parts",
			[]func(*translate.Conversation){add(translate.Assistant, false, call), result(true, text("a"), image(png), translate.Block{Kind: translate.KindToolReference, Name: translate.Text("g")})},
			wroteCall + `,{"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"Error: a"},` +
				`{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgoAAAA="},{"type":"input_text","text":"Tool loaded: g"}]}`,
		},
		{
			"a picture of a failure",
			[]func(*translate.Conversation){add(translate.Assistant, false, call), result(true, image(png))},
			wroteCall + `,{"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"Error: "},{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgoAAAA="}]}`,
		},
	} {
		c := chat()
		for _, turn := range tc.turns {
			turn(c)
		}
		if got := gjson.Get(written(t, c, target()), "input").Raw; got != "["+tc.want+"]" {
			t.Errorf("%s:\n got %s\nwant [%s]", tc.name, got, tc.want)
		}
	}
}

func TestWhatCannotBeToldIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name  string
		block translate.Block
		role  translate.Role
		param string
	}{
		{"a file at another vendor's", translate.Block{Kind: translate.KindImage, Source: translate.Source{FileID: translate.Text("file_1")}}, translate.User, "messages[0].content[0]"},
		{"a picture that the assistant drew", translate.Block{Kind: translate.KindImage, Source: translate.Source{URL: translate.Text("https://x.test")}}, translate.Assistant, "messages[0].content[0]"},
		{"something foreign", translate.Block{Kind: translate.KindForeign}, translate.User, "messages[0].content[0]"},
		{"a call without a result", translate.Block{Kind: translate.KindToolCall, ID: translate.Text("c1"), Name: translate.Text("f")}, translate.Assistant, "messages[0]"},
		{"a result without a call", translate.Block{Kind: translate.KindToolResult, ID: translate.Text("c1")}, translate.User, "messages[0]"},
		{"nothing", translate.Block{Kind: translate.KindText}, translate.User, "messages"},
	} {
		c := chat()
		c.BeginTurn(tc.role, 0, false)
		c.Add(tc.block)
		if out, e := EncodeRequest(nil, c, target()); e == nil || e.Param != tc.param {
			t.Errorf("%s: EncodeRequest = %s, %v, want an error about %s", tc.name, out, e, tc.param)
		}
	}
}

func TestSettingsAreWritten(t *testing.T) {
	value := func(s string) translate.Value { return translate.Value(s) }
	yes := true
	for _, tc := range []struct {
		name   string
		set    func(c *translate.Conversation, to *translate.Target)
		want   string // behind "store":false
		losses string
	}{
		{"numbers", func(c *translate.Conversation, _ *translate.Target) {
			c.MaxTokens, c.Temperature, c.TopP = 500, value("0.50"), value("1e-1")
		}, `,"max_output_tokens":500,"temperature":0.50,"top_p":1e-1`, ""},
		{"too few tokens", func(c *translate.Conversation, _ *translate.Target) { c.MaxTokens = 1 }, `,"max_output_tokens":16`, "param=max_completion_tokens;action=clamped"},
		{"what there is not", func(c *translate.Conversation, _ *translate.Target) { c.TopK, c.Stop = value("5"), value(`["x"]`) }, "", "param=top_k;action=dropped, param=stop;action=dropped"},
		{"no stops", func(c *translate.Conversation, _ *translate.Target) { c.Stop = value(`[]`) }, "", ""},
		{"effort", func(c *translate.Conversation, _ *translate.Target) { c.Effort = translate.EffortHigh }, `,"reasoning":{"effort":"high"},"include":["reasoning.encrypted_content"]`, ""},
		{"no effort", func(c *translate.Conversation, to *translate.Target) {
			c.Effort, to.Capabilities.Reasons = translate.EffortNone, &yes
		}, `,"reasoning":{"effort":"none"}`, ""},
		{"thoughts that are shown", func(c *translate.Conversation, _ *translate.Target) {
			c.Effort, c.Thinking.Show = translate.EffortLow, translate.On
		}, `,"reasoning":{"effort":"low","summary":"auto"},"include":["reasoning.encrypted_content"]`, ""},
		{"thoughts that nobody asked for", func(c *translate.Conversation, to *translate.Target) {
			c.Thinking.Mode, to.Capabilities.Reasons = translate.ThinkingAdaptive, &yes
		}, `,"include":["reasoning.encrypted_content"]`, ""},
		{"thoughts that cannot be shown", func(c *translate.Conversation, to *translate.Target) {
			c.Effort, c.Thinking.Show, to.Quirks.NoReasoningSummary = translate.EffortLow, translate.On, true
		}, `,"reasoning":{"effort":"low"},"include":["reasoning.encrypted_content"]`, ""},
		{"a model that reasons by itself", func(_ *translate.Conversation, to *translate.Target) { to.Capabilities.Reasons = &yes }, `,"include":["reasoning.encrypted_content"]`, ""},
		{"a schema", func(c *translate.Conversation, _ *translate.Target) {
			c.Format = translate.Format{Kind: translate.FormatSchema, Name: translate.Text("n"), Description: translate.Text("d"), Schema: value(`{"type":"object"}`), Strict: translate.On}
		}, `,"text":{"format":{"type":"json_schema","name":"n","description":"d","schema":{"type":"object"},"strict":true}}`, ""},
		{"a schema without a name", func(c *translate.Conversation, to *translate.Target) {
			c.Format = translate.Format{Kind: translate.FormatSchema, Schema: value(`{"type":"object"}`)}
		}, `,"text":{"format":{"type":"json_schema","name":"output","schema":{"type":"object"},"strict":false}}`, ""},
		{"verbosity", func(c *translate.Conversation, to *translate.Target) {
			c.Fields, to.Quirks.OpenAIParameters = []translate.Field{{Name: "verbosity", Value: value(`"low"`)}}, true
		}, `,"text":{"verbosity":"low"}`, ""},
	} {
		c, to := chat(), target()
		say(c, translate.User, "a")
		tc.set(c, to)
		_, got, _ := strings.Cut(strings.TrimSuffix(written(t, c, to), "}"), `"store":false`)
		if got != tc.want || losses(c) != tc.losses {
			t.Errorf("%s:\n got %s (%s)\nwant %s (%s)", tc.name, got, losses(c), tc.want, tc.losses)
		}
	}
}

func TestMessagesClientsMeanStrictSchemasWherePossible(t *testing.T) {
	for _, tc := range []struct{ schema, want string }{
		{`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`, "true"},
		{`{"type":"object","properties":{"a":{"type":"string"}}}`, "false"},
	} {
		c := new(translate.Conversation)
		c.Reset(translate.Messages)
		say(c, translate.User, "a")
		c.Format = translate.Format{Kind: translate.FormatSchema, Schema: translate.Value(tc.schema)}
		if got := gjson.Get(written(t, c, target()), "text.format.strict").Raw; got != tc.want {
			t.Errorf("strict of %s = %s, want %s", tc.schema, got, tc.want)
		}
	}
}

func TestTheWordJSONStandsInTheInput(t *testing.T) {
	const added = `{"type":"message","role":"developer","content":[{"type":"input_text","text":"Answer in JSON."}]}`
	for _, tc := range []struct {
		text string
		want bool
	}{{"Give me an object.", true}, {"Give me Json.", false}, {"jso", true}, {`{\"j\":\"JSON\"}`, false}} {
		c := chat()
		say(c, translate.User, tc.text)
		c.Format.Kind = translate.FormatJSON
		out := written(t, c, target())
		if got := strings.Contains(out, added); got != tc.want || !strings.Contains(out, `"text":{"format":{"type":"json_object"}}`) {
			t.Errorf("for %q the word is added: %v, want %v in %s", tc.text, got, tc.want, out)
		}
	}
}

func TestFurtherMembersFindTheirPlace(t *testing.T) {
	long := strings.Repeat("u", maxUser+1)
	for _, tc := range []struct{ name, value, openAI, other, openAILosses, otherLosses string }{
		{"user", `"u1"`, `"safety_identifier":"u1"`, "", "", ""},
		{"metadata.user_id", `"` + long + `"`, `"safety_identifier":"f20e249d15fa4b9f44ba21d154f62e1efa76ddfdce5d25139a33a4787cee5a8b"`, "", "", ""},
		{"prompt_cache_key", `"k"`, `"prompt_cache_key":"k"`, "", "", ""},
		{"metadata", `{"a":"b"}`, `"metadata":{"a":"b"}`, "", "", ""},
		{"store", `true`, `"store":true`, "", "", "param=store;action=dropped"},
		{"store", `false`, "", "", "", ""},
		{"service_tier", `"flex"`, `"service_tier":"flex"`, "", "", "param=service_tier;action=dropped"},
		{"service_tier", `"standard_only"`, `"service_tier":"default"`, "", "", ""},
		{"moderation", `{}`, `"moderation":{}`, "", "", "param=moderation;action=dropped"},
		{"prediction", `{}`, "", "", "", ""},
		{"logprobs", `false`, "", "", "", ""},
		{"logprobs", `true`, "", "", "param=logprobs;action=dropped", "param=logprobs;action=dropped"},
		{"top_logprobs", `0`, "", "", "", ""},
		{"seed", `1`, "", "", "param=seed;action=dropped", "param=seed;action=dropped"},
		{"presence_penalty", `0.0`, "", "", "", ""},
		{"frequency_penalty", `0.5`, "", "", "param=frequency_penalty;action=dropped", "param=frequency_penalty;action=dropped"},
		{"logit_bias", `{}`, "", "", "", ""},
		{"speed", `"standard"`, "", "", "", ""},
		{"speed", `"fast"`, "", "", "param=speed;action=dropped", "param=speed;action=dropped"},
		{"min_p", `0.1`, "", "", "param=min_p;action=dropped", "param=min_p;action=dropped"},
	} {
		for _, openAI := range []bool{true, false} {
			c, to := chat(), target()
			say(c, translate.User, "a")
			c.Fields = append(c.Fields, translate.Field{Name: tc.name, Value: translate.Value(tc.value)})
			to.Quirks.OpenAIParameters = openAI
			want, wantLosses := tc.other, tc.otherLosses
			if openAI {
				want, wantLosses = tc.openAI, tc.openAILosses
			}
			out := written(t, c, to)
			_, got, _ := strings.Cut(strings.TrimSuffix(out, "}"), `}]}],`)
			got = strings.Trim(strings.ReplaceAll(got, `"store":false`, ""), ",")
			if got != want || losses(c) != wantLosses {
				t.Errorf("%s %s (OpenAI: %v):\n got %s (%s)\nwant %s (%s)", tc.name, tc.value, openAI, got, losses(c), want, wantLosses)
			}
		}
	}
}

func TestAnOlderNameOfTheUserDoesNotCountBesideTheNewer(t *testing.T) {
	c, to := chat(), target()
	say(c, translate.User, "a")
	c.Fields = []translate.Field{{Name: "safety_identifier", Value: translate.Value(`"new"`)}, {Name: "user", Value: translate.Value(`"old"`)}}
	to.Quirks.OpenAIParameters = true
	if got := gjson.Get(written(t, c, to), "safety_identifier").Str; got != "new" {
		t.Errorf("safety_identifier = %q, want new", got)
	}
}
