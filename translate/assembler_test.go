package translate

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// tracer is an encoder that writes a line for each event.

type tracer struct{}

func (tracer) Append(dst []byte, e *Event) []byte {
	switch e.Kind {
	case EventStart:
		dst = fmt.Appendf(dst, "start %s %d", []byte(e.Model), e.Created)
	case EventOpen:
		kind := [...]string{KindText: "text", KindRefusal: "refusal", KindThinking: "thinking", KindToolCall: "call"}[e.Head.Kind]
		dst = fmt.Appendf(dst, "open %d %s", e.Index, kind)
		if e.Head.Kind == KindToolCall {
			dst = fmt.Appendf(dst, " %s %s", []byte(e.Head.ID), []byte(e.Head.Name))
			if e.Head.Namespace != nil {
				dst = fmt.Appendf(dst, " in %s", []byte(e.Head.Namespace))
			}
			if e.Head.Custom {
				dst = append(dst, " custom"...)
			}
		}
	case EventDelta:
		dst = fmt.Appendf(dst, "delta %d %s", e.Index, []byte(e.Text))
	case EventSeal:
		dst = fmt.Appendf(dst, "seal %d %s", e.Index, e.Seal)
	case EventCite:
		dst = fmt.Appendf(dst, "cite %d %s", e.Index, []byte(e.Citation.URL))
	case EventClose:
		dst = fmt.Appendf(dst, "close %d", e.Index)
		if e.Cut {
			dst = append(dst, " cut"...)
		}
	case EventUsage:
		dst = fmt.Appendf(dst, "usage %d", e.Usage.Output)
	case EventStop:
		dst = fmt.Appendf(dst, "stop %s %s", stopNames[e.Stop], []byte(e.Sequence))
	case EventEnd:
		dst = append(dst, "end"...)
	case EventFailed:
		dst = fmt.Appendf(dst, "failed %s", e.Err.Message)
	}
	return append(dst, '\n')
}

var stopNames = [...]string{0: "?", StopEnd: "end", StopTool: "tool", StopSequence: "sequence", StopLength: "length", StopWindow: "window", StopPause: "pause", StopFilter: "filter"}

func traced(asked *Asked) *Assembler {
	if asked.Nonce == "" {
		asked.Nonce = "N"
	}
	return NewAssembler(asked, tracer{})
}

// said returns the lines of the trace, joined by semicolons.

func said(a *Assembler) string {
	return strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(string(a.Take()), " \n", "\n")), "\n", "; ")
}

func call(id, name string) Head {
	return Head{Kind: KindToolCall, ID: Text(id), Name: Text(name)}
}

func TestBlocksThatInterleaveComeOneBehindTheOther(t *testing.T) {
	a := traced(&Asked{})
	a.Start(Text("m"), 7)
	a.Open(0, Head{Kind: KindText})
	a.Delta(0, Text("Hi"))
	a.Open(1, call("a", "f"))
	a.Open(2, call("b", "g"))
	a.Delta(2, Text("{"))
	a.Delta(1, Text("["))
	a.Delta(0, Text("!"))
	if got, want := said(a), "start m 7; open 0 text; delta 0 Hi; delta 0 !"; got != want {
		t.Errorf("first %q, want %q", got, want)
	}
	a.Close(0)
	if got, want := said(a), "close 0; open 1 call a f; delta 1 ["; got != want {
		t.Errorf("then %q, want %q", got, want)
	}
	a.Delta(2, Text("}"))
	a.Delta(1, Text("]"))
	a.Close(2)
	a.Close(1)
	if got, want := said(a), "delta 1 ]; close 1; open 2 call b g; delta 2 {}; close 2"; got != want {
		t.Errorf("then %q, want %q", got, want)
	}
	a.End(Usage{Output: 3}, true)
	if got, want := said(a), "usage 3; stop tool; end"; got != want {
		t.Errorf("at last %q, want %q", got, want)
	}
}

