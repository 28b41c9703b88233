package routing

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// headerOf makes a header of pairs.
func headerOf(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestAnUpstreamIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, tc := range []struct {
		name   string
		header http.Header
		body   string
		want   time.Duration // 0: it does not say
	}{
		{name: "nothing"},

		// Retry-After, RFC 9110 section 10.2.3, and what vendors make of it.
		{name: "seconds", header: headerOf("Retry-After", "30"), want: 30 * time.Second},
		{name: "spaces", header: headerOf("Retry-After", " 30 "), want: 30 * time.Second},
		{name: "fraction", header: headerOf("Retry-After", "1.5"), want: 1500 * time.Millisecond},
		{name: "exponent", header: headerOf("Retry-After", "3e1"), want: 30 * time.Second},
		{name: "zero", header: headerOf("Retry-After", "0"), want: time.Second},
		{name: "negative", header: headerOf("Retry-After", "-5"), want: time.Second},
		{name: "for ever", header: headerOf("Retry-After", "100000000000000000000"), want: time.Hour},
		{name: "infinite", header: headerOf("Retry-After", "Inf"), want: time.Hour},
		{name: "beyond every number", header: headerOf("Retry-After", "1e999"), want: time.Hour},
		{name: "date", header: headerOf("Retry-After", at(90*time.Second)), want: 90 * time.Second},
		{name: "date in the past", header: headerOf("Retry-After", at(-time.Hour)), want: time.Second},
		{name: "date years ahead", header: headerOf("Retry-After", at(24*365*time.Hour)), want: time.Hour},
		{name: "date by a clock that goes wrong", header: headerOf("Retry-After", at(10*time.Hour+20*time.Second), "Date", at(10*time.Hour)), want: 20 * time.Second},
		{name: "date in RFC 850", header: headerOf("Retry-After", now.Add(time.Minute).Format("Monday, 02-Jan-06 15:04:05 GMT")), want: time.Minute},
		{name: "seconds since 1970", header: headerOf("Retry-After", "1795262445"), want: 45 * time.Second},
		{name: "ms since 1970", header: headerOf("Retry-After", "1795262445500"), want: 45500 * time.Millisecond},
		{name: "Go duration", header: headerOf("Retry-After", "1m30s"), want: 90 * time.Second},
		{name: "negative duration", header: headerOf("Retry-After", "-1m30s"), want: time.Second},
		{name: "the longest duration there is", header: headerOf("Retry-After", "2562047h47m16.854775807s"), want: time.Hour},
		{name: "RFC 3339", header: headerOf("Retry-After", "2026-11-21T12:00:40Z"), want: 40 * time.Second},
		{name: "RFC 3339 elsewhere on earth", header: headerOf("Retry-After", "2026-11-21T13:00:40.5+01:00"), want: 40500 * time.Millisecond},
		{name: "RFC 3339 by a clock that goes wrong", header: headerOf("Retry-After", "2026-11-21T22:00:40Z", "Date", at(10*time.Hour)), want: 40 * time.Second},
		{name: "1970 by a clock that goes wrong", header: headerOf("Retry-After", "1795262445", "Date", at(15*time.Second)), want: 30 * time.Second},
		{name: "seconds need no clock", header: headerOf("Retry-After", "30", "Date", at(10*time.Hour)), want: 30 * time.Second},
		{name: "a Date that is none", header: headerOf("Retry-After", at(20*time.Second), "Date", "yesterday"), want: 20 * time.Second},
		{name: "twice, the longer last", header: headerOf("Retry-After", "5", "Retry-After", "60"), want: time.Minute},
		{name: "twice, the longer first", header: headerOf("Retry-After", "60", "Retry-After", "5"), want: time.Minute},
		{name: "twice, one unreadable", header: headerOf("Retry-After", "soon", "Retry-After", "7"), want: 7 * time.Second},
		{name: "twice in one line", header: headerOf("Retry-After", "5, 60"), want: time.Minute},
		{name: "milliseconds twice", header: headerOf("Retry-After-Ms", "0", "Retry-After-Ms", "3000"), want: 3 * time.Second},
		{name: "milliseconds for ever", header: headerOf("Retry-After-Ms", "1e30"), want: time.Hour},
		{name: "milliseconds below 0", header: headerOf("Retry-After-Ms", "-1"), want: time.Second},
		{name: "milliseconds NaN", header: headerOf("Retry-After-Ms", "NaN")},
		{name: "minus infinite", header: headerOf("Retry-After", "-Inf"), want: time.Second},
		{name: "not a number", header: headerOf("Retry-After", "NaN")},
		{name: "words", header: headerOf("Retry-After", "soon")},
		{name: "empty", header: headerOf("Retry-After", "")},
		{name: "milliseconds", header: headerOf("Retry-After-Ms", "2500"), want: 2500 * time.Millisecond},
		{name: "Azure: 0 ms beside a second", header: headerOf("Retry-After-Ms", "0", "Retry-After", "1"), want: time.Second},
		{name: "the longer one", header: headerOf("Retry-After-Ms", "4000", "Retry-After", "3"), want: 4 * time.Second},

		// Families of limit headers.
		{name: "OpenAI", header: headerOf("X-Ratelimit-Reset-Requests", "6m0s"), want: 6 * time.Minute},
		{name: "OpenAI in ms", header: headerOf("X-Ratelimit-Reset-Tokens", "2120ms"), want: 2120 * time.Millisecond},
		{name: "Groq", header: headerOf("X-Ratelimit-Reset-Requests", "20m52.666s"), want: 20*time.Minute + 52666*time.Millisecond},
		{name: "Azure, Together, Mistral: seconds", header: headerOf("X-Ratelimit-Reset-Requests", "42"), want: 42 * time.Second},
		{name: "Mistral's own", header: headerOf("Ratelimitbysize-Reset", "17"), want: 17 * time.Second},
		{name: "OpenRouter: ms since 1970", header: headerOf("X-Ratelimit-Reset", "1795262445000"), want: 45 * time.Second},
		{name: "seconds since 1970", header: headerOf("X-Ratelimit-Reset", "1795262445"), want: 45 * time.Second},
		{name: "1970 in the future", header: headerOf("X-Ratelimit-Reset", "9e17"), want: time.Hour},
		{name: "Anthropic", header: headerOf("Anthropic-Ratelimit-Tokens-Reset", "2026-11-21T12:01:00Z"), want: time.Minute},
		{name: "Anthropic, past", header: headerOf("Anthropic-Ratelimit-Tokens-Reset", "2026-11-21T11:59:00Z"), want: time.Second},
		{name: "Retry-After goes first", header: headerOf("Retry-After", "5", "X-Ratelimit-Reset-Requests", "6m0s"), want: 5 * time.Second},
		{name: "an unreadable Retry-After does not hide the rest", header: headerOf("Retry-After", "soon", "X-Ratelimit-Reset-Requests", "40s"), want: 40 * time.Second},
		{
			name: "the exhausted limit counts",
			header: headerOf("X-Ratelimit-Remaining-Requests", "0", "X-Ratelimit-Reset-Requests", "10s",
				"X-Ratelimit-Remaining-Tokens", "9000", "X-Ratelimit-Reset-Tokens", "50s"),
			want: 10 * time.Second,
		},
		{
			name: "of two exhausted limits the later",
			header: headerOf("X-Ratelimit-Remaining-Requests", "0", "X-Ratelimit-Reset-Requests", "10s",
				"X-Ratelimit-Remaining-Tokens", "-3", "X-Ratelimit-Reset-Tokens", "50s"),
			want: 50 * time.Second,
		},
		{
			name: "no exhausted limit: the longest",
			header: headerOf("X-Ratelimit-Remaining-Requests", "7", "X-Ratelimit-Reset-Requests", "10s",
				"X-Ratelimit-Reset-Tokens", "50s"),
			want: 50 * time.Second,
		},
		{name: "Anthropic by a clock that goes wrong", header: headerOf("Anthropic-Ratelimit-Tokens-Reset", "2026-11-21T14:00:50Z", "Date", at(2*time.Hour)), want: 50 * time.Second},
		{name: "Anthropic, our clock an hour ahead", header: headerOf("Anthropic-Ratelimit-Requests-Reset", "2026-11-21T11:00:50Z", "Date", at(-time.Hour)), want: 50 * time.Second},
		{name: "OpenRouter by a clock that goes wrong", header: headerOf("X-Ratelimit-Reset", "1795262445000", "Date", at(30*time.Second)), want: 15 * time.Second},
		{name: "a reset below 0", header: headerOf("X-Ratelimit-Reset-Requests", "-6m0s"), want: time.Second},
		{name: "a reset in words", header: headerOf("X-Ratelimit-Reset-Requests", "tomorrow")},

		// Bodies.
		{name: "Gemini", body: `{"error":{"code":429,"details":[{"@type":"x"},{"retryDelay":"17s"}]}}`, want: 17 * time.Second},
		{name: "Gemini in a list", body: `[{"error":{"details":[{"retryDelay":"17.5s"}]}}]`, want: 17500 * time.Millisecond},
		{name: "OpenRouter's copied header", body: `{"error":{"metadata":{"headers":{"X-RateLimit-Reset":"1795262460000"}}}}`, want: time.Minute},
		{name: "OpenAI in words", body: `{"error":{"message":"Rate limit reached. Please try again in 1.2s. Visit x"}}`, want: 1200 * time.Millisecond},
		{name: "OpenAI in ms", body: `{"error":{"message":"Please try again in 1200ms."}}`, want: 1200 * time.Millisecond},
		{name: "OpenAI in minutes", body: `{"error":{"message":"Please try again in 7m12s."}}`, want: 7*time.Minute + 12*time.Second},
		{name: "Gemini per day", body: `{"error":{"details":[{"retryDelay":"33s"},{"violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel"},{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}`, want: time.Hour},
		{name: "Gemini per minute", body: `{"error":{"details":[{"violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]},{"retryDelay":"33s"}]}}`, want: 33 * time.Second},
		{name: "Gemini in words", body: `{"error":{"message":"You exceeded your current quota. Please retry in 33.5s.","status":"RESOURCE_EXHAUSTED"}}`, want: 33500 * time.Millisecond},
		{name: "OpenRouter's copied header by its own clock", header: headerOf("Date", at(20*time.Second)), body: `{"error":{"metadata":{"headers":{"X-RateLimit-Reset":"1795262460000"}}}}`, want: 40 * time.Second},
		{name: "Azure in words", body: `{"error":{"code":"429","message":"Requests have exceeded the call rate limit. Please retry after 26 seconds."}}`, want: 26 * time.Second},
		{name: "minutes in words", body: `{"message":"Rate limit exceeded, retry in 2 minutes"}`, want: 2 * time.Minute},
		{name: "ms in words", body: `{"message":"Try again in 1500 ms."}`, want: 1500 * time.Millisecond},
		{name: "days in words", body: `{"message":"Try again in 3 days."}`, want: time.Hour},
		{name: "details of another shape", body: `{"error":{"details":"retryDelay"}}`},
		{name: "words without a time", body: `{"error":{"message":"Please try again in a while."}}`},
		{name: "words that end too early", body: `{"error":{"message":"try again in "}}`},
		{name: "a header goes before the body", header: headerOf("Retry-After", "3"), body: `{"error":{"details":[{"retryDelay":"17s"}]}}`, want: 3 * time.Second},
		{name: "body is no JSON", body: `try again in 5s`},
		{name: "body is cut", body: `{"error":{"details":[{"retryDelay":"17s"}]}`},
		{name: "body is of another shape", body: `{"error":"try again in 5s"}`},
		{name: "body is huge", body: `{"error":{"details":[{"retryDelay":"17s"}],"message":"` + strings.Repeat("x", maxErrorBody) + `"}}`},
		{name: "body is empty list", body: `[]`},
	} {
		got, ok := ResetAfter(tc.header, []byte(tc.body), now)
		if got != tc.want || ok != (tc.want > 0) {
			t.Errorf("%s: ResetAfter(%v, %.80s) = %v, %v, want %v", tc.name, tc.header, tc.body, got, ok, tc.want)
		}
	}
}

