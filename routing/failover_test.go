package routing

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func TestARetryThatTheBudgetRefusesIsMadeAtARouteThatIsWell(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, modelOf("", "a", "b", "c"), nil, nil, map[string][]reply{
			"a": {failing}, "b": {failing}, "c": {quick},
		}, func(o *Options) {
			o.Retries = Retries{Ratio: 1e-6}
			o.Breaker = keys.Breaker{}
		})
		// One failure of b alone costs nothing. Then it is ill, and the third
		// request spends the only retry there is.
		for range 4 {
			if from, failure := b.ask(t, nil); from != "c" {
				t.Errorf("answer from %q, %+v; want c", from, failure)
			}
		}
		if asked, want := b.asked(), "a b c a b c a b c a c"; asked != want {
			t.Errorf("asked %q, want %q: b is passed over once the budget is used up", asked, want)
		}
		b.settled(t)
	})
}

func TestAnOutageGetsNoMoreThanItsRequestsAndTheBudget(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, modelOf("", "a", "b", "c"), nil, map[string]int{"a": 3, "b": 3, "c": 3}, map[string][]reply{
			"a": {failing}, "b": {failing}, "c": {failing},
		}, func(o *Options) { o.Retries = Retries{Ratio: 0.2, PerSecond: 10} })
		const perSecond, seconds = 100, 20
		for range perSecond * seconds {
			if _, failure := b.ask(t, nil); failure == nil || failure.Class != Broken {
				t.Fatalf("failure = %+v, want broken", failure)
			}
			time.Sleep(time.Second / perSecond)
		}
		// The stock of the budget, and those that found routes well at first.
		most := perSecond*seconds*12/10 + 10*seconds + 10 + 6
		if n := strings.Count(b.asked(), " ") + 1; n > most {
			t.Errorf("calls = %d for %d requests in %d s, want at most %d", n, perSecond*seconds, seconds, most)
		}
		b.settled(t)
	})
}

func TestATurnThatHasBegunGoesOnWhenItsOwnFailuresOpenTheBreaker(t *testing.T) {
	const repeating = `{"name":"a","enabled":true,"endpoints":{"base_url":"http://127.0.0.1:1/v1","completions":"/chat"},"authentication":{"type":"bearer"},
		"request_config":{"retry_on_status":[503],"max_retries":4}}`
	overloaded := reply{status: 503, body: brokenAnswer}
	inBubble(t, func(t *testing.T) {
		b := newBench(t, modelOf("", "a"), map[string]string{"a": repeating}, nil, map[string][]reply{
			"a": {overloaded, overloaded, overloaded, overloaded, quick},
		}, nil)
		if from, failure := b.ask(t, nil); from != "a" {
			t.Errorf("answer from %q, %+v; want a at the last of its repetitions", from, failure)
		}
		b.settled(t)
	})
}

func TestAKeyIsNotChargedForARequestThatWasNotSent(t *testing.T) {
	const limited = `{"name":"a","enabled":true,"endpoints":{"base_url":"http://127.0.0.1:1/v1","completions":"/chat"},"authentication":{"type":"bearer"},
		"rate_limiting":{"enabled":true,"requests_per_minute":5},"request_config":{"required_parameters":["seed"]}}`
	for _, tc := range []struct {
		name   string
		change string
		body   func(*Request)
	}{
		{"because the breaker is open", "", nil},
		{"because something is missing", `["seed"]`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				models := modelOf("", "a", "b")
				models["n"] = `{"logical_name":"n","model_routings":[{"provider":"a","model":"other"}]}`
				provider := with(t, limited, "request_config.required_parameters", tc.change)
				b := newBench(t, models, map[string]string{"a": provider}, nil, map[string][]reply{
					"a": {failing, failing, quick}, "b": {quick},
				}, nil)
				if tc.change == "" {
					b.ask(t, nil) // with 2 failures the breaker opens
					b.ask(t, nil)
				}
				for range 10 {
					if from, failure := b.ask(t, nil); from != "b" {
						t.Fatalf("answer from %q, %+v; want b", from, failure)
					}
				}
				for _, key := range b.Report(time.Now())[0].Keys {
					if len(key.Cooling) != 0 {
						t.Errorf("key of a: cooling = %+v, want none", key.Cooling)
					}
				}
			})
		})
	}
}

