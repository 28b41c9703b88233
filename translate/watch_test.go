package translate

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// seen is everything that a Watcher tells of a stream.
type seen struct {
	contents, events, unfinished    int
	finished, ended, complete, fail bool
	failure                         Error
	usage                           Usage
	hasUsage                        bool
	ending                          string
}

// watch shows w the stream in chunks that end at each of cuts, which are in
// order, and returns what it saw. Every chunk is overwritten once w had it.
func watch(w *Watcher, p Protocol, stream string, cuts ...int) seen {
	w.Reset(p)
	from := 0
	for _, to := range append(cuts, len(stream)) {
		chunk := []byte(stream[from:to])
		w.Write(chunk)
		for i := range chunk {
			chunk[i] = '#'
		}
		from = to
	}
	w.Close()
	s := seen{
		contents: w.Contents(), events: w.Events(), unfinished: w.Unfinished(),
		finished: w.Finished(), ended: w.Ended(), complete: w.Complete(),
	}
	s.failure, s.fail = w.Failure()
	s.usage, s.hasUsage = w.Usage()
	s.ending = string(w.AppendStreamError(nil, &Error{Status: 502, Message: "cut"}))
	return s
}

func everyByte(stream string) []int {
	cuts := make([]int, len(stream))
	for i := range cuts {
		cuts[i] = i
	}
	return cuts
}

func randomCuts(random *rand.Rand, stream string) []int {
	var cuts []int
	for at := 0; ; {
		at += random.IntN(1 + random.IntN(2000))
		if at >= len(stream) {
			return cuts
		}
		cuts = append(cuts, at)
	}
}

func TestWatcherSeesTheSameInAnyChunks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var w, other Watcher
	check := func(t *testing.T, name string, p Protocol, stream string, splits int) {
		t.Helper()
		want := watch(&w, p, stream)
		if got := watch(&other, p, stream, everyByte(stream)...); got != want {
			t.Errorf("%s bytewise:\n got %+v\nwant %+v", name, got, want)
		}
		for range splits {
			cuts := randomCuts(random, stream)
			if got := watch(&other, p, stream, cuts...); got != want {
				t.Fatalf("%s cut at %v:\n got %+v\nwant %+v", name, cuts, got, want)
			}
		}
	}
	for _, s := range ownStreams {
		check(t, s.name, s.protocol, s.bytes, 200)
		check(t, s.name+" with CRLF", s.protocol, strings.ReplaceAll(s.bytes, "\n", "\r\n"), 200)
		check(t, s.name+" with CR", s.protocol, strings.ReplaceAll(s.bytes, "\n", "\r"), 200)
	}
	splits := 200
	if testing.Short() {
		splits = 10
	}
	for _, f := range fixtures(t, "stream") {
		check(t, f.file, f.protocol, string(f.body), splits)
	}
}

func TestRecordedStreamsAreWhole(t *testing.T) {
	for _, f := range fixtures(t, "stream") {
		var w Watcher
		got := watch(&w, f.protocol, string(f.body))
		broken := strings.Contains(f.shows, "error-event")
		if got.complete == broken || got.fail != broken {
			t.Errorf("%s: Complete() = %v, Failure() = %+v, %v, want whole = %v", f.file, got.complete, got.failure, got.fail, !broken)
		}
		if got.contents == 0 {
			t.Errorf("%s: Contents() = 0", f.file)
		}
		// A first content event may close a stream, but only after it began.
		if got.contents > got.events {
			t.Errorf("%s: %d contents in %d events", f.file, got.contents, got.events)
		}
	}
}

