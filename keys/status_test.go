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
	p.Cool(keys[0], ScopeKeyModel, "z", t0, 30*time.Second, ReasonRateLimited)
	p.Cool(keys[0], ScopeKeyModel, "a", t0, 20*time.Second, ReasonOverloaded)
	p.Cool(keys[0], ScopeKeyModel, "gone", t0, time.Second, ReasonOverloaded)
	p.Cool(keys[0], ScopeKey, "", t0, time.Hour, ReasonDead)
	p.Cool(nil, ScopeProvider, "", t0, 10*time.Second, ReasonBroken)
	p.memories[1].requests.take(t0, 1, 1)

	got, err := json.Marshal(p.Status(at(5 * time.Second)))
	if err != nil {
		t.Fatal(err)
	}
	provider := `{"scope":"provider","until":"2026-11-01T12:00:10Z","why":"broken"}`
	want := `[{"id":"` + keys[0].ID + `","source":"P_API_KEY","cooling":[` + provider +
		`,{"scope":"key","until":"2026-11-01T13:00:00Z","why":"dead"}` +
		`,{"scope":"key_model","model":"a","until":"2026-11-01T12:00:20Z","why":"overloaded"}` +
		`,{"scope":"key_model","model":"z","until":"2026-11-01T12:00:30Z","why":"rate_limited"}]}` +
		`,{"id":"` + keys[1].ID + `","source":"P_API_KEY_2","cooling":[` + provider +
		`,{"scope":"key","until":"2026-11-01T12:01:00Z","why":"limit"}]}` +
		`,{"id":"` + keys[2].ID + `","source":"P_API_KEY_10","cooling":[` + provider + `]}]`
	if string(got) != want {
		t.Errorf("Status:\n%s\nwant\n%s", got, want)
	}
	wantNoSecret(t, "status", string(got))

	got, _ = json.Marshal(p.Status(at(2 * time.Hour)))
	if n := strings.Count(string(got), `"cooling":[]`); n != 3 {
		t.Errorf("after everything is over: %s, want three usable keys", got)
	}
}

func TestSoonestNamesTheFirstKeyThatComesBack(t *testing.T) {
	for _, tc := range []struct {
		name string
		cool func(p *Pool)
		at   time.Duration
		why  Reason
	}{
		{"all usable", func(*Pool) {}, 0, ""},
		{"one usable", func(p *Pool) {
			p.Cool(p.keys[0], ScopeKey, "", t0, time.Hour, ReasonDead)
		}, 0, ""},
		{"one dead, one rate limited", func(p *Pool) {
			p.Cool(p.keys[0], ScopeKey, "", t0, time.Hour, ReasonDead)
			p.Cool(p.keys[1], ScopeKeyModel, "a", t0, 20*time.Second, ReasonRateLimited)
		}, 20 * time.Second, ReasonRateLimited},
		{"all dead", func(p *Pool) {
			p.Cool(p.keys[0], ScopeKey, "", t0, 2*time.Hour, ReasonDead)
			p.Cool(p.keys[1], ScopeKey, "", t0, time.Hour, ReasonDead)
		}, time.Hour, ReasonDead},
		{"the later of one key's rests", func(p *Pool) {
			for _, k := range p.keys {
				p.Cool(k, ScopeKey, "", t0, 10*time.Second, ReasonBroken)
				p.Cool(k, ScopeKeyModel, "a", t0, 20*time.Second, ReasonRateLimited)
			}
		}, 20 * time.Second, ReasonRateLimited},
		{"another model's rest", func(p *Pool) {
			for _, k := range p.keys {
				p.Cool(k, ScopeKeyModel, "b", t0, 20*time.Second, ReasonRateLimited)
			}
		}, 0, ""},
		{"the provider longer than its keys", func(p *Pool) {
			p.Cool(p.keys[0], ScopeKey, "", t0, 10*time.Second, ReasonDead)
			p.Cool(p.keys[1], ScopeKey, "", t0, 10*time.Second, ReasonDead)
			p.Cool(nil, ScopeProvider, "", t0, 15*time.Second, ReasonOverloaded)
		}, 15 * time.Second, ReasonOverloaded},
		{"the keys longer than their provider", func(p *Pool) {
			p.Cool(p.keys[0], ScopeKey, "", t0, 20*time.Second, ReasonDead)
			p.Cool(p.keys[1], ScopeKey, "", t0, 30*time.Second, ReasonRateLimited)
			p.Cool(nil, ScopeProvider, "", t0, 15*time.Second, ReasonOverloaded)
		}, 20 * time.Second, ReasonDead},
		{"a rest that is over", func(p *Pool) {
			p.Cool(nil, ScopeProvider, "", at(-time.Hour), time.Minute, ReasonOverloaded)
		}, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _ := newPool(2)
			tc.cool(p)
			got, why, ok := p.Soonest(t0, "a")
			if !got.Equal(at(tc.at)) || why != tc.why || !ok {
				t.Errorf("Soonest = %v, %q, %v, want %v, %q, true", got.Sub(t0), why, ok, tc.at, tc.why)
			}
			if picked := picks(p, got, "a"); picked == "-" {
				t.Error("nothing can be picked at the promised time")
			}
		})
	}
}