func TestCountingTokensSaysNothingAboutAnswers(t *testing.T) {
	const messages = `{"name":"a","enabled":true,"endpoints":{"base_url":"http://127.0.0.1:1/v1","messages":"/messages","count_tokens":"/count","compatible_format":"anthropic"},"authentication":{"type":"bearer"}}`
	const body = `{"input_tokens":3}`
	inBubble(t, func(t *testing.T) {
		b := newBench(t, modelOf("", "a"), map[string]string{"a": messages}, nil, map[string][]reply{"a": {failing}}, nil)
		count := func(q *Request) { q.Protocol, q.Operation = translate.Messages, translate.CountTokens }
		generate := func(q *Request) { q.Protocol = translate.Messages }
		b.ask(t, generate)
		b.answers("a", reply{status: 200, body: body})
		if from, failure := b.ask(t, count); from != "a" {
			t.Fatalf("answer from %q, %+v; want a", from, failure)
		}
		health := b.Report(time.Now())[0].Models[0]
		if health.Failures != 1 || health.LatencyMS != 0 {
			t.Errorf("health = %+v, want the failure still counted and no latency", health)
		}
		b.settled(t)
	})
}

func TestRetryAfterIsWhenTheFirstKeyIsBack(t *testing.T) {
	rule := func(status, rule string) string {
		return `{"name":"a","enabled":true,"endpoints":{"base_url":"http://127.0.0.1:1/v1","completions":"/chat"},"authentication":{"type":"bearer"},
		"error_handling":{"` + status + `":` + rule + `}}`
	}
	limitedFor := func(seconds string) reply {
		return reply{status: 429, body: limitedAnswer, header: http.Header{"Retry-After": {seconds}}}
	}
	for _, tc := range []struct {
		name     string
		provider string
		keys     int
		replies  map[string][]reply
		class    Class
		want     time.Duration
	}{
		{"of two", "", 2, map[string][]reply{"a": {limitedFor("70"), limitedFor("40")}}, RateLimited, 40 * time.Second},
		{"of two routes", "", 1, map[string][]reply{"a": {limitedFor("70")}, "b": {limitedFor("50")}}, RateLimited, 50 * time.Second},
		{"of a provider that rests", rule("429", `{"action":"provider_cooldown","cooldown_seconds":90}`), 2, map[string][]reply{"a": {limitedFor("7")}}, RateLimited, 90 * time.Second},
		{"of keys that rest by a rule", rule("500", `{"action":"model_key_failure","cooldown_seconds":80}`), 2, map[string][]reply{"a": {failing}}, Broken, 80 * time.Second},
		{"at once where another is usable", rule("500", `{"action":"model_key_failure","cooldown_seconds":80}`), 1, map[string][]reply{"a": {failing}, "b": {failing}}, Broken, time.Second},
		{"of dead keys", "", 2, map[string][]reply{"a": {{status: 401, body: `{}`}}}, KeyDead, 5 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				routes := []string{"a"}
				if tc.replies["b"] != nil {
					routes = append(routes, "b")
				}
				b := newBench(t, modelOf("", routes...), map[string]string{"a": tc.provider}, map[string]int{"a": tc.keys}, tc.replies, nil)
				_, failure := b.ask(t, nil)
				if failure == nil || failure.Class != tc.class || failure.RetryAfter != tc.want {
					t.Errorf("failure = %+v, want %s with a Retry-After of %v", failure, tc.class, tc.want)
				}
				b.settled(t)
			})
		})
	}
}

func TestKeysOfARouteAreReportedAndReset(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		models := map[string]string{"m": `{"logical_name":"m","model_routings":[{"provider":"a","model":"up","api_key_env":["MINE"]}]}`}
		b := newBench(t, models, nil, nil, map[string][]reply{"a": {{status: 401, body: `{}`}}}, func(o *Options) { o.Environ = append(o.Environ, "MINE=own-secret") })
		b.ask(t, nil)
		var cooling int
		for _, key := range b.Report(time.Now())[0].Keys {
			cooling += len(key.Cooling)
		}
		if cooling != 1 {
			t.Errorf("keys that are reported to rest = %d, want 1: the route's own", cooling)
		}
		b.ResetKeys("a", "")
		b.answers("a", quick)
		if from, failure := b.ask(t, nil); from != "a" {
			t.Errorf("answer from %q, %+v; want a, whose key was reset", from, failure)
		}
	})
}