// TestUsageOfRecordedStreams compares with a plain reading of the events: for
// each key, the last value that any of them has.
func TestUsageOfRecordedStreams(t *testing.T) {
	for _, f := range fixtures(t, "stream") {
		last := map[string]int64{}
		iterations := ""
		for line := range strings.Lines(string(f.body)) {
			data, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "data: ")
			if !ok {
				continue
			}
			for _, path := range []string{"usage", "message.usage", "response.usage", "x_groq.usage"} {
				usage := gjson.Get(data, path)
				if !usage.IsObject() {
					continue
				}
				for _, key := range []string{
					"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details.cached_tokens", "cached_tokens",
					"prompt_cache_hit_tokens", "completion_tokens_details.reasoning_tokens",
					"input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "input_tokens_details.cached_tokens", "input_tokens_details.cache_write_tokens",
					"output_tokens_details.reasoning_tokens", "output_tokens_details.thinking_tokens",
				} {
					if value := usage.Get(key); value.Type == gjson.Number {
						last[key] = value.Int()
					}
				}
				iterations = usage.Get("iterations").Raw
			}
		}
		var w Watcher
		got := watch(&w, f.protocol, string(f.body))
		if got.hasUsage != (len(last) > 0) {
			t.Errorf("%s: Usage() = %+v, %v, though the events have %v", f.file, got.usage, got.hasUsage, last)
			continue
		}
		if want := plainUsage(f.protocol, last, iterations); got.usage != want {
			t.Errorf("%s: Usage() = %+v, want %+v of %v", f.file, got.usage, want, last)
		}
	}
}

func plainUsage(p Protocol, last map[string]int64, iterations string) Usage {
	switch p {
	case Messages:
		u := Usage{
			Input: last["input_tokens"], CacheRead: last["cache_read_input_tokens"], CacheWrite: last["cache_creation_input_tokens"],
			Reasoning: last["output_tokens_details.thinking_tokens"],
		}
		u.Output = last["output_tokens"] - u.Reasoning
		if calls := gjson.Parse(iterations).Array(); len(calls) > 0 {
			u = Usage{}
			for _, call := range calls {
				u.Input += call.Get("input_tokens").Int()
				u.CacheRead += call.Get("cache_read_input_tokens").Int()
				u.CacheWrite += call.Get("cache_creation_input_tokens").Int()
				u.Output += call.Get("output_tokens").Int()
			}
		}
		return u
	case Responses:
		u := Usage{
			CacheRead: last["input_tokens_details.cached_tokens"], CacheWrite: last["input_tokens_details.cache_write_tokens"],
			Reasoning: last["output_tokens_details.reasoning_tokens"],
		}
		u.Input = last["input_tokens"] - u.CacheRead - u.CacheWrite
		u.Output = last["output_tokens"] - u.Reasoning
		return u
	}
	out := max(last["completion_tokens"], last["total_tokens"]-last["prompt_tokens"])
	u := Usage{
		// One recording has 161 cached tokens of 7.
		CacheRead: min(last["prompt_tokens"], max(last["prompt_tokens_details.cached_tokens"], last["cached_tokens"], last["prompt_cache_hit_tokens"])),
		Reasoning: min(out, max(last["completion_tokens_details.reasoning_tokens"], out-last["completion_tokens"])),
	}
	u.Input = last["prompt_tokens"] - u.CacheRead
	u.Output = out - u.Reasoning
	return u
}

func TestUnfinishedIsWhatFollowsTheLastEvent(t *testing.T) {
	for _, tc := range []struct {
		stream string
		want   int
	}{
		{"", 0},
		{"data: {}\n\n", 0},
		{"data: {}\r\n\r\n", 0},
		{"data: {}\r\n\r", 0},
		{"data: {}\r\n", 10},
		{"data: {}\n", 9},
		{"data: {}\n\nevent: x\nda", 11},
		{": c\n\nda", 2},
	} {
		var w Watcher
		w.Reset(Chat)
		for i := range len(tc.stream) {
			w.Write([]byte{tc.stream[i]})
		}
		if got := w.Unfinished(); got != tc.want {
			t.Errorf("Unfinished() after %q = %d, want %d", tc.stream, got, tc.want)
		}
	}
}

