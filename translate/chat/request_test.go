package chat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// decode reads a request that must be good.
func decode(t *testing.T, body string) *translate.Conversation {
	t.Helper()
	if !rawjson.Valid([]byte(body)) {
		t.Fatalf("the test's request is not JSON: %s", body)
	}
	c := new(translate.Conversation)
	c.Reset(translate.Chat)
	if e := DecodeRequest(c, []byte(body)); e != nil {
		t.Fatalf("DecodeRequest(%s) = %v, want no error", body, e)
	}
	return c
}

// outline tells the turns of a conversation in one line.
func outline(c *translate.Conversation) string {
	var out []string
	for _, turn := range c.Turns {
		role := [...]string{"system", "user", "assistant"}[turn.Role]
		if turn.Developer {
			role = "developer"
		}
		var said []string
		for i := range c.BlocksOf(turn) {
			said = append(said, describe(c, &c.BlocksOf(turn)[i]))
		}
		out = append(out, role+"("+strings.Join(said, " ")+")")
	}
	return strings.Join(out, " ")
}

func describe(c *translate.Conversation, b *translate.Block) string {
	mark := [...]string{"", "@5m", "@1h"}[b.Cache]
	switch b.Kind {
	case translate.KindText:
		return string(b.Text) + mark
	case translate.KindRefusal:
		return "refusal:" + string(b.Text)
	case translate.KindThinking:
		return strings.TrimRight(fmt.Sprintf("thinking:%s:%s:%s", b.Text, b.Sealer, b.Seal), ":")
	case translate.KindImage, translate.KindDocument:
		kind := "image"
		if b.Kind == translate.KindDocument {
			kind = "document"
		}
		s := &b.Source
		return fmt.Sprintf("%s:%s[%s%s%s%s%s%s]%s", kind, b.Name, s.MediaType, s.Base64, s.Plain, s.URL, s.FileID, s.Detail, mark)
	case translate.KindToolCall:
		kind := "call"
		if b.Custom {
			kind = "custom"
		}
		return fmt.Sprintf("%s:%s:%s:%s%s", kind, b.ID, b.Name, b.Input.Text, b.Input.JSON)
	case translate.KindToolResult:
		var parts []string
		for i := range c.PartsOf(b) {
			parts = append(parts, describe(c, &c.PartsOf(b)[i]))
		}
		return "result:" + string(b.ID) + ":" + strings.Join(parts, "+") + mark
	}
	return fmt.Sprintf("kind%d", b.Kind)
}

