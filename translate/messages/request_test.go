package messages

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// decoded reads a request, which must be good.
func decoded(t testing.TB, body string) *translate.Conversation {
	t.Helper()
	c := new(translate.Conversation)
	c.Reset(translate.Messages)
	if e := DecodeRequest(c, []byte(body)); e != nil {
		t.Fatalf("DecodeRequest(%s) = %v", body, e)
	}
	return c
}

// turns tells the turns of a conversation, one per line.
func turns(c *translate.Conversation) string {
	var out strings.Builder
	for _, turn := range c.Turns {
		fmt.Fprintf(&out, "%s %d:", [...]string{"system", "user", "assistant"}[turn.Role], turn.Index)
		for i := range c.BlocksOf(turn) {
			out.WriteString(" " + told(c, &c.BlocksOf(turn)[i]))
		}
		out.WriteString("\n")
	}
	return strings.TrimSpace(out.String())
}

// told tells a block.
func told(c *translate.Conversation, b *translate.Block) string {
	kind := [...]string{"", "text", "refusal", "thinking", "image", "document", "call", "result", "reference", "hosted", "foreign"}[b.Kind]
	var facts []string
	for _, f := range []struct{ name, value string }{
		{"", string(b.Text)},
		{"id=", string(b.ID)},
		{"name=", string(b.Name)},
		{"input=", string(b.Input.JSON)},
		{"args=", string(b.Input.Text)},
		{"media=", string(b.Source.MediaType)},
		{"base64=", string(b.Source.Base64)},
		{"plain=", string(b.Source.Plain)},
		{"url=", string(b.Source.URL)},
		{"file=", string(b.Source.FileID)},
		{"context=", string(b.Context)},
		{"sealer=", b.Sealer},
		{"seal=", string(b.Seal)},
		{"type=", string(b.Type)},
	} {
		if f.value != "" {
			facts = append(facts, f.name+f.value)
		}
	}
	for _, f := range []struct {
		name string
		on   bool
	}{{"failed", b.Failed}, {"cited", b.Cited}, {"5m", b.Cache == translate.Cache5m}, {"1h", b.Cache == translate.Cache1h}} {
		if f.on {
			facts = append(facts, f.name)
		}
	}
	for i := range c.PartsOf(b) {
		facts = append(facts, told(c, &c.PartsOf(b)[i]))
	}
	return kind + "(" + strings.Join(facts, ", ") + ")"
}

// sealed is an envelope of provider "p" with the block in it.
func sealed(block string) string {
	return string(translate.AppendEnvelope(nil, "p", translate.Value(block)))
}