// U262 to U268 and U272 of the collection of bad inputs:
// what a 429 asks for, by whoever's clock.
func TestEveryFormOfRetryAfterIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name     string
		header   http.Header
		from, to time.Duration
	}{
		{"U262", headerOf("Retry-After", now.Add(5*time.Second).Format(http.TimeFormat), "Date", now.Format(http.TimeFormat)), 4 * time.Second, 7 * time.Second},
		{"U264", headerOf("Retry-After", "-5"), time.Second, 5 * time.Minute},
		{"U266", headerOf("Retry-After", "1.5"), time.Second, 3 * time.Second},
		{"U268", headerOf("Retry-After", "1"), time.Second, 2 * time.Second},
		{"U272", headerOf("Retry-After", "120"), 119 * time.Second, 121 * time.Second},
	} {
		// A clock that is off by hours on either side changes nothing.
		for _, off := range []time.Duration{0, -3 * time.Hour, 3 * time.Hour} {
			if off != 0 && tc.header.Get("Date") == "" {
				continue
			}
			for name, read := range map[string]func(http.Header, []byte, time.Time) (time.Duration, bool){"ResetAfter": ResetAfter, "recoveryAfter": recoveryAfter} {
				if d, ok := read(tc.header, []byte("{}"), now.Add(off)); !ok || d < tc.from || d > tc.to {
					t.Errorf("%s: %s(%v) = %v, %v, want %v to %v", tc.name, name, tc.header, d, ok, tc.from, tc.to)
				}
			}
		}
	}
}