func TestMessagesBecomeTurns(t *testing.T) {
	for _, tc := range []struct{ messages, want string }{
		{`{"role":"system","content":"be brief"},{"role":"user","content":"hi"}`, `system(be brief) user(hi)`},
		{`{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"user","content":"hi"}`, `developer(a b) user(hi)`},
		{`{"role":"user","content":"a"},{"role":"system","content":"b"},{"role":"user","content":"c"}`, `user(a) system(b) user(c)`},
		{`{"role":"user","content":"a","name":"bob"},{"role":"user","content":"b"}`, `user(a) user(b)`},
		{`{"role":"user","content":""}`, `user()`},
		{`{"role":"user","content":[{"type":"text","text":""},{"type":"text","text":"x"},"bare"]}`, `user(x bare)`},
		{`{"role":"user","content":"q"},{"role":"assistant","content":"a","refusal":null}`, `user(q) assistant(a)`},
		{`{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"refusal","refusal":"no"}]}`, `user(q) assistant(a refusal:no)`},
		{`{"role":"user","content":"q"},{"role":"assistant","content":null,"refusal":"no"}`, `user(q) assistant(refusal:no)`},
		{
			`{"role":"user","content":"q"},{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":""}}]},` +
				`{"role":"tool","tool_call_id":"c1","content":"r1"},{"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"r"},{"type":"text","text":"2"}]},{"role":"user","content":"next"}`,
			`user(q) assistant(call:c1:f:{"a":1} call:c2:g:) user(result:c1:r1 result:c2:r+2) user(next)`,
		},
		{
			`{"role":"assistant","tool_calls":[{"id":"c1","type":"custom","custom":{"name":"patch","input":"*** Begin"}}]},{"role":"tool","tool_call_id":"c1","content":""}`,
			`assistant(custom:c1:patch:*** Begin) user(result:c1:)`,
		},
		{ // an object where text should be
			`{"role":"assistant","tool_calls":[{"id":"c1","function":{"name":"f","arguments":{"a":1}}}]},{"role":"tool","tool_call_id":"c1","content":"r"}`,
			`assistant(call:c1:f:{"a":1}) user(result:c1:r)`,
		},
		{ // calls without ids are answered in order
			`{"role":"assistant","tool_calls":[{"id":"","function":{"name":"f","arguments":"{}"}},{"function":{"name":"g","arguments":"{}"}}]},{"role":"tool","content":"1"},{"role":"tool","tool_call_id":"","content":"2"}`,
			`assistant(call:call_0_0:f:{} call:call_0_1:g:{}) user(result:call_0_0:1 result:call_0_1:2)`,
		},
		{ // the form before tools
			`{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"r"},` +
				`{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"s"}`,
			`assistant(call:call_0:f:{}) user(result:call_0:r) assistant(call:call_2:f:{}) user(result:call_2:s)`,
		},
	} {
		c := decode(t, `{"messages":[`+tc.messages+`]}`)
		if got := outline(c); got != tc.want {
			t.Errorf("messages %s\n got %s\nwant %s", tc.messages, got, tc.want)
		}
	}
}

func TestPartsBecomeBlocks(t *testing.T) {
	for _, tc := range []struct{ part, want string }{
		{`{"type":"image_url","image_url":{"url":"https://x.org/a.png","detail":"high"}}`, `image:[https://x.org/a.pnghigh]`},
		{`{"type":"image_url","image_url":"https://x.org/a.png"}`, `image:[https://x.org/a.png]`},
		{`{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgoAAAA="}}`, `image:[image/pngiVBORw0KGgoAAAA=]`},
		{`{"type":"image_url","image_url":{"url":"data:image/png;base64,\/9j\/4AAQ"}}`, `image:[image/jpeg/9j/4AAQ]`}, // it lies
		{`{"type":"image_url","image_url":{"url":"data:image/jpg;base64,AAAA"}}`, `image:[image/jpegAAAA]`},
		{`{"type":"image_url","image_url":{"url":"data:application/pdf;base64,JVBERi0x","detail":"low"}}`, `document:[application/pdfJVBERi0x]`},
		{`{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0x"}}`, `document:a.pdf[application/pdfJVBERi0x]`},
		{`{"type":"file","file":{"filename":"a.pdf","file_data":"JVBERi0x"}}`, `document:a.pdf[application/pdfJVBERi0x]`},
		{`{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,aGk="}}`, `document:a.txt[text/plainhi]`},
		{`{"type":"file","file":{"file_id":"file-1"}}`, `document:[file-1]`},
		{`{"type":"text","text":"x","prompt_cache_breakpoint":{"mode":"explicit"}}`, `x@5m`},
		{`{"type":"text","text":"x","prompt_cache_breakpoint":{"mode":"explicit","ttl":"30m"}}`, `x@1h`},
		{`{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}`, `x@5m`},
		{`{"type":"text","text":"x","cache_control":{"type":"ephemeral","ttl":"1h"}}`, `x@1h`},
		{`{"type":"text","text":"x","cache_control":null}`, `x`},
		{`{"type":"text","text":"x","image_url":null}`, `x`},
	} {
		c := decode(t, `{"messages":[{"role":"user","content":[`+tc.part+`]}]}`)
		if got, want := outline(c), "user("+tc.want+")"; got != want {
			t.Errorf("part %s becomes %s, want %s", tc.part, got, want)
		}
	}
}

