package caddymodule

import (
	"sync/atomic"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// maxHeldBodies is how many bytes the bodies of requests may have whose streams may
// yet end without telling their tokens. That is room for the large requests of some
// sixty agents at once, which are many only where their streams are short: where these
// take long, few begin in a second, and to estimate each of them costs next to nothing.
const maxHeldBodies = 8 << 20

// heldBodies is how many they have.
var heldBodies atomic.Int64

// settle closes the account of a request that was answered.
func (x *exchange) settle() {
	x.letGo()
	x.account.settle(x.endpoint.operation, x.read)
}

// mayLetGo lets the request's body go when its stream has begun, which may last for an
// hour, while the request may have had megabytes. Where the upstream has not told yet
// how many tokens are in it, the body stays as long as there is room: to estimate them
// takes longer than all else that is done with a request, and most streams tell them in
// the end.
func (x *exchange) mayLetGo() {
	if x.body == nil || x.held > 0 {
		return
	}
	size := int64(len(x.body.Bytes()))
	if !x.inputTold() {
		if heldBodies.Add(size) <= maxHeldBodies {
			x.held = size
			return
		}
		heldBodies.Add(-size)
	}
	x.letGo()
}

// letGo gives the memory of the request's body back, and estimates before how many
// tokens are in it where nobody has told.
func (x *exchange) letGo() {
	if x.body == nil {
		return
	}
	if !x.inputTold() {
		x.read = translate.EstimateTokens(x.endpoint.protocol, x.body.Bytes())
	}
	heldBodies.Add(-x.held)
	x.body.Release()
	x.body, x.held = nil, 0
}

// inputTold reports whether the tokens of the request are known, or of no interest.
func (x *exchange) inputTold() bool {
	answer := x.account.answer
	if answer == nil || x.endpoint.operation == translate.CountTokens {
		return true
	}
	told, _ := answer.Usage()
	return told.Input+told.CacheRead+told.CacheWrite > 0
}
