package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// beats lets many streams go on together, one event per beat.
type beats struct {
	mu   sync.Mutex
	past int
	next chan struct{}
}

func newBeats() *beats { return &beats{next: make(chan struct{})} }

func (b *beats) beat() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.past++
	close(b.next)
	b.next = make(chan struct{})
}

// await waits for the n-th beat; it is false when ctx ends before.
func (b *beats) await(ctx context.Context, n int) bool {
	for {
		b.mu.Lock()
		past, next := b.past, b.next
		b.mu.Unlock()
		if past >= n {
			return true
		}
		select {
		case <-next:
		case <-ctx.Done():
			return false
		}
	}
}

// pacedEvents are a Chat stream, every event of which tells whose it is.
func pacedEvents(name string, n int) []string {
	var events []string
	for i := range n {
		events = append(events, fmt.Sprintf(`data: {"id":%q,"object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"content":"%s-%d "},"finish_reason":null}]}`+"\n\n", name, name, i))
	}
	return append(events, `data: {"id":"`+name+`","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
}

// paced answers requests with a Session-Id by a stream that goes on with the
// beats, and others whole.
func paced(b *beats, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.Header.Get("Session-Id")
		if name == "" {
			answers(200, chatAnswer)(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for i, event := range pacedEvents(name, n) {
			if !b.await(r.Context(), i) {
				return
			}
			_, _ = io.WriteString(w, event)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// opened is a stream that a client reads.
type opened struct {
	name string
	done chan response
}

// openStreams opens streams and returns when all of them have begun.
func (g *gateway) openStreams(n int) []opened {
	g.t.Helper()
	var streams []opened
	for i := range n {
		s := opened{name: fmt.Sprintf("stream%d", i), done: make(chan response, 1)}
		got, err := g.open(context.Background(), request{path: chatPath, body: chatStreamed, header: map[string]string{"Session-Id": s.name}})
		if err != nil {
			g.t.Fatal(err)
		}
		go func() {
			defer got.Body.Close()
			body, err := io.ReadAll(got.Body)
			s.done <- response{got.StatusCode, got.Header, string(body), err}
		}()
		streams = append(streams, s)
	}
	return streams
}

// wantWhole waits for a stream's end.
func (s opened) wantWhole(t *testing.T, n int) {
	t.Helper()
	got := <-s.done
	if want := strings.Join(pacedEvents(s.name, n), ""); got.status != 200 || got.err != nil || got.body != want {
		t.Errorf("%s: status %d, error %v, %d bytes; want 200 and %d bytes whole\n%s", s.name, got.status, got.err, len(got.body), len(want), got.body)
	}
}

// loadNothing ends every site.
func loadNothing(t *testing.T) {
	t.Helper()
	if err := caddy.Load([]byte(`{"admin":{"listen":"localhost:2999"}}`), true); err != nil {
		t.Fatal(err)
	}
}

// pooled counts what is in the pools of the process.
func pooled() (states, connections int) {
	keyStates.Range(func(any, any) bool { states++; return true })
	transports.Range(func(any, any) bool { connections++; return true })
	return states, connections
}

func TestReloadsCutNoStreamAndRefuseNoRequest(t *testing.T) {
	const streams, reloads = 50, 200
	pace := newBeats()
	up := serve(t, paced(pace, reloads))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: "max_attempts 5",
		site:      "doorman",
	})
	loadNothing(t)
	client.CloseIdleConnections()
	baseline := settledGoroutines(t)
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}

	// Caddy's old and new listeners are different sockets, and connections that
	// wait in the old one's queue are lost with it, also without this module. A
	// request counts when it has come through the door.
	var entered sync.Map
	mind(t, door{enter: func(r *http.Request) { entered.Store(r.Header.Get("X-Test-Id"), true) }})

	open := g.openStreams(streams)
	ended := make(chan struct{})
	var others sync.WaitGroup
	var answered, refused, lost atomic.Int64
	for worker := range 2 {
		others.Go(func() {
			once := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for i := 0; ; i++ {
				select {
				case <-ended:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", worker, i)
				err := g.askWith(once, id)
				_, in := entered.LoadAndDelete(id)
				switch {
				case err == nil:
					answered.Add(1)
				case in:
					refused.Add(1)
					t.Errorf("a request during the reloads: %v", err)
				default:
					lost.Add(1)
				}
			}
		})
	}

	good, rejected := 0, 0
	for i := range reloads {
		switch i % 5 {
		case 0: // forced, nothing changed
			g.wantReload(t, "")
			good++
		case 1:
			g.write("models", "m", `{"logical_name": "m", "model_routings": [{"provider": "p", "modle": "up"}]}`)
			g.wantReload(t, `models/m.json:1: model_routings[0]: unknown key "modle"`)
			g.write("models", "m", model("m", "", "p/up"))
			rejected++
		case 2: // changed
			g.config = strings.Replace(g.config, fmt.Sprintf("max_attempts %d", i/5+5), fmt.Sprintf("max_attempts %d", i/5+6), 1)
			g.wantReload(t, "")
			good++
		case 3: // a typo, through the front door of the administrator
			if status, body := post(t, "http://localhost:2999/load", "text/caddyfile", strings.Replace(g.config, "max_attempts", "max_atempts", 1)); status != 400 || !strings.Contains(body, "max_atempts") {
				t.Errorf("a Caddyfile with a typo was answered with %d: %s", status, body)
			}
			rejected++
		case 4: // changed, but a key is missing
			config := g.config
			g.config = strings.Replace(config, "max_attempts", "client_key other {env.NOT_SET_BY_THE_TESTS}\n max_attempts", 1)
			g.wantReload(t, "NOT_SET_BY_THE_TESTS")
			g.config = config
			rejected++
		}
		pace.beat()
	}
	close(ended)
	others.Wait()
	for _, s := range open {
		s.wantWhole(t, reloads)
	}
	t.Logf("%d streams, %d reloads (%d good, %d rejected), %d other requests answered, %d refused, %d lost before the site", streams, reloads, good, rejected, answered.Load(), refused.Load(), lost.Load())

	loadNothing(t)
	client.CloseIdleConnections()
	comesTrue(t, "the pools are not empty", func() bool {
		states, connections := pooled()
		return states == 0 && connections == 0
	})
	comesTrue(t, "more goroutines than before", func() bool { return goruntime.NumGoroutine() <= baseline+5 })
	t.Logf("goroutines: %d before, %d after", baseline, goruntime.NumGoroutine())
}

// settledGoroutines waits until nothing of what was before runs any more.
func settledGoroutines(t *testing.T) int {
	t.Helper()
	last, same := -1, 0
	comesTrue(t, "the number of goroutines does not settle", func() bool {
		n := goruntime.NumGoroutine()
		if n != last {
			last, same = n, 0
		}
		same++
		return same > 20
	})
	return last
}

// wantReload reloads; an empty want means that it has to succeed, any other
// that it has to fail saying so.
func (g *gateway) wantReload(t *testing.T, want string) {
	t.Helper()
	switch err := g.reload(); {
	case want == "" && err != nil:
		t.Errorf("reload: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("reload = %v, want an error with %q", err, want)
	}
}

// askWith sends one request with a client and says what is wrong with the
// answer.
func (g *gateway) askWith(c *http.Client, id string) error {
	request, err := http.NewRequest(http.MethodPost, g.url+chatPath, strings.NewReader(chatRequest))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+clientKey)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Test-Id", id)
	got, err := c.Do(request)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		return err
	}
	if got.StatusCode != 200 || string(body) != chatAnswer {
		return fmt.Errorf("status %d: %s", got.StatusCode, body)
	}
	return nil
}

// post sends a body anywhere.
func post(t *testing.T, url, contentType, body string) (int, string) {
	t.Helper()
	got, err := http.Post(url, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	answer, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, string(answer)
}

// A request may have passed the door of a configuration and be held there, by
// an authentication that asks elsewhere, when the next configuration takes over.
func TestARequestThatComesLateToAnOldConfigurationIsAnswered(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		site:      "doorman",
	})
	mind(t, door{enter: func(*http.Request) {
		held <- struct{}{}
		<-release
	}})
	done := make(chan error)
	go func() { done <- g.askWith(client, "late") }()
	<-held
	g.wantReload(t, "")
	loadNothing(t)
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	client.CloseIdleConnections()
	comesTrue(t, "the pools are not empty", func() bool {
		states, connections := pooled()
		return states == 0 && connections == 0
	})
}

func TestARejectedReloadKeepsTheOldModels(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	names := func() string {
		var list struct{ Data []struct{ ID string } }
		got := g.do(request{method: "GET", path: "/v1/models"}).want(t, 200)
		if err := json.Unmarshal([]byte(got.body), &list); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, m := range list.Data {
			names = append(names, m.ID)
		}
		return strings.Join(names, " ")
	}
	g.write("models", "extra", model("extra", "", "p/up"))
	g.write("models", "m", `{"logical_name": "m",`+"\n"+`"model_routings": "none"}`)
	g.wantReload(t, "models/m.json:2: model_routings")
	if got := names(); got != "m" {
		t.Errorf("models after a rejected reload = %q, want m", got)
	}
	g.post(chatPath, chatRequest).want(t, 200)
	g.write("models", "m", model("m", "", "p/up"))
	client.CloseIdleConnections()
	g.wantReload(t, "")
	if got := names(); got != "extra m" {
		t.Errorf("models after a good reload = %q, want extra m", got)
	}
}

func TestCooldownsSurviveAReload(t *testing.T) {
	up := serve(t, byKey(map[string]http.Handler{
		"k1": answers(429, rateLimited, "Retry-After", "60"),
		"k2": answers(200, chatAnswer),
	}))
	t.Setenv("P_API_KEY_1", "k1")
	t.Setenv("P_API_KEY_2", "k2")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: "max_attempts 5",
	})
	g.post(chatPath, chatRequest).want(t, 200)
	reloads := []func(){
		func() {},
		func() { g.config = strings.Replace(g.config, "max_attempts 5", "max_attempts 6", 1) },
		// Another order of the keys, and another model file for the same route.
		func() { t.Setenv("P_API_KEY_1", "k2"); t.Setenv("P_API_KEY_2", "k1") },
		func() { g.write("models", "m", model("m", `"display_name": "M",`, "p/up")) },
	}
	for _, change := range reloads {
		change()
		client.CloseIdleConnections()
		g.wantReload(t, "")
		g.post(chatPath, chatRequest).want(t, 200)
	}
	if used := up.keysUsed(); !slices.Equal(used, []string{"k1", "k2", "k2", "k2", "k2", "k2"}) {
		t.Errorf("keys used = %v, want k1 once: it rests for a minute", used)
	}
}

// counting runs an upstream that counts the connections to it.
func counting(t *testing.T, handler http.Handler) (*upstream, *atomic.Int64) {
	t.Helper()
	connections := new(atomic.Int64)
	r := &recorder{next: handler}
	server := httptest.NewUnstartedServer(r)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return &upstream{r, server.URL}, connections
}

func TestUpstreamConnectionsSurviveAReload(t *testing.T) {
	up, connections := counting(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: "max_attempts 5",
	})
	for i := range 6 {
		g.post(chatPath, chatRequest).want(t, 200)
		if i%2 == 0 {
			g.config = strings.Replace(g.config, fmt.Sprintf("max_attempts %d", 5+i/2), fmt.Sprintf("max_attempts %d", 6+i/2), 1)
		}
		client.CloseIdleConnections()
		g.wantReload(t, "")
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("connections to the upstream = %d, want 1 for 6 requests over 6 reloads", n)
	}
}

func TestTheLastStreamLetsTheSharedStateGo(t *testing.T) {
	pace := newBeats()
	up := serve(t, paced(pace, 3))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	path := filepath.Join(g.dir, "providers")
	streams := g.openStreams(3)
	loadNothing(t)
	if n, _ := keyStates.References(path); n != 1 {
		t.Errorf("references to the keys' state with streams running = %d, want 1", n)
	}
	if _, connections := pooled(); connections != 1 {
		t.Errorf("transports with streams running = %d, want 1", connections)
	}
	for range 3 {
		pace.beat()
	}
	for _, s := range streams {
		s.wantWhole(t, 3)
	}
	comesTrue(t, "the shared state is still held after the last stream", func() bool {
		states, connections := pooled()
		return states == 0 && connections == 0
	})
}

func TestValidatingBesideARunningServerChangesNothing(t *testing.T) {
	up, connections := counting(t, byKey(map[string]http.Handler{
		"k1": answers(429, rateLimited, "Retry-After", "60"),
		"k2": answers(200, chatAnswer),
	}))
	t.Setenv("P_API_KEY_1", "k1")
	t.Setenv("P_API_KEY_2", "k2")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	g.post(chatPath, chatRequest).want(t, 200)
	states, transportsBefore := pooled()
	path := filepath.Join(g.dir, "providers")
	references, _ := keyStates.References(path)

	validate := func() error {
		text, err := adapt(g.config)
		if err != nil {
			t.Fatal(err)
		}
		var config caddy.Config
		if err := json.Unmarshal(text, &config); err != nil {
			t.Fatal(err)
		}
		return caddy.Validate(&config)
	}
	if err := validate(); err != nil {
		t.Errorf("validating the running configuration: %v", err)
	}
	g.write("models", "m", `{"logical_name": "m"}`)
	if err := validate(); err == nil || !strings.Contains(err.Error(), "models/m.json") {
		t.Errorf("validating a broken model file = %v, want an error that names it", err)
	}

	g.post(chatPath, chatRequest).want(t, 200)
	if used := up.keysUsed(); !slices.Equal(used, []string{"k1", "k2", "k2"}) {
		t.Errorf("keys used = %v, want the rest of k1 untouched", used)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("connections to the upstream = %d, want 1", n)
	}
	if s, c := pooled(); s != states || c != transportsBefore {
		t.Errorf("pooled = %d states, %d transports; want %d, %d as before", s, c, states, transportsBefore)
	}
	if n, _ := keyStates.References(path); n != references {
		t.Errorf("references to the keys' state = %d, want %d as before", n, references)
	}
}

func TestAProvisionThatFailsLeavesNothingBehind(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: "max_attempts 5",
	})
	config := g.config
	states, connections := pooled()
	path := filepath.Join(g.dir, "providers")
	for _, tc := range []struct {
		name string
		edit func()
		want string
	}{
		{"client key not set", func() {
			g.config = strings.Replace(config, "max_attempts", "client_key x {env.NOT_SET_BY_THE_TESTS}\n max_attempts", 1)
		}, "NOT_SET_BY_THE_TESTS"},
		{"provider variable not set", func() {
			g.write("providers", "p", provider("p", "http://${NOT_SET_BY_THE_TESTS}", ""))
		}, "providers/p.json"},
		{"no directory of providers", func() {
			g.config = strings.Replace(config, path, filepath.Join(g.dir, "nowhere"), 1)
		}, "nowhere"},
		{"no directory of models", func() {
			g.config = strings.Replace(config, filepath.Join(g.dir, "models"), filepath.Join(g.dir, "nowhere"), 1)
		}, "nowhere"},
		{"broken model file", func() {
			g.write("models", "m", "{\n")
		}, "models/m.json:2"},
		// This one fails when the state of the keys is already held.
		{"impossible transport", func() {
			g.config = strings.Replace(config, "max_attempts", "transport http {\n versions 9\n}\n max_attempts", 1)
		}, "unsupported HTTP version"},
	} {
		g.config = config
		tc.edit()
		g.wantReload(t, tc.want)
		g.write("providers", "p", provider("p", up.url, ""))
		g.write("models", "m", model("m", "", "p/up"))
		if s, c := pooled(); s != states || c != connections {
			t.Errorf("%s: pooled = %d states, %d transports; want %d, %d as before", tc.name, s, c, states, connections)
		}
		if n, _ := keyStates.References(path); n != 1 {
			t.Errorf("%s: references to the keys' state = %d, want 1", tc.name, n)
		}
		g.post(chatPath, chatRequest).want(t, 200)
	}
	if err := new(Handler).Cleanup(); err != nil {
		t.Errorf("Cleanup of a handler that was never provisioned = %v, want nil", err)
	}
}

func TestAFirstConfigurationThatIsInvalidNamesFileLineAndField(t *testing.T) {
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", "http://localhost:1", "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	loadNothing(t)
	g.write("models", "m", `{
	"logical_name": "m",
	"model_routings": [
		{"provider": "q", "model": "up"}
	],
	"timeout_secs": 3
}`)
	err := g.reload()
	if err == nil {
		t.Fatal("an invalid configuration was loaded")
	}
	for _, want := range []string{
		filepath.Join(g.dir, "models", "m.json") + ":4: model_routings[0].provider: ",
		filepath.Join(g.dir, "models", "m.json") + `:6: unknown key "timeout_secs"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v\nwant it to say %q", err, want)
		}
	}
}
