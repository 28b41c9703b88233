package routing

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Answer is what a client gets from the one attempt that succeeded. Close must
// be called when it has been passed on.
type Answer struct {
	// Provider and Model name the route that answered: a provider file and an
	// upstream model.
	Provider, Model string
	// Attempts are all upstream calls of the request in the order in which they
	// began. The one without a class is the answer; a hedge that it has outrun
	// may have begun after it.
	Attempts []Attempt
	// Logical is the logical name of the model that was asked for.
	Logical string
	// Paused is how long the request waited for a key; see Options.Wait.
	Paused time.Duration
	// Status and Header are the upstream's.
	Status int
	Header http.Header
	// Whole is a complete answer, nil for a stream.
	Whole *Body
	// Stream is an event stream that has shown content.
	Stream *Stream
	// Crossed says that request and answer were translated; Protocol is the
	// one that the upstream was asked in.
	Crossed  bool
	Protocol translate.Protocol
	// Silent says that the client is not to hear of losses: on_lossy is ignore.
	Silent bool
	// Skipped are the candidates that were passed over.
	Skipped []Skip

	protocol  translate.Protocol
	operation translate.Operation
	router    *Router
	candidate *Candidate
	key       *keys.Key
	visit     keys.Visit
	cancel    context.CancelCauseFunc // of the branch that answered; nil without one
	lent      bool

	spent   translate.Usage  // what Settle found
	settled bool             // it has
	losses  translate.Losses // of the request
	asked   *translate.Asked // nil where nothing was translated
}

// Losses are what of the request, and of the answer so far, could not cross.
func (a *Answer) Losses() translate.Losses {
	if a.asked == nil {
		return a.losses
	}
	all := slices.Clone(a.losses)
	for _, l := range a.asked.Losses {
		all.Add(l.Param, l.Action, l.Reason)
	}
	return all
}

// CopyHeader copies the headers that a client may see.
// With a translated answer goes none: limits and versions of one vendor would
// mislead another's clients.
func (a *Answer) CopyHeader(to http.Header) {
	if a.Crossed {
		return
	}
	for name, values := range a.Header {
		if returnedHeader(name) {
			to[name] = values
		}
	}
}

// KeepMemory says that a write of the answer failed, so that the connection may
// still read from its memory after Close; see [Stream.KeepMemory].
func (a *Answer) KeepMemory() {
	a.lent = true
	if a.Stream != nil {
		a.Stream.KeepMemory()
	}
}

// Close ends the upstream call, charges the key with what was used, and gives
// memory back.
func (a *Answer) Close() {
	if a.candidate.pool.CountsTokens() {
		if !a.settled {
			a.Settle(0)
		}
		a.candidate.pool.Charge(a.key, time.Now(), a.spent.Total())
	}
	if a.Stream != nil {
		if class, _, failed := a.Stream.Failure(); failed && class == Broken {
			// Too late for this client, but others had better go elsewhere.
			if opened := a.visit.Late(time.Now()); opened > 0 {
				a.router.notify(Notice{Kind: RouteOpen, Provider: a.Provider, Model: a.Model, For: opened})
			}
		}
		a.Stream.Close()
	}
	a.visit.Leave()
	if a.cancel != nil {
		a.cancel(nil)
	}
	if a.Whole != nil && !a.lent {
		a.Whole.Release()
	}
}
