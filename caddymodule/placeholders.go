package caddymodule

import (
	"context"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// placeholderPrefix begins the names of the placeholders that are listed at
// [Handler].
const placeholderPrefix = "http.llm_proxy."

// account is what can be told about a request for an answer, as far as it is
// known: by placeholders, and in the access log.
type account struct {
	model    string // that the client asked for
	logical  string // the logical name of what answers to that; empty: nothing does
	attempts []routing.Attempt
	done     bool // the attempts are all there will be
	class    routing.Class
	answer   *routing.Answer // until it is over, else nil
	answered bool
	streamed bool
	upstream translate.Protocol // that the answer came in
	paused   time.Duration      // the request waited for a key

	// What settle finds when the answer is over. The tokens are nothing before,
	// and remain so where nothing answered, or where they were only counted.
	tokens    translate.Usage
	estimated bool    // the upstream did not tell all of them
	cost      float64 // in US dollars, if costKnown
	costKnown bool
}

// placeholder gives Caddy's replacer the value of one of our names, which is
// empty before it is known: a name that the replacer does not know would stay
// as it is written.
func (x *exchange) placeholder(key string) (any, bool) {
	name, ours := strings.CutPrefix(key, placeholderPrefix)
	if !ours {
		return nil, false
	}
	a := &x.account
	switch name {
	case "client":
		return x.clientName(), true
	case "protocol":
		return string(x.endpoint.protocol), true
	case "model":
		return a.model, true
	case "provider":
		return a.last().Provider, true
	case "upstream_model":
		return a.last().Model, true
	case "key_id":
		return a.last().KeyID, true
	case "upstream_protocol":
		return string(a.upstream), true
	case "class":
		return string(a.class), true
	case "outcome":
		if x.over {
			return x.outcome(), true
		}
		return "", true
	case "first_content_ms":
		if x.trace.first > 0 {
			return milliseconds(x.trace.first), true
		}
		return "", true
	}
	return a.number(name)
}

// number is the value of a placeholder that is not a text.
func (a *account) number(name string) (any, bool) {
	var tokens int64
	switch usage := a.usage(); name {
	case "attempts":
		if a.done {
			return len(a.attempts), true
		}
	case "streamed":
		if a.answered {
			return a.streamed, true
		}
	case "tokens_estimated":
		if a.answered && a.answer == nil {
			return a.estimated, true
		}
	case "cost":
		if a.costKnown {
			return dollars(a.cost), true
		}
	case "input_tokens":
		tokens = usage.Input + usage.CacheRead + usage.CacheWrite
	case "output_tokens":
		tokens = usage.Output + usage.Reasoning
	case "cache_read_tokens":
		tokens = usage.CacheRead
	case "cache_write_tokens":
		tokens = usage.CacheWrite
	case "reasoning_tokens":
		tokens = usage.Reasoning
	default:
		return nil, false
	}
	if tokens > 0 {
		return tokens, true
	}
	return "", true
}

// last is the attempt that answered, or else the one that began last. The former
// need not be the latter: one that it had outrun may have begun later.
func (a *account) last() *routing.Attempt {
	last := new(routing.Attempt)
	for i := range a.attempts {
		if last = &a.attempts[i]; last.Class == "" {
			break
		}
	}
	return last
}

// usage is all that the upstream has counted so far or, in the end, what it is
// settled at.
func (a *account) usage() translate.Usage {
	if a.answer == nil {
		return a.tokens
	}
	usage, _ := a.answer.Usage()
	return usage
}

// describe lets the access log tell what comes of the request. The log asks when that
// is over, and only where one is written.
func (x *exchange) describe(ctx context.Context) {
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); !ok || server.Logs == nil {
		return
	}
	if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Set(zap.Object("llm_proxy", x))
	}
}

// end notes what came of a request: exactly one of the arguments is not nil.
func (a *account) end(answer *routing.Answer, failure *routing.Failure) {
	a.done = true
	if failure != nil {
		a.attempts, a.class, a.logical = failure.Attempts, failure.Class, failure.Logical
		return
	}
	a.attempts, a.upstream, a.logical, a.paused = answer.Attempts, answer.Protocol, answer.Logical, answer.Paused
	a.answer, a.answered, a.streamed = answer, true, answer.Stream != nil
}

// settle notes what an answer has used and what that costs, when the client has all
// that it gets of it and before it is closed. read is an estimate of what the request
// made the model read, for upstreams that do not tell.
func (a *account) settle(operation translate.Operation, read int64) {
	if a.streamed {
		a.class, _, _ = a.answer.Stream.Failure()
	}
	if operation != translate.CountTokens { // which uses none
		a.tokens, a.estimated = a.answer.Settle(read)
		if prices := a.answer.Prices(); prices != nil {
			a.cost, a.costKnown = prices.RatesFor(a.tokens).Cost(a.tokens), true
		}
	}
	a.answer = nil
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (x *exchange) MarshalLogObject(to zapcore.ObjectEncoder) error {
	a := &x.account
	to.AddString("client", x.clientName())
	to.AddString("protocol", string(x.endpoint.protocol))
	to.AddString("model", a.model)
	if last := a.last(); last.Provider != "" {
		to.AddString("provider", last.Provider)
		to.AddString("upstream_model", last.Model)
		to.AddString("key_id", last.KeyID)
	}
	if a.upstream != "" {
		to.AddString("upstream_protocol", string(a.upstream))
	}
	to.AddInt("attempts", len(a.attempts))
	to.AddString("outcome", x.outcome())
	if a.class != "" {
		to.AddString("class", string(a.class))
	}
	if a.answered {
		to.AddBool("streamed", a.streamed)
		to.AddFloat64("first_content_ms", milliseconds(x.trace.first))
	}
	if usage := a.usage(); usage.Total() > 0 {
		to.AddInt64("input_tokens", usage.Input+usage.CacheRead+usage.CacheWrite)
		to.AddInt64("output_tokens", usage.Output+usage.Reasoning)
		for _, part := range [...]struct {
			name   string
			tokens int64
		}{{"cache_read_tokens", usage.CacheRead}, {"cache_write_tokens", usage.CacheWrite}, {"reasoning_tokens", usage.Reasoning}} {
			if part.tokens > 0 {
				to.AddInt64(part.name, part.tokens)
			}
		}
	}
	if a.estimated {
		to.AddBool("tokens_estimated", true)
	}
	if a.costKnown {
		to.AddFloat64("cost", a.cost)
	}
	return nil
}

// Interface guard
var _ zapcore.ObjectMarshaler = (*exchange)(nil)