// FuzzResetAfter wants every header and body to mean a time in bounds, or none.
func FuzzResetAfter(f *testing.F) {
	for _, value := range []string{"", "1", "-1", "1e400", "NaN", "6m0s", "-9223372036854775808", "Sat, 21 Nov 2026 12:00:00 GMT", "2026-11-21T12:00:00Z", "9999999999999", "0x1p-2"} {
		f.Add(value, "", "", []byte(`{"error":{"message":"try again in `+value+`"}}`))
		f.Add("", value, "0", []byte(`[{"error":{"details":[{"retryDelay":"`+value+`"}]}}]`))
	}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, after, reset, remaining string, body []byte) {
		h := headerOf("Retry-After", after, "Retry-After-Ms", reset, "Date", remaining)
		for _, pair := range limitHeaders {
			h.Set(pair[0], remaining)
			h.Set(pair[1], reset)
		}
		for _, header := range []http.Header{h, nil} {
			for name, read := range map[string]func(http.Header, []byte, time.Time) (time.Duration, bool){"ResetAfter": ResetAfter, "recoveryAfter": recoveryAfter} {
				d, ok := read(header, body, now)
				if ok && (d < time.Second || d > time.Hour) || !ok && d != 0 {
					t.Errorf("%s(%v, %q) = %v, %v", name, header, body, d, ok)
				}
			}
		}
	})
}
