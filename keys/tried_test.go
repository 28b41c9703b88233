package keys

import (
	"math/rand/v2"
	"testing"
)

func TestTriedAllocatesNothingForUpTo128Keys(t *testing.T) {
	p, keys := newPool(128)
	allocs := testing.AllocsPerRun(10, func() {
		var tried Tried
		for range 3 {
			for range keys {
				l, ok := p.Pick(t0, "a", &tried, "")
				if !ok {
					t.Fatal("no key")
				}
				l.Fail(t0, ScopeKeyModel, 0, ReasonBroken)
			}
			tried.NextCycle()
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func TestManyKeysAreTriedOnceEach(t *testing.T) {
	for _, n := range []int{1, 63, 64, 65, 127, 128, 129, 192, 193, 300} {
		p, keys := newPool(n)
		var tried Tried
		for cycle := range 3 {
			seen := make(map[string]bool)
			for l, ok := p.Pick(t0, "a", &tried, ""); ok; l, ok = p.Pick(t0, "a", &tried, "") {
				if seen[l.Key.ID] {
					t.Fatalf("%d keys, cycle %d: %s was tried twice", n, cycle, l.Key.Source)
				}
				seen[l.Key.ID] = true
			}
			if len(seen) != n {
				t.Errorf("%d keys, cycle %d: %d were tried", n, cycle, len(seen))
			}
			tried.NextCycle()
		}
		for range keys {
			l, _ := p.Pick(t0, "a", &tried, "")
			l.Fail(t0, ScopeKey, 0, ReasonDead)
		}
		if got := source(p.Pick(t0, "a", &tried, "")); got != "-" || tried.NextCycle() {
			t.Errorf("%d dead keys: picked %s, want neither a key nor another cycle", n, got)
		}
	}
}

func TestNextCycleNeedsAKeyThatMayBeTriedAgain(t *testing.T) {
	var tried Tried
	if tried.NextCycle() {
		t.Error("NextCycle() = true when nothing was tried")
	}
	p, _ := newPool(1)
	p.Pick(t0, "a", &tried, "")
	if !tried.NextCycle() {
		t.Error("NextCycle() = false after an attempt")
	}
	if tried.NextCycle() {
		t.Error("NextCycle() = true when nothing was tried in this cycle")
	}
}

func TestTriedKnowsAKeyInEveryPoolOfItsProvider(t *testing.T) {
	s, keys := NewState(), newKeys("p", 4)
	whole := s.Pool("p", keys, Limits{})
	part := s.Pool("p", []*Key{keys[3], keys[2]}, Limits{})
	var tried Tried
	part.Pick(t0, "a", &tried, "") // k4
	var got string
	for l, ok := whole.Pick(t0, "a", &tried, ""); ok; l, ok = whole.Pick(t0, "a", &tried, "") {
		got += l.Key.Source
	}
	if want := "k1k2k3"; got != want {
		t.Errorf("the other pool gave %s, want %s", got, want)
	}
}

func TestNumbersAreASet(t *testing.T) {
	var n numbers
	want := make(map[int]bool)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		number := rng.IntN(500)
		if got := n.has(number); got != want[number] {
			t.Fatalf("has(%d) = %v, want %v", number, got, want[number])
		}
		n.add(number)
		want[number] = true
		if rng.IntN(300) == 0 {
			n.clear()
			clear(want)
		}
		if got := n.anyBut(&numbers{}); got != (len(want) > 0) {
			t.Fatalf("anyBut(nothing) = %v with %d numbers", got, len(want))
		}
	}
}
