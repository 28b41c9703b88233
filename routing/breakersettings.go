package routing

import (
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
)

// BreakerSettings says what a provider wants other than the llm_proxy block as
// to when one of its models is taken for ill. What is not set is as in the block.
type BreakerSettings struct {
	// Failures opens the breaker when so many attempts in a row failed. 0: never.
	Failures *int `json:"failures"`

	// Ratio, from 0 to 1, opens it when that part of the attempts within Window
	// failed, once there were Requests of them. 0: never.
	Ratio *float64 `json:"ratio" config:"max=1"`

	// Requests is from how many attempts within Window on Ratio counts; at
	// least 1.
	Requests *int `json:"requests"`

	// Window is how far Ratio looks back, at least 1s. A number of seconds or a
	// text such as "1m30s", as are the next two.
	Window *time.Duration `json:"window" config:"duration"`

	// Open is for how long it stays open the first time, at least 1s. Each probe
	// that fails doubles that, up to MaxOpen.
	Open *time.Duration `json:"open" config:"duration"`

	// MaxOpen is the longest that it stays open; where it is below Open, Open
	// counts.
	MaxOpen *time.Duration `json:"max_open" config:"duration"`
}

// or fills what is not set from the standard.
func (s *BreakerSettings) or(standard keys.Breaker) keys.Breaker {
	b := keys.Breaker{
		Failures: valueOr(s.Failures, standard.Failures),
		Ratio:    valueOr(s.Ratio, standard.Ratio),
		Requests: valueOr(s.Requests, standard.Requests),
		Window:   valueOr(s.Window, standard.Window),
		Open:     valueOr(s.Open, standard.Open),
		MaxOpen:  valueOr(s.MaxOpen, standard.MaxOpen),
	}
	b.MaxOpen = max(b.MaxOpen, b.Open)
	return b
}

func valueOr[T any](set *T, standard T) T {
	if set == nil {
		return standard
	}
	return *set
}

// check makes sure that a breaker can work.
func (s *BreakerSettings) check(d *document) {
	if s.Requests != nil && *s.Requests == 0 && d.has("breaker.requests") {
		d.failAt("breaker.requests", "must be above 0", "")
	}
	for _, field := range []struct {
		name  string
		value *time.Duration
	}{{"window", s.Window}, {"open", s.Open}} {
		at := "breaker." + field.name
		if d.has(at) && *field.value < time.Second {
			d.failAt(at, "must be at least 1s", `to have no breaker write "failures": 0, "ratio": 0`)
		}
	}
}
