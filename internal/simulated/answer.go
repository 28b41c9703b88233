package simulated

import (
	"strconv"
	"strings"
)

// answer is what the model says, in terms that the three protocols share.
type answer struct {
	thinking string
	hidden   bool // thinking is for the service alone
	text     string
	calls    []call
	stop     stopReason
	sequence string // the stop sequence, if that was the reason

	input     int // tokens, those of the cache included
	cached    int // tokens that the prompt cache had
	written   int // tokens that it was given
	output    int // tokens, reasoning included
	reasoning int // tokens
}

type stopReason int

const (
	stopEnd stopReason = iota
	stopCalls
	stopLimit
	stopSequence
)

// compose makes the answer to a question.
func compose(q *question, b *behaviour) (*answer, *failure) {
	a := &answer{}
	calls, missing := q.calls(b)
	if missing != "" && b.call != missing {
		return nil, invalid("invalid_value", "tool_choice", "tool_choice: tool '"+missing+"' not found in 'tools'")
	}
	a.calls = calls
	if b.thinking {
		a.thinking, a.hidden = q.reasoning(calls), b.hidden
	}
	if len(calls) == 0 || b.preface {
		a.text = q.text(b, calls, missing)
	}
	a.finish(q)
	a.cached, a.written = a.input*b.cache.read/100, a.input*b.cache.written/100
	return a, nil
}

// reasoning is the text of a thinking model.
func (q *question) reasoning(calls []call) string {
	said := excerpt(q.prompt, 60)
	switch {
	case len(calls) > 0:
		return `The user says "` + said + `". The tool ` + calls[0].tool.name + ` can help, so it is called before anything is answered.`
	case q.answered:
		return `The tools have answered. What they said is enough to reply to "` + said + `".`
	}
	return `The user says "` + said + `". Nothing has to be looked up, a short answer is enough.`
}

// text is the visible part of the answer. missing is a tool that the prompt
// asked for in vain.
func (q *question) text(b *behaviour, calls []call, missing string) string {
	schema, object := q.schema()
	switch {
	case len(calls) > 0:
		return "I will call " + calls[0].tool.name + "."
	case b.bench > 0:
		return benchText(b.bench)
	case b.long > 0:
		return countTo(b.long)
	case schema.Exists():
		return instance(schema)
	case object || b.json:
		return `{"answer":"demo","question":` + string(quote(nil, excerpt(q.prompt, 80))) + `}`
	case missing != "":
		return `No tool called "` + missing + `" is declared in this request.`
	case b.unknown != "":
		return `The demo model does not know the word "` + excerpt(b.unknown, 40) + `".`
	case q.answered:
		return q.report()
	}
	return `You said: "` + excerpt(q.prompt, 80) + `". I am the demo model of caddy-llm-proxy: no provider and no key are behind me. ` +
		"Try demo-tools, demo-thinking, demo-slow, demo-429 or demo-cut."
}

// report quotes the results of tools.
func (q *question) report() string {
	var b strings.Builder
	b.WriteString("The tool answered: ")
	for i, result := range q.results {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(`"` + excerpt(result, 200) + `"`)
	}
	b.WriteString(".")
	return b.String()
}

// countTo returns the numbers from 1 to n: a reader sees what is missing.
func countTo(n int) string {
	b := make([]byte, 0, 7*n)
	for i := 1; i <= n; i++ {
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, ' ')
	}
	return string(b[:len(b)-1])
}

// benchWord is one token of a bench answer.
const benchWord = "qz "

func benchText(n int) string {
	return strings.Repeat(benchWord, n)[:n*len(benchWord)-1]
}

// finish cuts the answer where the question wants it to end, gives it a stop
// reason and counts tokens.
func (a *answer) finish(q *question) {
	a.stop = stopEnd
	if len(a.calls) > 0 {
		a.stop = stopCalls
	}
	a.stopAt(q.stops())
	a.input = q.tokens()
	left := q.limit
	if left == 0 {
		left = int(^uint(0) >> 1)
	}
	a.thinking = a.spend(a.thinking, &left)
	a.reasoning = tokens(len(a.thinking))
	a.text = a.spend(a.text, &left)
	for i := range a.calls {
		c := &a.calls[i]
		name := tokens(len(c.tool.name))
		if name >= left { // not even its name fits
			a.calls, left, a.stop = a.calls[:i], 0, stopLimit
			break
		}
		a.output += name
		left -= name
		whole := len(c.args)
		c.args = a.spend(c.args, &left)
		c.cut = len(c.args) < whole
	}
	if a.stop == stopLimit {
		a.output = q.limit
	}
}

// spend returns as much of s as the budget of tokens allows, and counts it.
func (a *answer) spend(s string, left *int) string {
	n := tokens(len(s))
	if n > *left {
		s = clip(s, *left)
		n = *left
		a.stop, a.sequence = stopLimit, ""
	}
	a.output += n
	*left -= n
	return s
}

// stopAt ends the text before the first of the stop sequences.
func (a *answer) stopAt(sequences []string) {
	for _, s := range sequences {
		if i := strings.Index(a.text, s); i >= 0 {
			a.text = a.text[:i]
			a.stop, a.sequence, a.calls = stopSequence, s, nil
		}
	}
}

// shown is the reasoning that others may read.
func (a *answer) shown() string {
	if a.hidden {
		return ""
	}
	return a.thinking
}

// countPieces returns how many content events the answer is streamed in.
func (a *answer) countPieces() int {
	n := countPieces(a.shown(), textPiece) + countPieces(a.text, textPiece)
	for _, c := range a.calls {
		n += countPieces(c.args, argsPiece)
	}
	return n
}
