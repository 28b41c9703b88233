package caddymodule

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// remove takes a configuration file away.
func (g *gateway) remove(kind, name string) {
	g.t.Helper()
	if err := os.Remove(filepath.Join(g.dir, kind, name+".json")); err != nil {
		g.t.Fatal(err)
	}
}

// reloadFiles reloads through the administration.
func (g *gateway) reloadFiles(t *testing.T) response {
	t.Helper()
	return admin(t, http.MethodPost, "/llm_proxy/reload", "")
}

// beside adds a second block below a path, with the files of a directory.
func (g *gateway) beside(t *testing.T, path, dir string) *gateway {
	t.Helper()
	other := &gateway{t: t, url: g.url + path, dir: dir}
	g.config = strings.Replace(g.config, "respond ", fmt.Sprintf("handle_path %s/* {\n llm_proxy {\n allow_anonymous\n providers %s/providers\n models %s/models\n }\n }\nrespond ", path, other.dir, other.dir), 1)
	return other
}

func TestAReloadOfTheFilesTellsWhatIsDifferent(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "upstream-secret")
	t.Setenv("NEW_API_KEY", "upstream-secret")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, ""), "old": provider("old", up.url, ""), "same": provider("same", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up"), "old": model("old", "", "p/up"), "same": model("same", "", "same/up")},
	})
	before := metric(t, `caddy_llm_proxy_reloads_total{result="ok"}`)
	g.write("providers", "p", provider("p", up.url, `"display_name": "P",`))
	g.write("providers", "new", provider("new", up.url, ""))
	g.remove("providers", "old")
	g.write("models", "m", model("m", "", "p/changed"))
	g.write("models", "new", model("new", `"fallback_model_routings": ["nowhere"],`, "new/up"))
	g.remove("models", "old")
	got := g.reloadFiles(t).want(t, 200)
	g.wantAdmin("reload.json", got)
	if ct := got.header.Get("Content-Type"); ct != "application/json" || strings.Contains(got.body, "upstream-secret") {
		t.Errorf("Content-Type %q, body %s", ct, got.body)
	}
	g.post(chatPath, chatRequest).want(t, 200)
	g.post(chatPath, asking(chatRequest, "new")).want(t, 200)
	g.post(chatPath, asking(chatRequest, "old")).want(t, 404)
	if calls := up.all(); !strings.Contains(calls[0].body, `"model":"changed"`) {
		t.Errorf("the upstream is asked %s", calls[0].body)
	}
	g.wantAdmin("reload_same.json", g.reloadFiles(t).want(t, 200))
	if n := metric(t, `caddy_llm_proxy_reloads_total{result="ok"}`) - before; n != 2 {
		t.Errorf("good reloads counted = %v, want 2", n)
	}
}