func TestEveryBlockIsRead(t *testing.T) {
	for _, tc := range []struct{ name, message, want string }{
		{"text", `{"role":"user","content":"a\nb"}`, `user 0: text(a\nb)`},
		{"nothing", `{"role":"user","content":""}`, `user 0:`},
		{
			"marked", `{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},` +
				`{"type":"text","text":"b","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"text","text":""}]}`,
			`user 0: text(a, 5m) text(b, 1h)`,
		},
		{
			"images", `{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}},` +
				`{"type":"image","source":{"type":"url","url":"https://e.org/a.png"}},{"type":"image","source":{"type":"file","file_id":"f1"}}]}`,
			`user 0: image(media=image/png, base64=AA==) image(url=https://e.org/a.png) image(file=f1)`,
		},
		{
			"documents", `{"role":"user","content":[{"type":"document","title":"T","context":"C","source":{"type":"base64","media_type":"application/pdf","data":"AA=="}},` +
				`{"type":"document","source":{"type":"text","media_type":"text/plain","data":"words"},"citations":{"enabled":true}},` +
				`{"type":"document","source":{"type":"url","url":"https://e.org/a.pdf"}}]}`,
			`user 0: document(name=T, media=application/pdf, base64=AA==, context=C) document(media=text/plain, plain=words, cited) document(url=https://e.org/a.pdf)`,
		},
		{
			"document of parts", `{"role":"user","content":[{"type":"document","title":"T","source":{"type":"content","content":[` +
				`{"type":"text","text":"a"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}]}},` +
				`{"type":"document","source":{"type":"content","content":"b"}}]}`,
			`user 0: text(T) text(a) image(media=image/png, base64=AA==) text(b)`,
		},
		{
			"search result", `{"role":"user","content":[{"type":"search_result","title":"T","source":"https://e.org","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}`,
			`user 0: text(T\nhttps://e.org\na\nb)`,
		},
		{
			"call", `{"role":"assistant","content":[{"type":"text","text":"go"},{"type":"tool_use","id":"t1","name":"f","input":{"a":1}},{"type":"tool_use","id":"t2","name":"g","input":"{}"}]}`,
			`assistant 0: text(go) call(id=t1, name=f, input={"a":1}) call(id=t2, name=g, args={})`,
		},
		{
			"results", `{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"ok"},{"type":"tool_result","tool_use_id":"t2","is_error":true},` +
				`{"type":"tool_result","tool_use_id":"t3","cache_control":{"type":"ephemeral"},"content":[{"type":"text","text":"a"},` +
				`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}},{"type":"tool_reference","tool_name":"WebFetch"}]}]}`,
			`user 0: result(id=t1, text(ok)) result(id=t2, failed) result(id=t3, 5m, text(a), image(media=image/png, base64=AA==), reference(name=WebFetch))`,
		},
		{
			"own thinking", `{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"` + sealed(`{"id":"rs_1"}`) + `"},{"type":"redacted_thinking","data":"` + sealed("") + `"}]}`,
			`assistant 0: thinking(hm, sealer=p, seal={"id":"rs_1"}) thinking(sealer=p)`,
		},
		{
			"others' thinking", `{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"EqXx"},{"type":"redacted_thinking","data":"EqYy"},{"type":"thinking","thinking":"","signature":"EqXx"}]}`,
			`assistant 0: thinking(hm)`,
		},
		{
			"hosted", `{"role":"assistant","content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{}},{"type":"web_search_tool_result","tool_use_id":"s","content":[]},{"type":"text","text":"x"}]}`,
			`assistant 0: hosted(type=server_tool_use) hosted(type=web_search_tool_result) text(x)`,
		},
		{"unknown", `{"role":"user","content":[{"type":"container_upload","file_id":"f"}]}`, `user 0: foreign(type=container_upload)`},
		{
			"compaction", `{"role":"assistant","content":[{"type":"compaction","content":"so far"},{"type":"compaction","content":null}]}`,
			`assistant 0: text(so far) foreign(type=compaction)`,
		},
		{"system", `{"role":"system","content":[{"type":"text","text":"now","cache_control":{"type":"ephemeral"}}]}`, `system 0: text(now, 5m)`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := decoded(t, `{"messages":[`+tc.message+`]}`)
			if got := turns(c); got != tc.want {
				t.Errorf("turns of %s =\n%s, want\n%s", tc.message, got, tc.want)
			}
		})
	}
}

func TestSystemStandsFirstWithoutAttribution(t *testing.T) {
	for _, tc := range []struct{ system, want string }{
		{`"be good"`, "system -1: text(be good)\nuser 0: text(hi)"},
		{
			`[{"type":"text","text":"x-anthropic-billing-header: cc_version=1;"},{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"b"}]`,
			"system -1: text(a, 5m) text(b)\nuser 0: text(hi)",
		},
		{`[{"type":"text","text":"x-anthropic-billing-header: cc_version=1;"}]`, "user 0: text(hi)"},
		{`null`, "user 0: text(hi)"},
	} {
		c := decoded(t, `{"messages":[{"role":"user","content":"hi"}],"system":`+tc.system+`}`)
		if got := turns(c); got != tc.want {
			t.Errorf("turns with system %s =\n%s, want\n%s", tc.system, got, tc.want)
		}
	}
}

