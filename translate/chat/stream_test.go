package chat

import (
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// story is an answer as a decoder tells it.
type story struct {
	name string
	tell func(a *translate.Assembler)
	// stream are the deltas of the chunks between the first and the last, and
	// message is the message of the whole answer.
	stream, message, finish string
	change                  func(*translate.Asked)
}

func tell(a *translate.Assembler, kind translate.Kind, texts ...string) {
	a.Open(0, translate.Head{Kind: kind})
	for _, s := range texts {
		a.Delta(0, translate.Text(s))
	}
	a.Close(0)
}

func tellCall(a *translate.Assembler, id, name string, pieces ...string) {
	a.Open(0, translate.Head{Kind: translate.KindToolCall, ID: translate.Text(id), Name: translate.Text(name)})
	for _, s := range pieces {
		a.Delta(0, translate.Text(s))
	}
	a.Close(0)
}

func tellCited(a *translate.Assembler, s string, c translate.Citation) {
	a.Open(0, translate.Head{Kind: translate.KindText})
	a.Delta(0, translate.Text(s))
	a.Cite(0, c)
	a.Close(0)
}

func legacy(a *translate.Asked) { a.LegacyFunctions = true }

var stories = []story{
	{
		"text", func(a *translate.Assembler) { tell(a, translate.KindText, "Hi", ` \"you\"`) },
		`{"content":"Hi"}{"content":" \"you\""}`, `{"role":"assistant","content":"Hi \"you\"","refusal":null}`, "stop", nil,
	},
	{"nothing", func(*translate.Assembler) {}, "", `{"role":"assistant","content":"","refusal":null}`, "stop", nil},
	{
		"thinking, and its seal is not told",
		func(a *translate.Assembler) {
			a.Open(0, translate.Head{Kind: translate.KindThinking})
			a.Delta(0, translate.Text("hm"))
			a.Seal(0, []byte(`{"x":1}`))
			a.Close(0)
			a.Open(1, translate.Head{Kind: translate.KindThinking, Hidden: true})
			a.Seal(1, []byte(`{"x":2}`))
			a.Close(1)
			tell(a, translate.KindText, "A")
		},
		`{"reasoning_content":"hm"}{"content":"A"}`, `{"role":"assistant","content":"A","reasoning_content":"hm","refusal":null}`, "stop", nil,
	},
	{
		"calls are counted by themselves",
		func(a *translate.Assembler) {
			tell(a, translate.KindThinking, "hm")
			tellCall(a, "c1", "f", `{\"a\":`, `1}`)
			tell(a, translate.KindText, "and")
			tellCall(a, "c2", "g")
		},
		`{"reasoning_content":"hm"}{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}]}` +
			`{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}{"content":"and"}` +
			`{"tool_calls":[{"index":1,"id":"c2","type":"function","function":{"name":"g","arguments":""}}]}{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}`,
		`{"role":"assistant","content":"and","reasoning_content":"hm","refusal":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]}`,
		"tool_calls", nil,
	},
	{
		"only calls", func(a *translate.Assembler) { tellCall(a, "c1", "f", `{}`) },
		`{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}]}{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}`,
		`{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]}`, "tool_calls", nil,
	},
	{
		"a custom tool that was sent as a function", func(a *translate.Assembler) { tellCall(a, "c1", "p", `{\"inp`, `ut\":\"x \\\"y`, `\\\"\"}`) },
		`{"tool_calls":[{"index":0,"id":"c1","type":"custom","custom":{"name":"patch","input":""}}]}{"tool_calls":[{"index":0,"custom":{"input":"x \"y"}}]}{"tool_calls":[{"index":0,"custom":{"input":"\""}}]}`,
		`{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"c1","type":"custom","custom":{"name":"patch","input":"x \"y\""}}]}`, "tool_calls",
		func(a *translate.Asked) {
			a.Names = []translate.ToolName{{Sent: "p", Name: "patch", Custom: true, Wrapped: true}}
		},
	},
	{
		"refusal", func(a *translate.Assembler) { tell(a, translate.KindRefusal, "no") },
		`{"refusal":"no"}`, `{"role":"assistant","content":null,"refusal":"no"}`, "stop", nil,
	},
	{
		"citations of blocks, in characters",
		func(a *translate.Assembler) {
			tell(a, translate.KindText, `Sø\u00e9 `)
			tellCited(a, `😀\ud83d\ude00!`, translate.Citation{URL: translate.Text("https://x.org"), Title: translate.Text("X")})
		},
		`{"content":"Sø\u00e9 "}{"content":"😀\ud83d\ude00!"}{"annotations":[{"type":"url_citation","url_citation":{"start_index":4,"end_index":7,"title":"X","url":"https://x.org"}}]}`,
		`{"role":"assistant","content":"Sø\u00e9 😀\ud83d\ude00!","refusal":null,"annotations":[{"type":"url_citation","url_citation":{"start_index":4,"end_index":7,"title":"X","url":"https://x.org"}}]}`, "stop", nil,
	},
	{
		"citations with places",
		func(a *translate.Assembler) {
			tell(a, translate.KindText, `ab`)
			tellCited(a, `cdef`, translate.Citation{URL: translate.Text("u"), Raw: translate.Value(`{"type":"url_citation","start_index":1,"end_index":3,"url":"u"}`)})
		},
		`{"content":"ab"}{"content":"cdef"}{"annotations":[{"type":"url_citation","url_citation":{"start_index":3,"end_index":5,"title":"","url":"u"}}]}`,
		`{"role":"assistant","content":"abcdef","refusal":null,"annotations":[{"type":"url_citation","url_citation":{"start_index":3,"end_index":5,"title":"","url":"u"}}]}`, "stop", nil,
	},
	{
		"functions of old, and only one call", func(a *translate.Assembler) {
			tellCall(a, "c1", "f", `{\"a\":`, `1}`)
			tellCall(a, "c2", "g", `{}`)
		},
		`{"function_call":{"name":"f","arguments":""}}{"function_call":{"arguments":"{\"a\":"}}{"function_call":{"arguments":"1}"}}`,
		`{"role":"assistant","content":null,"refusal":null,"function_call":{"name":"f","arguments":"{\"a\":1}"}}`, "function_call", legacy,
	},
}

// told encodes a story.
func told(s *story, asked *translate.Asked) (out string, a *translate.Assembler) {
	asked.Client, asked.Upstream = translate.Chat, translate.Messages
	if s.change != nil {
		s.change(asked)
	}
	a = translate.NewAssembler(asked, NewEncoder(asked))
	a.Start(translate.Text("m"), 7)
	s.tell(a)
	a.End(translate.Usage{}, false)
	return string(a.Take()), a
}

func TestAnswersAreWrittenAsStreamsOfChunks(t *testing.T) {
	const (
		chunk = `data: {"id":"chatcmpl-abcdefghijklmnopqrstuvwx","object":"chat.completion.chunk","created":7,"model":"m","choices":[{"index":0,"delta":`
		rest  = `,"logprobs":null,"finish_reason":null}]}` + "\n\n"
	)
	for i := range stories {
		s := &stories[i]
		got, _ := told(s, newAsked())
		want := chunk + `{"role":"assistant","content":""}` + rest
		for v := s.stream; v != ""; {
			delta := rawjson.Parse([]byte("[" + v))
			e := delta.Elements()
			e.Next()
			want += chunk + string(e.Value) + rest
			v = v[len(e.Value):]
		}
		want += chunk + `{},"logprobs":null,"finish_reason":"` + s.finish + `"}]}` + "\n\ndata: [DONE]\n\n"
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", s.name, got, want)
		}
	}
}

