// Package payload holds what travels in the benchmark: requests as clients
// send them and answers as providers give them, in three protocols. All of it
// is fixed: the same bytes in every run.
package payload

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Mark and the MarkDigits digits after it number the words of an answer from 0
// on. The mark occurs nowhere else in an answer, so that a reader can tell that
// every word came once and in order, even after a translation.
const (
	Mark       = '~'
	MarkDigits = 4
)

// Completeness is what an answer must have, however it was translated.
type Completeness struct {
	// Words in their order.
	Words int
	// Times is how often all words come, one time after the other. Default: 1.
	Times int
	// End is a part of the last 64 bytes.
	End string
}

// Answer is what a simulated model says.
type Answer struct {
	// Words of text. As a stream, each is an event of its own; at most 9999.
	Words int
	// Pace is the time between the words of a stream. Default: none.
	Pace time.Duration
}

// Model is the name of the simulated model that gives the answer, such as
// "words-100" or "words-200-each-50ms".
func (a Answer) Model() string {
	name := "words-" + strconv.Itoa(a.Words)
	if a.Pace > 0 {
		name += "-each-" + a.Pace.String()
	}
	return name
}

// ParseModel is the inverse of Model. It ignores what comes before "words-", so
// that a gateway can know the model by another name.
func ParseModel(name string) (Answer, error) {
	_, rest, found := strings.Cut(name, "words-")
	count, pace, paced := strings.Cut(rest, "-each-")
	words, err := strconv.Atoi(count)
	if !found || err != nil || words < 1 || words > 9999 {
		return Answer{}, fmt.Errorf("model %q names no answer", name)
	}
	a := Answer{Words: words}
	if paced {
		if a.Pace, err = time.ParseDuration(pace); err != nil || a.Pace <= 0 {
			return Answer{}, fmt.Errorf("model %q has no pace", name)
		}
	}
	return a, nil
}

// Whole is the answer as one JSON document.
func (a Answer) Whole(protocol translate.Protocol, model string) []byte {
	switch protocol {
	case translate.Messages:
		return messagesWhole(a, model)
	case translate.Responses:
		return responsesWhole(a, model)
	}
	return chatWhole(a, model)
}

// Stream is the answer as server-sent events.
func (a Answer) Stream(protocol translate.Protocol, model string) []Event {
	switch protocol {
	case translate.Messages:
		return messagesStream(a, model)
	case translate.Responses:
		return responsesStream(a, model)
	}
	return chatStream(a, model)
}

// Complete tells how to recognize the whole answer, or the stream.
func (a Answer) Complete(protocol translate.Protocol, stream bool) Completeness {
	c := Completeness{Words: a.Words, Times: 1, End: "}"}
	if !stream {
		return c
	}
	switch protocol {
	case translate.Messages:
		c.End = "message_stop"
	case translate.Responses:
		c.Times = responsesTimes // its last event holds all words, and no mark of its own at the end
	default:
		c.End = "[DONE]"
	}
	return c
}

// Event is one server-sent event with the empty line that ends it.
type Event struct {
	Bytes []byte
	// Word tells that the event carries a new word, before which the pace holds.
	Word bool
}

func word(i int) string { return fmt.Sprintf(" word%c%0*d", Mark, MarkDigits, i) }

func text(words int) string {
	var b strings.Builder
	for i := range words {
		b.WriteString(word(i))
	}
	return b.String()
}
