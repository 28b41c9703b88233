package bench

import (
	"strings"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/payload"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Scenario is one kind of load.
type Scenario struct {
	Name string
	// Client is the protocol in which llm_proxy is asked.
	Client translate.Protocol
	// Upstream is the protocol of the provider behind llm_proxy. Targets that
	// cannot translate are asked in it, so that they move the same bytes.
	Upstream translate.Protocol
	Size     payload.Size
	Stream   bool
	Answer   payload.Answer
	// Connections that ask at the same time.
	Connections int
	// Ramp makes this a scenario of open streams: each connection asks once,
	// the first now and the last after the ramp, when all must be open.
	Ramp time.Duration
	// Rare makes this a scenario of full benchmarks only.
	Rare bool
	Aim  Aim
}

// Aim is what llm_proxy should cost at most.
type Aim struct {
	// CPURatio to reverse_proxy, per request. 0: none.
	CPURatio float64
	// StreamKiB of memory per open stream. 0: none.
	StreamKiB float64
}

// The answers of all scenarios.
var (
	whole  = payload.Answer{Words: 28} // some 600 bytes
	stream = payload.Answer{Words: 100}
	slow   = payload.Answer{Words: 200, Pace: 50 * time.Millisecond}
	brief  = payload.Answer{Words: 30, Pace: 50 * time.Millisecond}
)

// Scenarios lists all of them, in the order in which they run.
func Scenarios() []Scenario {
	all := ownProtocol()
	for _, pair := range []struct {
		client, upstream translate.Protocol
		rare             bool
	}{
		{translate.Messages, translate.Chat, false},
		{translate.Responses, translate.Messages, false},
		{translate.Chat, translate.Messages, true},
		{translate.Messages, translate.Responses, true},
		{translate.Chat, translate.Responses, true},
		{translate.Responses, translate.Chat, true},
	} {
		for _, s := range crossing(pair.client, pair.upstream) {
			s.Rare = pair.rare
			all = append(all, s)
		}
	}
	return all
}

// crossing is the scenarios of a client that asks a provider of another
// protocol.
func crossing(client, upstream translate.Protocol) []Scenario {
	pair := label(client) + " client on " + label(upstream) + ", "
	return []Scenario{
		{
			Name: pair + "small request, c=16", Client: client, Upstream: upstream,
			Answer: whole, Connections: 16, Aim: Aim{CPURatio: 1.0},
		},
		{
			Name: pair + "120 KB agent request, c=16", Client: client, Upstream: upstream, Size: payload.Agent,
			Answer: whole, Connections: 16, Aim: Aim{CPURatio: 4},
		},
		{
			Name: pair + "stream of 100 events, c=16", Client: client, Upstream: upstream, Stream: true,
			Answer: stream, Connections: 16, Aim: Aim{CPURatio: 1.8},
		},
		{
			Name: pair + "2,000 open streams", Client: client, Upstream: upstream, Stream: true,
			Answer: slow, Connections: 2000, Ramp: 4 * time.Second,
		},
	}
}

// label is what a protocol is called in names of scenarios.
func label(p translate.Protocol) string {
	switch p {
	case translate.Messages:
		return "messages"
	case translate.Responses:
		return "responses"
	}
	return "chat"
}

// ownProtocol is the scenarios in which nothing is translated.
func ownProtocol() []Scenario {
	return []Scenario{
		{
			Name: "small chat request, c=1", Client: translate.Chat, Upstream: translate.Chat,
			Answer: whole, Connections: 1, Aim: Aim{CPURatio: 0.65},
		},
		{
			Name: "small chat request, c=64", Client: translate.Chat, Upstream: translate.Chat,
			Answer: whole, Connections: 64, Aim: Aim{CPURatio: 0.65},
		},
		{
			Name: "120 KB agent request, c=1", Client: translate.Messages, Upstream: translate.Messages, Size: payload.Agent,
			Answer: whole, Connections: 1, Aim: Aim{CPURatio: 1.2},
		},
		{
			Name: "120 KB agent request, c=16", Client: translate.Messages, Upstream: translate.Messages, Size: payload.Agent,
			Answer: whole, Connections: 16, Aim: Aim{CPURatio: 1.2},
		},
		{
			Name: "chat stream of 100 events, c=1", Client: translate.Chat, Upstream: translate.Chat, Stream: true,
			Answer: stream, Connections: 1, Aim: Aim{CPURatio: 0.9},
		},
		{
			Name: "chat stream of 100 events, c=16", Client: translate.Chat, Upstream: translate.Chat, Stream: true,
			Answer: stream, Connections: 16, Aim: Aim{CPURatio: 0.9},
		},
		{
			Name: "messages stream of 100 events, c=16", Client: translate.Messages, Upstream: translate.Messages, Stream: true,
			Answer: stream, Connections: 16, Aim: Aim{CPURatio: 0.9},
		},
		{
			Name: "2,000 open streams", Client: translate.Messages, Upstream: translate.Messages, Stream: true,
			Answer: slow, Connections: 2000, Ramp: 4 * time.Second, Aim: Aim{StreamKiB: 80},
		},
	}
}

// quick is a short form of the scenario, to see that it works.
func (s Scenario) quick() Scenario {
	if s.Ramp > 0 {
		s.Name = strings.Replace(s.Name, "2,000", "100", 1)
		s.Answer, s.Connections, s.Ramp = brief, 100, 400*time.Millisecond
	}
	return s
}

// warmUp is the load before measuring: the scenario itself, or, for open
// streams, some that end soon.
func (s Scenario) warmUp() Scenario {
	if s.Ramp > 0 {
		s.Answer, s.Connections, s.Ramp = stream, 16, 0
	}
	return s
}

// model is the name by which llm_proxy knows the simulated model. It is another
// than the provider's, so that llm_proxy has to replace it.
func (s Scenario) model() string {
	return "bench-" + string(s.Upstream) + "-" + s.Answer.Model()
}
