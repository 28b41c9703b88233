package routing

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// maxReset caps what an upstream may ask for: a header that says 10^20 seconds
// must not park a key for ever.
const maxReset = time.Hour

// ResetAfter reads how long an upstream asks to be left alone, from whatever
// form it uses. now is this machine's time. ok is false when it does not say.
// The result is between one second and one hour.
//
// Only failures are asked: Anthropic and Hugging Face send Retry-After on
// success too.
func ResetAfter(h http.Header, body []byte, now time.Time) (d time.Duration, ok bool) {
	if d, ok = retryAfter(h, now); !ok {
		d, ok = limitReset(h, now)
	}
	if !ok {
		d, ok = bodyReset(body, now)
	}
	return boundedReset(d, ok)
}

// recoveryAfter is [ResetAfter] for failures that met no limit. Headers about
// limits come with every answer; how long a minute's tokens still last says
// nothing about when a broken server is well again.
func recoveryAfter(h http.Header, body []byte, now time.Time) (time.Duration, bool) {
	d, ok := retryAfter(h, now)
	if !ok {
		d, ok = bodyReset(body, now)
	}
	return boundedReset(d, ok)
}

func boundedReset(d time.Duration, ok bool) (time.Duration, bool) {
	if !ok {
		return 0, false
	}
	return min(max(d, time.Second), maxReset), true
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3, also fractional) and
// retry-after-ms. Azure sends `retry-after-ms: 0` beside `retry-after: 1`, so
// the longer one counts.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	var longest time.Duration
	found := false
	if v := h.Get("Retry-After-Ms"); v != "" {
		if ms, ok := number(v); ok {
			longest, found = scaled(ms, time.Millisecond), true
		}
	}
	if v := h.Get("Retry-After"); v != "" {
		if s, ok := number(v); ok {
			longest, found = max(longest, scaled(s, time.Second)), true
		} else if at, err := http.ParseTime(v); err == nil {
			// Relative to the upstream's own clock, which may differ from ours.
			if date, err := http.ParseTime(h.Get("Date")); err == nil {
				now = date
			}
			longest, found = max(longest, at.Sub(now)), true
		}
	}
	return longest, found
}

// limitHeaders are the families that say when a limit starts anew, each as
// {remaining, reset}. The reset of an exhausted limit counts; where nothing
// says what remains, the longest reset does.
var limitHeaders = [][2]string{
	{"X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"},
	{"X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
	{"X-Ratelimit-Remaining", "X-Ratelimit-Reset"},
	{"Ratelimitbysize-Remaining", "Ratelimitbysize-Reset"},
	{"Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset"},
	{"Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Reset"},
	{"Anthropic-Ratelimit-Input-Tokens-Remaining", "Anthropic-Ratelimit-Input-Tokens-Reset"},
	{"Anthropic-Ratelimit-Output-Tokens-Remaining", "Anthropic-Ratelimit-Output-Tokens-Reset"},
}

func limitReset(h http.Header, now time.Time) (time.Duration, bool) {
	var exhausted, longest time.Duration
	anyExhausted, any := false, false
	for _, pair := range limitHeaders {
		d, ok := moment(h.Get(pair[1]), now)
		if !ok {
			continue
		}
		longest, any = max(longest, d), true
		if left, ok := number(h.Get(pair[0])); ok && left <= 0 {
			exhausted, anyExhausted = max(exhausted, d), true
		}
	}
	if anyExhausted {
		return exhausted, true
	}
	return longest, any
}

// moment reads one reset value: a Go duration ("6m0s", OpenAI, Groq), plain
// seconds (Azure, Together, Mistral), an epoch in seconds or milliseconds
// (OpenRouter), or RFC 3339 (Anthropic).
func moment(v string, now time.Time) (time.Duration, bool) {
	v = strings.TrimSpace(v)
	if v == "" {
		return 0, false
	}
	if n, ok := number(v); ok {
		switch {
		case n > 1e11:
			return time.UnixMilli(int64(min(n, 1e15))).Sub(now), true
		case n > 1e9:
			return time.Unix(int64(n), 0).Sub(now), true
		}
		return scaled(n, time.Second), true
	}
	if d, err := time.ParseDuration(v); err == nil {
		return d, true
	}
	if at, err := time.Parse(time.RFC3339, v); err == nil {
		return at.Sub(now), true
	}
	return 0, false
}

// bodyReset reads what some vendors only say in the body: Gemini's
// RetryInfo.retryDelay, OpenRouter's copied headers, and as a last resort
// OpenAI's "Please try again in 1.2s".
func bodyReset(body []byte, now time.Time) (time.Duration, bool) {
	if len(body) == 0 || len(body) > maxErrorBody || !gjson.ValidBytes(body) {
		return 0, false
	}
	root := gjson.ParseBytes(body)
	if root.IsArray() {
		root = root.Get("0")
	}
	e := root.Get("error")
	for _, detail := range e.Get("details").Array() {
		if d, ok := moment(detail.Get("retryDelay").String(), now); ok {
			return d, true
		}
	}
	if d, ok := moment(e.Get("metadata.headers.X-RateLimit-Reset").String(), now); ok {
		return d, true
	}
	_, rest, found := strings.Cut(e.Get("message").String(), "try again in ")
	if !found {
		return 0, false
	}
	word, _, _ := strings.Cut(rest, " ")
	return moment(strings.TrimRight(word, ".,;"), now)
}

// number reads a finite decimal number.
func number(v string) (float64, bool) {
	n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if err != nil && !math.IsInf(n, 0) || math.IsNaN(n) {
		return 0, false
	}
	return n, true
}

// scaled is n units, without overflowing a Duration.
func scaled(n float64, unit time.Duration) time.Duration {
	d := n * float64(unit)
	switch {
	case d > float64(24*time.Hour):
		return 24 * time.Hour
	case d < 0:
		return 0
	}
	return time.Duration(d)
}