func TestAReloadOfBrokenFilesChangesNothingAndTellsAllProblems(t *testing.T) {
	const secret = "sk-canary-qzxw"
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	log := logFile(t)
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		global:    log.option,
	})
	health := func() response { return g.do(request{method: "GET", path: "/health/detailed", key: "-"}).want(t, 200) }
	well := health()
	before := metric(t, `caddy_llm_proxy_reloads_total{result="rejected"}`)
	g.write("models", "m", "{\"logical_name\": \"m\",\n\"model_routings\": [{\"provider\": \"p\", \"modle\": \"up\"}],\n\"aliases\": \""+secret+"\"}")
	g.write("models", "extra", model("extra", "", "nowhere/up"))
	g.write("providers", "p", provider("p", up.url, `"api_keys": "`+secret+`",`))
	for range 2 {
		got := g.reloadFiles(t).want(t, 422)
		g.wantAdmin("reload_refused.json", got)
		for what, text := range map[string]string{"answer": got.body, "health": health().body} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s tells the secret: %s", what, text)
			}
		}
	}
	g.post(chatPath, chatRequest).want(t, 200)
	g.post(chatPath, asking(chatRequest, "extra")).want(t, 404)
	ill := health()
	for _, component := range []string{"model_config", "provider_configs"} {
		status, message := ill.get(t, "components", component, "status"), ill.get(t, "components", component, "message")
		want := map[string]string{
			"model_config":     `not reloaded: models/extra.json:1: model_routings[0].provider: there is no provider "nowhere"; write one of p; there are more problems`,
			"provider_configs": `not reloaded: providers/p.json:2: api_keys: must be an object, not a text`,
		}[component]
		if status != "degraded" || !strings.HasPrefix(message.(string), want) {
			t.Errorf("%s is %v: %v, want degraded: %s", component, status, message, want)
		}
	}
	if ill.get(t, "status") != "degraded" || ill.get(t, "components", "model_config", "models_count") != 1. || strings.Contains(ill.body, g.dir) {
		t.Errorf("health: %s", ill.body)
	}
	if n := metric(t, `caddy_llm_proxy_reloads_total{result="rejected"}`) - before; n != 2 {
		t.Errorf("rejected reloads counted = %v, want 2", n)
	}
	if ok := metric(t, "caddy_llm_proxy_config_ok"); ok != 0 {
		t.Errorf("caddy_llm_proxy_config_ok = %v, want 0", ok)
	}
	line := log.line(t, "the configuration files are broken")
	if !strings.Contains(line, "models/m.json:2") || !strings.Contains(line, "providers/p.json:2") || strings.Contains(log.text(t), secret) {
		t.Errorf("the log says %s", line)
	}

	g.remove("models", "extra")
	g.write("models", "m", model("m", "", "p/up"))
	g.write("providers", "p", provider("p", up.url, ""))
	g.reloadFiles(t).want(t, 200)
	if ok := metric(t, "caddy_llm_proxy_config_ok"); ok != 1 {
		t.Errorf("caddy_llm_proxy_config_ok = %v after the repair, want 1", ok)
	}
	if now := health().get(t, "components", "model_config"); fmt.Sprint(now) != fmt.Sprint(well.get(t, "components", "model_config")) {
		t.Errorf("health after the repair: %v", now)
	}
}

func TestAReloadIsOfAllBlocksOrOfNone(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	other := g.beside(t, "/other", t.TempDir())
	other.write("providers", "p", provider("p", up.url, ""))
	other.write("models", "m", model("m", "", "p/up"))
	same := g.beside(t, "/same", g.dir)
	g.wantReload(t, "")

	g.write("models", "new", model("new", "", "p/up"))
	other.write("models", "m", `{`)
	if got := g.reloadFiles(t).want(t, 422); strings.Count(got.body, `"file"`) != 1 || !strings.Contains(got.body, other.dir) {
		t.Errorf("the answer is %s, want the one problem", got.body)
	}
	g.post(chatPath, asking(chatRequest, "new")).want(t, 404)
	other.do(request{path: chatPath, body: chatRequest}).want(t, 200)
	other.write("models", "m", model("m", "", "p/up"))
	other.write("models", "new", model("new", "", "p/up"))
	if got := g.reloadFiles(t).want(t, 200); strings.Count(got.body, `"models":{"added":["new"]`) != 3 {
		t.Errorf("the answer is %s, want a new model in all", got.body)
	}
	for _, one := range []*gateway{g, other, same} {
		one.post(chatPath, asking(chatRequest, "new")).want(t, 200)
	}
	// What two blocks read is told once.
	g.write("models", "new", `{`)
	if got := g.reloadFiles(t).want(t, 422); strings.Count(got.body, `"file"`) != 1 {
		t.Errorf("the answer is %s, want the one problem", got.body)
	}
}

func TestAReloadWithoutABlockIsEmpty(t *testing.T) {
	plainGateway(t, setup{})
	loadNothing(t)
	admin(t, http.MethodGet, "/llm_proxy/reload", "").want(t, 405)
	admin(t, http.MethodPost, "/llm_proxy/reload?handler=0", "").want(t, 400)
	if got := admin(t, http.MethodPost, "/llm_proxy/reload", "").want(t, 200); got.body != "{\"handlers\":[]}\n" {
		t.Errorf("the answer is %s", got.body)
	}
}

