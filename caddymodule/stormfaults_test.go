package caddymodule

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// stormFault is what an upstream of the storm does with a request.
type stormFault int

const (
	good          stormFault = iota
	slow                     // takes its time, but less than the timeout
	reset                    // ends the connection before any answer
	serverError              // 500
	htmlError                // 502, in HTML
	unavailable              // 503
	overloaded               // 529
	cutEarly                 // ends the connection before the first content
	stall                    // never gets to the first content
	cutLate                  // ends the connection after the first content
	limitedKey               // 429 to one key
	refusedKey               // 401 to one key
	faultsInStorm            // how many kinds there are
)

var stormFaultNames = [faultsInStorm]string{
	"good", "slow", "reset", "500", "502 HTML", "503", "529", "cut before content", "stall", "cut after content", "429", "401",
}

// The storm's upstreams: a takes every protocol and a connection for every
// request, so that a closed listener refuses; b and c take one protocol each.
var stormProviders = []string{"a", "b", "c"}

// span is a time from the beginning of the storm to another.
type span struct{ from, to time.Duration }

func (s span) holds(at time.Duration) bool { return s.from <= at && at < s.to }

// String is the span in seconds.
func (s span) String() string { return fmt.Sprintf("%.3f-%.3f", s.from.Seconds(), s.to.Seconds()) }

// period is how often the windows of time below come back.
const period = 5 * time.Second

// repeated are spans of one period of every so many, from the offset on.
func repeated(length time.Duration, every, offset int, spans ...span) []span {
	var all []span
	for n := offset; time.Duration(n)*period < length; n += every {
		for _, s := range spans {
			all = append(all, span{s.from + time.Duration(n)*period, s.to + time.Duration(n)*period})
		}
	}
	return all
}

// storm knows every fault: what upstreams do is decided by the number of the
// request and the provider, or by the key and the time, and by nothing else.
type storm struct {
	// refused and outage are when a provider, by its index, cannot be reached
	// or answers 503 to all; limited and dead are when keys are refused.
	refused, outage [3][]span
	limited, dead   map[string][]span

	mu    sync.Mutex
	began time.Time
	posts map[int]int // by request
	seen  [faultsInStorm]int
}

// firstInStorm is the number of the first request that may meet a fault.
const firstInStorm = 1_000_000

// begin lets the time of the storm begin now.
func (s *storm) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Now()
}

func (s *storm) beginning() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began
}

// newStorm plans a storm of a length. In each period, one provider after the
// other has its troubles. The third key of each is never refused, so that no
// provider is without one.
func newStorm(length time.Duration) *storm {
	s := &storm{posts: make(map[int]int), limited: make(map[string][]span), dead: make(map[string][]span)}
	second := func(from, to float64) span {
		return span{time.Duration(from * float64(time.Second)), time.Duration(to * float64(time.Second))}
	}
	s.refused[0] = repeated(length, 1, 0, second(1, 1.6))
	s.outage[1] = repeated(length, 2, 0, second(2.5, 3.2))
	s.outage[2] = repeated(length, 2, 1, second(2.5, 3.2))
	for i, name := range stormProviders {
		s.limited[name+"-key-1"] = repeated(length, 3, i, second(0.5, 2))
		s.limited[name+"-key-2"] = repeated(length, 3, (i+1)%3, second(3.5, 4.5))
	}
	s.dead["b-key-2"] = []span{{length * 3 / 10, length * 4 / 10}}
	return s
}

// faultOf is what a provider does with a request, by the request's number.
func faultOf(number, provider int, streamed bool) stormFault {
	if number%50 == 7 && streamed {
		return cutLate // everywhere, so that nobody can mend it
	}
	// SplitMix64, so that neighbours have nothing in common.
	x := uint64(number*len(stormProviders)+provider)*0x9e3779b97f4a7c15 + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	roll := int((x ^ x>>31) % 1000)
	if number%101 == 0 {
		roll %= 140 // everywhere too: nobody can answer it
	}
	for _, share := range []struct {
		fault stormFault
		up    int // to this of the thousand
	}{
		{reset, 20},
		{serverError, 50},
		{htmlError, 60},
		{unavailable, 80},
		{overloaded, 100},
		{cutEarly, 120},
		{stall, 140},
		{slow, 190},
	} {
		if roll < share.up {
			return share.fault
		}
	}
	return good
}

// mends reports whether a provider that does this answers the request.
func (f stormFault) mends() bool { return f == good || f == slow }

func anyHolds(spans []span, at time.Duration) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return s.holds(at) })
}

// fault is what a provider does with a request that comes at a time with a key.
func (s *storm) fault(number, provider int, key string, at time.Duration, streamed bool) stormFault {
	switch {
	case number < firstInStorm:
		return good
	case anyHolds(s.outage[provider], at):
		return unavailable
	case anyHolds(s.limited[key], at):
		return limitedKey
	case anyHolds(s.dead[key], at):
		return refusedKey
	}
	return faultOf(number, provider, streamed)
}

// fate is what must become of a request.
type fate int

const (
	mustSucceed fate = iota
	mustFail         // no provider answers it
	mayBoth          // it met the edge of a window of time
	mustBreak        // it is cut after the first content
)

var fateNames = []string{"must succeed", "must fail", "may do both", "is cut after content"}

// allows reports whether a request of this fate may end so.
func (f fate) allows(e end) bool {
	switch f {
	case mustSucceed:
		return e == endedWell
	case mustFail, mustBreak:
		return e == endedFailed
	}
	return e != endedLying
}

// edge is how inexact the beginning and the end of windows of time are.
const edge = 100 * time.Millisecond

// oracle is the fate of a request that was under way at a time.
func (s *storm) oracle(number int, streamed bool, during span) fate {
	answered, perhaps := false, false
	for provider := range stormProviders {
		f := faultOf(number, provider, streamed)
		if f == cutLate {
			return mustBreak
		}
		if !f.mends() {
			continue
		}
		perhaps = true
		meets := func(w span) bool { return w.from-edge < during.to && during.from < w.to+edge }
		if !slices.ContainsFunc(s.refused[provider], meets) && !slices.ContainsFunc(s.outage[provider], meets) {
			answered = true
		}
	}
	switch {
	case answered:
		return mustSucceed
	case perhaps:
		return mayBoth
	}
	return mustFail
}