func TestAnswersAreWrittenWhole(t *testing.T) {
	for i := range stories {
		s := &stories[i]
		asked := newAsked()
		asked.Stream = false
		got, _ := told(s, asked)
		want := `{"id":"chatcmpl-abcdefghijklmnopqrstuvwx","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":` +
			s.message + `,"logprobs":null,"finish_reason":"` + s.finish + `"}]}`
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", s.name, got, want)
		}
		if !rawjson.Valid([]byte(got)) {
			t.Errorf("%s: is no JSON: %s", s.name, got)
		}
	}
}

func TestEveryStopReasonIsToldInOneOfOpenAIsWords(t *testing.T) {
	for _, tc := range []struct {
		stop  translate.StopReason
		calls bool
		want  string
	}{
		{translate.StopEnd, false, "stop"},
		{translate.StopEnd, true, "tool_calls"},
		{translate.StopTool, false, "stop"},
		{translate.StopTool, true, "tool_calls"},
		{translate.StopSequence, false, "stop"},
		{translate.StopPause, false, "stop"},
		{translate.StopPause, true, "tool_calls"},
		{translate.StopLength, true, "length"},
		{translate.StopWindow, false, "length"},
		{translate.StopFilter, false, "content_filter"},
	} {
		s := story{tell: func(a *translate.Assembler) {
			if tc.calls {
				tellCall(a, "c", "f", "{}")
			}
			a.Stop(tc.stop, nil)
		}}
		for _, streams := range []bool{true, false} {
			asked := newAsked()
			asked.Stream = streams
			if got, _ := told(&s, asked); !strings.Contains(got, `"finish_reason":"`+tc.want+`"`) {
				t.Errorf("stop %d, calls %v: %s, want finish_reason %s", tc.stop, tc.calls, got, tc.want)
			}
		}
	}
}

