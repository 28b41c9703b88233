package routing

import (
	"math"
	"math/rand/v2"
	"time"
)

// sequence is candidates in the order of the files, and which of them belong
// together.
type sequence struct {
	candidates []*Candidate
	groups     []group // those with a policy that changes the order
}

// group is the routes of one model in a sequence.
type group struct {
	policy   Policy
	from, to int
}

// add appends a model's routes.
func (s *sequence) add(m *Model, routes []*Candidate) {
	if len(routes) > 1 && m.Policy != "" && m.Policy != PolicyPriority {
		s.groups = append(s.groups, group{m.Policy, len(s.candidates), len(s.candidates) + len(routes)})
	}
	s.candidates = append(s.candidates, routes...)
}

// order is the sequence as one request goes through it: the routes of each model
// by its policy, that of the request's conversation first. It is in room where
// that suffices.
func (s *sequence) order(room []*Candidate, known conversation, q *Request, now time.Time) []*Candidate {
	if len(s.groups) == 0 {
		return s.candidates
	}
	room = append(room, s.candidates...)
	for _, g := range s.groups {
		routes := room[g.from:g.to]
		g.policy.arrange(routes, q, now)
		if at := known.routeIn(routes, q); at > 0 {
			toFront(routes, at)
		}
	}
	return room
}

// arrange puts the routes of a model into the order in which one request tries
// them.
func (p Policy) arrange(routes []*Candidate, q *Request, now time.Time) {
	var room [16]float64
	scores := room[:]
	if len(routes) > len(room) {
		scores = make([]float64, len(routes))
	}
	for i, c := range routes {
		scores[i] = p.score(c, q, now)
	}
	// By insertion: they are few.
	for i := 1; i < len(routes); i++ {
		for j := i; j > 0 && scores[j] < scores[j-1]; j-- {
			scores[j], scores[j-1] = scores[j-1], scores[j]
			routes[j], routes[j-1] = routes[j-1], routes[j]
		}
	}
	if p == PolicyLeastLatency && len(routes) > 2 {
		// The better one of two, so that not all requests of a moment go where
		// the last one was fast.
		a, b := rand.IntN(len(routes)), rand.IntN(len(routes)-1)
		if b >= a {
			b++
		}
		toFront(routes, min(a, b))
	}
}

// score is what a route is tried the earlier for, the lower it is.
func (p Policy) score(c *Candidate, q *Request, now time.Time) float64 {
	switch p {
	case PolicyWeighted:
		// The one with the smallest of exponentially distributed numbers of
		// these rates is first with a probability of its share of the weights,
		// then so for the others (Efraimidis and Spirakis, 2006).
		return overWeight(rand.ExpFloat64(), c.route.share())
	case PolicyLeastLatency:
		// What has not been measured, or not for long, is tried first.
		return c.healthOf(c.upstreamModel(q)).Latency(now).Seconds()
	case PolicyLeastBusy:
		// By chance among equals.
		return overWeight(float64(c.healthOf(c.upstreamModel(q)).InFlight())+rand.Float64(), c.route.share())
	}
	return 0
}

// overWeight divides by a weight. A route without weight comes last.
func overWeight(x, weight float64) float64 {
	if weight <= 0 {
		return math.Inf(1)
	}
	return x / weight
}

// toFront moves the route at a place to the front.
func toFront(routes []*Candidate, at int) {
	c := routes[at]
	copy(routes[1:at+1], routes[:at])
	routes[0] = c
}
