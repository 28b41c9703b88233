package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// loadNothing ends every site.
func loadNothing(t *testing.T) {
	t.Helper()
	if err := caddy.Load([]byte(`{"admin":{"listen":"localhost:2999"}}`), true); err != nil {
		t.Fatal(err)
	}
}

// pooled counts what is in the pools of the process.
func pooled() (states, connections int) {
	sharedStates.Range(func(any, any) bool { states++; return true })
	transports.Range(func(any, any) bool { connections++; return true })
	return states, connections
}

func TestB5ReloadsCutNoStreamAndRefuseNoRequest(t *testing.T) {
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
	end := sync.OnceFunc(func() { close(ended) })
	t.Cleanup(end)
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
			g.wantLoad(t, "")
			good++
		case 1:
			g.write("models", "m", `{"logical_name": "m", "model_routings": [{"provider": "p", "modle": "up"}]}`)
			g.wantLoad(t, `models/m.json:1: model_routings[0]: unknown key "modle"`)
			g.write("models", "m", model("m", "", "p/up"))
			rejected++
		case 2: // changed
			g.config = strings.Replace(g.config, fmt.Sprintf("max_attempts %d", i/5+5), fmt.Sprintf("max_attempts %d", i/5+6), 1)
			g.wantLoad(t, "")
			good++
		case 3: // a typo, through the front door of the administrator
			if status, body := loadByHTTP(t, strings.Replace(g.config, "max_attempts", "max_atempts", 1)); status != 400 || !strings.Contains(body, "max_atempts") {
				t.Errorf("a Caddyfile with a typo was answered with %d: %s", status, body)
			}
			rejected++
		case 4: // changed, but a key is missing
			config := g.config
			g.config = strings.Replace(config, "max_attempts", "client_key other {env.NOT_SET_BY_THE_TESTS}\n max_attempts", 1)
			g.wantLoad(t, "NOT_SET_BY_THE_TESTS")
			g.config = config
			rejected++
		}
		pace.beat()
	}
	end()
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

// wantReload is wantLoad and waits until the old configuration has let go.
func (g *gateway) wantReload(t *testing.T, want string) {
	t.Helper()
	g.wantLoad(t, want)
	settle(t)
}

// wantLoad reloads; an empty want means that it has to succeed, any other that
// it has to fail saying so.
func (g *gateway) wantLoad(t *testing.T, want string) {
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
	request, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, g.url+chatPath, strings.NewReader(chatRequest))
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

// loadByHTTP loads a Caddyfile as `caddy reload` does. The administration's
// listener changes with every configuration, as the site's does, so that a
// connection to it may be lost.
func loadByHTTP(t *testing.T, config string) (status int, answer string) {
	t.Helper()
	comesTrue(t, "the administration does not answer", func() bool {
		got, err := http.Post("http://localhost:2999/load", "text/caddyfile", strings.NewReader(config))
		if err != nil {
			return false
		}
		defer got.Body.Close()
		body, err := io.ReadAll(got.Body)
		status, answer = got.StatusCode, string(body)
		return err == nil
	})
	return status, answer
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
	g.wantReload(t, "")
	if got := names(); got != "extra m" {
		t.Errorf("models after a good reload = %q, want extra m", got)
	}
}

func TestB5CooldownsSurviveAReload(t *testing.T) {
	up := serve(t, oneKeyIsLimited(t))
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
		g.wantReload(t, "")
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("connections to the upstream = %d, want 1 for 6 requests over 6 reloads", n)
	}
}