func TestSystemMessagesForOneTurnEndWithIt(t *testing.T) {
	c := decoded(t, `{"messages":[{"role":"user","content":"1"},{"role":"system","content":"a","clear_at":"next_user_message"},`+
		`{"role":"assistant","content":"2"},{"role":"user","content":"3"},{"role":"system","content":"b","clear_at":"next_user_message"}]}`)
	want := "user 0: text(1)\nassistant 2: text(2)\nuser 3: text(3)\nsystem 4: text(b)"
	if got := turns(c); got != want {
		t.Errorf("turns =\n%s, want\n%s", got, want)
	}
}

func TestSettingsAreRead(t *testing.T) {
	c := decoded(t, `{"model":"m","max_tokens":100,"stream":true,"temperature":0.5,"top_p":0.9,"top_k":5,"stop_sequences":["x"],
		"thinking":{"type":"enabled","budget_tokens":2048,"display":"omitted"},"output_config":{"effort":"high","format":{"type":"json_schema","schema":{"type":"object"}}},
		"cache_control":{"type":"ephemeral","ttl":"1h"},"messages":[{"role":"user","content":"hi"}]}`)
	want := translate.Settings{
		Stream: true, MaxTokens: 100,
		Temperature: translate.Value("0.5"), TopP: translate.Value("0.9"), TopK: translate.Value("5"), Stop: translate.Value(`["x"]`),
		Thinking: translate.Thinking{Mode: translate.ThinkingBudget, Budget: 2048, Show: translate.Off},
		Effort:   translate.EffortHigh,
		Format:   translate.Format{Kind: translate.FormatSchema, Schema: translate.Value(`{"type":"object"}`)},
		Cache:    translate.Cache1h,
	}
	if got, want := fmt.Sprint(c.Settings), fmt.Sprint(want); got != want {
		t.Errorf("Settings = %v, want %v", got, want)
	}
	if len(c.Fields) > 0 || len(c.Losses) > 0 {
		t.Errorf("Fields = %v, Losses = %v, want none", c.Fields, c.Losses)
	}
}

func TestThinkingIsRead(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want translate.Thinking
		loss string
	}{
		{`{"type":"adaptive"}`, translate.Thinking{Mode: translate.ThinkingAdaptive}, ""},
		{`{"type":"adaptive","display":"summarized"}`, translate.Thinking{Mode: translate.ThinkingAdaptive, Show: translate.On}, ""},
		{`{"type":"enabled","budget_tokens":2048}`, translate.Thinking{Mode: translate.ThinkingBudget, Budget: 2048, Show: translate.On}, ""},
		{`{"type":"enabled","budget_tokens":2048,"display":"omitted"}`, translate.Thinking{Mode: translate.ThinkingBudget, Budget: 2048, Show: translate.Off}, ""},
		{`{"type":"disabled"}`, translate.Thinking{Mode: translate.ThinkingOff}, ""},
		{`{"type":"between_tools"}`, translate.Thinking{Mode: translate.ThinkingAdaptive}, "thinking"},
		{`null`, translate.Thinking{}, ""},
	} {
		c := decoded(t, `{"messages":[{"role":"user","content":"hi"}],"thinking":`+tc.in+`}`)
		if c.Thinking != tc.want {
			t.Errorf("thinking %s = %+v, want %+v", tc.in, c.Thinking, tc.want)
		}
		if got := params(c.Losses); got != tc.loss {
			t.Errorf("losses of thinking %s = %q, want %q", tc.in, got, tc.loss)
		}
	}
}

// params are those of losses, with a space between them.
func params(l translate.Losses) string {
	var all []string
	for i := range l {
		all = append(all, l[i].Param)
	}
	return strings.Join(all, " ")
}

