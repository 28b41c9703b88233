package keys

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestStatusShowsWhatKeepsAKeyOutOfUse(t *testing.T) {
	s := NewState()
	keys := []*Key{NewKey("p", "P_API_KEY", canary), NewKey("p", "P_API_KEY_2", "b"), NewKey("p", "P_API_KEY_10", "c")}
	p := s.Pool("p", keys, Limits{RequestsPerMinute: 1})
	cool(p, keys[0], ScopeKeyModel, "z", t0, 30*time.Second, ReasonRateLimited)
	cool(p, keys[0], ScopeKeyModel, "a", t0, 20*time.Second, ReasonOverloaded)
	cool(p, keys[0], ScopeKeyModel, "over", t0, time.Second, ReasonOverloaded)
	cool(p, keys[0], ScopeKey, "", t0, time.Hour, ReasonDead)
	cool(p, p.keys[0], ScopeProvider, "", t0, 10*time.Second, ReasonBroken)
	p.memories[1].requests.take(t0, 1, 1)

	got, err := json.Marshal(p.Status(at(5 * time.Second)))
	if err != nil {
		t.Fatal(err)
	}
	provider := `{"scope":"provider","until":"2026-11-01T12:00:10Z","why":"broken","half_open":false}`
	want := `[{"id":"` + keys[0].ID + `","source":"P_API_KEY","cooling":[` + provider +
		`,{"scope":"key","until":"2026-11-01T13:00:00Z","why":"dead","half_open":false}` +
		`,{"scope":"key_model","model":"a","until":"2026-11-01T12:00:20Z","why":"overloaded","half_open":false}` +
		`,{"scope":"key_model","model":"over","until":"2026-11-01T12:00:01Z","why":"overloaded","half_open":true}` +
		`,{"scope":"key_model","model":"z","until":"2026-11-01T12:00:30Z","why":"rate_limited","half_open":false}]}` +
		`,{"id":"` + keys[1].ID + `","source":"P_API_KEY_2","cooling":[` + provider +
		`,{"scope":"key","until":"2026-11-01T12:01:00Z","why":"limit","half_open":false}]}` +
		`,{"id":"` + keys[2].ID + `","source":"P_API_KEY_10","cooling":[` + provider + `]}]`
	if string(got) != want {
		t.Errorf("Status:\n%s\nwant\n%s", got, want)
	}
	wantNoSecret(t, "status", string(got))

	got, _ = json.Marshal(p.Status(at(3 * time.Hour)))
	if n := strings.Count(string(got), `"cooling":[]`); n != 3 {
		t.Errorf("after everything is over: %s, want three usable keys", got)
	}
}

