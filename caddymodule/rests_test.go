package caddymodule

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// singleKey is a provider with a single key, and two models of it.
func singleKey(t *testing.T, rules string, handler http.Handler) (*gateway, *upstream) {
	t.Helper()
	up := serve(t, handler)
	t.Setenv("P_API_KEY", "key-of-the-provider")
	return start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, rules)},
		models:    map[string]string{"m": model("m", "", "p/up"), "n": model("n", "", "p/down")},
	}), up
}

// What a client does wrong, what a provider's servers do wrong, and what stands
// before them says nothing of a key, so that the next request is asked with it
// (BEHAVIOUR 13.4, number 61, but for 400, 404 and 500).
func TestAKeyRestsForItsOwnFaultsOnly(t *testing.T) {
	for _, tc := range []struct {
		name      string
		fault     http.Handler
		same, all bool // whether it rests for this model, and for all
	}{
		{name: "400", fault: answers(400, `{"error":{"message":"x","type":"invalid_request_error"}}`)},
		{name: "400 that quotes the client", fault: answers(400, `{"error":{"message":"Invalid value: 'incorrect api key'.","type":"invalid_request_error","param":"messages[0].role"}}`)},
		{name: "404", fault: answers(404, `{"error":{"message":"x","code":"model_not_found"}}`)},
		{name: "413", fault: answers(413, "")},
		{name: "422", fault: answers(422, `{"detail":[{"loc":["body"],"msg":"x"}]}`)},
		{name: "500", fault: answers(500, brokenBody)},
		{name: "503", fault: answers(503, brokenBody)},
		{name: "busy with 429", fault: answers(429, `{"message":"x","type":"too_many_requests_error","code":"queue_exceeded"}`)},
		{name: "content with 403", fault: answers(403, `{"code":"The caller does not have permission to execute the specified operation","error":"Content violates usage guidelines."}`)},
		{name: "another's key with 401", fault: answers(401, `{"error":{"message":"Provider returned error","code":401}}`)},
		{name: "a firewall with 403", fault: answers(403, "<html><title>Just a moment</title></html>")},
		{name: "429", fault: answers(429, rateLimited), same: true},
		{name: "429 in a 200", fault: answers(200, `{"error":{"message":"x","code":429}}`), same: true},
		{name: "401", fault: answers(401, ""), same: true, all: true},
		{name: "402", fault: answers(402, ""), same: true, all: true},
		{name: "no money with 429", fault: answers(429, `{"error":{"message":"x","code":"insufficient_quota"}}`), same: true, all: true},
		{name: "bad key with 400", fault: answers(400, `{"code":"invalid-argument","error":"Incorrect API key provided: ke***er."}`), same: true, all: true},
		{name: "bad key with 200", fault: answers(200, `{"base_resp":{"status_code":1004,"status_msg":"login fail"}}`), same: true, all: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, up := singleKey(t, "", inTurn(tc.fault, answers(200, chatAnswer)))
			if got := g.post(chatPath, chatRequest); got.status < 400 {
				t.Fatalf("status %d, want an error", got.status)
			}
			for name, rests := range map[string]bool{"m": tc.same, "n": tc.all} {
				up.reset()
				got := g.post(chatPath, asking(chatRequest, name))
				if asked := len(up.all()) > 0; asked == rests || (got.status == 200) == rests {
					t.Errorf("%s: status %d, asked = %v; want the key to rest = %v", name, got.status, asked, rests)
				}
			}
		})
	}
}

// A key rests as long as the provider asks by whatever clock, at most an hour, and
// as long as a rule of the operator says, whatever that is (BEHAVIOUR 13.4, number
// 62, and U262 to U268 of the bad inputs).
func TestAKeyRestsAsLongAsItIsTold(t *testing.T) {
	// The provider's clock is three hours ahead.
	there := time.Now().Add(3 * time.Hour)
	date := there.UTC().Format(http.TimeFormat)
	for _, tc := range []struct {
		name     string
		rules    string
		status   int
		header   []string
		from, to int // seconds
	}{
		{"a rule of 500 s", `"error_handling": {"400": {"action": "model_key_failure", "cooldown_seconds": 500}},`, 400, nil, 498, 500},
		{"a rule of two hours", `"error_handling": {"400": {"action": "global_key_failure", "cooldown_seconds": 7200}},`, 400, nil, 7198, 7200},
		{"seconds", "", 429, []string{"Retry-After", "40"}, 38, 40},
		{"a fraction", "", 429, []string{"Retry-After", "2.5"}, 1, 3},
		{"below 0", "", 429, []string{"Retry-After", "-5"}, 1, 1},
		{"for ever", "", 429, []string{"Retry-After", "100000000000000000000"}, 3598, 3600},
		{"a date", "", 429, []string{"Retry-After", there.Add(40 * time.Second).UTC().Format(http.TimeFormat), "Date", date}, 38, 40},
		{"RFC 3339", "", 429, []string{"Anthropic-Ratelimit-Requests-Reset", there.Add(40 * time.Second).UTC().Format(time.RFC3339), "Date", date}, 38, 40},
		{"a Go duration", "", 429, []string{"X-Ratelimit-Reset-Requests", "1m40s"}, 98, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, up := singleKey(t, tc.rules, inTurn(answers(tc.status, "{}", tc.header...), answers(200, chatAnswer)))
			if got := g.post(chatPath, chatRequest); got.status < 400 {
				t.Fatalf("status %d, want an error", got.status)
			}
			got := g.post(chatPath, chatRequest)
			after, err := strconv.Atoi(strings.TrimSpace(got.header.Get("Retry-After")))
			if err != nil || after < tc.from || after > tc.to {
				t.Errorf("Retry-After = %q, want %d to %d", got.header.Get("Retry-After"), tc.from, tc.to)
			}
			if n := len(up.all()); n != 1 {
				t.Errorf("upstream calls = %d, want 1", n)
			}
		})
	}
}