func TestTooLongEventsPassWithoutBeingKept(t *testing.T) {
	const size = maxEvent + 1
	long := `data: {"choices":[{"index":0,"delta":{"content":"` + strings.Repeat("x", size) + `"}}]}` + "\n\n"
	after := `data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}` + "\n\n"
	stream := long + after
	var cuts []int
	for at := 1 << 20; at < len(stream); at += 1 << 20 {
		cuts = append(cuts, at)
	}
	var w Watcher
	whole, cut := watch(&w, Chat, stream), watch(&w, Chat, stream, cuts...)
	if whole != cut || !whole.complete || whole.contents != 1 {
		t.Errorf("in one chunk %+v, in many %+v, want the same, whole and with one content", whole, cut)
	}
	if w.Reset(Chat); cap(w.reader.line)+cap(w.reader.joined) > 2*maxKept {
		t.Errorf("a reset Watcher keeps %d bytes", cap(w.reader.line)+cap(w.reader.joined))
	}
}

func TestLongEventsInManyChunksAreRead(t *testing.T) {
	stream := `data: {"choices":[{"index":0,"delta":{"content":"` + strings.Repeat("QUJD", 10<<18) + `"},"finish_reason":"stop"}]}` + "\n\n"
	var cuts []int
	for at := 8 << 10; at < len(stream); at += 8 << 10 {
		cuts = append(cuts, at)
	}
	var w Watcher
	if got := watch(&w, Chat, stream, cuts...); !got.complete || got.contents != 1 {
		t.Errorf("a line of %d bytes: complete %v, contents %d, want true, 1", len(stream), got.complete, got.contents)
	}
}

func TestWatchingDeltasAllocatesNothing(t *testing.T) {
	for name, s := range benchStreams() {
		var w Watcher
		allocs := testing.AllocsPerRun(20, func() {
			w.Reset(s.protocol)
			for rest := s.stream; len(rest) > 0; {
				n := min(700, len(rest))
				w.Write(rest[:n])
				rest = rest[n:]
			}
			w.Close()
		})
		if allocs > 0 {
			t.Errorf("%s: %v allocations in a stream of a hundred deltas, want 0", name, allocs)
		}
	}
}

func FuzzWatcher(f *testing.F) {
	for i, s := range ownStreams {
		f.Add(byte(i), []byte(s.bytes), uint64(i))
	}
	f.Add(byte(0), []byte("\xEF\xBB\xBFdata: [DONE]\r\rdata\n\n:x\r\n\r\nevent: error\ndata: x"), uint64(7))
	f.Add(byte(2), []byte(`data: {"type":"response.output_text.delta","sequence_number":1,"delta":"a"}`+"\n\n"+`data: {"type":"response.output_text.delta","sequence_number":2,"delta":"\"}`+"\n\n"), uint64(9))
	f.Add(byte(0), []byte("data:\f\n\n"), uint64(3))
	f.Fuzz(func(t *testing.T, protocol byte, stream []byte, seed uint64) {
		p := ownStreams[int(protocol)%len(ownStreams)].protocol
		var w Watcher
		want := watch(&w, p, string(stream))
		if got := watch(&w, p, string(stream), everyByte(string(stream))...); got != want {
			t.Fatalf("bytewise:\n got %+v\nwant %+v", got, want)
		}
		if got := watch(&w, p, string(stream), randomCuts(rand.New(rand.NewPCG(seed, 1)), string(stream))...); got != want {
			t.Fatalf("in random chunks:\n got %+v\nwant %+v", got, want)
		}
		if !want.complete {
			// What is appended must be read as a failure by ourselves, if the
			// stream did not end some other way before.
			again := watch(&w, p, string(stream)+want.ending)
			if again.complete || !want.ended && !again.fail {
				t.Fatalf("stream and ending %q: complete %v, failed %v", want.ending, again.complete, again.fail)
			}
		}
	})
}