func TestCacheMarkOfAMessageIsThatOfItsEnd(t *testing.T) {
	c := decode(t, `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"cache_control":{"type":"ephemeral"}}]}`)
	if got, want := outline(c), "user(a b@5m)"; got != want {
		t.Errorf("turns = %s, want %s", got, want)
	}
	c = decode(t, `{"messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]},`+
		`{"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"r","cache_control":{"type":"ephemeral"}}]}]}`)
	if got, want := outline(c), "assistant(call:c:f:{}) user(result:c:r@5m)"; got != want {
		t.Errorf("turns = %s, want %s", got, want)
	}
}

func TestReasoningIsTakenOnceUnderAnyName(t *testing.T) {
	envelope := string(translate.AppendEnvelope(nil, "acme", translate.Value(`[{"x":1}]`)))
	for _, tc := range []struct{ members, want string }{
		{`"reasoning_content":"hm"`, `thinking:hm`},
		{`"reasoning":"hm"`, `thinking:hm`},
		{`"reasoning_content":"hm","reasoning":"hm"`, `thinking:hm`},
		{`"reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"sig"}]`, `thinking:hm`},
		{`"reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"sig"},{"type":"reasoning.encrypted","data":"x"}]`, `thinking:hm`},
		{`"reasoning_details":[{"type":"reasoning.summary","summary":"hm"}]`, `thinking:hm`},
		{`"reasoning_details":[{"type":"reasoning.encrypted","data":"` + envelope + `"}]`, `thinking::acme:[{"x":1}]`},
	} {
		c := decode(t, `{"messages":[{"role":"assistant","content":"a",`+tc.members+`}]}`)
		if got, want := outline(c), "assistant("+tc.want+" a)"; got != want {
			t.Errorf("%s becomes %s, want %s", tc.members, got, want)
		}
	}
	c := decode(t, `{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"h"},{"type":"text","text":"m"}]},{"type":"text","text":"a"}]}]}`)
	if got, want := outline(c), "assistant(thinking:hm a)"; got != want {
		t.Errorf("Mistral's thinking becomes %s, want %s", got, want)
	}
}

func TestSettingsAreRead(t *testing.T) {
	c := decode(t, `{"model":"m","messages":[{"role":"user","content":"x"}],
		"max_tokens":5,"max_completion_tokens":7,"temperature":0.5,"top_p":1,"top_k":40,"stop":"END","n":1,"seed":null,
		"stream":true,"stream_options":{"include_usage":true},"parallel_tool_calls":false,"reasoning_effort":"minimal",
		"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{"type":"object"},"strict":true}},
		"modalities":["text"],"user":"u","logit_bias":{}}`)
	got := fmt.Sprint(c.MaxTokens, string(c.Temperature), string(c.TopP), string(c.TopK), string(c.Stop), c.Stream, c.IncludeUsage,
		c.Parallel, c.Effort, c.Format.Kind, string(c.Format.Name), string(c.Format.Description), string(c.Format.Schema), c.Format.Strict)
	want := fmt.Sprint(7, "0.5", "1", "40", `["END"]`, true, true,
		translate.Off, translate.EffortMinimal, translate.FormatSchema, "n", "d", `{"type":"object"}`, translate.On)
	if got != want {
		t.Errorf("settings = %s, want %s", got, want)
	}
	var fields []string
	for _, f := range c.Fields {
		fields = append(fields, f.Name+"="+string(f.Value))
	}
	if got, want := strings.Join(fields, " "), `user="u" logit_bias={}`; got != want {
		t.Errorf("fields = %s, want %s", got, want)
	}
	if len(c.Losses) > 0 {
		t.Errorf("losses = %v, want none", c.Losses)
	}
}

