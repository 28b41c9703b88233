package responses

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// decoded reads a request that must be accepted.
func decoded(t *testing.T, body string) *translate.Conversation {
	t.Helper()
	c := new(translate.Conversation)
	c.Reset(translate.Responses)
	if e := DecodeRequest(c, []byte(body)); e != nil {
		t.Fatalf("DecodeRequest(%s) = %v", body, e)
	}
	return c
}

// told is a conversation's turns in a form that is easy to compare.
func told(c *translate.Conversation) string {
	var b strings.Builder
	for i, turn := range c.Turns {
		if i > 0 {
			b.WriteString(" / ")
		}
		role := [...]string{"system", "user", "assistant"}[turn.Role]
		if turn.Developer {
			role = "developer"
		}
		fmt.Fprintf(&b, "%s@%d:", role, turn.Index)
		for _, block := range c.BlocksOf(turn) {
			b.WriteString(" " + toldBlock(c, &block))
		}
	}
	return b.String()
}

func toldBlock(c *translate.Conversation, b *translate.Block) string {
	s := [...]string{
		translate.KindText: "text", translate.KindRefusal: "refusal", translate.KindThinking: "thinking",
		translate.KindImage: "image", translate.KindDocument: "document", translate.KindToolCall: "call",
		translate.KindToolResult: "result", translate.KindHosted: "hosted",
	}[b.Kind]
	if b.Custom {
		s = "custom-" + s
	}
	var parts []string
	add := func(name string, value []byte) {
		if value != nil {
			parts = append(parts, name+"="+string(value))
		}
	}
	add("id", b.ID)
	add("ns", b.Namespace)
	add("name", b.Name)
	add("text", b.Text)
	add("json", b.Input.JSON)
	add("input", b.Input.Text)
	add("media", b.Source.MediaType)
	add("base64", b.Source.Base64)
	add("plain", b.Source.Plain)
	add("url", b.Source.URL)
	add("file", b.Source.FileID)
	add("detail", b.Source.Detail)
	add("type", b.Type)
	if b.Sealer != "" {
		parts = append(parts, "sealer="+b.Sealer+" seal="+string(b.Seal))
	}
	if b.Cache != translate.CacheNone {
		parts = append(parts, fmt.Sprintf("cache=%d", b.Cache))
	}
	if b.Kind == translate.KindToolResult {
		for _, part := range c.PartsOf(b) {
			parts = append(parts, toldBlock(c, &part))
		}
	}
	return s + "{" + strings.Join(parts, " ") + "}"
}