func TestPingsOfAModelThatThinksUnseenShowThatItIsAlive(t *testing.T) {
	const ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n"
	var w Watcher
	w.Reset(Messages)
	for _, step := range []struct {
		events          string
		contents, alive int
	}{
		{"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n", 0, 0},
		{ping, 0, 0}, // nothing has begun
		{"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n", 0, 0},
		{ping + ping, 0, 2},
		{"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n", 0, 2},
		{ping, 0, 2},
		{"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n", 1, 3},
	} {
		w.Write([]byte(step.events))
		if w.Contents() != step.contents || w.Alive() != step.alive {
			t.Errorf("after %q: Contents = %d, Alive = %d, want %d, %d", step.events, w.Contents(), w.Alive(), step.contents, step.alive)
		}
	}
}

func TestAStreamOfSeveralChoicesIsWholeWithTheLast(t *testing.T) {
	choice := func(index string) []byte {
		return []byte(`data: {"choices":[{"index":` + index + `,"delta":{"content":"a"},"finish_reason":"stop"}]}` + "\n\n")
	}
	var w Watcher
	w.Reset(Chat)
	w.Expect(2)
	w.Write(choice("0"))
	if w.Finished() {
		t.Error("Finished after one of two choices")
	}
	w.Write(choice("1"))
	w.Close()
	if !w.Finished() || !w.Complete() {
		t.Errorf("Finished = %v, Complete = %v after both choices, want true", w.Finished(), w.Complete())
	}
}

// tap notes the events that it gets.
type tap []string

func (t *tap) Event(_, data []byte) { *t = append(*t, string(data)) }

func TestATappedStreamFailsWhereAnEventIsNoJSON(t *testing.T) {
	const start, end = `{"choices":[{"index":0,"delta":{"content":"`, `"},"finish_reason":null}]}`
	for _, tc := range []struct {
		name, text string
		valid      bool
	}{
		{"plain", "b", true},
		{"escapes", `\u00e9\n`, true},
		{"a broken escape", `\x`, false},
		{"a control character", "\x01", false},
		{"half a character", "\xe6\x97", false},
	} {
		// The second event is known by its pattern, the first is not.
		for _, events := range [][]string{{"a", tc.text}, {tc.text}} {
			var w Watcher
			var got tap
			w.Reset(Chat)
			w.Tap(&got)
			for _, text := range events {
				w.Write([]byte("data: " + start + text + end + "\n\n"))
			}
			_, failed := w.Failure()
			if failed == tc.valid || (len(got) == len(events)) != tc.valid {
				t.Errorf("%s, event %d: failed %v, %d events passed", tc.name, len(events), failed, len(got))
			}
		}
	}
}

func TestATappedStreamFailsWhereAnEventIsTooLong(t *testing.T) {
	const content = `{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}`
	const event = "data: " + content + "\n\n"
	const done = "data: [DONE]\n\n"
	piece := strings.Repeat("x", 1<<20)
	for _, tc := range []struct {
		name, before, begin, line string
		contents                  int // before it
		tapped, fails             bool
	}{
		{"a line, first", "", "data: {", piece, 0, true, true},
		{"a line, in the middle", event, "data: {", piece, 1, true, true},
		{"many lines", event, "", "data: " + piece + "\n", 1, true, true},
		{"a comment", event, "", ":" + piece, 1, true, true},
		{"many comments", event, "", ":" + piece + "\n", 1, true, false},
		{"behind the end", event + done, "data: {", piece, 1, true, false},
		{"nobody reads along", event, "data: {", piece, 1, false, false},
	} {
		var w Watcher
		var got tap
		w.Reset(Chat)
		if tc.tapped {
			w.Tap(&got)
		}
		w.Write([]byte(tc.before + tc.begin))
		for range maxEvent>>20 + 1 {
			w.Write([]byte(tc.line))
		}
		_, early := w.Failure()
		w.Write([]byte("\n\n" + event + done))
		w.Close()
		e, failed := w.Failure()
		if early != tc.fails || failed != tc.fails || failed && e.Status != 502 || w.Complete() == tc.fails {
			t.Errorf("%s: failed %v, at the end %v (%v), complete %v", tc.name, early, failed, e, w.Complete())
		}
		if tc.fails && len(got) != tc.contents {
			t.Errorf("%s: %d events passed, want the %d before it", tc.name, len(got), tc.contents)
		}
	}
}

