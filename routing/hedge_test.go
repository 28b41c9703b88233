package routing

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
)

const hedgeSoon = `"hedge_after":"1s",`

var (
	quick   = reply{status: 200, body: goodAnswer}
	slow    = reply{after: 5 * time.Second, status: 200, body: goodAnswer}
	failing = reply{status: 500, body: brokenAnswer}
)

func TestTheFasterBranchOfAHedgeAnswers(t *testing.T) {
	for _, tc := range []struct {
		name    string
		replies map[string][]reply
		from    string // "": nobody
		asked   string
		left    string
		took    time.Duration
	}{
		{"the first, before a hedge", map[string][]reply{"a": {quick}, "b": {quick}, "c": {quick}}, "a", "a", "", 0},
		{"the first, after the hedge began", map[string][]reply{"a": {{after: 2 * time.Second, status: 200, body: goodAnswer}}, "b": {slow}, "c": {quick}}, "a", "a b", "b", 2 * time.Second},
		{"the second", map[string][]reply{"a": {slow}, "b": {quick}, "c": {quick}}, "b", "a b", "a", time.Second},
		{"the third, where the second fails", map[string][]reply{"a": {slow}, "b": {failing}, "c": {quick}}, "c", "a b c", "a", time.Second},
		{"the hedge, where the first fails late", map[string][]reply{"a": {{after: 2 * time.Second, status: 500, body: brokenAnswer}}, "b": {slow}, "c": {quick}}, "b", "a b", "", 6 * time.Second},
		{"the first, where the hedge fails", map[string][]reply{"a": {slow}, "b": {failing}, "c": {failing}}, "a", "a b c", "", 5 * time.Second},
		{"nobody", map[string][]reply{"a": {{after: 2 * time.Second, status: 500, body: brokenAnswer}}, "b": {failing}, "c": {failing}}, "", "a b c", "", 2 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, modelOf(hedgeSoon, "a", "b", "c"), nil, nil, tc.replies, nil)
				began := time.Now()
				from, failure := b.ask(t, nil)
				if took := time.Since(began); from != tc.from || took != tc.took {
					t.Errorf("answer from %q after %v, want %q after %v", from, took, tc.from, tc.took)
				}
				if asked, left := b.asked(), b.left(); asked != tc.asked || left != tc.left {
					t.Errorf("asked %q, left %q; want %q, %q", asked, left, tc.asked, tc.left)
				}
				if tc.from == "" && (failure == nil || failure.Class != Broken || len(failure.Attempts) != 3) {
					t.Errorf("failure = %+v, want broken after 3 attempts", failure)
				}
				b.settled(t)
			})
		})
	}
}

func TestBothBranchesOfAHedgeMayAnswerAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, modelOf(hedgeSoon, "a", "b"), nil, nil, map[string][]reply{
			"a": {{after: 2 * time.Second, status: 200, body: goodAnswer}}, "b": {{after: time.Second, status: 200, body: goodAnswer}},
		}, nil)
		for range 50 {
			if from, failure := b.ask(t, nil); failure != nil || from != "a" && from != "b" {
				t.Fatalf("answer from %q, %+v", from, failure)
			}
		}
		b.settled(t)
	})
}

func TestAHedgeThatTheBudgetRefusesLeavesTheOtherRoutesToTheFirst(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, modelOf(hedgeSoon, "a", "b"), nil, nil, map[string][]reply{
			"a": {{after: 2 * time.Second, status: 500, body: brokenAnswer}}, "b": {quick},
		}, func(o *Options) { o.Retries = Retries{Ratio: 1e-6} })
		if from, _ := b.ask(t, nil); from != "b" { // spends the only retry
			t.Fatalf("answer from %q, want b", from)
		}
		from, failure := b.ask(t, nil)
		if failure != nil || from != "b" {
			t.Errorf("answer from %q, %+v; want b, which is well", from, failure)
		}
		if asked := b.asked(); asked != "a b a b" {
			t.Errorf("asked %q, want a b a b", asked)
		}
		b.settled(t)
	})
}

func TestAClientThatLeavesEndsBothBranches(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, modelOf(hedgeSoon, "a", "b"), nil, nil, map[string][]reply{"a": {slow}, "b": {slow}}, nil)
		ctx, leave := context.WithTimeout(t.Context(), 2*time.Second)
		defer leave()
		began := time.Now()
		_, failure := b.askIn(ctx, t, nil)
		if took := time.Since(began); failure == nil || took != 2*time.Second {
			t.Errorf("failure = %+v after %v, want one after 2s", failure, took)
		}
		if left := b.left(); len(left) != len("a b") {
			t.Errorf("left %q, want both", left)
		}
		b.settled(t)
	})
}

