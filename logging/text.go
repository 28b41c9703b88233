package logging

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// How many bytes of a text are kept. Names and ids of upstreams and clients come
// from outside, so none may fill the database.
const (
	maxName    = 256
	maxReason  = 1024
	maxDetail  = 4096
	maxEntries = 100 // attempts, and skips, of a request
)

// clean is a text as every database takes it: valid UTF-8 without NUL, of at most
// most bytes. SQLite would take anything, but its own functions and other
// databases stumble over these.
func clean(text string, most int) string {
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		// Cut first: a text of megabytes need not be cleaned as a whole.
		if len(text) > 2*most {
			text = text[:2*most]
		}
		text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	}
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// textOrNull is a text that is rarely there: NULL takes neither room nor time.
func textOrNull(text string, most int) any {
	if text == "" {
		return nil
	}
	return clean(text, most)
}

// micros is a time as the database keeps it. The zero time is 0, as a time that
// is not known.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment is the time that micros made a number of, in UTC.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func duration(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// cost is the cost as the database keeps it: NULL where it is not known, or not a
// number that could be summed.
func cost(r *Record) any {
	if !r.CostKnown || math.IsNaN(r.Cost) || math.IsInf(r.Cost, 0) {
		return nil
	}
	return r.Cost
}

// statusCode is a status code as every database takes it. Those of HTTP have three
// digits; what an upstream makes up must not fail a batch.
func statusCode(code int) int { return max(0, min(code, 1<<31-1)) }

// flag is a truth value as every database can sum it.
func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
