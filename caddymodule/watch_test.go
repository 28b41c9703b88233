package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	goruntime "runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

func TestChangesAreToldOnceTheyHaveSettled(t *testing.T) {
	// states are what the files say, from a time on; they begin with a.
	type state struct {
		from time.Duration
		text string
	}
	const ms = time.Millisecond
	for _, tc := range []struct {
		name   string
		states []state
		want   string
	}{
		{"nothing", nil, ""},
		{"a change", []state{{100 * ms, "b"}}, "b"},
		{"two changes", []state{{100 * ms, "b"}, {5 * time.Second, "c"}}, "b c"},
		{"one in pieces", []state{{400 * ms, "1"}, {550 * ms, "2"}, {750 * ms, "3"}, {950 * ms, "4"}, {1100 * ms, "5"}}, "5"},
		{"one that is taken back at once", []state{{490 * ms, "b"}, {600 * ms, "a"}}, ""},
		{"one that is taken back later", []state{{100 * ms, "b"}, {5 * time.Second, "a"}}, "b a"},
		{"one for a moment that nobody looks", []state{{100 * ms, "b"}, {200 * ms, "a"}}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var told []string
				var w watcher
				w.read = func() (d routing.Digest) {
					d[0] = 'a'
					for _, s := range tc.states {
						if time.Since(began) >= s.from {
							d[0] = s.text[0]
						}
					}
					return d
				}
				w.changed = func(d routing.Digest) { told = append(told, string(d[:1])) }
				w.told = w.read()
				w.last = w.told
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				w.run(ctx)
				if got := strings.Join(told, " "); got != tc.want {
					t.Errorf("told %q, want %q", got, tc.want)
				}
			})
		})
	}
}

func TestLookingAtManyFilesTakesAShareOfTheTimeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		w := watcher{read: func() routing.Digest {
			looks++
			time.Sleep(time.Second) // a very large directory
			return routing.Digest{}
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 210*time.Second)
		defer cancel()
		w.run(ctx)
		if looks != 10 {
			t.Errorf("%d looks of 1 s in 210 s, want 10", looks)
		}
	})
}

func TestAPanicWhileWatchingDoesNotEndTheWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		w := watcher{logger: zap.NewNop(), changed: func(routing.Digest) { panic("in a reload") }}
		w.read = func() (d routing.Digest) {
			if calls++; calls == 1 {
				panic("while reading")
			}
			d[0] = 1
			return d
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		w.run(ctx)
		if calls < 8 {
			t.Errorf("%d looks in 5 s", calls)
		}
	})
}

// watched is a gateway with one model that watches its files.
func watched(t *testing.T) (*gateway, *upstream, logged) {
	t.Helper()
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	log := logFile(t)
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: "watch",
		global:    log.option,
	})
	return g, up, log
}

// lists waits until the model list is as wanted.
func (g *gateway) lists(t *testing.T, want string) {
	t.Helper()
	comesTrue(t, "the models are not "+want, func() bool {
		var list struct{ Data []struct{ ID string } }
		got := g.do(request{method: "GET", path: "/v1/models"}).want(t, 200)
		if err := json.Unmarshal([]byte(got.body), &list); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, m := range list.Data {
			names = append(names, m.ID)
		}
		return strings.Join(names, " ") == want
	})
}

func TestANewModelFileIsListedAndUsableAtOnce79(t *testing.T) {
	g, up, _ := watched(t)
	g.write("models", "deep/new", model("deep/new", "", "p/fresh"))
	g.lists(t, "deep/new m")
	g.post(chatPath, asking(chatRequest, "deep/new")).want(t, 200)
	if last := up.all()[0]; !strings.Contains(last.body, `"model":"fresh"`) {
		t.Errorf("the upstream is asked %s", last.body)
	}
	g.write("models", "m", model("m", "", "p/other"))
	g.remove("models", "deep/new")
	g.lists(t, "m")
	g.post(chatPath, chatRequest).want(t, 200)
	if last := up.all()[1]; !strings.Contains(last.body, `"model":"other"`) {
		t.Errorf("the upstream is asked %s", last.body)
	}
}

// rejected counts reloads that were rejected.
func rejected(t *testing.T) int {
	t.Helper()
	return int(metric(t, `caddy_llm_proxy_reloads_total{result="rejected"}`))
}

