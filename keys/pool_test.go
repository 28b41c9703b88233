package keys

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return t0.Add(d) }

// newKeys returns n keys whose sources are k1, k2, ...
func newKeys(provider string, n int) []*Key {
	keys := make([]*Key, n)
	for i := range keys {
		source := fmt.Sprint("k", i+1)
		keys[i] = NewKey(provider, source, "secret of "+source)
	}
	return keys
}

func newPool(n int) (*Pool, []*Key) {
	keys := newKeys("p", n)
	return NewState().Pool("p", keys, Limits{}), keys
}

// source is what a test calls the key of a lease that Pick returned.
func source(l Lease, ok bool) string {
	switch {
	case ok != (l.Key != nil):
		return fmt.Sprintf("key %v with ok = %v", l.Key, ok)
	case !ok:
		return "-"
	default:
		return l.Key.Source
	}
}

// leaseOf is a use of a key since began, whether or not Pick would have allowed it.
func leaseOf(p *Pool, k *Key, model string, began time.Time) Lease {
	return Lease{Key: k, pool: p, memory: p.memoryOf(k), model: model, began: began}
}

// cool rests what scope names on nobody's behalf.
func cool(p *Pool, k *Key, scope Scope, model string, now time.Time, d time.Duration, why Reason) {
	l := leaseOf(p, k, model, now)
	l.Fail(now, scope, d, why)
}

// succeed is the end of a use of a key that went well.
func succeed(p *Pool, k *Key, model string, began, now time.Time) {
	l := leaseOf(p, k, model, began)
	l.Succeed(now)
}

// picks makes one request after the other, each for one of models, and returns the
// sources of the keys they got. Nothing comes out about the keys.
func picks(p *Pool, now time.Time, models ...string) string {
	var got []string
	for _, model := range models {
		lease, ok := p.Pick(now, model, nil, "")
		got = append(got, source(lease, ok))
		lease.Return()
	}
	return strings.Join(got, " ")
}

// The numbers in test names are the rows of the original's black-box cases.

func TestConsecutiveRequestsUseConsecutiveKeys44(t *testing.T) {
	p, _ := newPool(3)
	if got, want := picks(p, t0, "a", "a", "a", "a"), "k1 k2 k3 k1"; got != want {
		t.Errorf("four requests used %s, want %s", got, want)
	}
}

func TestRotationIsSharedByAllModels46(t *testing.T) {
	p, _ := newPool(3)
	if got, want := picks(p, t0, "a", "a", "a", "b", "a", "c"), "k1 k2 k3 k1 k2 k3"; got != want {
		t.Errorf("requests of several models used %s, want %s", got, want)
	}
}

func TestOneKeyServesEveryRequest37(t *testing.T) {
	p, _ := newPool(1)
	if got, want := picks(p, t0, "a", "b", "a"), "k1 k1 k1"; got != want {
		t.Errorf("requests used %s, want %s", got, want)
	}
}

func TestPoolWithoutKeysHasNothingToGive55(t *testing.T) {
	p := NewState().Pool("p", nil, Limits{})
	if l, ok := p.Pick(t0, "a", new(Tried), ""); ok || l.Key != nil {
		t.Errorf("Pick = %v, %v, want nothing", l.Key, ok)
	}
	if _, _, _, ok := p.Soonest(t0, "a"); ok {
		t.Error("Soonest promises a key of a pool without keys")
	}
	if p.Len() != 0 || p.Reset("") != 0 || len(p.Status(t0)) != 0 {
		t.Errorf("Len = %d, Reset = %d, Status = %v, want nothing", p.Len(), p.Reset(""), p.Status(t0))
	}
}

func TestKeysOfOneProviderDoNotConcernAnother56(t *testing.T) {
	s := NewState()
	// The same secrets, so that only the provider tells them apart.
	a := s.Pool("a", []*Key{NewKey("a", "a1", "same")}, Limits{})
	b := s.Pool("b", []*Key{NewKey("b", "b1", "same")}, Limits{})
	cool(a, a.keys[0], ScopeKey, "", t0, time.Hour, ReasonDead)
	cool(a, a.keys[0], ScopeProvider, "", t0, time.Hour, ReasonBroken)
	if got := picks(a, t0, "m") + " " + picks(b, t0, "m"); got != "- b1" {
		t.Errorf("picks of a and b = %s, want - b1", got)
	}
}

func TestRestingKeysAreSkippedWithoutLosingTheTurn(t *testing.T) {
	p, keys := newPool(4)
	cool(p, keys[1], ScopeKey, "", t0, time.Minute, ReasonRateLimited)
	cool(p, keys[2], ScopeKeyModel, "a", t0, time.Minute, ReasonRateLimited)
	for _, step := range []struct {
		after time.Duration
		model string
		want  string
	}{
		{0, "a", "k1"}, {0, "a", "k4"}, {0, "b", "k1"}, {0, "b", "k3"}, {0, "b", "k4"}, {0, "a", "k1"}, {time.Minute, "a", "k2"}, {time.Minute, "a", "k3"},
	} {
		if got := picks(p, at(step.after), step.model); got != step.want {
			t.Fatalf("after %v for model %s: %s, want %s", step.after, step.model, got, step.want)
		}
	}
}

func TestPickThatFindsNothingLeavesTheRotation(t *testing.T) {
	p, keys := newPool(3)
	picks(p, t0, "a")
	for _, k := range keys {
		cool(p, k, ScopeKeyModel, "b", t0, time.Minute, ReasonRateLimited)
	}
	if got, want := picks(p, t0, "b", "b", "a", "b", "a"), "- - k2 - k3"; got != want {
		t.Errorf("picks = %s, want %s", got, want)
	}
}

