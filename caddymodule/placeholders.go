package caddymodule

import (
	"context"
	"strings"

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
	logged   bool   // the access log will tell
	model    string // that the client asked for
	attempts []routing.Attempt
	done     bool // the attempts are all there will be
	class    routing.Class
	answer   *routing.Answer // until it is closed, else nil
	answered bool
	streamed bool
	upstream translate.Protocol // that the answer came in
	usage    translate.Usage    // of a closed answer
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
	}
	return a.number(name)
}

// number is the value of a placeholder that is not a text.
func (a *account) number(name string) (any, bool) {
	known, value := false, any(nil)
	switch name {
	case "attempts":
		known, value = a.done, len(a.attempts)
	case "streamed":
		known, value = a.answered, a.streamed
	case "input_tokens":
		input, _ := a.tokens()
		known, value = input > 0, input
	case "output_tokens":
		_, output := a.tokens()
		known, value = output > 0, output
	default:
		return nil, false
	}
	if !known {
		return "", true
	}
	return value, true
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

// tokens are all that the upstream has read and written, so far.
func (a *account) tokens() (input, output int64) {
	usage := a.usage
	if a.answer != nil {
		usage = a.answer.Usage()
	}
	return usage.Input + usage.CacheRead + usage.CacheWrite, usage.Output + usage.Reasoning
}

// begin notes what is asked for, and that the access log shall tell what comes
// of it. The log asks when the request is over, and only where one is written.
func (a *account) begin(ctx context.Context, model string) {
	a.model = model
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); !ok || server.Logs == nil {
		return
	}
	if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		a.logged = true
		extra.Set(zap.Object("llm_proxy", a))
	}
}

// end notes what came of a request: exactly one of the arguments is not nil.
func (a *account) end(answer *routing.Answer, failure *routing.Failure) {
	a.done = true
	if failure != nil {
		a.attempts, a.class = failure.Attempts, failure.Class
		return
	}
	a.attempts, a.upstream = answer.Attempts, answer.Protocol
	a.answer, a.answered, a.streamed = answer, true, answer.Stream != nil
}

// close keeps what an answer tells only until it is closed. To read the usage of
// a whole answer takes a tenth of the time of a small request, so that is left to
// those that are logged; streams have counted anyway.
func (a *account) close() {
	if a.streamed || a.logged {
		a.usage = a.answer.Usage()
	}
	if a.streamed {
		a.class, _, _ = a.answer.Stream.Failure()
	}
	a.answer = nil
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (a *account) MarshalLogObject(to zapcore.ObjectEncoder) error {
	to.AddString("model", a.model)
	if last := a.last(); last.Provider != "" {
		to.AddString("provider", last.Provider)
		to.AddString("upstream_model", last.Model)
		to.AddString("key_id", last.KeyID)
	}
	to.AddInt("attempts", len(a.attempts))
	if a.class != "" {
		to.AddString("class", string(a.class))
	}
	if a.answered {
		to.AddBool("streamed", a.streamed)
	}
	if input, output := a.tokens(); input+output > 0 {
		to.AddInt64("input_tokens", input)
		to.AddInt64("output_tokens", output)
	}
	return nil
}

// Interface guard
var _ zapcore.ObjectMarshaler = (*account)(nil)