// RELIABILITY B5: partial write seen by watcher. The file is written in place, so
// slowly that each of its parts is looked at.
func TestB5PartialWriteSeenByWatcher(t *testing.T) {
	g, up, log := watched(t)
	text := model("m", "", "p/new", "p/newer")
	const parts = 5
	for i := range parts {
		before := rejected(t)
		g.write("models", "m", text[:len(text)*i/parts])
		comesTrue(t, "the part is not looked at", func() bool {
			g.post(chatPath, chatRequest).want(t, 200)
			return rejected(t) > before
		})
	}
	for _, c := range up.all() {
		if !strings.Contains(c.body, `"model":"up"`) {
			t.Fatalf("with a part of the file: %s, want the old configuration", c.body)
		}
	}
	g.write("models", "m", text)
	comesTrue(t, "the whole file is not taken", func() bool {
		g.post(chatPath, chatRequest).want(t, 200)
		calls := up.all()
		return strings.Contains(calls[len(calls)-1].body, `"model":"new"`)
	})
	if n := strings.Count(log.text(t), "the configuration files are broken"); n != parts {
		t.Errorf("the log tells %d broken files, want %d: each change once", n, parts)
	}
}

func TestABrokenFileIsToldUntilItIsRepaired(t *testing.T) {
	g, _, log := watched(t)
	health := func() response { return g.do(request{method: "GET", path: "/health/detailed", key: "-"}).want(t, 200) }
	g.write("models", "m", "{\n\"logical_name\": \"m\", \"model_routings\": 5}")
	comesTrue(t, "health does not tell", func() bool { return health().get(t, "status") == "degraded" })
	if message := fmt.Sprint(health().get(t, "components", "model_config", "message")); message != "not reloaded: models/m.json:2: model_routings: must be a list, not a number" {
		t.Errorf("the message is %q", message)
	}
	if ok := metric(t, "caddy_llm_proxy_config_ok"); ok != 0 {
		t.Errorf("caddy_llm_proxy_config_ok = %v, want 0", ok)
	}
	// As it was, so that there is nothing new but that it is good again.
	g.write("models", "m", model("m", "", "p/up"))
	comesTrue(t, "health does not tell that it is repaired", func() bool { return health().get(t, "status") == "healthy" })
	if ok := metric(t, "caddy_llm_proxy_config_ok"); ok != 1 {
		t.Errorf("caddy_llm_proxy_config_ok = %v, want 1", ok)
	}
	if n := strings.Count(log.text(t), "the configuration files are broken"); n != 1 {
		t.Errorf("the log tells %d broken files, want 1", n)
	}
}

// What the administrator has reloaded by hand is not reloaded again.
func TestTheWatchLeavesAloneWhatIsReloadedAlready(t *testing.T) {
	g, _, log := watched(t)
	reloads := func() int { return strings.Count(log.text(t), "the configuration files are reloaded") }
	g.write("models", "n", model("n", "", "p/up"))
	g.reloadFiles(t).want(t, 200)
	before := reloads() // two where the watch was the first
	h := live.all()[0]
	h.reloadChanged(h.current.Load().catalog.Digest())
	if n := reloads(); n != before {
		t.Errorf("%d reloads, want %d still", n, before)
	}
	g.write("models", "o", model("o", "", "p/up"))
	g.lists(t, "m n o")
	// The new models are served some moments before the log tells of them.
	comesTrue(t, "the log does not tell of the reload", func() bool { return reloads() > before })
	if n := reloads(); n != before+1 {
		t.Errorf("%d reloads, want %d", n, before+1)
	}
}

func TestTheWatchEndsWithItsConfiguration(t *testing.T) {
	g, _, _ := watched(t)
	loadNothing(t)
	client.CloseIdleConnections()
	before := settledGoroutines(t)
	for range 10 {
		g.wantLoad(t, "")
		// One that is rejected had watched, too.
		config := g.config
		g.config = strings.Replace(config, "watch", "watch\n client_key x {env.NOT_SET_BY_THE_TESTS}", 1)
		g.wantLoad(t, "NOT_SET_BY_THE_TESTS")
		g.config = config
	}
	loadNothing(t)
	client.CloseIdleConnections()
	comesTrue(t, "more goroutines than before", func() bool { return goruntime.NumGoroutine() <= before+3 })
}