func TestToolsAreRead(t *testing.T) {
	c := decoded(t, `{"messages":[{"role":"user","content":"hi"}],"tools":[
		{"name":"f","description":"does f","input_schema":{"type":"object"},"strict":true,"cache_control":{"type":"ephemeral"},"input_examples":[{"a":1}],"eager_input_streaming":true},
		{"type":"custom","name":"late","input_schema":{"type":"object"},"defer_loading":true},
		{"name":"DeferredToolPlaceholder","input_schema":{"type":"object"},"defer_loading":true},
		{"type":"web_search_20250305","name":"web_search","max_uses":8}],
		"tool_choice":{"type":"tool","name":"web_search","disable_parallel_tool_use":true}}`)
	var got []string
	for _, tool := range c.Tools {
		got = append(got, fmt.Sprint(tool.Kind, " ", tool.Index, " ", string(tool.Name), " ", string(tool.Type), " ", string(tool.Description), " ",
			string(tool.Schema), " ", tool.Strict, " ", tool.Cache, " ", string(tool.Examples)))
	}
	want := []string{
		`0 0 f  does f {"type":"object"} 2 1 [{"a":1}]`,
		`0 1 late   {"type":"object"} 0 0 `,
		`2 3 web_search web_search_20250305   0 0 `,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Tools = %q, want %q", got, want)
	}
	if choice := c.ToolChoice; choice.Mode != translate.ToolOne || string(choice.Type) != "web_search_20250305" {
		t.Errorf("ToolChoice = %+v, want that of the hosted tool", choice)
	}
	if c.Parallel != translate.Off {
		t.Errorf("Parallel = %v, want Off", c.Parallel)
	}
}

func TestToolsDefinedInTheConversationAreTools(t *testing.T) {
	c := decoded(t, `{"messages":[{"role":"user","content":"hi"},{"role":"system","content":[
		{"type":"tool_addition","tool":{"type":"tool_reference","name":"f"}},
		{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"g","input_schema":{"type":"object"}}}}]}],
		"tools":[{"name":"f","input_schema":{"type":"object"},"defer_loading":true}]}`)
	var names []string
	for _, tool := range c.Tools {
		names = append(names, string(tool.Name))
	}
	if got := strings.Join(names, " "); got != "f g" {
		t.Errorf("tools = %q, want f g: those of the beginning first, for the prompt cache", got)
	}
}

func TestAToolThatIsAddedAgainIsTheSame(t *testing.T) {
	addition := func(name, description string) string {
		return `{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"` + name + `","description":"` + description + `"}}}`
	}
	c := decoded(t, `{"messages":[{"role":"user","content":"hi"},
		{"role":"system","content":[`+addition("b", "1")+`,`+addition("c", "2")+`]},
		{"role":"system","content":[{"type":"tool_removal","tool":{"type":"tool_reference","name":"b"}}]},
		{"role":"system","clear_at":"next_user_message","content":[{"type":"text","text":"gone"},`+addition("b", "3")+`,`+addition("d", "4")+`,`+addition("a", "5")+`]},
		{"role":"user","content":"ho"}],"tools":[{"name":"a"}]}`)
	var tools []string
	for _, tool := range c.Tools {
		tools = append(tools, string(tool.Name)+string(tool.Description))
	}
	if got, want := strings.Join(tools, " "), "a5 b3 c2 d4"; got != want {
		t.Errorf("tools = %q, want %q", got, want)
	}
	if got, want := turns(c), "user 0: text(hi)\nsystem 1:\nsystem 2:\nuser 4: text(ho)"; got != want {
		t.Errorf("turns =\n%s, want\n%s", got, want)
	}
}

