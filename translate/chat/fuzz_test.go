package chat

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// FuzzDecodeRequest checks that no request makes the decoder panic, and that
// what the encoder makes of one is JSON and not much longer.
func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(smallRequest))
	for _, body := range []string{
		`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"file","file":{"file_data":"data:text/plain;base64,aGk="}}]}],"stop":"x"}`,
		`{"messages":[{"role":"assistant","tool_calls":[{"id":"functions.f:0","type":"custom","custom":{"name":"p","input":"a\"\\\u00e9"}}]},{"role":"tool","tool_call_id":"functions.f:0","content":[{"type":"text","text":"r"},{"type":"image_url","image_url":"u"}]}]}`,
		`{"messages":[{"role":"assistant","function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"r"}],"functions":[{"name":"f"}],"function_call":{"name":"f"}}`,
		`{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"custom","custom":{"name":"p","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"s"}}}},{"type":"x"}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"custom":{"name":"p"}}]}},"web_search_options":{}}`,
		`{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"a.b","schema":{}}},"metadata":{},"store":true,"service_tier":"auto"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := new(translate.Conversation)
		c.Reset(translate.Chat)
		if e := DecodeRequest(c, body); e != nil || !rawjson.Valid(body) {
			return
		}
		for _, to := range []*translate.Target{target(nil), strange()} {
			out, e := EncodeRequest(nil, c, to)
			if e != nil {
				continue
			}
			if !rawjson.Valid(out) {
				t.Errorf("of %s\nEncodeRequest makes what is no JSON: %s", body, out)
			}
			if most := 40*len(body) + 1000; len(out) > most {
				t.Errorf("of %d bytes EncodeRequest makes %d, want at most %d", len(body), len(out), most)
			}
		}
	})
}

// kinds are blocks of every kind that there is.
var kinds = []translate.Block{
	text("t"),
	text(""),
	{Kind: translate.KindRefusal, Text: translate.Text("no")},
	{Kind: translate.KindThinking, Text: translate.Text("hm")},
	{Kind: translate.KindThinking, Sealer: "acme", Seal: translate.Value(`[{"type":"reasoning.text"}]`)},
	picture("AAAA"),
	{Kind: translate.KindImage, Source: translate.Source{URL: translate.Text("https://x.org/a.png"), Detail: translate.Text("low")}},
	{Kind: translate.KindDocument, Source: translate.Source{Plain: translate.Text("body")}, Name: translate.Text("n"), Context: translate.Text("c")},
	{Kind: translate.KindDocument, Source: translate.Source{Base64: translate.Text("JVBERi0x")}, Cache: translate.Cache1h},
	{Kind: translate.KindToolReference, Name: translate.Text("f")},
	{Kind: translate.KindHosted, Type: translate.Text("server_tool_use")},
	{Kind: translate.KindForeign, Type: translate.Text("x")},
	{Kind: translate.KindText, Text: translate.Text("marked"), Cache: translate.Cache5m},
	{Kind: translate.KindToolCall, Custom: true, Name: translate.Text("p"), Input: translate.Input{Text: translate.Text(`a\n`)}},
	toolCall("", "f", `{}`),
	result(""),
	{Kind: translate.KindToolResult, Failed: true, Cache: translate.Cache5m},
}

// conversationOf is a conversation of any blocks in any roles. Each byte adds a
// block: its low bits say of which kind, and the high ones of which role; the
// fourth of these adds it to the last tool result.
func conversationOf(plan []byte) *translate.Conversation {
	return said(func(c *translate.Conversation) {
		var open []string
		for i, next := range plan {
			b := kinds[int(next&0x3F)%len(kinds)]
			role := next >> 6
			if role == 3 {
				if n := len(c.Blocks); n > 0 && c.Blocks[n-1].Kind == translate.KindToolResult {
					c.AddPart(b)
				}
				continue
			}
			switch b.Kind {
			case translate.KindToolCall:
				open = append(open, fmt.Sprint("id", i))
				b.ID = translate.Text(open[len(open)-1])
			case translate.KindToolResult:
				if len(open) == 0 {
					continue
				}
				b.ID, open = translate.Text(open[0]), open[1:]
			}
			c.BeginTurn(translate.Role(role), i, i%2 > 0)
			c.Add(b)
		}
		for i, id := range open {
			c.BeginTurn(translate.User, len(plan)+i, true)
			c.Add(result(id))
		}
	})
}

// FuzzEncodeRequest checks that of any blocks in any roles the encoder makes
// nothing but JSON.
func FuzzEncodeRequest(f *testing.F) {
	for kind := range kinds {
		for role := range 4 {
			f.Add([]byte{byte(role<<6 | kind)})
			f.Add([]byte{1 << 6, byte(role<<6 | kind), 1 << 6, byte(role<<6 | kind)})
			f.Add([]byte{2<<6 | 14, 1<<6 | 15, byte(role<<6 | kind), 3<<6 | 5, 0, 1 << 6})
		}
	}
	f.Fuzz(func(t *testing.T, plan []byte) {
		plan = plan[:min(len(plan), 64)]
		for _, to := range []*translate.Target{target(nil), strange(), target(func(q *translate.Quirks) { q.ReasoningField, q.CacheControl = sealedField, true })} {
			out, e := EncodeRequest(nil, conversationOf(plan), to)
			if e == nil && !rawjson.Valid(out) {
				t.Errorf("of %v EncodeRequest makes what is no JSON: %s", plan, out)
			}
		}
	})
}

// strange is a target with all quirks.
func strange() *translate.Target {
	t := target(func(q *translate.Quirks) {
		*q = translate.Quirks{
			DeveloperRole: true, ReasoningField: "reasoning_content", OpenAIParameters: true, Parameters: []string{"top_k"},
			CustomTools: true, ToolImages: true, OwnCallIDs: true, ShortCallIDs: true, NoUserAfterTool: true,
			ThoughtSignatures: true, CacheControl: true, WebSearch: true,
		}
	})
	t.Capabilities.SystemTurns = new(false)
	return t
}

// reader is a tap that a decoder reads.
type reader struct{ translate.AnswerDecoder }

// FuzzDecodeStream checks that no stream makes the decoder panic, that what it
// tells is in order, and that what the encoder makes of it is a stream of JSON.
func FuzzDecodeStream(f *testing.F) {
	for _, events := range []string{
		"data: {\"id\":\"x\",\"model\":\"m\",\"created\":7,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: [DONE]\n\n",
		"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}},{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":{}}}]}}]}\n\n" +
			"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
		"data: {\"choices\":[{\"delta\":{\"reasoning\":\"h\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"h\",\"index\":0}]}}]}\n\n" +
			"data: {\"choices\":[{\"delta\":{\"reasoning_details\":[{\"type\":\"reasoning.text\",\"signature\":\"s\",\"index\":0}],\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"text\":\"x\"}]},{\"type\":\"text\",\"text\":\"A\\ud83d\"}]}}]}\n\n" +
			"data: {\"choices\":[{\"delta\":{\"annotations\":[{\"url_citation\":{\"url\":\"u\"}}],\"refusal\":\"no\",\"function_call\":{\"name\":\"f\"}},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}\n\n",
	} {
		f.Add([]byte(events))
	}
	f.Fuzz(func(t *testing.T, events []byte) {
		asked := newAsked()
		asked.IncludeUsage = true
		asked.Names = []translate.ToolName{{Sent: "f", Name: "patch", Custom: true, Wrapped: true}}
		order := &orderly{t: t, AnswerEncoder: NewEncoder(asked)}
		a := translate.NewAssembler(asked, order)
		var w translate.Watcher
		w.Reset(translate.Chat)
		w.Tap(reader{NewDecoder(a)})
		w.Write(events)
		w.Close()
		if e, failed := w.Failure(); failed {
			a.Fail(&e)
		} else {
			a.End(w.Usage())
		}
		for event := range bytes.SplitSeq(bytes.TrimSuffix(a.Take(), []byte("\n\n")), []byte("\n\n")) {
			data, ok := bytes.CutPrefix(event, []byte("data: "))
			if !ok || string(data) != "[DONE]" && !rawjson.Valid(data) {
				t.Errorf("of %q\nthe encoder makes the event %q", events, event)
			}
		}
	})
}

// orderly is an encoder that checks the order of events before it passes them
// on.
type orderly struct {
	translate.AnswerEncoder
	t       *testing.T
	started bool
	open    bool
	blocks  int
	over    bool
}

func (o *orderly) Append(dst []byte, e *translate.Event) []byte {
	good := o.started && !o.over
	switch e.Kind {
	case translate.EventStart:
		good, o.started = !o.started, true
	case translate.EventOpen:
		good = good && !o.open && e.Index == o.blocks
		o.open = true
	case translate.EventDelta, translate.EventSeal, translate.EventCite:
		good = good && o.open && e.Index == o.blocks
	case translate.EventClose:
		good = good && o.open && e.Index == o.blocks
		o.open = false
		o.blocks++
	case translate.EventStop:
		good = good && !o.open
	case translate.EventEnd, translate.EventFailed:
		o.over = true
	}
	if !good {
		o.t.Errorf("event %d of block %d is out of order", e.Kind, e.Index)
	}
	return o.AnswerEncoder.Append(dst, e)
}
