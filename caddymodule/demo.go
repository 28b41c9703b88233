package caddymodule

import (
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/simulated"
)

func init() {
	caddy.RegisterModule(new(Demo))
	httpcaddyfile.RegisterHandlerDirective("llm_demo", parseDemo)
	// llm_proxy sorts after templates, so it always comes first.
	httpcaddyfile.RegisterDirectiveOrder("llm_demo", httpcaddyfile.Before, "respond")
}

// Demo is a simulated provider of language models. It needs no key and no
// network, and answers in the OpenAI (Chat Completions, Responses, embeddings)
// and Anthropic (Messages) protocols, whole and streamed, below any path prefix:
//
//	POST …/chat/completions   POST …/responses   POST …/messages   POST …/messages/count_tokens
//	POST …/embeddings         GET …/models       GET …/models/{id}
//
// Every other request goes to the next handler.
//
// The name of the model says how it behaves, so that clients and failover can be
// drilled: `demo` answers, `demo-tools` calls a tool, `demo-thinking` reasons,
// `demo-slow` takes its time, `demo-429` and any other status from 400 to 599
// fail, `demo-cut` breaks off. Words are joined by `+`, as in
// `demo-tools+slow-500`, and may also stand in a line of the prompt that begins
// with `demo:`.
type Demo struct {
	// The names that the model list shows. Default: demo and some of its variants.
	// Other names are answered too.
	Models []string `json:"models,omitempty"`

	// How long an answer waits before its first event and between events.
	// Default: 0. The word `slow` of a model name takes its place.
	Delay caddy.Duration `json:"delay,omitempty"`

	// The API keys that are accepted; any other key, or none, is answered with
	// 401. Placeholders such as `{env.DEMO_KEY}` are replaced when the
	// configuration is loaded. Default: every request is accepted.
	RequireKeys []string `json:"require_keys,omitempty"`

	provider *simulated.Provider
}

// CaddyModule returns the Caddy module information.
func (*Demo) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.llm_demo",
		New: func() caddy.Module { return new(Demo) },
	}
}

// Provision sets up the provider.
func (h *Demo) Provision(ctx caddy.Context) error {
	if h.Delay < 0 {
		return fmt.Errorf("delay %s is negative", time.Duration(h.Delay))
	}
	repl := caddy.NewReplacer()
	keys := make(map[string]string, len(h.RequireKeys))
	for i, key := range h.RequireKeys {
		// A missing variable must not turn into an open door.
		value, err := repl.ReplaceOrErr(key, true, true)
		if err != nil {
			return fmt.Errorf("reading required key %d: %w", i+1, err)
		}
		if value == "" {
			return fmt.Errorf("reading required key %d: it is empty", i+1)
		}
		keys[value] = "ok"
	}
	h.provider = simulated.New(simulated.Config{
		Models: h.Models,
		Delay:  time.Duration(h.Delay),
		Keys:   keys,
	})
	ctx.Logger().Info("answers of the demo provider are simulated")
	return nil
}

// ServeHTTP answers requests for the provider's endpoints and passes on the rest.
func (h *Demo) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if !h.provider.Handles(r) {
		return next.ServeHTTP(w, r)
	}
	h.provider.ServeHTTP(w, r)
	return nil
}

func parseDemo(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	demo := new(Demo)
	return demo, demo.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	llm_demo [<matcher>] {
//		models      <names...>
//		delay       <duration>
//		require_key <keys...>
//	}
//
// models and require_key may be repeated.
func (h *Demo) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		switch d.Val() {
		case "models":
			names := d.RemainingArgs()
			if len(names) == 0 {
				return d.ArgErr()
			}
			h.Models = append(h.Models, names...)
		case "delay":
			if err := h.unmarshalDelay(d); err != nil {
				return err
			}
		case "require_key":
			keys := d.RemainingArgs()
			if len(keys) == 0 {
				return d.ArgErr()
			}
			h.RequireKeys = append(h.RequireKeys, keys...)
		default:
			return d.Errf("unrecognized subdirective '%s'", d.Val())
		}
	}
	return nil
}

func (h *Demo) unmarshalDelay(d *caddyfile.Dispenser) error {
	var value string
	if !d.AllArgs(&value) {
		return d.ArgErr()
	}
	if h.Delay != 0 {
		return d.Err("delay already specified")
	}
	delay, err := caddy.ParseDuration(value)
	if err != nil {
		return d.Errf("parsing delay: %v", err)
	}
	if delay < 0 {
		return d.Errf("delay %s is negative", delay)
	}
	h.Delay = caddy.Duration(delay)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Demo)(nil)
	_ caddyhttp.MiddlewareHandler = (*Demo)(nil)
	_ caddyfile.Unmarshaler       = (*Demo)(nil)
)