func TestEveryItemFindsItsTurn(t *testing.T) {
	for _, tc := range []struct{ name, body, want string }{
		{"text", `{"input":"hi"}`, `user@0: text{text=hi}`},
		{
			"instructions come first", `{"input":"hi","instructions":"be kind"}`,
			`developer@-1: text{text=be kind} / user@0: text{text=hi}`,
		},
		{
			"easy messages", `{"input":[{"role":"system","content":"a"},{"role":"developer","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}`,
			`system@0: text{text=a} / developer@1: text{text=b} / user@2: text{text=c} / assistant@3: text{text=d}`,
		},
		{
			"parts", `{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"a","prompt_cache_breakpoint":{"mode":"explicit"}},` +
				`{"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"low"},{"type":"input_image","image_url":"https://x.test/a.png"},` +
				`{"type":"input_image","image_url":"data:application\/pdf;base64,JVBERi0x"},` +
				`{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0x"},{"type":"input_file","file_url":"https://x.test/a.pdf"},` +
				`{"type":"input_file","file_data":"data:text/plain;base64,aGk="},{"type":"input_file","file_id":"file_1"}]}]}`,
			`user@0: text{text=a cache=1} image{media=image/png base64=AAAA detail=low} image{url=https://x.test/a.png} ` +
				`document{media=application\/pdf base64=JVBERi0x} document{name=a.pdf media=application/pdf base64=JVBERi0x} ` +
				`document{url=https://x.test/a.pdf} document{media=text/plain plain=hi} document{file=file_1}`,
		},
		{
			"what the assistant did at once is one turn",
			`{"input":[{"role":"user","content":"go"},{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"one"},{"type":"summary_text","text":"two"}],"content":null},` +
				`{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"ok","annotations":[]},{"type":"refusal","refusal":"no"}]},` +
				`{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{\"a\":1}"},` +
				`{"type":"custom_tool_call","call_id":"c2","name":"exec","namespace":"functions","input":"x\ny"},` +
				`{"type":"function_call_output","call_id":"c1","output":"done"},` +
				`{"type":"custom_tool_call_output","call_id":"c2","output":[{"type":"input_text","text":"out"},{"type":"input_image","image_url":"https://x.test/a.png"}]},` +
				`{"role":"user","content":"more"}]}`,
			`user@0: text{text=go} / assistant@1: thinking{text=one\n\ntwo} text{text=ok} refusal{text=no} call{id=c1 name=f input={\"a\":1}} custom-call{id=c2 ns=functions name=exec input=x\ny} / ` +
				`user@5: result{id=c1 text{text=done}} custom-result{id=c2 text{text=out} image{url=https://x.test/a.png}} / user@7: text{text=more}`,
		},
		{
			"results do not join what the user said",
			`{"input":[{"type":"function_call","call_id":"c1","name":"f","arguments":""},{"role":"user","content":"wait"},{"type":"function_call_output","call_id":"c1","output":""}]}`,
			`assistant@0: call{id=c1 name=f input=} / user@1: text{text=wait} / user@2: result{id=c1}`,
		},
		{
			"the vendor's own calls", `{"input":[{"type":"web_search_call","id":"ws_1","status":"completed","action":{}},{"role":"assistant","content":"a"}]}`,
			`assistant@0: hosted{type=web_search_call} text{text=a}`,
		},
		{
			"arguments that are an object, and output that is one",
			`{"input":[{"type":"function_call","call_id":"c1","name":"f","arguments":{"a":1}},{"type":"function_call_output","call_id":"c1","output":{"b":2}}]}`,
			`assistant@0: call{id=c1 name=f json={"a":1}} / user@1: result{id=c1 text{text={\"b\":2}}}`,
		},
		{
			"a deferred tool is in no namespace, whatever OpenAI calls it",
			`{"input":[{"type":"function_call","call_id":"c1","name":"f","namespace":"f","arguments":"{}"}],"tools":[{"type":"function","name":"f","defer_loading":true}]}`,
			`assistant@0: call{id=c1 name=f input={}}`,
		},
		{
			"raw reasoning rather than a summary of it",
			`{"input":[{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}],"content":[{"type":"reasoning_text","text":"r"}]},{"role":"user","content":"a"}]}`,
			`assistant@0: thinking{text=r} / user@1: text{text=a}`,
		},
		{
			"reasoning that only its issuer can read is gone", `{"input":[{"type":"reasoning","summary":[],"encrypted_content":"gAAAA"},{"role":"user","content":"a"}]}`,
			`user@1: text{text=a}`,
		},
	} {
		if got := told(decoded(t, tc.body)); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestEnvelopesAreOpened(t *testing.T) {
	envelope := string(translate.AppendEnvelope(nil, "acme", translate.Value(`{"type":"thinking"}`)))
	c := decoded(t, `{"input":[{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}],"encrypted_content":"`+envelope+`"}]}`)
	if got, want := told(c), `assistant@0: thinking{text=s sealer=acme seal={"type":"thinking"}}`; got != want {
		t.Errorf("told = %s, want %s", got, want)
	}
	c = decoded(t, `{"input":[{"type":"reasoning","summary":[],"encrypted_content":"lgw1.acme."}]}`)
	if got, want := told(c), `assistant@0: thinking{sealer=acme seal=}`; got != want {
		t.Errorf("told = %s, want %s", got, want)
	}
}

func TestOnlyWhatOpenAICanServeIsRefusedByName(t *testing.T) {
	for _, tc := range []struct{ body, param string }{
		{`{"input":"a","previous_response_id":"resp_1"}`, "previous_response_id"},
		{`{"input":"a","conversation":{"id":"conv_1"}}`, "conversation"},
		{`{"input":"a","prompt":{"id":"pmpt_1"}}`, "prompt"},
		{`{"input":"a","background":true}`, "background"},
		{`{"input":[{"role":"user","content":"a"},{"type":"item_reference","id":"msg_1"}]}`, "input[1].type"},
		{`{"input":[{"type":"compaction","encrypted_content":"x"}]}`, "input[0].type"},
		{`{"input":[{"type":"computer_call","call_id":"c"}]}`, "input[0].type"},
		{`{"input":[{"type":"local_shell_call_output","id":"c"}]}`, "input[0].type"},
		{`{"input":[{"type":"mcp_call"}]}`, "input[0].type"},
		{`{"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_audio","input_audio":{}}]}]}`, "input[0].content[1].type"},
		{`{"input":[{"role":"user","content":[{"type":"input_image"}]}]}`, "input[0].content[0]"},
		{`{"input":[{"role":"judge","content":"a"}]}`, "input[0].role"},
		{`{"input":[{}]}`, "input[0].type"},
		{`{}`, "input"},
		{`{"input":[]}`, "input"},
		{`{"input":7}`, "input"},
		{`{"input":"a","instructions":["b"]}`, "instructions"},
		{`{"input":"a","max_output_tokens":0}`, "max_output_tokens"},
		{`{"input":"a","reasoning":{"effort":"heroic"}}`, "reasoning.effort"},
		{`{"input":"a","text":{"format":{"type":"xml"}}}`, "text.format.type"},
		{`{"input":"a","text":{"format":{"type":"json_schema","name":"n"}}}`, "text.format.schema"},
		{`{"input":"a","tools":[{"name":"f"}]}`, "tools[0].type"},
		{`{"input":"a","tools":[{"type":"function"}]}`, "tools[0].name"},
		{`{"input":"a","tools":[{"type":"namespace","name":"a","tools":[{"type":"namespace","name":"b"}]}]}`, "tools[0].tools"},
		{`{"input":"a","tool_choice":"maybe"}`, "tool_choice"},
		{`{"input":"a","tool_choice":{"type":"function"}}`, "tool_choice.name"},
		{`{"input":"a","tool_choice":{"name":"f"}}`, "tool_choice.type"},
		{`{"input":"a","tool_choice":{"type":"allowed_tools","tools":[]}}`, "tool_choice.mode"},
	} {
		c := new(translate.Conversation)
		c.Reset(translate.Responses)
		e := DecodeRequest(c, []byte(tc.body))
		if e == nil || e.Param != tc.param || e.Status != 400 {
			t.Errorf("DecodeRequest(%s) = %v, want a 400 about %s", tc.body, e, tc.param)
		}
	}
}

func TestNullsAndDefaultsAreNoNews(t *testing.T) {
	c := decoded(t, `{"input":"a","previous_response_id":null,"conversation":null,"prompt":null,"background":false,"tools":null,"metadata":null,
		"reasoning":{"effort":null,"context":null},"text":{"verbosity":null},"include":[],"client_metadata":{"a":"b"},"tool_choice":null}`)
	if len(c.Fields) != 0 || len(c.Losses) != 0 {
		t.Errorf("Fields = %v, Losses = %v, want none", c.Fields, c.Losses)
	}
}

func TestSettingsAreRead(t *testing.T) {
	c := decoded(t, `{"model":"m","input":"a","stream":true,"max_output_tokens":99,"temperature":0.5,"top_p":0.9,"parallel_tool_calls":false,
		"reasoning":{"effort":"high","summary":"auto","context":"all_turns"},
		"text":{"verbosity":"low","format":{"type":"json_schema","name":"n","description":"d","schema":{"type":"object"},"strict":true}},
		"include":["reasoning.encrypted_content","message.output_text.logprobs"],"metadata":{"a":"b"},"truncation":"auto"}`)
	s := c.Settings
	if !s.Stream || s.MaxTokens != 99 || string(s.Temperature) != "0.5" || string(s.TopP) != "0.9" || s.Parallel != translate.Off {
		t.Errorf("Settings = %+v", s)
	}
	if s.Effort != translate.EffortHigh || s.Thinking.Show != translate.On {
		t.Errorf("Effort, Show = %v, %v, want high and on", s.Effort, s.Thinking.Show)
	}
	if f := s.Format; f.Kind != translate.FormatSchema || string(f.Name) != "n" || string(f.Description) != "d" || f.Strict != translate.On {
		t.Errorf("Format = %+v", f)
	}
	var names []string
	for _, f := range c.Fields {
		names = append(names, f.Name+"="+string(f.Value))
	}
	if got, want := strings.Join(names, " "), `reasoning.context="all_turns" text.verbosity="low" metadata={"a":"b"} truncation="auto"`; got != want {
		t.Errorf("Fields = %s, want %s", got, want)
	}
	if got, want := string(c.Losses.AppendHeader(nil)), "param=include;action=dropped"; got != want {
		t.Errorf("Losses = %s, want %s", got, want)
	}
}

func TestNoSummaryMeansThatNobodyReadsAlong(t *testing.T) {
	for _, tc := range []struct {
		body string
		want translate.Flag
	}{
		{`{"input":"a"}`, translate.Unset},
		{`{"input":"a","reasoning":{"effort":"low"}}`, translate.Off},
		{`{"input":"a","reasoning":{"summary":"detailed"}}`, translate.On},
	} {
		if got := decoded(t, tc.body).Thinking.Show; got != tc.want {
			t.Errorf("Show of %s = %v, want %v", tc.body, got, tc.want)
		}
	}
}

func TestTheLastConfigurationCounts(t *testing.T) {
	c := decoded(t, `{"input":[{"role":"user","content":"a"},{"type":"configuration_update","reasoning":{"effort":"low"},"text":{"format":{"type":"json_object"}}}],"reasoning":{"effort":"high","summary":"auto"}}`)
	if c.Effort != translate.EffortLow || c.Thinking.Show != translate.On || c.Format.Kind != translate.FormatJSON {
		t.Errorf("Effort, Show, Format = %v, %v, %v, want low, on, JSON", c.Effort, c.Thinking.Show, c.Format.Kind)
	}
}

func TestTheLastVerbosityCounts(t *testing.T) {
	c := decoded(t, `{"text":{"verbosity":"low"},"store":false,"input":[{"role":"user","content":"a"},{"type":"configuration_update","text":{"verbosity":"medium"}},{"type":"configuration_update","text":{"verbosity":"high"}}]}`)
	if len(c.Fields) != 2 || c.Fields[0].Name != "text.verbosity" || string(c.Fields[0].Value) != `"high"` {
		t.Errorf("Fields = %s, want text.verbosity once, the last one", c.Fields)
	}
}

func TestCacheLifetimes(t *testing.T) {
	for _, tc := range []struct {
		breakpoint string
		want       translate.Cache
	}{
		{`null`, translate.CacheNone},
		{`{"mode":"explicit"}`, translate.Cache5m},
		{`{"ttl":"5m"}`, translate.Cache5m},
		{`{"ttl":"30m"}`, translate.Cache1h},
		{`{"ttl":"12h"}`, translate.Cache1h},
	} {
		if got := cacheOf(translate.Value(tc.breakpoint)); got != tc.want {
			t.Errorf("cacheOf(%s) = %v, want %v", tc.breakpoint, got, tc.want)
		}
	}
}

func TestManyPartsOfReasoningAreJoinedOnce(t *testing.T) {
	var list strings.Builder
	list.WriteString(`[{"text":"x"}`)
	for range 20000 {
		list.WriteString(`,{"text":"x"}`)
	}
	list.WriteString("]")
	if got, want := len(joinedParts(translate.Value(list.String()))), 1+20000*(1+len(paragraph)); got != want {
		t.Errorf("len(joinedParts) = %d, want %d", got, want)
	}
}
