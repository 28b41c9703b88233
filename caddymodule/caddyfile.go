package caddymodule

import (
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("llm_proxy", parseCaddyfile)
	// Before every responder and handle block, so that a gateway dropped in
	// front of an existing site is not shadowed by its catch-all; after
	// rate_limit, basic_auth, request_body, encode and rewrite.
	httpcaddyfile.RegisterDirectiveOrder("llm_proxy", httpcaddyfile.After, "templates")
}

func parseCaddyfile(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(Handler)
	return h, h.UnmarshalCaddyfile(helper.Dispenser)
}

// UnmarshalCaddyfile reads the directive:
//
//	llm_proxy [<matcher>] {
//		providers    <directory>
//		models       <directory>
//		watch
//		client_key   <name> <key>
//		allow_anonymous
//		cooldown     <duration>
//		max_attempts <number>
//		timeouts {
//			connect       <duration>
//			first_content <duration>
//			idle          <duration>
//			total         <duration>
//		}
//		breaker {
//			failures <number>
//			ratio    <share>
//			requests <number>
//			window   <duration>
//			open     <duration>
//			max_open <duration>
//		}
//		retry_budget <share> [<number per second>]
//		wait         <duration>
//		affinity     on|off
//		state        memory
//		state        file <path>
//		model_override <placeholder>
//		log          off | sqlite <file> | postgres <dsn> {
//			retain   <duration>
//			max_size <size>
//			spill    <file>
//			bodies   off|redacted|full {
//				max_size <size>
//				sample   <share>
//				retain   <duration>
//			}
//		}
//		max_body     <size>
//		on_lossy     warn|reject|ignore
//		model_echo   upstream|requested
//		transport    <name> {
//			...
//		}
//	}
//
// A share is a number such as 0.2, or 20%. "breaker off" and "retry_budget off"
// do without.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		if err := h.unmarshalSubdirective(d); err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) unmarshalSubdirective(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "providers":
		return oneArgument(d, &h.Providers)
	case "models":
		return oneArgument(d, &h.Models)
	case "watch":
		if d.NextArg() {
			return d.ArgErr()
		}
		h.Watch = true
		return nil
	case "client_key":
		var client ClientKey
		if !d.AllArgs(&client.Name, &client.Key) {
			// Not ArgErr, which repeats the last argument: that may be the key.
			return d.Err("client_key takes a name and a key")
		}
		h.ClientKeys = append(h.ClientKeys, client)
		return nil
	case "allow_anonymous":
		if d.NextArg() {
			return d.ArgErr()
		}
		h.AllowAnonymous = true
		return nil
	case "cooldown":
		cooldown, err := secondsOrDuration(d)
		h.Cooldown = &cooldown
		return err
	case "max_attempts":
		return h.unmarshalMaxAttempts(d)
	case "timeouts":
		return h.unmarshalTimeouts(d)
	case "breaker":
		return h.unmarshalBreaker(d)
	case "retry_budget":
		return h.unmarshalRetryBudget(d)
	case "wait":
		wait, err := duration(d)
		h.Wait = wait
		return err
	case "affinity":
		return h.unmarshalAffinity(d)
	case "state":
		return h.unmarshalState(d)
	case "model_override":
		return oneArgument(d, &h.ModelOverride)
	case "log":
		return h.unmarshalLog(d)
	case "max_body":
		return size(d, &h.MaxBody)
	case "on_lossy":
		return word(d, &h.OnLossy, onLossyWords)
	case "model_echo":
		return word(d, &h.ModelEcho, modelEchoWords)
	case "transport":
		return h.unmarshalTransport(d)
	}
	return d.Errf("unrecognized subdirective '%s'", d.Val())
}

func oneArgument(d *caddyfile.Dispenser, to *string) error {
	if !d.AllArgs(to) {
		return d.ArgErr()
	}
	return nil
}

// word reads the one argument of the current subdirective, which must be one of
// the words that it may be.
func word[Word ~string](d *caddyfile.Dispenser, to *Word, words []Word) error {
	name := d.Val()
	var text string
	if err := oneArgument(d, &text); err != nil {
		return err
	}
	*to = Word(text)
	if err := oneOf(name, *to, words); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// duration reads the one argument of the current subdirective.
func duration(d *caddyfile.Dispenser) (caddy.Duration, error) {
	name := d.Val()
	var text string
	if err := oneArgument(d, &text); err != nil {
		return 0, err
	}
	value, err := caddy.ParseDuration(text)
	if err != nil {
		return 0, d.Errf("%s: '%s' is no duration; write e.g. 30s or 5m", name, text)
	}
	if value < 0 {
		return 0, d.Errf("%s: must not be negative", name)
	}
	return caddy.Duration(value), nil
}

// secondsOrDuration is duration, but takes a bare number as seconds, as
// {$KEY_COOLDOWN_SECONDS:300} gives one.
func secondsOrDuration(d *caddyfile.Dispenser) (caddy.Duration, error) {
	if args := d.RemainingArgsRaw(); len(args) == 1 {
		if seconds, err := strconv.ParseUint(args[0], 10, 31); err == nil {
			return caddy.Duration(seconds) * caddy.Duration(1e9), nil
		}
		d.Prev()
	}
	return duration(d)
}

func (h *Handler) unmarshalMaxAttempts(d *caddyfile.Dispenser) error {
	var text string
	if err := oneArgument(d, &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return d.Errf("max_attempts: '%s' is no number above 0", text)
	}
	h.MaxAttempts = n
	return nil
}

func (h *Handler) unmarshalTimeouts(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	if h.Timeouts == nil {
		h.Timeouts = new(Timeouts)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var to *caddy.Duration
		switch d.Val() {
		case "connect":
			to = &h.Timeouts.Connect
		case "first_content":
			to = &h.Timeouts.FirstContent
		case "idle":
			to = &h.Timeouts.Idle
		case "total":
			to = &h.Timeouts.Total
		default:
			return d.Errf("unrecognized timeout '%s'; the timeouts are connect, first_content, idle and total", d.Val())
		}
		value, err := duration(d)
		if err != nil {
			return err
		}
		if value == 0 {
			return d.Err("a timeout of 0 would fail every request")
		}
		*to = value
	}
	return nil
}

// size reads the one argument of the current subdirective.
func size(d *caddyfile.Dispenser, to *Size) error {
	name := d.Val()
	var text string
	if err := oneArgument(d, &text); err != nil {
		return err
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > 1<<40 {
		return d.Errf("%s: '%s' is no size; write e.g. 32MiB", name, text)
	}
	*to = Size(n)
	return nil
}

func (h *Handler) unmarshalTransport(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	if h.TransportRaw != nil {
		return d.Err("transport is written twice")
	}
	module, err := caddyfile.UnmarshalModule(d, "http.reverse_proxy.transport."+name)
	if err != nil {
		return err
	}
	if _, ok := module.(http.RoundTripper); !ok {
		return d.Errf("transport '%s' is not an HTTP transport", name)
	}
	h.TransportRaw = caddyconfig.JSONModuleObject(module, "protocol", name, nil)
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Handler)(nil)