func TestUsageIsToldOnlyToThoseWhoAsk(t *testing.T) {
	usage := translate.Usage{Input: 10, CacheRead: 100, CacheWrite: 20, Output: 28, Reasoning: 12}
	const want = `"usage":{"prompt_tokens":130,"completion_tokens":40,"total_tokens":170,"prompt_tokens_details":{"cached_tokens":100,"cache_write_tokens":20},"completion_tokens_details":{"reasoning_tokens":12}}`
	write := func(streams, include bool) string {
		asked := newAsked()
		asked.Stream, asked.IncludeUsage = streams, include
		a := translate.NewAssembler(asked, NewEncoder(asked))
		a.Start(translate.Text("m"), 7)
		tell(a, translate.KindText, "A")
		a.End(usage, true)
		return string(a.Take())
	}
	if got := write(true, false); strings.Contains(got, "usage") {
		t.Errorf("a stream nobody asked usage of tells it: %s", got)
	}
	got := write(true, true)
	if n := strings.Count(got, `"usage":null`); n != 3 || !strings.Contains(got, `"choices":[],`+want+"}\n\ndata: [DONE]\n\n") {
		t.Errorf("stream = %s\nwant usage null in 3 chunks (is in %d) and %s in the last", got, n, want)
	}
	if got := write(false, false); !strings.HasSuffix(got, `],`+want+"}") {
		t.Errorf("whole answer = %s, want it to end in %s", got, want)
	}
}

func TestBrokenAnswerNeverEndsLikeASuccess(t *testing.T) {
	asked := newAsked()
	a := translate.NewAssembler(asked, NewEncoder(asked))
	a.Start(translate.Text("m"), 7)
	a.Open(0, translate.Head{Kind: translate.KindText})
	a.Delta(0, translate.Text("Hi"))
	a.Fail(&translate.Error{Status: 529, Type: "overloaded_error", Message: "busy"})
	got := string(a.Take())
	want := `data: {"error":{"message":"busy","type":"server_error","param":null,"code":"overloaded"}}` + "\n\n"
	if !strings.HasSuffix(got, want) || strings.Contains(got, "[DONE]") || strings.Contains(got, `"finish_reason":"`) {
		t.Errorf("stream = %s, want it to end in %s without a finish_reason or [DONE]", got, want)
	}
}

func TestWhatCannotBeCitedIsListedAsLost(t *testing.T) {
	s := story{tell: func(a *translate.Assembler) {
		tellCited(a, "A", translate.Citation{Title: translate.Text("a document"), FileID: translate.Text("f")})
	}}
	asked := newAsked()
	if got, _ := told(&s, asked); strings.Contains(got, "annotations") || len(asked.Losses) != 1 {
		t.Errorf("stream = %s, losses %v, want no annotations and one loss", got, asked.Losses)
	}
}

func TestCallCutByLengthIsNotMadeUp(t *testing.T) {
	s := story{tell: func(a *translate.Assembler) {
		a.Open(0, translate.Head{Kind: translate.KindToolCall, ID: translate.Text("c"), Name: translate.Text("f")})
		a.Stop(translate.StopLength, nil)
	}}
	if got, _ := told(&s, newAsked()); strings.Contains(got, `{}"`) || !strings.Contains(got, `"finish_reason":"length"`) {
		t.Errorf("stream = %s, want no arguments", got)
	}
}
