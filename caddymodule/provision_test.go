package caddymodule

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

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
	if n, _ := sharedStates.References(path); n != 1 {
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
	up, connections := counting(t, oneKeyIsLimited(t))
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	g.post(chatPath, chatRequest).want(t, 200)
	states, transportsBefore := pooled()
	path := filepath.Join(g.dir, "providers")
	references, _ := sharedStates.References(path)

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
	if n, _ := sharedStates.References(path); n != references {
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
		if n, _ := sharedStates.References(path); n != 1 {
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