func TestWhatIsLeftToTheEncodersIsNamedAsTheClientDoes(t *testing.T) {
	c := decoded(t, `{"messages":[{"role":"user","content":"hi"}],"service_tier":"auto","metadata":{"user_id":"u"},"context_management":{"edits":[]},
		"speed":"fast","fallbacks":null,"mcp_servers":[],"output_config":{"task_budget":{"total":1}},"whatever":1}`)
	var names []string
	for _, f := range c.Fields {
		names = append(names, f.Name+"="+string(f.Value))
	}
	want := `service_tier="auto" metadata.user_id="u" context_management={"edits":[]} speed="fast" whatever=1 output_config.task_budget={"total":1}`
	if got := strings.Join(names, " "); got != want {
		t.Errorf("Fields = %s, want %s", got, want)
	}
}

func TestWhatOnlyMessagesCanServeIsRefused(t *testing.T) {
	for _, tc := range []struct{ member, param string }{
		{`"max_tokens":0`, "max_tokens"},
		{`"container":"c"`, "container"},
		{`"mcp_servers":[{"type":"url"}]`, "mcp_servers"},
		{`"inference_geo":"eu"`, "inference_geo"},
		{`"compaction":{"type":"x"}`, "compaction"},
		{`"tool_choice":{"type":"some"}`, "tool_choice.type"},
		{`"system":[{"type":"image","source":{}}]`, "system"},
		{`"messages":[]`, "messages"},
		{`"messages":[{"role":"robot","content":"x"}]`, "messages[0].role"},
		{`"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"browser_state"}]}]}]`, "messages[0].content[0]"},
	} {
		body := `{` + tc.member + `}`
		if !strings.Contains(body, "messages") {
			body = `{` + tc.member + `,"messages":[{"role":"user","content":"hi"}]}`
		}
		c := new(translate.Conversation)
		c.Reset(translate.Messages)
		e := DecodeRequest(c, []byte(body))
		if e == nil || e.Param != tc.param || e.Status != 400 {
			t.Errorf("DecodeRequest(%s) = %v, want a 400 about %s", body, e, tc.param)
		}
	}
}

func TestLossesOfARequestAreNamed(t *testing.T) {
	for _, tc := range []struct{ body, want string }{
		{`{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","data":"x"},"citations":{"enabled":true}}]}]}`, "messages.content.citations"},
		{`{"messages":[{"role":"user","content":"x"},{"role":"system","content":"y","output_config":{"effort":"low"}}],"output_config":{"effort":"high"}}`, "messages.output_config"},
		{`{"messages":[{"role":"user","content":"x"},{"role":"system","content":"y","output_config":{"effort":"high"}}],"output_config":{"effort":"high"}}`, ""},
		{`{"messages":[{"role":"user","content":"x"}],"output_config":{"effort":"wild"}}`, "output_config.effort"},
		{`{"messages":[{"role":"user","content":"x"}],"output_format":"markdown"}`, "output_format"},
		{`{"messages":[{"role":"user","content":"x"}],"output_format":{"type":"json_schema","schema":{}}}`, ""},
		{`{"messages":[{"role":"assistant","content":[{"type":"compaction","content":"x"}]}]}`, "messages.content.compaction"},
	} {
		if got := params(decoded(t, tc.body).Losses); got != tc.want {
			t.Errorf("losses of %s = %q, want %q", tc.body, got, tc.want)
		}
	}
}

// A body of many small results would otherwise take the square of its size.
func TestSearchResultsTakeMemoryByTheirLength(t *testing.T) {
	body := []byte(`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"search_result","title":"t","source":"s","content":[` +
		strings.Repeat(`{"type":"text","text":"a"},`, 10_000) + `{"type":"text","text":""}]}]}]}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := decoded(t, string(body))
	runtime.ReadMemStats(&after)
	if got, most := after.TotalAlloc-before.TotalAlloc, 20*uint64(len(body)); got > most {
		t.Errorf("%d bytes take %d bytes of memory, want at most %d", len(body), got, most)
	}
	if got, want := string(c.Blocks[0].Text), `t\ns`+strings.Repeat(`\na`, 10_000); got != want {
		t.Errorf("the text is %.40q... of %d bytes, want %.40q... of %d", got, len(got), want, len(want))
	}
}
