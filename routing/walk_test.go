package routing

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

const (
	goodAnswer     = `{"id":"1","object":"chat.completion","model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`
	brokenAnswer   = `{"error":{"message":"it broke","type":"server_error"}}`
	limitedAnswer  = `{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}`
	mistakenAnswer = `{"error":{"message":"no such role","type":"invalid_request_error"}}`
)

// reply is what a provider answers to one request.
type reply struct {
	after  time.Duration // it thinks
	status int
	body   string
	header http.Header
	fault  any // what the transport panics with in place of an answer
}

// network is the providers of a test.
type network struct {
	mu      sync.Mutex
	replies map[string][]reply // by provider: to one request after the other, the last one from then on
	calls   []string           // providers in the order in which they were asked
	gone    []string           // providers whose caller left before they had answered
}

func (n *network) asked() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.calls, " ")
}

func (n *network) left() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.gone, " ")
}

func (n *network) answers(provider string, replies ...reply) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.replies[provider] = replies
}

// toProvider is the transport to one of them.
type toProvider struct {
	network *network
	id      string
}

// RoundTrip implements http.RoundTripper.
func (p toProvider) RoundTrip(r *http.Request) (*http.Response, error) {
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	n := p.network
	n.mu.Lock()
	n.calls = append(n.calls, p.id)
	say := n.replies[p.id][0]
	if len(n.replies[p.id]) > 1 {
		n.replies[p.id] = n.replies[p.id][1:]
	}
	n.mu.Unlock()
	if !pause(r.Context(), say.after) {
		n.mu.Lock()
		n.gone = append(n.gone, p.id)
		n.mu.Unlock()
		return nil, r.Context().Err()
	}
	if say.fault != nil {
		panic(say.fault)
	}
	header := http.Header{"Content-Type": {"application/json"}}
	for name, values := range say.header {
		header[name] = values
	}
	return &http.Response{StatusCode: say.status, Header: header, Body: io.NopCloser(strings.NewReader(say.body)), ContentLength: int64(len(say.body))}, nil
}

// bench is a router between a test and its network.
type bench struct {
	*Router
	*network
}

// newBench makes a router of model files and of the providers in replies, each of
// which has as many keys as keyCount says, else one. change may be nil.
func newBench(t *testing.T, models map[string]string, providers map[string]string, keyCount map[string]int, replies map[string][]reply, change func(*Options)) *bench {
	t.Helper()
	files, environ := configFiles{"models/m.json": ""}, []string{}
	for name, text := range models {
		files["models/"+name+".json"] = text
	}
	for id := range replies {
		text := providers[id]
		if text == "" {
			text = plainProvider
		}
		files["providers/"+id+".json"] = with(t, text, "name", `"`+id+`"`)
		for i := range max(keyCount[id], 1) {
			environ = append(environ, fmt.Sprintf("%s_API_KEY_%d=%s-secret-%d", strings.ToUpper(id), i+1, id, i))
		}
	}
	c, problems, _ := files.load(t, LoadOptions{Environ: environ})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	b := &bench{network: &network{replies: replies}}
	options := Options{
		Catalog: c, Keys: keys.NewState(), Environ: environ,
		Transport:   func(p *Provider, _ time.Duration) (http.RoundTripper, error) { return toProvider{b.network, p.ID}, nil },
		Timeouts:    Timeouts{Connect: time.Second, FirstContent: time.Minute, Idle: time.Minute, Total: 10 * time.Minute},
		Cooldown:    5 * time.Minute,
		MaxAttempts: 8,
		Breaker:     keys.Breaker{Failures: 2, Open: 10 * time.Second, MaxOpen: time.Minute},
	}
	if change != nil {
		change(&options)
	}
	r, _, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	b.Router = r
	return b
}

// ask sends a request for model m and returns who answered, or the failure.
func (b *bench) ask(t *testing.T, change func(*Request)) (string, *Failure) {
	t.Helper()
	return b.askIn(t.Context(), t, change)
}

func (b *bench) askIn(ctx context.Context, t *testing.T, change func(*Request)) (string, *Failure) {
	t.Helper()
	answer, failure := b.send(ctx, t, change)
	if failure != nil {
		return "", failure
	}
	return answer.Provider, nil
}

// send sends a request and closes its answer, which then tells only who gave it.
func (b *bench) send(ctx context.Context, t *testing.T, change func(*Request)) (*Answer, *Failure) {
	t.Helper()
	text := `{"model":"m","messages":[{"role":"user","content":"hi"}]}`
	body := NewBody(len(text))
	defer body.Release()
	body.bytes = append(body.bytes, text...)
	q := &Request{Protocol: translate.Chat, Operation: translate.Generate, Model: "m", Body: body, Object: new(strictjson.Object)}
	if err := q.Object.Parse(body.Bytes()); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(q)
	}
	answer, failure := b.Do(ctx, q)
	if answer != nil {
		answer.Close()
	}
	return answer, failure
}

// settled checks that nothing is in flight any more.
func (b *bench) settled(t *testing.T) {
	t.Helper()
	for _, report := range b.Report(time.Now()) {
		for _, m := range report.Models {
			if m.InFlight != 0 {
				t.Errorf("in flight at %s: %d, want 0", report.Provider, m.InFlight)
			}
		}
	}
}

// inBubble runs a test in a bubble with a clock of its own, and lets the watch of
// deadlines, which all bubbles share, come to its rest before the bubble ends.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		defer time.Sleep(2 * tick)
		test(t)
	})
}

func routesTo(providers ...string) string {
	routes := make([]string, len(providers))
	for i, p := range providers {
		routes[i] = `{"provider":"` + p + `","model":"up"}`
	}
	return `"model_routings":[` + strings.Join(routes, ",") + `]`
}

func modelOf(more string, providers ...string) map[string]string {
	return map[string]string{"m": `{"logical_name":"m",` + more + routesTo(providers...) + `}`}
}

func classesOf(attempts []Attempt) []Class {
	var classes []Class
	for i := range attempts {
		classes = append(classes, attempts[i].Class)
	}
	slices.Sort(classes)
	return classes
}
