// Package logging is the request log: what became of every request, in an SQLite
// database. Adding a record never waits, neither for the disk nor for a reader. What
// cannot be stored is counted, never lost in silence.
//
// Keys have no place in it, and prompts and answers only where a Record has Bodies.
package logging

import "time"

// Record is one request: a row, with one row for each attempt and each candidate
// that was passed over.
type Record struct {
	// ID is the X-Request-Id. A record whose ID is in the log already is not
	// written again. One without gets an ID of its own.
	ID    string
	Start time.Time     // when the request arrived, kept to the microsecond
	Total time.Duration // from Start to the last byte
	Queue time.Duration // from Start until the first upstream was asked; 0: none was
	First time.Duration // from Start to the first content; 0: none came

	Client    string // name of the client; empty: anonymous
	ClientKey string // first 8 hex digits of the SHA-256 of its key; empty: none

	Endpoint         string // for example /v1/chat/completions
	Protocol         string // the client's
	UpstreamProtocol string // of the upstream that answered
	Asked            string // the model that the client asked for
	Model            string // the upstream's model that answered; empty: none
	Provider         string // that answered
	KeyID            string // with which it was asked; never the key

	Status   int    // sent to the client
	Class    string // of the failure; empty: answered
	Outcome  string // how it ended: OutcomeOK or another of these
	Streamed bool

	Tokens    Tokens
	Cost      float64 // in US dollars, if CostKnown
	CostKnown bool

	BytesIn  int64  // of the client's body
	BytesOut int64  // sent to the client
	Warnings string // what was lost in translation, as the header tells it

	Attempts []Attempt // in order; the first 100 are kept
	Skipped  []Skip    // the first 100 are kept

	Bodies *Bodies // nil: not kept

	added int64 // its number in the queue, from 1
}

// Bodies are what a client sent and what it was answered, for logs that keep them.
type Bodies struct {
	Request, Answer []byte
	// RequestCut and AnswerCut say that a body was longer than the log keeps.
	RequestCut, AnswerCut bool
}

// All outcomes there are.
const (
	OutcomeOK           = "ok"
	OutcomeError        = "error"
	OutcomePartial      = "partial"       // the upstream broke off a stream
	OutcomeClientClosed = "client_closed" // the client left
)

// Tokens are what a request used. The kinds do not overlap.
type Tokens struct {
	Input, CacheRead, CacheWrite, Output, Reasoning int64

	Estimated bool // the upstream did not tell
}

// Attempt is one request to an upstream.
type Attempt struct {
	Provider, Model, KeyID string
	Start                  time.Time
	Duration               time.Duration
	Status                 int           // 0: no answer came
	Class                  string        // of the failure; empty: it answered
	Reason                 string        // the failure in words
	Cooled                 time.Duration // how long the key rests because of it
}

// Skip is a candidate that was passed over.
type Skip struct {
	Provider, Model, Why, Reason string
}

// accounts tells whether somebody may have to pay for the request. Such records
// are the last to be dropped.
func (r *Record) accounts() bool {
	return r.Cost != 0 || r.Tokens.Input|r.Tokens.CacheRead|r.Tokens.CacheWrite|r.Tokens.Output|r.Tokens.Reasoning != 0
}

// only is the only attempt, if it tells no more than the request and how long it took,
// as nearly all do. It has no row then. nil: all attempts have rows.
func (r *Record) only() *Attempt {
	if len(r.Attempts) != 1 {
		return nil
	}
	a := &r.Attempts[0]
	// The request's times are rounded one by one.
	rounding := micros(a.Start) - micros(r.Start) - r.Queue.Microseconds()
	if a.Provider != r.Provider || a.Model != r.Model || a.KeyID != r.KeyID || a.Status != r.Status || a.Class != r.Class ||
		a.Reason != "" || a.Cooled != 0 || rounding < 0 || rounding > 1 {
		return nil
	}
	return a
}

// attemptRows is how many attempts have a row.
func (r *Record) attemptRows() int {
	if r.only() != nil {
		return 0
	}
	return min(len(r.Attempts), maxEntries)
}

// What the parts of a record take besides their texts, roughly.
const (
	recordBytes  = 512
	attemptBytes = 176
	skipBytes    = 64
)

// size is about how much memory the record keeps, without its bodies.
func (r *Record) size() int64 {
	n := recordBytes + len(r.ID) + len(r.Client) + len(r.ClientKey) + len(r.Endpoint) + len(r.Protocol) +
		len(r.UpstreamProtocol) + len(r.Asked) + len(r.Model) + len(r.Provider) + len(r.KeyID) + len(r.Class) + len(r.Warnings)
	for i := range r.Attempts {
		a := &r.Attempts[i]
		n += attemptBytes + len(a.Provider) + len(a.Model) + len(a.KeyID) + len(a.Class) + len(a.Reason)
	}
	for i := range r.Skipped {
		s := &r.Skipped[i]
		n += skipBytes + len(s.Provider) + len(s.Model) + len(s.Why) + len(s.Reason)
	}
	return int64(n)
}

// bodiesSize is how much memory the record's bodies keep, on top of size.
func (r *Record) bodiesSize() int64 {
	if r.Bodies == nil {
		return 0
	}
	return int64(len(r.Bodies.Request) + len(r.Bodies.Answer))
}

// strip takes off what explains the request, so that what counts finds room.
func (r *Record) strip() {
	r.Skipped, r.Warnings = nil, ""
}