func TestSoonestNamesTheFirstKeyThatComesBack(t *testing.T) {
	for _, tc := range []struct {
		name    string
		cool    func(p *Pool)
		at      time.Duration
		why     Reason
		limited bool
	}{
		{"all usable", func(*Pool) {}, 0, "", false},
		{"one usable", func(p *Pool) {
			cool(p, p.keys[0], ScopeKey, "", t0, time.Hour, ReasonRateLimited)
		}, 0, "", false},
		{"one dead, one rate limited", func(p *Pool) {
			cool(p, p.keys[0], ScopeKey, "", t0, time.Hour, ReasonDead)
			cool(p, p.keys[1], ScopeKeyModel, "a", t0, 20*time.Second, ReasonRateLimited)
		}, 20 * time.Second, ReasonRateLimited, false},
		{"all rate limited", func(p *Pool) {
			cool(p, p.keys[0], ScopeKey, "", t0, time.Hour, ReasonRateLimited)
			cool(p, p.keys[1], ScopeKeyModel, "a", t0, 20*time.Second, ReasonRateLimited)
		}, 20 * time.Second, ReasonRateLimited, true},
		{"one rate limited, the other's limit used up", func(p *Pool) {
			cool(p, p.keys[0], ScopeKey, "", t0, time.Hour, ReasonRateLimited)
			p.memories[1].requests.take(t0, 2, 2)
		}, 30 * time.Second, ReasonLimit, true},
		{"all dead", func(p *Pool) {
			cool(p, p.keys[0], ScopeKey, "", t0, 2*time.Hour, ReasonDead)
			cool(p, p.keys[1], ScopeKey, "", t0, time.Hour, ReasonDead)
		}, time.Hour, ReasonDead, false},
		{"the later of one key's rests", func(p *Pool) {
			for _, k := range p.keys {
				cool(p, k, ScopeKey, "", t0, 10*time.Second, ReasonBroken)
				cool(p, k, ScopeKeyModel, "a", t0, 20*time.Second, ReasonRateLimited)
			}
		}, 20 * time.Second, ReasonRateLimited, true},
		{"another model's rest", func(p *Pool) {
			for _, k := range p.keys {
				cool(p, k, ScopeKeyModel, "b", t0, 20*time.Second, ReasonRateLimited)
			}
		}, 0, "", false},
		{"the provider longer than its keys", func(p *Pool) {
			cool(p, p.keys[0], ScopeKey, "", t0, 10*time.Second, ReasonRateLimited)
			cool(p, p.keys[1], ScopeKey, "", t0, 10*time.Second, ReasonRateLimited)
			cool(p, p.keys[0], ScopeProvider, "", t0, 15*time.Second, ReasonOverloaded)
		}, 15 * time.Second, ReasonOverloaded, false},
		{"the keys longer than their provider", func(p *Pool) {
			cool(p, p.keys[0], ScopeKey, "", t0, 20*time.Second, ReasonDead)
			cool(p, p.keys[1], ScopeKey, "", t0, 30*time.Second, ReasonRateLimited)
			cool(p, p.keys[0], ScopeProvider, "", t0, 15*time.Second, ReasonOverloaded)
		}, 20 * time.Second, ReasonDead, false},
		{"the provider is limited, its keys are fine", func(p *Pool) {
			cool(p, p.keys[0], ScopeProvider, "", t0, 15*time.Second, ReasonRateLimited)
		}, 15 * time.Second, ReasonRateLimited, true},
		{"a rest that is over", func(p *Pool) {
			cool(p, p.keys[0], ScopeProvider, "", at(-time.Minute), time.Minute, ReasonOverloaded)
		}, 0, "", false},
		{"a rest that is over and being probed", func(p *Pool) {
			cool(p, p.keys[0], ScopeProvider, "", at(-time.Minute), time.Minute, ReasonOverloaded)
			p.Pick(t0, "b", nil, "")
		}, time.Second, ReasonOverloaded, false},
		{"one dead, the other being probed", func(p *Pool) {
			cool(p, p.keys[0], ScopeKey, "", t0, time.Hour, ReasonDead)
			cool(p, p.keys[1], ScopeKeyModel, "a", at(-time.Minute), time.Minute, ReasonRateLimited)
			p.Pick(t0, "a", nil, "")
		}, time.Second, ReasonRateLimited, false},
		{"a probe that takes too long", func(p *Pool) {
			for _, k := range p.keys {
				cool(p, k, ScopeKey, "", at(-time.Minute), time.Second, ReasonRateLimited)
				p.Pick(at(-probePatience), "a", nil, "")
			}
		}, 0, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := NewState().Pool("p", newKeys("p", 2), Limits{RequestsPerMinute: 2})
			tc.cool(p)
			got, why, limited, ok := p.Soonest(t0, "a")
			if !got.Equal(at(tc.at)) || why != tc.why || limited != tc.limited || !ok {
				t.Errorf("Soonest = %v, %q, %v, %v, want %v, %q, %v, true", got.Sub(t0), why, limited, ok, tc.at, tc.why, tc.limited)
			}
			if picked := picks(p, got, "a"); picked == "-" && !strings.Contains(tc.name, "being probed") {
				t.Error("nothing can be picked at the promised time")
			}
		})
	}
}
