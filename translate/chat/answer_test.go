package chat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// recorder is an encoder that notes what it is told.
type recorder struct{ log []string }

func (r *recorder) Append(dst []byte, e *translate.Event) []byte {
	switch e.Kind {
	case translate.EventStart:
		r.log = append(r.log, fmt.Sprintf("start %s %d", e.Model, e.Created))
	case translate.EventOpen:
		h := e.Head
		kind := map[translate.Kind]string{
			translate.KindText: "text", translate.KindThinking: "thinking",
			translate.KindRefusal: "refusal", translate.KindToolCall: "call",
		}[h.Kind]
		if h.Custom {
			kind = "custom"
		}
		if h.Hidden {
			kind = "hidden"
		}
		r.log = append(r.log, strings.TrimRight(fmt.Sprintf("%s %s %s", kind, h.ID, h.Name), " "))
	case translate.EventDelta:
		r.log = append(r.log, "+"+string(e.Text))
	case translate.EventSeal:
		if len(e.Seal) > 0 {
			r.log = append(r.log, "seal "+string(e.Seal))
		}
	case translate.EventCite:
		r.log = append(r.log, fmt.Sprintf("cite %s %s %s", e.Citation.URL, e.Citation.Title, e.Citation.CitedText))
	case translate.EventClose:
		if e.Cut {
			r.log = append(r.log, "cut")
		}
	case translate.EventStop:
		r.log = append(r.log, "stop "+[...]string{"", "end", "tool", "sequence", "length", "window", "pause", "filter"}[e.Stop])
	}
	return dst
}

func newAsked() *translate.Asked {
	return &translate.Asked{
		Client: translate.Messages, Upstream: translate.Chat, Provider: "acme",
		Nonce: "abcdefghijklmnopqrstuvwx", Now: 1700000000, Stream: true,
	}
}

// stream reads chunks, whose choices hold the given deltas or choices, and tells
// what they say.
func stream(t *testing.T, asked *translate.Asked, chunks []string) string {
	t.Helper()
	r := new(recorder)
	a := translate.NewAssembler(asked, r)
	d := NewDecoder(a)
	for _, chunk := range chunks {
		if strings.HasPrefix(chunk, `{"delta"`) {
			chunk = `{"id":"x","model":"m","created":7,"choices":[` + chunk + `]}`
		} else if !strings.Contains(chunk, `"choices"`) {
			chunk = `{"id":"x","model":"m","created":7,"choices":[{"index":0,"delta":` + chunk + `,"finish_reason":null}]}`
		}
		buffer := []byte(chunk)
		d.Event(nil, buffer)
		for i := range buffer { // what the decoder keeps, it must have copied
			buffer[i] = '~'
		}
	}
	a.End(translate.Usage{}, false)
	return strings.Join(r.log, "|")
}