func TestALoserKeepsItsKeyAndItsBreaker(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, modelOf(hedgeSoon, "a", "b"), nil, nil, map[string][]reply{"a": {slow}, "b": {quick}}, nil)
		for range 5 {
			if from, failure := b.ask(t, nil); failure != nil || from != "b" {
				t.Fatalf("answer from %q, %+v; want b", from, failure)
			}
		}
		for _, report := range b.Report(time.Now()) {
			for _, m := range report.Models {
				if m.Breaker != keys.BreakerClosed || m.Failures != 0 {
					t.Errorf("%s: breaker %s after %d failures, want closed after none", report.Provider, m.Breaker, m.Failures)
				}
			}
			for _, k := range report.Keys {
				if len(k.Cooling) != 0 {
					t.Errorf("%s: cooling = %v, want none", report.Provider, k.Cooling)
				}
			}
		}
		b.settled(t)
	})
}

func TestALoserGivesItsProbeBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, modelOf(hedgeSoon, "a", "b"), nil, nil, map[string][]reply{
			"a": {{status: 429, body: limitedAnswer}, slow}, "b": {quick},
		}, nil)
		b.ask(t, nil)
		time.Sleep(10 * time.Minute) // a's key is half-open now
		if from, _ := b.ask(t, nil); from != "b" {
			t.Fatalf("answer from %q, want b, which outruns the probe of a", from)
		}
		b.answers("a", quick)
		if from, _ := b.ask(t, nil); from != "a" {
			t.Errorf("answer from %q, want a: its probe was given back", from)
		}
		b.settled(t)
	})
}

func TestAMistakeOfTheClientEndsTheHedge(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, modelOf(hedgeSoon, "a", "b"), nil, nil, map[string][]reply{
			"a": {{after: 2 * time.Second, status: 400, body: mistakenAnswer}}, "b": {slow},
		}, nil)
		began := time.Now()
		_, failure := b.ask(t, nil)
		if took := time.Since(began); failure == nil || failure.Class != InvalidRequest || took != 2*time.Second {
			t.Fatalf("failure = %+v after %v, want the client's mistake after 2s", failure, took)
		}
		if got := classesOf(failure.Attempts); !slices.Equal(got, []Class{InvalidRequest, Superseded}) {
			t.Errorf("attempts = %v", got)
		}
		b.settled(t)
	})
}

func TestHedgesOfManyRequestsShareNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, modelOf(hedgeSoon, "a", "b", "c"), nil, map[string]int{"a": 3, "b": 2}, map[string][]reply{
			"a": {slow, {after: 1500 * time.Millisecond, status: 200, body: goodAnswer}, failing, slow, {after: time.Second, status: 429, body: limitedAnswer}, slow},
			"b": {failing, quick, {after: 500 * time.Millisecond, status: 200, body: goodAnswer}, slow, quick},
			"c": {quick, {after: time.Second, status: 200, body: goodAnswer}},
		}, nil)
		for range 200 {
			go b.ask(t, nil)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		b.settled(t)
	})
}

func TestAFaultOfABranchIsTheRequestsAndLeavesNothingBehind(t *testing.T) {
	for _, tc := range []struct {
		name    string
		replies map[string][]reply
	}{
		{"the first, before a hedge", map[string][]reply{"a": {{fault: "oops"}}, "b": {quick}}},
		{"the first, after the hedge began", map[string][]reply{"a": {{after: 2 * time.Second, fault: "oops"}}, "b": {slow}}},
		{"the hedge", map[string][]reply{"a": {slow}, "b": {{fault: "oops"}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, modelOf(hedgeSoon, "a", "b"), nil, nil, tc.replies, nil)
				func() {
					defer func() {
						fault, ok := recover().(*Fault)
						if !ok || fault.Value != "oops" || !bytes.Contains(fault.Stack, []byte("RoundTrip")) {
							t.Errorf("the request panicked with %v, want oops and the stack of where it came about", fault)
						}
					}()
					b.ask(t, nil)
				}()
				b.settled(t)
				b.answers("a", quick)
				b.answers("b", quick)
				if from, failure := b.ask(t, nil); from != "a" {
					t.Errorf("answer from %q, %+v; want a, which lost nothing by the fault", from, failure)
				}
			})
		})
	}
}