// RELIABILITY B5: reload with streams.
func TestB5ReloadsOfTheFilesCutNoStreamAndRefuseNoRequest(t *testing.T) {
	const streams, reloads = 50, 100
	pace := newBeats()
	up := serve(t, paced(pace, reloads))
	t.Setenv("P_API_KEY", "k")
	t.Setenv("Q_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	g.post(chatPath, chatRequest).want(t, 200)
	loadNothing(t)
	client.CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
	goroutinesBefore, filesBefore := settledGoroutines(t), openFiles(t)
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	settle(t)

	open := g.openStreams(streams)
	ended := make(chan struct{})
	end := sync.OnceFunc(func() { close(ended) })
	t.Cleanup(end)
	var others sync.WaitGroup
	var answered atomic.Int64
	for range 2 {
		others.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				if err := g.askWith(client, "beside"); err != nil {
					t.Errorf("a request during the reloads: %v", err)
					return
				}
				answered.Add(1)
			}
		})
	}
	good := 0
	for i := range reloads {
		want := 200
		switch i % 5 {
		case 0: // nothing changed
		case 1:
			g.write("models", "m", `{"logical_name": "m", "model_routings": [{"provider": "p", "modle": "up"}]}`)
			want = 422
		case 2: // another text, and more files
			g.write("models", "m", model("m", fmt.Sprintf(`"display_name": "M%d",`, i), "p/up"))
			g.write("providers", "q", provider("q", up.url, ""))
			g.write("models", "n", model("n", "", "q/up"))
		case 3: // connections of a provider that is then gone
			g.post(chatPath, asking(chatRequest, "n")).want(t, 200)
			g.remove("models", "n")
			g.remove("providers", "q")
		case 4: // another transport
			g.write("providers", "p", provider("p", up.url, fmt.Sprintf(`"timeouts": {"connect": "%ds"},`, 5+i%3)))
		}
		g.reloadFiles(t).want(t, want)
		if want == 200 {
			good++
		}
		pace.beat()
	}
	end()
	others.Wait()
	for _, s := range open {
		s.wantWhole(t, reloads)
	}
	t.Logf("%d streams, %d reloads (%d good, %d rejected), %d other requests answered", streams, reloads, good, reloads-good, answered.Load())

	client.CloseIdleConnections()
	states, connections := pooled()
	if states != 1 || connections != 1 {
		t.Errorf("in the pools: %d states, %d transports; want one of each", states, connections)
	}
	loadNothing(t)
	comesTrue(t, "the pools are not empty", func() bool {
		states, connections := pooled()
		return states == 0 && connections == 0
	})
	http.DefaultClient.CloseIdleConnections()
	comesTrue(t, "more goroutines than before", func() bool { return goruntime.NumGoroutine() <= goroutinesBefore+5 })
	comesTrue(t, "more open files than before", func() bool { return openFiles(t) <= filesBefore+3 })
	t.Logf("goroutines: %d before, %d after; open files: %d before, %d after", goroutinesBefore, goruntime.NumGoroutine(), filesBefore, openFiles(t))
}

func TestB5CooldownsSurviveAReloadOfTheFiles(t *testing.T) {
	up := serve(t, oneKeyIsLimited(t))
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: "state file " + filepath.Join(t.TempDir(), "state.json"),
	})
	g.post(chatPath, chatRequest).want(t, 200)
	until := func() string {
		return fmt.Sprint(admin(t, http.MethodGet, "/llm_proxy/keys", "").want(t, 200).get(t, "providers", 0, "keys", 0, "cooling", 0, "until"))
	}
	before := until()
	for i, change := range []func(){
		func() {},
		func() { g.write("models", "m", model("m", `"display_name": "M",`, "p/up")) },
		func() { g.write("providers", "p", provider("p", up.url, `"timeouts": {"connect": "3s"},`)) },
	} {
		change()
		g.reloadFiles(t).want(t, 200)
		g.post(chatPath, chatRequest).want(t, 200)
		if after := until(); after != before {
			t.Errorf("reload %d: the key rests until %s, want %s", i, after, before)
		}
	}
	if used := up.keysUsed(); !slices.Equal(used, []string{"k1", "k2", "k2", "k2", "k2"}) {
		t.Errorf("keys used = %v, want k1 once: it rests for a minute", used)
	}
}

