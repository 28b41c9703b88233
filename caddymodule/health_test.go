package caddymodule

import (
	"strings"
	"testing"
	"time"
)

func TestHealthTellsThatTheGatewayServes(t *testing.T) {
	g, up := plainGateway(t, setup{})
	for _, key := range []string{"", "-", "wrong"} { // for load balancers, so without a key
		got := g.do(request{method: "GET", path: "/health", key: key}).want(t, 200)
		wantMembers(t, members(t, got.body), "status", "timestamp")
		if got.get(t, "status") != "healthy" {
			t.Errorf("status = %v", got.get(t, "status"))
		}
		at, err := time.Parse("2006-01-02T15:04:05Z", got.get(t, "timestamp").(string))
		if err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("timestamp is %v, %v", at, err)
		}
	}
	if n := len(up.all()); n != 0 {
		t.Errorf("health asks the upstream: %d calls", n)
	}
}

func TestDetailedHealthIsWhatCanBeServed(t *testing.T) {
	const nowhere = "http://127.0.0.1:1"
	ready, keyless := provider("ready", nowhere, ""), provider("keyless", nowhere, "")
	off := strings.Replace(provider("off", nowhere, ""), `"enabled": true`, `"enabled": false`, 1)
	for _, tc := range []struct {
		name      string
		setup     setup
		status    string
		code      int
		providers map[string]string // enabled ones
		loaded    float64
		models    string
	}{
		{
			name:   "all have keys",
			setup:  setup{providers: map[string]string{"ready": ready}, models: map[string]string{"m": model("m", "", "ready/x")}},
			status: "healthy", code: 200, providers: map[string]string{"ready": "healthy"}, loaded: 1, models: "healthy",
		},
		{
			name:   "one has none",
			setup:  setup{providers: map[string]string{"ready": ready, "keyless": keyless}, models: map[string]string{"m": model("m", "", "ready/x")}},
			status: "degraded", code: 200, providers: map[string]string{"ready": "healthy", "keyless": "degraded"}, loaded: 2, models: "healthy",
		},
		{
			name: "one is switched off",
			setup: setup{
				providers: map[string]string{"ready": ready, "off": off},
				models:    map[string]string{"m": model("m", "", "ready/x")},
			},
			status: "healthy", code: 200, providers: map[string]string{"ready": "healthy"}, loaded: 2, models: "healthy",
		},
		{
			name:   "nobody has a key",
			setup:  setup{providers: map[string]string{"keyless": keyless}, models: map[string]string{"m": model("m", "", "keyless/x")}},
			status: "unhealthy", code: 503, providers: map[string]string{"keyless": "degraded"}, loaded: 1, models: "healthy",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("READY_API_KEY_1", "one")
			t.Setenv("READY_API_KEY_2", "two")
			g := start(t, tc.setup)
			got := g.do(request{method: "GET", path: "/health/detailed", key: "-"}).want(t, tc.code)
			wantMembers(t, members(t, got.body), "components", "status", "timestamp", "uptime_seconds")
			components := got.get(t, "components").(map[string]any)
			for _, name := range []string{"database", "providers", "model_config", "provider_configs"} {
				if _, ok := components[name].(map[string]any); !ok {
					t.Errorf("components.%s = %v", name, components[name])
				}
			}
			if got.get(t, "status") != tc.status || got.get(t, "components", "model_config", "status") != tc.models {
				t.Errorf("report is %s, want %s", got.body, tc.status)
			}
			if got.get(t, "components", "database", "status") != "disabled" {
				t.Errorf("database is %v", components["database"])
			}
			if n := got.get(t, "components", "model_config", "models_count"); n != 1. {
				t.Errorf("models_count = %v", n)
			}
			if n := got.get(t, "components", "provider_configs", "providers_loaded"); n != tc.loaded {
				t.Errorf("providers_loaded = %v, want %v", n, tc.loaded)
			}
			if n := got.get(t, "components", "provider_configs", "providers_enabled"); n != float64(len(tc.providers)) {
				t.Errorf("providers_enabled = %v, want %d", n, len(tc.providers))
			}
			if n := len(components["providers"].(map[string]any)); n != len(tc.providers) {
				t.Errorf("%d providers are told, want %d", n, len(tc.providers))
			}
			for name, want := range tc.providers {
				keys := map[string]float64{"healthy": 2, "degraded": 0}[want]
				if got.get(t, "components", "providers", name, "status") != want || got.get(t, "components", "providers", name, "keys_available") != keys {
					t.Errorf("provider %s is %v, want %s with %v keys", name, got.get(t, "components", "providers", name), want, keys)
				}
			}
			g.do(request{method: "GET", path: "/health", key: "-"}).want(t, 200)
		})
	}
}

func TestARestingKeyIsNoAvailableKey(t *testing.T) {
	up := serve(t, byKey(nil)) // refuses every key
	t.Setenv("UP_API_KEY_1", "one")
	t.Setenv("UP_API_KEY_2", "two")
	g := start(t, setup{providers: map[string]string{"up": provider("up", up.url, "")}, models: map[string]string{"m": model("m", "", "up/up")}})
	available := func() any {
		return g.do(request{method: "GET", path: "/health/detailed"}).get(t, "components", "providers", "up", "keys_available")
	}
	if n := available(); n != 2. {
		t.Errorf("keys available = %v, want 2", n)
	}
	g.post(chatPath, chatRequest).want(t, 502)
	if n := available(); n != 0. {
		t.Errorf("keys available after both were refused = %v, want 0", n)
	}
	g.do(request{method: "GET", path: "/health/detailed"}).want(t, 503)
}

func TestTheGatewaySaysHowLongItHasServed(t *testing.T) {
	g, _ := plainGateway(t, setup{})
	uptime := func() float64 {
		return g.do(request{method: "GET", path: "/health/detailed"}).get(t, "uptime_seconds").(float64)
	}
	before := uptime()
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	if after := uptime(); after < before || after > before+60 || before < 0 {
		t.Errorf("uptime goes from %v to %v over a reload", before, after)
	}
}