func TestRequestTriesEachKeyOnce(t *testing.T) {
	p, _ := newPool(3)
	picks(p, t0, "a") // another request, so that this one begins in the middle
	var tried Tried
	var got []string
	for range 4 {
		got = append(got, source(p.Pick(t0, "a", &tried, "")))
	}
	if got, want := strings.Join(got, " "), "k2 k3 k1 -"; got != want {
		t.Errorf("one request used %s, want %s", got, want)
	}
}

func TestRotationGoesByKeyNotByPosition(t *testing.T) {
	s, keys := NewState(), newKeys("p", 5)
	p := s.Pool("p", keys[1:4], Limits{}) // k2 k3 k4
	picks(p, t0, "a", "a")                // k2 k3
	for _, tc := range []struct {
		name  string
		order []*Key
		want  string
	}{
		{"keys added before and after", keys, "k4"},
		{"turned round", []*Key{keys[4], keys[3], keys[2], keys[1], keys[0]}, "k3"},
	} {
		next := s.Pool("p", tc.order, Limits{})
		p.Close()
		if got := picks(next, t0, "a"); got != tc.want {
			t.Errorf("%s: next key is %s, want %s", tc.name, got, tc.want)
		}
		p = next
	}
	// The last key is gone, so there is no next one: begin anew.
	next := s.Pool("p", []*Key{keys[0], keys[1]}, Limits{})
	p.Close()
	if got, want := picks(next, t0, "a", "a", "a"), "k1 k2 k1"; got != want {
		t.Errorf("without the last key: %s, want %s", got, want)
	}
}

func TestPoolsWithoutACommonKeyStillRotate(t *testing.T) {
	s, keys := NewState(), newKeys("p", 4)
	a, b := s.Pool("p", keys[:2], Limits{}), s.Pool("p", keys[2:], Limits{})
	var got []string
	for range 3 {
		got = append(got, picks(a, t0, "m"), picks(b, t0, "m"))
	}
	if got, want := strings.Join(got, " "), "k1 k3 k2 k4 k1 k3"; got != want {
		t.Errorf("alternating pools used %s, want %s", got, want)
	}
}

func TestKeyThatIsListedTwiceCountsOnce(t *testing.T) {
	keys := newKeys("p", 2)
	p := NewState().Pool("p", []*Key{keys[0], keys[1], keys[0]}, Limits{})
	if got, want := picks(p, t0, "a", "a", "a"), "k1 k2 k1"; got != want || p.Len() != 2 {
		t.Errorf("Len() = %d, picks = %s, want 2, %s", p.Len(), got, want)
	}
}

func TestChargeOfAKeyOfAnotherPoolIsIgnored(t *testing.T) {
	p := NewState().Pool("p", newKeys("p", 1), Limits{TokensPerMinute: 1})
	p.Charge(NewKey("p", "x", "stranger"), t0, 5)
	p.Charge(nil, t0, 5)
	if got := picks(p, t0, "a"); got != "k1" {
		t.Errorf("picked %s, want k1", got)
	}
}

func TestPreferredKeyIsTakenWithoutMovingTheRotation(t *testing.T) {
	p, keys := newPool(4)
	cool(p, keys[3], ScopeKeyModel, "a", t0, time.Minute, ReasonRateLimited)
	var tried Tried
	for _, step := range []struct {
		prefer string
		tried  *Tried
		want   string
	}{
		{"", nil, "k1"},
		{keys[2].ID, &tried, "k3"},
		{keys[2].ID, nil, "k3"},
		{keys[2].ID, &tried, "k2"}, // this request has tried k3
		{keys[3].ID, nil, "k3"},    // k4 rests
		{"unknown", nil, "k1"},
		{"", nil, "k2"},
	} {
		if got := source(p.Pick(t0, "a", step.tried, step.prefer)); got != step.want {
			t.Fatalf("Pick(prefer %q) = %s, want %s", step.prefer, got, step.want)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{1, 3, 64, 100} {
		b.Run(fmt.Sprintf("healthy %d keys", n), func(b *testing.B) {
			p, _ := newPool(n)
			benchmarkPick(b, p)
		})
	}
	b.Run("limited 3 keys", func(b *testing.B) {
		p := NewState().Pool("p", newKeys("p", 3), Limits{RequestsPerMinute: 1 << 30, TokensPerMinute: 1 << 30})
		benchmarkPick(b, p)
	})
	b.Run("other models rest 3 keys", func(b *testing.B) {
		p, keys := newPool(3)
		for _, k := range keys {
			cool(p, k, ScopeKeyModel, "other", t0, time.Hour, ReasonRateLimited)
		}
		benchmarkPick(b, p)
	})
	b.Run("half of 100 rest", func(b *testing.B) {
		p, keys := newPool(100)
		for i := 0; i < len(keys); i += 2 {
			cool(p, keys[i], ScopeKeyModel, "gpt-5", t0, time.Hour, ReasonRateLimited)
		}
		benchmarkPick(b, p)
	})
	b.Run("all of 100 rest", func(b *testing.B) {
		p, keys := newPool(100)
		for _, k := range keys {
			cool(p, k, ScopeKeyModel, "gpt-5", t0, time.Hour, ReasonRateLimited)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := p.Pick(t0, "gpt-5", nil, ""); ok {
				b.Fatal("a key was picked")
			}
		}
	})
	b.Run("parallel 3 keys", func(b *testing.B) {
		p, _ := newPool(3)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				var tried Tried
				p.Pick(t0, "gpt-5", &tried, "")
			}
		})
	})
}

func benchmarkPick(b *testing.B, p *Pool) {
	b.ReportAllocs()
	for b.Loop() {
		var tried Tried
		if _, ok := p.Pick(t0, "gpt-5", &tried, ""); !ok {
			b.Fatal("no key")
		}
	}
}