func TestUnknownEffortIsListedAsLost(t *testing.T) {
	c := decode(t, `{"messages":[{"role":"user","content":"x"}],"reasoning_effort":"default"}`)
	if c.Effort != translate.EffortUnset || len(c.Losses) != 1 || c.Losses[0].Param != "reasoning_effort" {
		t.Errorf("effort %v, losses %v, want none and one about reasoning_effort", c.Effort, c.Losses)
	}
}

func TestToolsAreRead(t *testing.T) {
	c := decode(t, `{"messages":[{"role":"user","content":"x"}],"tools":[
		{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true},"cache_control":{"type":"ephemeral"}},
		{"function":{"name":"g","parameters":null}},
		{"type":"custom","custom":{"name":"p","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: A"}}}},
		{"type":"custom","custom":{"name":"q","format":{"type":"text"}}},
		{"type":"openrouter:web_search","parameters":{}}],
		"web_search_options":{"search_context_size":"low","user_location":{"type":"approximate","approximate":{"country":"NO"}}}}`)
	var got []string
	for _, tool := range c.Tools {
		got = append(got, fmt.Sprintf("%d %s %s %s %d %s %s %d", tool.Kind, tool.Name, tool.Description, tool.Schema, tool.Strict, tool.Format, tool.Type, tool.Cache))
	}
	want := []string{
		`0 f d {"type":"object"} 2   1`,
		`0 g   0   0`,
		`1 p   0 {"type":"grammar","syntax":"lark","definition":"start: A"}  0`,
		`1 q   0   0`,
		`2    0  openrouter:web_search 0`,
		`2    0  web_search 0`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("tools are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got, want := string(c.Tools[5].Raw), `{"type":"web_search","search_context_size":"low","user_location":{"type":"approximate","country":"NO"}}`; got != want {
		t.Errorf("web search = %s, want %s", got, want)
	}
}

func TestToolChoicesAreRead(t *testing.T) {
	for _, tc := range []struct{ choice, want string }{
		{`"none"`, "{none   false }"},
		{`"auto"`, "{auto   false }"},
		{`"required"`, "{any   false }"},
		{`"any"`, "{any   false }"},
		{`{"type":"function","function":{"name":"f"}}`, "{one f  false }"},
		{`{"type":"custom","custom":{"name":"p"}}`, "{one p  true }"},
		{`{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"p"}}]}}`, "{any   false f p}"},
		{`{"type":"mcp","server_label":"x"}`, "{one  mcp false }"},
	} {
		c := decode(t, `{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":`+tc.choice+`}`)
		x := c.ToolChoice
		mode := [...]string{"unset", "auto", "none", "any", "one"}[x.Mode]
		var allowed []string
		for _, name := range x.Allowed {
			allowed = append(allowed, string(name))
		}
		if got := fmt.Sprintf("{%s %s %s %v %s}", mode, x.Name, x.Type, x.Custom, strings.Join(allowed, " ")); got != tc.want {
			t.Errorf("tool_choice %s = %s, want %s", tc.choice, got, tc.want)
		}
	}
}

func TestLegacyFunctionsAreToolsWhoseAnswerIsLegacyToo(t *testing.T) {
	c := decode(t, `{"messages":[{"role":"user","content":"x"}],"functions":[{"name":"f","parameters":{"type":"object"}}],"function_call":{"name":"f"}}`)
	if !c.LegacyFunctions || len(c.Tools) != 1 || string(c.Tools[0].Name) != "f" || c.ToolChoice.Mode != translate.ToolOne {
		t.Errorf("legacy %v, tools %v, choice %v", c.LegacyFunctions, c.Tools, c.ToolChoice)
	}
	c = decode(t, `{"messages":[{"role":"user","content":"x"}],"functions":[{"name":"f"}],"tools":[{"type":"function","function":{"name":"g"}}]}`)
	if c.LegacyFunctions || len(c.Tools) != 1 {
		t.Errorf("with tools: legacy %v, tools %v, want false and the one", c.LegacyFunctions, c.Tools)
	}
}

func TestWhatOnlyChatCanServeIsRefusedByName(t *testing.T) {
	const hi = `"messages":[{"role":"user","content":"x"}]`
	for _, tc := range []struct{ body, param string }{
		{`{"messages":[]}`, "messages"},
		{`{"model":"m"}`, "messages"},
		{`{` + hi + `,"n":2}`, "n"},
		{`{` + hi + `,"audio":{"voice":"alloy"}}`, "audio"},
		{`{` + hi + `,"modalities":["text","audio"]}`, "modalities"},
		{`{` + hi + `,"max_tokens":0}`, "max_tokens"},
		{`{` + hi + `,"max_completion_tokens":"x","max_tokens":1}`, "max_completion_tokens"},
		{`{` + hi + `,"temperature":"hot"}`, "temperature"},
		{`{` + hi + `,"stop":[1]}`, "stop"},
		{`{` + hi + `,"stop":true}`, "stop"},
		{`{` + hi + `,"response_format":{"type":"xml"}}`, "response_format"},
		{`{` + hi + `,"response_format":{"type":"json_schema","json_schema":{"name":"n"}}}`, "response_format.json_schema.schema"},
		{`{` + hi + `,"tools":[{"type":"function","function":{}}]}`, "tools[0].function.name"},
		{`{` + hi + `,"tools":[{"type":"function","function":{"name":"f","parameters":"x"}}]}`, "tools[0].function.parameters"},
		{`{` + hi + `,"tools":[{"type":"custom","custom":{}}]}`, "tools[0].custom.name"},
		{`{` + hi + `,"functions":[{}]}`, "functions[0].name"},
		{`{` + hi + `,"tool_choice":"maybe"}`, "tool_choice"},
		{`{` + hi + `,"tool_choice":{"type":"function"}}`, "tool_choice"},
		{`{` + hi + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}}`, "tool_choice.allowed_tools.tools"},
		{`{` + hi + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"x","tools":[]}}}`, "tool_choice.allowed_tools.mode"},
		{`{` + hi + `,"function_call":"x"}`, "function_call"},
		{`{` + hi + `,"function_call":{}}`, "function_call.name"},
		{`{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"x"}}]}]}`, "messages[0].content[0]"},
		{`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"video_url"}]}]}`, "messages[0].content[1]"},
		{`{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}`, "messages[0].content[0].image_url.url"},
		{`{"messages":[{"role":"user","content":[{"type":"file","file":{}}]}]}`, "messages[0].content[0].file.file_data"},
		{`{"messages":[{"role":"system","content":[{"type":"image_url","image_url":{"url":"https://x.org"}}]}]}`, "messages[0].content[0]"},
		{`{"messages":[{"role":"assistant","content":[{"type":"image_url","image_url":{"url":"https://x.org"}}]}]}`, "messages[0].content[0]"},
		{`{"messages":[{"role":"assistant","audio":{"id":"a"}}]}`, "messages[0].audio"},
		{`{"messages":[{"role":"assistant","tool_calls":[{"id":"c"}]}]}`, "messages[0].tool_calls[0]"},
		{`{"messages":[{"role":"assistant","function_call":{"arguments":"{}"}}]}`, "messages[0].function_call.name"},
		{`{"messages":[{"role":"function","name":"f","content":"r"}]}`, "messages[0]"},
		{`{"messages":[{"role":"wizard","content":"x"}]}`, "messages[0].role"},
	} {
		c := new(translate.Conversation)
		c.Reset(translate.Chat)
		e := DecodeRequest(c, []byte(tc.body))
		if e == nil || e.Param != tc.param || e.StatusFor(translate.Chat) != 400 {
			t.Errorf("DecodeRequest(%s) = %v, want a 400 about %s", tc.body, e, tc.param)
		}
	}
}