func TestWhatWaitsIsNotTheDecodersMemory(t *testing.T) {
	a := traced(&Asked{})
	a.Open(0, Head{Kind: KindText})
	a.Delta(0, Text("x"))
	buffer := []byte("id name url delta")
	a.Open(1, Head{Kind: KindToolCall, ID: buffer[:2], Name: buffer[3:7]})
	a.Delta(1, buffer[12:])
	a.Open(2, Head{Kind: KindText})
	a.Delta(2, Text("y"))
	a.Cite(2, Citation{URL: buffer[8:11]})
	copy(buffer, "#################")
	a.Close(0)
	a.Close(1)
	a.Close(2)
	if got := said(a); strings.Contains(got, "#") {
		t.Errorf("said %q", got)
	}
}

func TestAnAnswerWithoutBlocksHasAStartAndAnEnd(t *testing.T) {
	a := traced(&Asked{Model: `al"ias`, Now: 9})
	a.End(Usage{}, false)
	if got, want := said(a), `start al\"ias 9; stop end; end`; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

func TestOnlyTheFirstWordsAboutTheAnswerCount(t *testing.T) {
	a := traced(&Asked{})
	a.Start(nil, 0)
	a.Start(Text("m"), 0)
	a.Start(Text("other"), 5)
	a.Open(0, Head{Kind: KindText})
	a.Delta(0, Text("x"))
	if got, want := said(a), "start m 5; open 0 text; delta 0 x"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

func TestEmptyTextsAreNotTold(t *testing.T) {
	a := traced(&Asked{})
	a.Open(0, Head{Kind: KindText})
	a.Delta(0, nil)
	a.Close(0)
	a.Open(1, Head{Kind: KindThinking})
	a.Seal(1, []byte(`{"s":1}`))
	a.Close(1)
	a.Open(2, Head{Kind: KindText})
	a.End(Usage{}, false)
	if got, want := said(a), `start  0; open 0 thinking; seal 0 {"s":1}; close 0; stop end; end`; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

func TestACallWaitsForItsName(t *testing.T) {
	a := traced(&Asked{})
	a.Open(0, call("", ""))
	a.Delta(0, Text("{"))
	a.Rename(0, Text("id"), nil)
	if got := said(a); got != "" {
		t.Errorf("said %q of a call without a name", got)
	}
	a.Rename(0, Text("other"), Text("f"))
	a.Rename(0, Text("more"), Text("g"))
	if got, want := said(a), "start  0; open 0 call id f; delta 0 {"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
	a.Delta(0, Text("}"))
	a.Open(1, call("x", "")) // it never gets one
	a.Delta(1, Text("{}"))
	a.End(Usage{}, false)
	if got, want := said(a), "delta 0 }; close 0; stop tool; end"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

func TestEveryCallHasAnIDOfItsOwn(t *testing.T) {
	a := traced(&Asked{})
	for i, id := range []string{"", "same", "same", "functions.f:0", strings.Repeat("x", 50), ""} {
		a.Open(i, call(id, "f"))
		a.Close(i)
	}
	var ids []string
	for line := range strings.Lines(string(a.Take())) {
		if fields := strings.Fields(line); fields[0] == "open" {
			ids = append(ids, fields[3])
		}
	}
	want := []string{"call_N0", "same", "call_N2", "call_xZnVuY3Rpb25zLmY6MA", "call_h", "call_N5"}
	for i := range want {
		if len(ids) != len(want) || !strings.HasPrefix(ids[i], want[i]) || len(ids[i]) > maxCallID {
			t.Fatalf("ids %q, want %q", ids, want)
		}
	}
}

func TestSignaturesTravelInTheID(t *testing.T) {
	a := traced(&Asked{})
	a.Open(0, Head{Kind: KindToolCall, ID: Text("id"), Name: Text("f"), Signature: Text("s/=")})
	if got, want := said(a), "start  0; open 0 call id__sig_cy89 f"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

func TestToolsAreCalledInTheClientsWords(t *testing.T) {
	asked := &Asked{Names: []ToolName{
		{Sent: "ns__f", Name: "f", Namespace: "ns"},
		{Sent: "patch", Name: "patch", Custom: true, Wrapped: true},
		{Sent: "native", Name: "native", Custom: true},
		{Sent: "answer", Name: "answer", Answer: true},
	}}
	for _, tc := range []struct {
		head  Head
		input string
		want  string
	}{
		{call("1", "ns__f"), `{}`, "open 0 call 1 f in ns; delta 0 {}; close 0"},
		{call("1", "f"), `{}`, "open 0 call 1 f; delta 0 {}; close 0"},
		{call("1", "patch"), `{\"input\":\"a\\nb\"}`, `open 0 call 1 patch custom; delta 0 a\nb; close 0`},
		{Head{Kind: KindToolCall, ID: Text("1"), Name: Text("patch"), Custom: true}, `{a`, `open 0 call 1 patch custom; delta 0 {a; close 0`},
		{Head{Kind: KindToolCall, ID: Text("1"), Name: Text("native"), Custom: true}, `{a`, `open 0 call 1 native custom; delta 0 {a; close 0`},
		{call("1", "patch"), `ls`, `open 0 call 1 patch custom; delta 0 ls; close 0`},
		{call("1", "answer"), `{\"a\":1}`, `open 0 text; delta 0 {\"a\":1}; close 0`},
	} {
		a := traced(asked)
		a.Open(0, tc.head)
		a.Delta(0, Text(tc.input))
		a.Close(0)
		if got := strings.TrimPrefix(said(a), "start  0; "); got != tc.want {
			t.Errorf("%s(%s): %q, want %q", tc.head.Name, tc.input, got, tc.want)
		}
		a.Stop(StopTool, nil)
		a.End(Usage{}, false)
		want := "stop tool; end"
		if string(tc.head.Name) == "answer" {
			want = "stop end; end"
		}
		if got := said(a); got != want {
			t.Errorf("%s: ends with %q, want %q", tc.head.Name, got, want)
		}
	}
}

func TestCallsThatBreakOffAreCut(t *testing.T) {
	for _, tc := range []struct {
		name   string
		custom bool
		input  string
		closes bool
		stop   StopReason
		want   bool
	}{
		{"whole", false, `{}`, false, StopTool, false},
		{"broken", false, `{\"a\":`, false, StopTool, true},
		{"broken, closed", false, `{\"a\":`, true, StopLength, true},
		{"no input", false, ``, false, StopTool, false},
		{"no input, and no tokens", false, ``, false, StopLength, true},
		{"no object", false, `null`, true, StopTool, false},
		{"custom", true, `{{`, false, StopTool, false},
		{"custom, and no tokens", true, `{{`, false, StopLength, true},
		{"custom, closed", true, `{{`, true, StopLength, false},
	} {
		a := traced(&Asked{})
		a.Open(0, Head{Kind: KindToolCall, ID: Text("1"), Name: Text("f"), Custom: tc.custom})
		a.Delta(0, Text(tc.input))
		if tc.closes {
			a.Close(0)
		}
		a.Stop(tc.stop, nil)
		a.End(Usage{}, false)
		if got := strings.Contains(said(a), "close 0 cut"); got != tc.want {
			t.Errorf("%s: cut %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestASealIsAskedForWhenItsBlockEnds(t *testing.T) {
	for name, end := range map[string]func(a *Assembler){
		"closed":   func(a *Assembler) { a.Close(0) },
		"replaced": func(a *Assembler) { a.Open(0, Head{Kind: KindThinking}) },
		"ended":    func(a *Assembler) { a.End(Usage{}, false) },
	} {
		a := traced(&Asked{})
		seal := "early"
		a.Open(0, Head{Kind: KindThinking})
		a.SealWith(0, func() []byte { return []byte(seal) })
		seal = "late"
		end(a)
		seal = "too late"
		if got, want := said(a), "start  0; open 0 thinking; seal 0 late; close 0"; !strings.HasPrefix(got, want) {
			t.Errorf("%s: said %q, want %q", name, got, want)
		}
	}
}

func TestReasonsToStopAreThoseOfTheBlocks(t *testing.T) {
	for _, tc := range []struct {
		said  StopReason
		calls int
		want  string
	}{
		{0, 0, "end"},
		{0, 1, "tool"},
		{StopEnd, 1, "tool"},
		{StopTool, 0, "end"},
		{StopLength, 1, "length"},
		{StopFilter, 0, "filter"},
		{StopPause, 0, "pause"},
		{StopSequence, 0, "sequence"},
	} {
		a := traced(&Asked{})
		for i := range tc.calls {
			a.Open(i, call(strconv.Itoa(i), "f"))
		}
		a.Stop(tc.said, Text("END"))
		a.End(Usage{}, false)
		if got := said(a); !strings.HasSuffix(got, "stop "+tc.want+" END; end") {
			t.Errorf("%s with %d calls: %q, want %s", stopNames[tc.said], tc.calls, got, tc.want)
		}
	}
}

func TestAFailedAnswerNeverEndsLikeAWholeOne(t *testing.T) {
	a := traced(&Asked{})
	a.Open(0, Head{Kind: KindText})
	a.Delta(0, Text("x"))
	a.Open(1, call("1", "f"))
	a.Fail(&Error{Message: "gone"})
	a.Delta(0, Text("y"))
	a.Close(0)
	a.End(Usage{}, true)
	if got, want := said(a), "start  0; open 0 text; delta 0 x; failed gone"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

func TestHalvesOfCharactersArePutTogether(t *testing.T) {
	for _, tc := range []struct {
		deltas []string
		want   string
	}{
		{[]string{`a\ud83d`, `\ude00b`}, "a😀b"},
		{[]string{`\ud83d`, `\ude00`}, "😀"},
		{[]string{`a\ud83d`}, "a\uFFFD"},
		{[]string{`a\ud83d`, `b`}, "a\uFFFDb"},
		{[]string{`\ude00`}, "\uFFFD"},
	} {
		a := traced(&Asked{})
		a.Open(0, Head{Kind: KindText})
		for _, delta := range tc.deltas {
			a.Delta(0, Text(delta))
		}
		a.End(Usage{}, false)
		if got := deltas(string(a.Take()), 0).String(); got != tc.want {
			t.Errorf("%q became %q, want %q", tc.deltas, got, tc.want)
		}
	}
}

// deltas puts the deltas of a block in a trace together.

func deltas(trace string, index int) (text Text) {
	for line := range strings.Lines(trace) {
		if delta, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), fmt.Sprintf("delta %d ", index)); ok {
			text = append(text, delta...)
		}
	}
	return text
}

// script makes an upstream's answer of data, two bytes a step, and notes what

// each block should come to.

// scripted is a block of a script.

// told are the blocks that a client must see.

// FuzzAssembler: however the blocks of an answer interleave, the client gets one

// start and one end, blocks numbered without gaps that do not overlap, and in

// each of them what the upstream wrote into it.

// checkTrace holds a trace to what [EventKind] says of the order of events, and

// returns how many blocks there are.

// silent is an encoder that writes nothing.

type silent struct{}

func (silent) Append(dst []byte, _ *Event) []byte { return dst }

func BenchmarkAssembler(b *testing.B) {
	for _, bench := range []struct {
		name string
		head Head
		text string
	}{
		{"text", Head{Kind: KindText}, `Let me look at the file.\n`},
		{"call", call("1", "f"), `{\"path\": \"main.go\", `},
		{"wrapped", call("1", "patch"), `+\tif err != nil {\\n`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			a := NewAssembler(&Asked{Names: []ToolName{{Sent: "patch", Name: "patch", Custom: true, Wrapped: true}}}, silent{})
			a.Open(0, bench.head)
			a.Delta(0, rawjson.Of(`{"input": "`))
			text := Text(bench.text)
			b.ReportAllocs()
			for b.Loop() {
				a.Delta(0, text)
				a.Take()
			}
		})
	}
}
