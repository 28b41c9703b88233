package simulated

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// behaviour is what a request asks the provider to do, beyond answering.
type behaviour struct {
	tools    bool
	parallel bool
	preface  bool // a sentence before tool calls
	thinking bool
	hidden   bool // nobody else can read the reasoning
	json     bool
	call     string // the tool to call, by name
	args     string // its arguments, a JSON object; "" makes some from the schema
	long     int    // count to this number
	bench    int    // say this many constant words
	cache    cacheShare
	pace     pace
	fault    fault
	failure  string // a name that findFailure knows, or ""
	wait     int    // its Retry-After in seconds; negative leaves that to the failure
	flaky    int
	hang     bool
	page     page
	ping     time.Duration // between the keep-alives of a silent stream; 0 sends none
	unknown  string        // the first word that was not understood
}

// cacheShare is how much of the input the prompt cache had, and how much it was
// given, in percent.
type cacheShare struct{ read, written int }

func newCacheShare(n []int) cacheShare {
	read := min(number(n, 0, 50), 100)
	return cacheShare{read, min(number(n, 1, 25), 100-read)}
}

// page is an answer with status 200 that is none.
type page int

const (
	noPage page = iota
	htmlPage
	emptyPage
)

// pace is how slowly an answer comes.
type pace struct {
	first time.Duration // before the first event
	gap   time.Duration // before every later event
}

// fault is how a stream breaks, and where. The zero value does not break it.
type fault struct {
	how breakage
	at  point
}

type breakage int

const (
	intact  breakage = iota
	cut              // the connection is aborted
	eof              // the body ends as if it were complete
	garble           // half an event, then the body ends
	inBand           // an error event ends the stream
	silence          // keep-alives until the client leaves
)

type point int

const (
	beforeAll     point = iota // before the first event
	beforeContent              // after the opening events
	amidContent                // after half of the content
)

const (
	maxCount  = 1_000_000 // of long and bench: the text of an answer stays below 8 MB
	maxMillis = 600_000
	maxFlaky  = 100
)

// word is what one word of a behaviour does with its numbers.
type word struct {
	numbers int // how many it takes at most
	set     func(b *behaviour, n []int)
}

// vocabulary holds every word but the failures, which stand in their own table.
var vocabulary = map[string]word{
	"ok":       {0, func(*behaviour, []int) {}},
	"tools":    {0, func(b *behaviour, _ []int) { b.tools = true }},
	"parallel": {0, func(b *behaviour, _ []int) { b.parallel = true }},
	"text":     {0, func(b *behaviour, _ []int) { b.preface = true }},
	"thinking": {0, func(b *behaviour, _ []int) { b.thinking = true }},
	"hidden":   {0, func(b *behaviour, _ []int) { b.thinking, b.hidden = true, true }},
	"cache":    {2, func(b *behaviour, n []int) { b.cache = newCacheShare(n) }},
	"json":     {0, func(b *behaviour, _ []int) { b.json = true }},
	"slow":     {2, func(b *behaviour, n []int) { b.pace = slowPace(n) }},
	"long":     {1, func(b *behaviour, n []int) { b.long = min(number(n, 0, 2000), maxCount) }},
	"bench": {2, func(b *behaviour, n []int) {
		b.bench = min(max(number(n, 0, 100), 1), maxCount)
		b.pace = pace{gap: millis(number(n, 1, 0))}
	}},
	"flaky": {1, func(b *behaviour, n []int) { b.flaky = min(number(n, 0, 1), maxFlaky) }},
	"hang":  {0, func(b *behaviour, _ []int) { b.hang = true }},
	"html":  {0, func(b *behaviour, _ []int) { b.page = htmlPage }},
	"empty": {0, func(b *behaviour, _ []int) { b.page = emptyPage }},
	"silent": {1, func(b *behaviour, n []int) {
		b.fault, b.ping = fault{silence, beforeContent}, millis(number(n, 0, 5000))
	}},

	"cut":         {0, breaks(cut, amidContent)},
	"cut-early":   {0, breaks(cut, beforeContent)},
	"eof":         {0, breaks(eof, amidContent)},
	"badjson":     {0, breaks(garble, amidContent)},
	"error-event": {0, breaks(inBand, beforeContent)},
	"error-first": {0, breaks(inBand, beforeAll)},
	"error-late":  {0, breaks(inBand, amidContent)},
}