func TestSurplusIsWhatFollowsTheErrorOfAStream(t *testing.T) {
	const before = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"
	const failure = "data: {\"error\":{\"message\":\"boom\"}}\n\n"
	for _, behind := range []string{"", "data: [DONE]\n\n", "data: [DO", "data: {\"error\":{\"message\":\"again\"}}\n\n"} {
		stream := before + failure + behind
		for cut := range len(stream) + 1 {
			var w Watcher
			w.Reset(Chat)
			passed := 0
			for _, chunk := range []string{stream[:cut], stream[cut:]} {
				w.Write([]byte(chunk))
				passed += len(chunk) - w.Surplus()
			}
			if passed != len(before+failure) {
				t.Errorf("%q cut at %d: %d bytes are no surplus, want %d", stream, cut, passed, len(before+failure))
			}
		}
	}
}

func TestAnEventThatWasCutIsTorn(t *testing.T) {
	const whole = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n"
	for rest, want := range map[string]bool{
		"":                           false,
		"\n":                         false,
		": a comment\n":              false,
		"data: [DONE]":               false,
		"data: [DONE]\n":             false,
		"data: {\"choices\":[]}\n":   false,
		"d":                          true,
		"data":                       true,
		"data:":                      true,
		"data: ":                     true,
		"data: [DON":                 true,
		"data: {\"choices\":[":       true,
		"data: {\"choices\":[\n":     true,
		"event: ping\n":              true,
		"event: ping\nda":            true,
		"data: {\"choices\":[]}\n\n": false,
	} {
		var w Watcher
		w.Reset(Chat)
		w.Write([]byte(whole + rest))
		w.Close()
		w.Close()
		if w.Torn() != want {
			t.Errorf("Torn() after %q = %v, want %v", rest, w.Torn(), want)
		}
	}
}

func TestOnlyTheLastWordAboutAFailureEndsAStream(t *testing.T) {
	const (
		created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n"
		bare    = "event: error\ndata: {\"type\":\"error\",\"message\":\"busy\"}\n\n"
		last    = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"id\":\"r\",\"error\":{\"message\":\"busy\"}}}\n\n"
		unnamed = "data: {\"type\":\"response.failed\",\"response\":{\"id\":\"r\",\"error\":{\"message\":\"busy\"}}}\n\n"
		good    = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\"}}\n\n"
		message = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"busy\"}}\n\n"
		chat    = "data: {\"error\":{\"message\":\"busy\"}}\n\n"
	)
	for _, tc := range []struct {
		name     string
		protocol Protocol
		stream   string
		surplus  int
		told     bool
	}{
		{"an error event alone", Responses, created + bare, 0, false},
		{"and then the end", Responses, created + bare + last, 0, true},
		{"the end alone", Responses, created + last + good, len(good), true},
		{"the end without a name", Responses, created + unnamed, 0, true},
		{"a good end behind the error", Responses, created + bare + good + last, len(good) + len(last), false},
		{"the end without its empty line", Responses, created + last[:len(last)-1], 0, true},
		{"Messages", Messages, message + message, len(message), true},
		{"Chat", Chat, chat + "data: [DONE]\n\n", 14, true},
	} {
		w := new(Watcher)
		w.Reset(tc.protocol)
		w.Write([]byte(tc.stream))
		surplus := w.Surplus()
		w.Close()
		if _, failed := w.Failure(); !failed || surplus != tc.surplus || w.FailureTold() != tc.told {
			t.Errorf("%s: failed %v, surplus %d, told %v; want true, %d, %v", tc.name, failed, surplus, w.FailureTold(), tc.surplus, tc.told)
		}
	}
}
