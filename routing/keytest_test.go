package routing

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// roundTrip is a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answered(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(body))}, nil
}

// testedProvider is a provider as Load would make it.
func testedProvider(protocol translate.Protocol, endpoints Endpoints) *Provider {
	return &Provider{
		ID: "p", MainProtocol: protocol, Endpoints: endpoints,
		Authentication: Authentication{Type: "bearer", HeaderName: "authorization", HeaderFormat: "Bearer {api_key}!"},
		headers:        []fixedHeader{{"X-Team", "blue"}},
		ModelMapping:   map[string]string{"m": "mapped/m"},
	}
}

func TestAKeyIsTestedInTheProvidersProtocol(t *testing.T) {
	for _, tc := range []struct {
		protocol  translate.Protocol
		endpoints Endpoints
		url, body string
	}{
		{translate.Chat, Endpoints{Completions: "/chat"}, "https://h/v1/chat", `{"model":"mapped/m","messages":[{"content":"Hi","role":"user"}],"max_tokens":1}`},
		{translate.Chat, Endpoints{Completions: "/{model}/chat?v=1"}, "https://h/v1/mapped%2Fm/chat?v=1", `{"model":"mapped/m","messages":[{"content":"Hi","role":"user"}],"max_tokens":1}`},
		{translate.Responses, Endpoints{Responses: "/responses"}, "https://h/v1/responses", `{"model":"mapped/m","input":"Hi","max_output_tokens":16}`},
		{translate.Messages, Endpoints{Messages: "messages"}, "https://h/v1/messages", `{"model":"mapped/m","messages":[{"content":"Hi","role":"user"}],"max_tokens":1}`},
	} {
		calls := 0
		test := &KeyTest{Provider: testedProvider(tc.protocol, tc.endpoints), BaseURL: "https://h/v1/", Model: "m", Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			calls++
			body, _ := io.ReadAll(r.Body)
			if r.URL.String() != tc.url || string(body) != tc.body || r.Method != http.MethodPost {
				t.Errorf("%s: %s %s\n%s\nwant %s\n%s", tc.protocol, r.Method, r.URL, body, tc.url, tc.body)
			}
			if h := r.Header; h.Get("Authorization") != "Bearer secret-key!" || h.Get("X-Team") != "blue" || h.Get("Content-Type") != "application/json" ||
				(h.Get("Anthropic-Version") != "") != (tc.protocol == translate.Messages) {
				t.Errorf("%s: headers %v", tc.protocol, h)
			}
			return answered(200, `{}`)
		})}
		if got := test.Ask(t.Context(), keys.NewKey("p", "P", "secret-key")); got != (KeyOpinion{Verdict: KeyOK, Asked: "one token"}) || calls != 1 {
			t.Errorf("%s: %+v after %d calls, want ok after one", tc.protocol, got, calls)
		}
	}
}

func TestAListForEverybodySaysNothingAboutAKey(t *testing.T) {
	var mu sync.Mutex
	open, lists := 0, 0
	test := &KeyTest{Provider: testedProvider(translate.Chat, Endpoints{Completions: "/chat", Models: "/models"}), BaseURL: "https://h", Model: "m", Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.Method == http.MethodPost:
			return answered(401, `{"error":{"message":"no"}}`)
		case r.Header.Get("Authorization") == "":
			open++
		}
		lists++
		return answered(200, `{"data":[]}`)
	})}
	var all sync.WaitGroup
	for _, secret := range []string{"secret-key-1", "secret-key-2", "secret-key-3"} {
		all.Go(func() {
			if got := test.Ask(t.Context(), keys.NewKey("p", "P", secret)); got.Verdict != KeyRefused || got.Asked != "one token" {
				t.Errorf("%+v, want dead after one token was asked for", got)
			}
		})
	}
	all.Wait()
	if open != 1 || lists != 4 {
		t.Errorf("%d lists, %d without a key, want 4 and 1", lists, open)
	}
}

func TestATestNeverTellsTheKey(t *testing.T) {
	for _, tc := range []struct {
		secret string
		status int
		body   string
		err    error
		want   KeyOpinion
	}{
		{"secret-key-1", 500, `{"error":{"message":"secret-key-1 broke"}}`, nil, KeyOpinion{KeyUnreachable, "models", "status 500: [key removed] broke"}},
		{"down", 500, `{"error":{"message":"down"}}`, nil, KeyOpinion{KeyUnreachable, "models", "status 500"}},
		{"secret-key-1", 401, `{"error":{"message":"sec****ey-1"}}`, nil, KeyOpinion{KeyRefused, "models", "the provider refuses it with status 401"}},
		{"secret-key-1", 0, "", errors.New("dial secret-key-1"), KeyOpinion{KeyUnreachable, "models", "dial [key removed]"}},
		{"secret-key-1", 0, "", context.DeadlineExceeded, KeyOpinion{KeyUnreachable, "models", "no answer in time"}},
		{"secret-key-1", 200, `{"error":{"message":"secret-key-1 is wrong","code":"invalid_api_key"}}`, nil, KeyOpinion{KeyRefused, "models", "the provider refuses it with status 200"}},
	} {
		test := &KeyTest{Provider: testedProvider(translate.Chat, Endpoints{Models: "/models"}), BaseURL: "https://h", Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			if tc.err != nil {
				return nil, tc.err
			}
			return answered(tc.status, tc.body)
		})}
		if got := test.Ask(t.Context(), keys.NewKey("p", "P", tc.secret)); got != tc.want {
			t.Errorf("status %d, %v: %+v, want %+v", tc.status, tc.err, got, tc.want)
		}
	}
}