func breaks(how breakage, at point) func(*behaviour, []int) {
	return func(b *behaviour, _ []int) { b.fault = fault{how, at} }
}

func slowPace(n []int) pace {
	first, gap := 2000, 100
	if len(n) > 0 {
		first, gap = n[0], n[0]
	}
	return pace{first: millis(first), gap: millis(number(n, 1, gap))}
}

// number returns the i-th number of a word, or its default.
func number(n []int, i, absent int) int {
	if i < len(n) {
		return n[i]
	}
	return absent
}

func millis(n int) time.Duration { return time.Duration(min(n, maxMillis)) * time.Millisecond }

// apply does what one word says and reports whether it is a word at all.
func (b *behaviour) apply(s string) bool {
	name, n, ok := splitWord(s)
	if !ok {
		return false
	}
	if w, known := vocabulary[name]; known {
		if len(n) > w.numbers {
			return false
		}
		w.set(b, n)
		return true
	}
	if _, known := findFailure(name); !known || len(n) > 1 {
		return false
	}
	b.failure, b.wait = name, number(n, 0, -1)
	return true
}

// splitWord divides "slow-500-20" into "slow" and its numbers, and leaves
// "cut-early" and "429" whole.
func splitWord(s string) (name string, n []int, ok bool) {
	var back []int
	for {
		i := strings.LastIndexByte(s, '-')
		if i < 0 {
			break
		}
		v, err := strconv.Atoi(s[i+1:])
		if err != nil {
			break
		}
		back = append(back, v)
		s = s[:i]
	}
	for i := len(back) - 1; i >= 0; i-- {
		n = append(n, back[i])
	}
	return s, n, s != "" && len(n) <= 2
}

// applyAll applies the words of a list and remembers the first unknown one.
func (b *behaviour) applyAll(list, separators string) {
	isSeparator := func(r rune) bool { return strings.ContainsRune(separators, r) }
	for s := range strings.FieldsFuncSeq(list, isSeparator) {
		if !b.apply(strings.ToLower(s)) && b.unknown == "" {
			b.unknown = s
		}
	}
}

// applyModel applies the words of a model name. A path before the name, as
// aggregators have it, does not matter.
func (b *behaviour) applyModel(model string) {
	model = model[strings.LastIndexByte(model, '/')+1:]
	if words, ok := strings.CutPrefix(model, "demo-"); ok {
		b.applyAll(words, "+")
	}
}

// applyLine applies a "demo:" line of the prompt.
func (b *behaviour) applyLine(line string) {
	words, call, found := strings.Cut(line, "call ")
	if found && (words == "" || strings.HasSuffix(words, " ")) {
		line = words
		b.applyCall(strings.TrimSpace(call))
	}
	b.applyAll(line, " ,\t")
}

// applyCall applies what follows "call": a name and perhaps arguments.
func (b *behaviour) applyCall(s string) {
	name, args, _ := strings.Cut(s, " ")
	args = strings.TrimSpace(args)
	switch {
	case args == "" || strings.HasPrefix(args, "{") && valid(args):
		b.call, b.args = name, args
	default:
		b.unknown = args
	}
}

// directive returns what follows "demo:" in the first line of text that begins
// so, or "".
func directive(text string) string {
	const mark = "demo:"
	if !strings.Contains(text, mark) {
		return ""
	}
	for line := range strings.Lines(text) {
		if words, ok := strings.CutPrefix(strings.TrimSpace(line), mark); ok {
			return strings.TrimSpace(words)
		}
	}
	return ""
}

// Check tells whether words, joined by "+" as in a model name, are all known.
func Check(words string) error {
	b := behaviour{}
	b.applyAll(words, "+")
	if b.unknown != "" {
		return fmt.Errorf("unknown word %q", b.unknown)
	}
	return nil
}

// checkMode panics if a key's mode holds an unknown word.
func checkMode(mode string) {
	if err := Check(mode); err != nil {
		panic(fmt.Sprintf("simulated: %v in the mode of a key", err))
	}
}
