package routing

import (
	"cmp"
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
// form it uses. now is this machine's time; a moment that the upstream names is
// compared with the upstream's own clock, where it tells that (Date), since the
// two may differ. ok is false when it does not say. The result is between one
// second and one hour.
//
// Only failures are asked: Anthropic and Hugging Face send Retry-After on
// success too.
func ResetAfter(h http.Header, body []byte, now time.Time) (d time.Duration, ok bool) {
	now = clockOf(h, now)
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
	now = clockOf(h, now)
	d, ok := retryAfter(h, now)
	if !ok {
		d, ok = bodyReset(body, now)
	}
	return boundedReset(d, ok)
}

// clockOf is the time on the upstream's clock.
func clockOf(h http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return now
}

func boundedReset(d time.Duration, ok bool) (time.Duration, bool) {
	if !ok {
		return 0, false
	}
	return min(max(d, time.Second), maxReset), true
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3, and what vendors and
// proxies make of it) and retry-after-ms. Azure sends `retry-after-ms: 0` beside
// `retry-after: 1`, so of several the longest counts.
func retryAfter(h http.Header, now time.Time) (longest time.Duration, found bool) {
	for _, v := range h["Retry-After-Ms"] {
		if ms, ok := number(v); ok {
			longest, found = max(longest, scaled(ms, time.Millisecond)), true
		}
	}
	for _, v := range h["Retry-After"] {
		if d, ok := moment(v, now); ok {
			longest, found = max(longest, d), true
			continue
		}
		for part := range strings.SplitSeq(v, ",") { // two that a proxy made one
			if d, ok := moment(part, now); ok {
				longest, found = max(longest, d), true
			}
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

// moment reads one reset value: plain seconds (Azure, Together, Mistral), an
// epoch in seconds or milliseconds (OpenRouter), a Go duration ("6m0s", OpenAI,
// Groq), RFC 3339 (Anthropic), or a date of HTTP. now is the upstream's time.
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
	if at, err := http.ParseTime(v); err == nil {
		return at.Sub(now), true
	}
	return 0, false
}

// bodyReset reads what some vendors only say in the body: Gemini's details,
// OpenRouter's copied headers, and as a last resort the message.
func bodyReset(body []byte, now time.Time) (time.Duration, bool) {
	if len(body) == 0 || len(body) > maxErrorBody || !gjson.ValidBytes(body) {
		return 0, false
	}
	root := gjson.ParseBytes(body)
	if root.IsArray() {
		root = root.Get("0")
	}
	e := root.Get("error")
	if d, ok := geminiReset(e.Get("details"), now); ok {
		return d, true
	}
	if d, ok := moment(e.Get("metadata.headers.X-RateLimit-Reset").String(), now); ok {
		return d, true
	}
	return resetInWords(cmp.Or(e.Get("message").Str, root.Get("message").Str), now)
}

// geminiReset reads RetryInfo.retryDelay. Where the quota of a day is used up
// that says half a minute all the same, so such a key is asked once an hour.
func geminiReset(details gjson.Result, now time.Time) (delay time.Duration, found bool) {
	daily := false
	details.ForEach(func(_, detail gjson.Result) bool {
		if d, ok := moment(detail.Get("retryDelay").String(), now); ok && !found {
			delay, found = d, true
		}
		detail.Get("violations").ForEach(func(_, violation gjson.Result) bool {
			daily = daily || strings.Contains(violation.Get("quotaId").Str, "PerDay")
			return !daily
		})
		return !daily
	})
	if daily {
		return maxReset, true
	}
	return delay, found
}

// waitPhrases stand before a time to wait, without a first letter that may be a
// capital: "Please try again in 1.2s", "Please retry after 26 seconds".
var waitPhrases = []string{"again in ", "etry in ", "etry after "}

// waitUnits are what a number of the message may count other than seconds.
var waitUnits = []struct {
	name   string
	length time.Duration
}{{"ms", time.Millisecond}, {"millisecond", time.Millisecond}, {"minute", time.Minute}, {"hour", time.Hour}, {"day", 24 * time.Hour}}

// resetInWords reads the time to wait from a message.
func resetInWords(message string, now time.Time) (time.Duration, bool) {
	for _, phrase := range waitPhrases {
		_, rest, found := strings.Cut(message, phrase)
		if !found {
			continue
		}
		word, rest, _ := strings.Cut(rest, " ")
		word = strings.TrimRight(word, ".,;:)")
		if n, ok := number(word); ok {
			for _, unit := range waitUnits {
				if strings.HasPrefix(rest, unit.name) {
					return scaled(n, unit.length), true
				}
			}
		}
		if d, ok := moment(word, now); ok {
			return d, true
		}
	}
	return 0, false
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