func TestStreamsOfAllVendorsAreRead(t *testing.T) {
	const finish = `{"delta":{},"finish_reason":"stop"}`
	const calls = `{"delta":{},"finish_reason":"tool_calls"}`
	for _, tc := range []struct {
		name   string
		chunks []string
		want   string
	}{
		{"text", []string{`{"role":"assistant","content":""}`, `{"content":"Hi"}`, `{"content":" you"}`, finish}, "start m 7|text|+Hi|+ you|stop end"},
		{"nothing", []string{`{"role":"assistant","content":""}`, finish}, "start m 7|stop end"},
		{
			"Azure's first chunk",
			[]string{`{"id":"","model":"","created":0,"choices":[],"prompt_filter_results":[]}`, `{"content":"Hi"}`, finish},
			"start m 7|text|+Hi|stop end",
		},
		{"role in every chunk", []string{`{"role":"assistant","content":"Hi"}`, `{"role":"assistant","content":" you"}`, finish}, "start m 7|text|+Hi|+ you|stop end"},
		{"finish in the last chunk of text", []string{`{"delta":{"content":"Hi"},"finish_reason":"length"}`}, "start m 7|text|+Hi|stop length"},
		{"another choice", []string{`{"model":"m","created":7,"choices":[{"delta":{"content":"B"},"index":1},{"index":0,"delta":{"content":"A"}}]}`}, "start m 7|text|+A|stop end"},
		{"no finish at all", []string{`{"content":"Hi"}`}, "start m 7|text|+Hi|stop end"},
		{"filter", []string{`{"content":"Hi"}`, `{"delta":{},"finish_reason":"content_filter"}`}, "start m 7|text|+Hi|stop filter"},
		{"eos", []string{`{"content":"Hi"}`, `{"delta":{},"finish_reason":"eos"}`}, "start m 7|text|+Hi|stop end"},
		{"empty finish", []string{`{"content":"Hi"}`, `{"delta":{},"finish_reason":""}`}, "start m 7|text|+Hi|stop end"},
		{"nulls", []string{`{"content":"Hi","refusal":null,"tool_calls":null,"function_call":null,"annotations":null,"images":null,"audio":null}`, finish}, "start m 7|text|+Hi|stop end"},
		{"refusal", []string{`{"refusal":"I "}`, `{"refusal":"won't"}`, finish}, "start m 7|refusal|+I |+won't|stop end"},
		{"Perplexity's whole message in each chunk", []string{
			`{"delta":{"content":"A"},"message":{"content":"A"}}`, `{"delta":{"content":"B"},"message":{"content":"AB"},"finish_reason":"stop"}`,
		}, "start m 7|text|+A|+B|stop end"},
		{"message instead of delta", []string{`{"model":"m","created":7,"choices":[{"index":0,"message":{"content":"A"},"finish_reason":"stop"}]}`}, "start m 7|text|+A|stop end"},

		{"reasoning_content", []string{`{"reasoning_content":"h"}`, `{"reasoning_content":"m","content":null}`, `{"content":"A"}`, finish}, "start m 7|thinking|+h|+m|text|+A|stop end"},
		{"reasoning", []string{`{"reasoning":"hm","channel":"analysis"}`, `{"content":"A","reasoning":null}`, finish}, "start m 7|thinking|+hm|text|+A|stop end"},
		{"both names", []string{`{"reasoning_content":"hm","reasoning":"hm"}`, `{"content":"A"}`, finish}, "start m 7|thinking|+hm|text|+A|stop end"},
		{"thinking and text in one chunk", []string{`{"content":"A","reasoning":"hm"}`, finish}, "start m 7|thinking|+hm|text|+A|stop end"},
		{"thinking again", []string{`{"reasoning":"a"}`, `{"content":"A"}`, `{"reasoning":"b"}`, `{"content":"B"}`, finish}, "start m 7|thinking|+a|text|+A|thinking|+b|text|+B|stop end"},
		{"Mistral's lists", []string{
			`{"content":[{"type":"thinking","thinking":[{"type":"text","text":"h"}]}]}`, `{"content":[{"type":"thinking","thinking":[{"type":"text","text":"m"}],"closed":true},{"type":"text","text":"A"}]}`, finish,
		}, "start m 7|thinking|+h|+m|text|+A|stop end"},

		{"Snowflake's details alone", []string{`{"content":"","reasoning_details":[{"type":"reasoning.text","text":"hm","index":0}]}`, `{"content":"A"}`, finish}, `start m 7|thinking|+hm|seal [{"type":"reasoning.text","text":"hm","index":0}]|text|+A|stop end`},
		{"OpenRouter's details in pieces", []string{
			`{"content":"","reasoning":null,"reasoning_details":[{"type":"reasoning.text","text":"","signature":"","format":"f","index":0}]}`,
			`{"reasoning":"h","reasoning_details":[{"type":"reasoning.text","text":"h","format":"f","index":0}]}`,
			`{"reasoning":"m","reasoning_details":[{"type":"reasoning.text","text":"m","signature":"","format":"f","index":0}]}`,
			`{"content":"","reasoning":null,"reasoning_details":[{"type":"reasoning.text","signature":"sig","format":"f","index":0}]}`,
			`{"content":"A"}`, finish,
		}, `start m 7|thinking|+h|+m|seal [{"type":"reasoning.text","format":"f","index":0,"signature":"sig","text":"hm"}]|text|+A|stop end`},
		{"two blocks of one index", []string{
			`{"reasoning_details":[{"type":"reasoning.text","text":"a","index":0}]}`, `{"reasoning_details":[{"type":"reasoning.text","signature":"A","index":0}]}`,
			`{"reasoning_details":[{"type":"reasoning.text","text":"b","signature":"B","index":0}]}`, `{"content":"A"}`, finish,
		}, `start m 7|thinking|+a|+b|seal [{"type":"reasoning.text","index":0,"signature":"A","text":"a"},{"type":"reasoning.text","text":"b","signature":"B","index":0}]|text|+A|stop end`},
		{
			"encrypted before text",
			[]string{`{"content":"","reasoning_details":[{"type":"reasoning.encrypted","data":"x"}]}`, `{"content":"A"}`, finish},
			`start m 7|hidden|seal [{"type":"reasoning.encrypted","data":"x"}]|text|+A|stop end`,
		},
		{
			"encrypted behind text",
			[]string{`{"content":"A"}`, `{"reasoning_details":[{"type":"reasoning.encrypted","data":"x"}]}`, finish},
			`start m 7|text|+A|hidden|seal [{"type":"reasoning.encrypted","data":"x"}]|stop end`,
		},
		{
			"encrypted behind thinking",
			[]string{`{"reasoning":"hm","reasoning_details":[{"type":"reasoning.summary","summary":"hm"}]}`, `{"reasoning_details":[{"type":"reasoning.encrypted","data":"x"}]}`, `{"content":"A"}`, finish},
			`start m 7|thinking|+hm|seal [{"type":"reasoning.summary","summary":"hm"},{"type":"reasoning.encrypted","data":"x"}]|text|+A|stop end`,
		},

		{"a call", []string{
			`{"content":"A"}`, `{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}]}`,
			`{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}`, `{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}`, calls,
		}, `start m 7|text|+A|call c1 f|+{\"a\":|+1}|stop tool`},
		{"interleaved calls", []string{
			`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":""}}]}`, `{"tool_calls":[{"index":1,"id":"c2","function":{"name":"g","arguments":""}}]}`,
			`{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}`, `{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}`, `{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}`, calls,
		}, `start m 7|call c1 f|+{\"a\":|+1}|call c2 g|+{}|stop tool`},
		{"whole calls, all of index 0", []string{
			`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"}}]}`, `{"tool_calls":[{"index":0,"id":"c2","function":{"name":"f","arguments":"{}"}}]}`, calls,
		}, `start m 7|call c1 f|+{}|call c2 f|+{}|stop tool`},
		{"whole calls, all of index 0, no ids", []string{
			`{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}`, `{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}`, calls,
		}, `start m 7|call call_abcdefghijklmnopqrstuvwx0 f|+{}|call call_abcdefghijklmnopqrstuvwx1 f|+{}|stop tool`},
		{"whole calls without index", []string{
			`{"tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{}"}}]}`, `{"tool_calls":[{"id":"c2","function":{"name":"f","arguments":"{}"}}]}`, calls,
		}, `start m 7|call c1 f|+{}|call c2 f|+{}|stop tool`},
		{"no index, told apart by id", []string{
			`{"tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{\"a\":"}}]}`, `{"tool_calls":[{"id":"c2","function":{"name":"g","arguments":"{}"}}]}`,
			`{"tool_calls":[{"id":"c1","function":{"arguments":"1}"}}]}`, calls,
		}, `start m 7|call c1 f|+{\"a\":|+1}|call c2 g|+{}|stop tool`},
		{"neither index nor id on what follows", []string{
			`{"tool_calls":[{"id":"c1","function":{"name":"f","arguments":""}}]}`, `{"tool_calls":[{"function":{"arguments":"{\"a\":"}}]}`, `{"tool_calls":[{"function":{"name":"f","arguments":"1}"}}]}`, calls,
		}, `start m 7|call c1 f|+{\"a\":|+1}|stop tool`},
		{"id and name repeated", []string{
			`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\":"}}]}`, `{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"1}"}}]}`,
			`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":""}}]}`, calls,
		}, `start m 7|call c1 f|+{\"a\":|+1}|stop tool`},
		{"id changes in every chunk", []string{
			`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\":"}}]}`, `{"tool_calls":[{"index":0,"id":"c2","function":{"name":"f","arguments":"1}"}}]}`, calls,
		}, `start m 7|call c1 f|+{\"a\":|+1}|stop tool`},
		{"empty name on what follows", []string{
			`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\":"}}]}`, `{"tool_calls":[{"index":0,"id":"","function":{"name":"","arguments":"1}"}}]}`, calls,
		}, `start m 7|call c1 f|+{\"a\":|+1}|stop tool`},
		{"name comes late", []string{
			`{"tool_calls":[{"index":0,"id":"c1","function":{"arguments":"{\"a\":"}}]}`, `{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"1}"}}]}`, calls,
		}, `start m 7|call c1 f|+{\"a\":|+1}|stop tool`},
		{"name never comes", []string{`{"content":"A"}`, `{"tool_calls":[{"index":0,"id":"c1","function":{"arguments":"{}"}}]}`, calls}, `start m 7|text|+A|stop end`},
		{"no arguments", []string{`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f"}}]}`, calls}, `start m 7|call c1 f|stop tool`},
		{"arguments as an object", []string{`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":{"a":"b"}}}]}`, calls}, `start m 7|call c1 f|+{\"a\":\"b\"}|stop tool`},
		{"the same id for two calls", []string{
			`{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"c","function":{"name":"g","arguments":"{}"}}]}`, calls,
		}, `start m 7|call c f|+{}|call call_abcdefghijklmnopqrstuvwx1 g|+{}|stop tool`},
		{"finish says stop though there are calls", []string{`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"}}]}`, finish}, `start m 7|call c1 f|+{}|stop tool`},
		{"finish says calls though there are none", []string{`{"content":"A"}`, calls}, `start m 7|text|+A|stop end`},
		{"cut by length", []string{
			`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\":"}}]}`, `{"delta":{},"finish_reason":"length"}`,
		}, `start m 7|call c1 f|+{\"a\":|cut|stop length`},
		{"text behind calls", []string{
			`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"}}]}`, `{"content":"A"}`, calls,
		}, `start m 7|call c1 f|+{}|text|+A|stop tool`},
		{"something behind complete arguments", []string{
			`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"}}]}`, `{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}`, calls,
		}, `start m 7|call c1 f|+{}|stop tool`},
		{"a custom tool", []string{
			`{"tool_calls":[{"index":0,"id":"c1","type":"custom","custom":{"name":"p","input":""}}]}`, `{"tool_calls":[{"index":0,"custom":{"input":"a b"}}]}`, calls,
		}, `start m 7|custom c1 p|+a b|stop tool`},
		{"a custom tool whose input has braces", []string{
			`{"tool_calls":[{"index":0,"id":"c1","type":"custom","custom":{"name":"p","input":""}}]}`, `{"tool_calls":[{"index":0,"custom":{"input":"f({a: 1}"}}]}`,
			`{"tool_calls":[{"index":0,"custom":{"input":");\ng()"}}]}`, calls,
		}, `start m 7|custom c1 p|+f({a: 1}|+);\ng()|stop tool`},
		{"Snowflake's empty custom tool", []string{
			`{"function_call":{"name":"","arguments":""},"tool_calls":[{"index":0,"id":"c1","custom":{"name":"","input":""},"function":{"name":"f","arguments":"{}"}}]}`, calls,
		}, `start m 7|call c1 f|+{}|stop tool`},
		{"function_call", []string{
			`{"function_call":{"name":"f","arguments":""}}`, `{"function_call":{"arguments":"{\"a\":"}}`, `{"function_call":{"arguments":"1}"}}`, `{"delta":{},"finish_reason":"function_call"}`,
		}, `start m 7|call call_abcdefghijklmnopqrstuvwx0 f|+{\"a\":|+1}|stop tool`},
		{"Gemini's signature", []string{
			`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}}]}`, calls,
		}, `start m 7|call c1__sig_cw f|+{}|stop tool`},

		{"citations", []string{
			`{"content":"A"}`, `{"annotations":[{"type":"url_citation","url_citation":{"url":"https://x.org","title":"X","content":"c","start_index":0,"end_index":1}}]}`, finish,
		}, `start m 7|text|+A|cite https://x.org X c|stop end`},
		{"halves of a character", []string{`{"content":"a\ud83d"}`, `{"content":"\ude00b"}`, finish}, `start m 7|text|+a|+\ud83d\ude00b|stop end`},
	} {
		if got := stream(t, newAsked(), tc.chunks); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestWholeAnswersAreReadLikeStreams(t *testing.T) {
	for _, tc := range []struct{ name, choice, want string }{
		{"text", `"message":{"role":"assistant","content":"A","refusal":null,"annotations":[]},"finish_reason":"stop"`, "start m 7|text|+A|stop end"},
		{"null", `"message":{"role":"assistant","content":null},"finish_reason":"stop"`, "start m 7|stop end"},
		{"everything", `"message":{"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"f","arguments":""}}],"content":"A","reasoning_content":"hm",` +
			`"annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"t"}}]},"finish_reason":"tool_calls"`, "start m 7|thinking|+hm|text|+A|cite u t |call c1 f|+{}|call c2 f|stop tool"},
		{"calls without ids", `"message":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"f","arguments":{"a":1}}}]}`, `start m 7|call call_abcdefghijklmnopqrstuvwx0 f|+{}|call call_abcdefghijklmnopqrstuvwx1 f|+{\"a\":1}|stop tool`},
		{"sealed", `"message":{"content":"A","reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"s", "index":0}]},"finish_reason":"stop"`, `start m 7|thinking|+hm|seal [{"type":"reasoning.text","text":"hm","signature":"s", "index":0}]|text|+A|stop end`},
		{"Perplexity's empty delta", `"delta":{"role":"assistant","content":""},"message":{"content":"A"},"finish_reason":"stop"`, "start m 7|text|+A|stop end"},
		{"Gemini's signature beside the calls", `"message":{"extra_content":{"google":{"thought_signature":"s"}},"tool_calls":[{"id":"","function":{"name":"f","arguments":"{}"}},{"id":"c2","function":{"name":"g","arguments":"{}"}}]}`, `start m 7|call call_abcdefghijklmnopqrstuvwx0__sig_cw f|+{}|call c2 g|+{}|stop tool`},
		{"Snowflake's finish", `"message":{"content":"A","audio":{"id":"","data":""},"function_call":{"arguments":"","name":""},"tool_calls":null},"finish_reason":""`, "start m 7|text|+A|stop end"},
	} {
		r := new(recorder)
		asked := newAsked()
		a := translate.NewAssembler(asked, r)
		NewDecoder(a).Whole([]byte(`{"id":"x","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,` + tc.choice + `}]}`))
		a.End(translate.Usage{}, false)
		if got := strings.Join(r.log, "|"); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
		if len(asked.Losses) > 0 {
			t.Errorf("%s: losses %v, want none", tc.name, asked.Losses)
		}
	}
}

func TestWhatOfAnAnswerCannotCrossIsListedAsLost(t *testing.T) {
	for _, tc := range []struct{ delta, param string }{
		{`{"content":"A","images":[{"type":"image_url"}]}`, "choices.message.images"},
		{`{"content":"A","audio":{"data":"AAAA"}}`, "choices.message.audio"},
		{`{"content":[{"type":"image_url"}]}`, "choices.message.content.image_url"},
		{`{"annotations":[{"type":"url_citation"}]}`, "choices.message.annotations"},
		{`{"choices":[{"delta":{"content":"A[1]"}}],"citations":["https://x.org"]}`, "citations"},
	} {
		asked := newAsked()
		stream(t, asked, []string{tc.delta})
		if len(asked.Losses) != 1 || asked.Losses[0].Param != tc.param {
			t.Errorf("%s: losses %v, want one of %s", tc.delta, asked.Losses, tc.param)
		}
	}
}