// The end of a configuration, the beginning of the next and reloads of the files
// may come in any order.
func TestReloadsOfTheFilesMeetThoseOfTheConfiguration(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: "watch",
	})
	ended := make(chan struct{})
	var reloads sync.WaitGroup
	var done atomic.Int64
	for range 3 {
		// Through the function: Caddy's administration has a new listener with
		// each configuration.
		reloads.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				body, err := reloadFiles(nil, nil)
				if answer, good := body.(reloadAnswer); err != nil || !good || len(answer.Handlers) > 2 {
					t.Errorf("a reload: %v, %v", body, err)
					return
				}
				done.Add(1)
			}
		})
	}
	for i := range 20 {
		// In one step: half a file would be refused.
		if err := replaceFile(filepath.Join(g.dir, "models", "n.json"), []byte(model("n", fmt.Sprintf(`"display_name": "N%d",`, i), "p/up"))); err != nil {
			t.Fatal(err)
		}
		g.wantLoad(t, "")
	}
	close(ended)
	reloads.Wait()
	settle(t)
	g.post(chatPath, chatRequest).want(t, 200)
	if n := len(live.all()); n != 1 {
		t.Errorf("%d handlers are live, want 1", n)
	}
	if states, connections := pooled(); states != 1 || connections != 1 {
		t.Errorf("in the pools: %d states, %d transports; want one of each", states, connections)
	}
	t.Logf("%d reloads of the files during 20 of the configuration", done.Load())
	loadNothing(t)
	if states, connections := pooled(); states != 0 || connections != 0 {
		t.Errorf("in the pools after all: %d states, %d transports", states, connections)
	}
}

// A handler that comes too late must neither serve nor leave anything behind.
func TestAReloadThatIsOvertakenByTheEndOfTheConfigurationIsDropped(t *testing.T) {
	plainGateway(t, setup{})
	h := live.all()[0]
	present, held := h.acquire()
	if !held {
		t.Fatal("the running handler cannot be held")
	}
	next, err := h.load()
	if err != nil {
		t.Fatal(err)
	}
	loadNothing(t)
	h.swap(next)
	if now := h.current.Load(); now != present || next.refs.Load() != 0 {
		t.Errorf("the new state has %d references, serves: %t; want it dropped", next.refs.Load(), now == next)
	}
	present.release()
	if states, connections := pooled(); states != 0 || connections != 0 {
		t.Errorf("in the pools: %d states, %d transports", states, connections)
	}
}

// Its watch may have been about to reload it.
func TestAReloadAfterTheEndOfTheConfigurationIsNoneAndNotCounted(t *testing.T) {
	g, _ := plainGateway(t, setup{})
	before := metric(t, `caddy_llm_proxy_reloads_total{result="ok"}`)
	h := live.all()[0]
	loadNothing(t)
	if renewals := reload([]*Handler{h}); renewals[0].handler != nil {
		t.Error("a handler whose configuration has ended is reloaded")
	}
	g.wantReload(t, "")
	if n := metric(t, `caddy_llm_proxy_reloads_total{result="ok"}`) - before; n != 0 {
		t.Errorf("%v reloads are counted, want none", n)
	}
}

// What happened before a reload is told after it, when an event handler was slow.
func TestEventsOfBeforeAReloadAreNotLost(t *testing.T) {
	g := listened(t, answers(429, rateLimited, "Retry-After", "600"), "on llm_key_cooldown listener", "")
	t.Setenv("P_API_KEY_1", "k1")
	t.Setenv("P_API_KEY_2", "k2")
	entered, proceed := make(chan struct{}, 10), make(chan struct{})
	hear(t, func(caddy.Event) { entered <- struct{}{}; <-proceed })
	g.reloadFiles(t).want(t, 200)
	g.post(chatPath, chatRequest).want(t, 429)
	<-entered // the first one's handler is at work, and two more wait
	g.reloadFiles(t).want(t, 200)
	close(proceed)
	<-entered
	<-entered
}
