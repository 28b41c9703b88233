package caddymodule

import (
	"encoding/json"
	"net/http"
	"time"
)

// Health states, from best to worst.
const (
	healthy   = "healthy"
	degraded  = "degraded"
	unhealthy = "unhealthy"
)

// healthReport is the body of GET /health/detailed. Its fields are those of
// the service that this project replaces, so that its monitors keep working.
type healthReport struct {
	Status        string           `json:"status"`
	Timestamp     string           `json:"timestamp"`
	UptimeSeconds int64            `json:"uptime_seconds"`
	Components    healthComponents `json:"components"`
}

type healthComponents struct {
	Database        databaseHealth            `json:"database"`
	Providers       map[string]providerHealth `json:"providers"`
	ModelConfig     modelHealth               `json:"model_config"`
	ProviderConfigs providerConfigHealth      `json:"provider_configs"`
}

type providerHealth struct {
	Status        string `json:"status"`
	KeysAvailable int    `json:"keys_available"`
}

type modelHealth struct {
	Status      string `json:"status"`
	ModelsCount int    `json:"models_count"`
	// Message says what is wrong with files that were not taken.
	Message string `json:"message,omitempty"`
}

type providerConfigHealth struct {
	Status           string `json:"status"`
	ProvidersLoaded  int    `json:"providers_loaded"`
	ProvidersEnabled int    `json:"providers_enabled"`
	// Message says what is wrong with files that were not taken.
	Message string `json:"message,omitempty"`
}

// health answers GET /health: the process serves.
func (x *exchange) health() {
	x.answerJSON(struct {
		Status    string `json:"status"`
		Timestamp string `json:"timestamp"`
	}{healthy, timestamp()})
}

func timestamp() string { return time.Now().UTC().Format(time.RFC3339) }

// healthDetailed answers GET /health/detailed, with 503 for a gateway that can
// answer nobody.
func (x *exchange) healthDetailed() {
	report := x.handler.healthOf(x.runtime, time.Now())
	code := http.StatusOK
	if report.Status == unhealthy {
		code = http.StatusServiceUnavailable
	}
	body, err := json.Marshal(report)
	if err != nil {
		panic(err) // none of our types fails
	}
	x.committed = true
	writeJSON(x.w, code, body)
}

// healthOf is what may be told to anybody. A provider without a key is degraded,
// which is no fault of the gateway, and so are a file that a reload found broken and
// a request log that cannot be written, since no request waits for it; only a
// gateway that can answer nobody is unhealthy.
func (h *Handler) healthOf(rt *runtime, now time.Time) *healthReport {
	report := &healthReport{
		Status:        healthy,
		Timestamp:     timestamp(),
		UptimeSeconds: int64(now.Sub(started).Seconds()),
		Components: healthComponents{
			Database:        rt.databaseHealth(now),
			Providers:       make(map[string]providerHealth),
			ModelConfig:     modelHealth{Status: healthy, ModelsCount: len(rt.router.Models())},
			ProviderConfigs: providerConfigHealth{Status: healthy},
		},
	}
	usable := 0
	for _, status := range rt.router.Providers() {
		report.Components.ProviderConfigs.ProvidersLoaded++
		if !status.Provider.Enabled {
			continue
		}
		report.Components.ProviderConfigs.ProvidersEnabled++
		p := providerHealth{Status: healthy, KeysAvailable: status.KeysAvailable(now)}
		if p.KeysAvailable == 0 || status.Provider.Unusable != "" {
			p.Status = degraded
			report.Status = degraded
		} else {
			usable++
		}
		report.Components.Providers[status.Provider.ID] = p
	}
	if report.Components.Database.Status == degraded {
		report.Status = degraded
	}
	h.tellBroken(report)
	if len(rt.router.Models()) == 0 {
		report.Components.ModelConfig.Status = unhealthy
	}
	if usable == 0 || len(rt.router.Models()) == 0 {
		report.Status = unhealthy
	}
	return report
}

// started is when the process began to serve, over all configurations.
var started = time.Now()
