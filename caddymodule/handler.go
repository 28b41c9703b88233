// Package caddymodule plugs the gateway into Caddy: the llm_proxy handler and
// its Caddyfile directive, the simulated provider, and the command line.
package caddymodule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"
	"go.uber.org/zap"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// version is stamped by xcaddy.sh.
var version = "dev"

// Handler is a gateway to language models. It answers OpenAI Chat Completions,
// OpenAI Responses and Anthropic Messages requests from the providers that its
// configuration files describe, falling back from key to key, provider to
// provider and model to model. Requests for any other path go to the next
// handler, so it can stand in front of an existing site.
//
// It serves, by exact path (strip a prefix with handle_path):
//
//	POST /v1/chat/completions (also -stream and /stream)
//	POST /v1/messages (also -stream), /v1/messages/count_tokens
//	POST /v1/responses
//	POST /v1/embeddings
//	GET  /v1/models, /v1/models/{id}
//	GET  /health, /health/detailed
//
// Every answer carries X-Request-Id (Caddy's {http.request.uuid}); one that a
// provider gave also Llm-Proxy-Provider, Llm-Proxy-Model and
// Llm-Proxy-Attempts. Errors come in the protocol of the endpoint.
//
// Placeholders tell about a request for an answer. They are empty until they are
// known, so in a header directive they need its ">":
//
// Placeholder | Description
// ------------|---------------
// `{http.llm_proxy.client}` | The client's name, empty for an anonymous one
// `{http.llm_proxy.protocol}` | The protocol of the endpoint: openai, responses or anthropic
// `{http.llm_proxy.model}` | The model that the client asked for, in its own words
// `{http.llm_proxy.provider}` | The provider that answered, or was asked last
// `{http.llm_proxy.upstream_model}` | The provider's name of the model
// `{http.llm_proxy.upstream_protocol}` | The protocol in which it answered
// `{http.llm_proxy.key_id}` | The public name of the key that was used
// `{http.llm_proxy.attempts}` | How many upstream calls there were
// `{http.llm_proxy.class}` | The class of the failure, also of a stream that broke off; empty when the request was answered
// `{http.llm_proxy.outcome}` | How the request ended: ok, error, partial (the stream broke off) or client_closed
// `{http.llm_proxy.streamed}` | Whether the answer is a stream: true or false
// `{http.llm_proxy.first_content_ms}` | Milliseconds from the arrival of the request to the beginning of its answer
// `{http.llm_proxy.input_tokens}` | Tokens that the model read, from a cache or not
// `{http.llm_proxy.output_tokens}` | Tokens that the model wrote, thinking included
// `{http.llm_proxy.cache_read_tokens}` | Those of the first that came from the prompt cache
// `{http.llm_proxy.cache_write_tokens}` | Those of the first that went into it
// `{http.llm_proxy.reasoning_tokens}` | Those of the second that were thought
// `{http.llm_proxy.tokens_estimated}` | Whether the provider did not tell all of them: true or false
// `{http.llm_proxy.cost}` | What they cost, in US dollars; empty where a price is not known
//
// The tokens of a stream are known at its end, and those of another answer when it
// begins. Whether they are an estimate, the cost and the outcome are known when the
// answer has been written. The site's access log, if it has one, has most of this by itself as
// "llm_proxy".
type Handler struct {
	// Directory of provider files, one JSON file per provider, relative to
	// the working directory. Default: config/providers.
	Providers string `json:"providers,omitempty"`

	// Directory of model files, one JSON file per model that clients may ask
	// for, relative to the working directory. Default: config/models.
	Models string `json:"models,omitempty"`

	// Whether these files are read again when one of them changes, as POST
	// /llm_proxy/reload of the administration API does: what is broken is told
	// by the log and by GET /health/detailed, and the files as they were before
	// go on serving. Default: false.
	Watch bool `json:"watch,omitempty"`

	// Who may call. When empty, the environment variable CLIENT_API_KEY is
	// the key of one client named "default"; without that too, every request
	// is refused (401), and with REQUIRE_CLIENT_API_KEY=true loading fails.
	ClientKeys []ClientKey `json:"client_keys,omitempty"`

	// Answer callers that present no key. A wrong key is still refused.
	// Anyone who can reach the site then spends your providers' money.
	AllowAnonymous bool `json:"allow_anonymous,omitempty"`

	// How long a key rests after a failure for which neither the provider
	// (Retry-After) nor a configuration file names a time. 0 never rests one.
	// Default: the environment variable KEY_COOLDOWN_SECONDS, or 5m.
	Cooldown *caddy.Duration `json:"cooldown,omitempty"`

	// The most upstream calls that one request may cause. Default: 8.
	MaxAttempts int `json:"max_attempts,omitempty"`

	// How long to wait for upstreams. Provider and model files may say
	// otherwise for their own.
	Timeouts *Timeouts `json:"timeouts,omitempty"`

	// When to take a provider's model for ill, so that other routes are asked
	// first. Provider files may say otherwise for their own.
	Breaker *Breaker `json:"breaker,omitempty"`

	// How many further attempts an outage may cause.
	RetryBudget *RetryBudget `json:"retry_budget,omitempty"`

	// How long a request may wait for a key when all that could answer rest. It
	// waits only for a rest that ends in time. Default: 0, which answers at once
	// with 429 or 503 and a Retry-After.
	Wait caddy.Duration `json:"wait,omitempty"`

	// Whether the requests of a conversation keep to one key and, where the
	// model's policy chooses routes, to one route, as long as it is well:
	// providers remember what they have read, per key. Default: true.
	Affinity *bool `json:"affinity,omitempty"`

	// The model that is asked instead of the one that the body names, for
	// example {http.vars.llm_model}. Placeholders are evaluated for each
	// request; where one of them is unknown or empty the body's model is asked.
	// What a placeholder yields is taken as it is, so a client whose header is
	// written here chooses the model and nothing more. Default: none.
	ModelOverride string `json:"model_override,omitempty"`

	// Where the memory about keys and upstreams is kept. Handlers with the same
	// directory of provider files share it. Default: memory.
	State *State `json:"state,omitempty"`

	// Where what became of each request is kept. Handlers with the same database
	// share it. Default: nowhere.
	Log *Log `json:"log,omitempty"`

	// The largest request body. Default: 32 MiB. Larger ones are 413.
	MaxBody Size `json:"max_body,omitempty"`

	// What to do about a request of which something cannot cross to the
	// upstream's protocol: "warn" sends the rest and names what is lost in the
	// header Llm-Proxy-Warnings, "reject" refuses the request (400), "ignore"
	// sends the rest and says nothing. Model files may say otherwise for their
	// own. Default: warn.
	OnLossy routing.OnLossy `json:"on_lossy,omitempty"`

	// Which name of the model a translated answer bears: "upstream", the one
	// in the provider's answer, or "requested", the one that the client asked
	// for. Answers that are not translated keep theirs. Default: upstream.
	ModelEcho routing.ModelEcho `json:"model_echo,omitempty"`

	// How to reach upstreams: any transport of reverse_proxy. Default: http.
	// One pool of connections per provider lives on over configuration
	// reloads. Dial time, HTTP/2 pings and idle connections get defaults
	// fit for long answers where this does not set them.
	TransportRaw json.RawMessage `json:"transport,omitempty" caddy:"namespace=http.reverse_proxy.transport inline_key=protocol"`

	clients *keys.Clients
	// clientSecrets are their keys, which may not be kept where bodies are.
	clientSecrets []string

	ctx     caddy.Context // Caddy's; over when the configuration ends
	current atomic.Pointer[runtime]
	broken  atomic.Pointer[[]routing.Problem] // in the files, at the last reload
	logger  *zap.Logger
	created time.Time          // of the models, as the model lists tell it
	unwatch context.CancelFunc // nil without Watch

	swapping sync.Mutex // held for no longer than to exchange current
	ended    bool       // by Cleanup; guarded by swapping
}

// ClientKey is one caller's name and key.
type ClientKey struct {
	// The client's name, as logs and limits show it.
	Name string `json:"name"`

	// The key, best as a placeholder that keeps it out of the configuration:
	// {env.CLIENT_API_KEY} or {file./run/secrets/client}. Empty is an error.
	Key string `json:"key"`
}

// Size is a number of bytes. In JSON it is a number or a text such as "32MiB".
type Size int64

// UnmarshalJSON reads a number of bytes or a text with a unit.
func (s *Size) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<40 {
		return fmt.Errorf("%s is no size; write e.g. \"32MiB\"", text)
	}
	*s = Size(n)
	return nil
}

// String is the size with a binary unit.
func (s Size) String() string { return humanize.IBytes(uint64(s)) }

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.llm_proxy",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision reads the files and gets the handler ready. It changes nothing
// that a running configuration uses: Caddy provisions configurations that it
// then rejects, and `caddy validate` provisions beside a running server.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.ctx, h.logger = ctx, ctx.Logger()
	h.created = time.Now()
	if err := h.setDefaults(); err != nil {
		return err
	}
	if err := h.provisionClients(); err != nil {
		return err
	}
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	if err := subscribe(ctx); err != nil {
		return fmt.Errorf("subscribing to events: %w", err)
	}
	// A reload that comes now waits, so that it is of this handler too.
	reloading.Lock()
	defer reloading.Unlock()
	rt, err := h.load()
	if err != nil {
		return err
	}
	h.logWarnings(rt.warnings)
	h.announce(rt.router)
	h.current.Store(rt)
	live.add(h)
	if h.Watch {
		h.unwatch = h.watch(rt.catalog.Digest())
	}
	return nil
}

func (h *Handler) setDefaults() error {
	if h.State == nil {
		h.State = new(State)
	}
	if h.Log == nil {
		h.Log = new(Log)
	}
	replacer := caddy.NewReplacer()
	for _, field := range []struct {
		name     string
		value    *string
		fallback string
	}{
		{"providers", &h.Providers, usualProviders},
		{"models", &h.Models, usualModels},
		{"state", &h.State.File, ""},
		{"log", &h.Log.SQLite, ""},
		{"log", &h.Log.Spill, ""},
	} {
		if *field.value == "" {
			*field.value = field.fallback
			continue
		}
		expanded, err := replacer.ReplaceOrErr(*field.value, true, true)
		if err != nil {
			return fmt.Errorf("%s: %w", field.name, err)
		}
		*field.value = expanded
	}
	if h.Cooldown == nil {
		cooldown, err := cooldownFromEnvironment()
		if err != nil {
			return err
		}
		h.Cooldown = &cooldown
	}
	if *h.Cooldown < 0 {
		return errors.New("cooldown: must not be negative; 0 never rests a key")
	}
	if h.MaxAttempts == 0 {
		h.MaxAttempts = 8
	}
	if h.MaxAttempts < 0 {
		return errors.New("max_attempts: must be at least 1")
	}
	if h.MaxBody == 0 {
		h.MaxBody = 32 << 20
	}
	if err := h.setResilience(); err != nil {
		return err
	}
	if err := h.Log.setDefaults(); err != nil {
		return err
	}
	h.OnLossy = cmp.Or(h.OnLossy, routing.LossyWarn)
	h.ModelEcho = cmp.Or(h.ModelEcho, routing.EchoUpstream)
	if err := oneOf("on_lossy", h.OnLossy, onLossyWords); err != nil {
		return err
	}
	if err := oneOf("model_echo", h.ModelEcho, modelEchoWords); err != nil {
		return err
	}
	return h.setTimeouts()
}

// The words that two of the settings may be.
var (
	onLossyWords   = []routing.OnLossy{routing.LossyWarn, routing.LossyReject, routing.LossyIgnore}
	modelEchoWords = []routing.ModelEcho{routing.EchoUpstream, routing.EchoRequested}
)

// oneOf makes sure that a setting is one of the words that it may be.
func oneOf[Word ~string](setting string, written Word, words []Word) error {
	if slices.Contains(words, written) {
		return nil
	}
	return fmt.Errorf("%s: '%s' is none of %v", setting, written, words)
}

// cooldownFromEnvironment keeps the setting of installations that come from
// the service which this project replaces.
func cooldownFromEnvironment() (caddy.Duration, error) {
	text := os.Getenv("KEY_COOLDOWN_SECONDS")
	if text == "" {
		return caddy.Duration(5 * time.Minute), nil
	}
	seconds, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("KEY_COOLDOWN_SECONDS: %q is not a whole number of seconds", text)
	}
	// Zero and less switched cooling off there, and do so here.
	return caddy.Duration(max(seconds, 0)) * caddy.Duration(time.Second), nil
}

func (h *Handler) provisionClients() error {
	h.clients = keys.NewClients()
	replacer := caddy.NewReplacer()
	for _, client := range h.ClientKeys {
		// A missing variable is an error here and not a 401 later.
		key, err := replacer.ReplaceOrErr(client.Key, true, true)
		if err != nil {
			return fmt.Errorf("client_key %s: %w; set it, or write allow_anonymous", client.Name, err)
		}
		if err := h.clients.Add(client.Name, key); err != nil {
			return fmt.Errorf("client_key: %w", err)
		}
		h.clientSecrets = append(h.clientSecrets, strings.TrimSpace(key))
	}
	if key := os.Getenv("CLIENT_API_KEY"); key != "" && len(h.ClientKeys) == 0 {
		if err := h.clients.Add("default", key); err != nil {
			return fmt.Errorf("CLIENT_API_KEY: %w", err)
		}
		h.clientSecrets = append(h.clientSecrets, strings.TrimSpace(key))
	}
	if h.clients.Len() > 0 || h.AllowAnonymous {
		return nil
	}
	if strings.EqualFold(os.Getenv("REQUIRE_CLIENT_API_KEY"), "true") {
		return errors.New("REQUIRE_CLIENT_API_KEY is true, but there is no client key: set CLIENT_API_KEY or write client_key <name> <key>")
	}
	h.logger.Warn("no client key is configured, so every request will be refused; set CLIENT_API_KEY, or write client_key <name> <key> or allow_anonymous")
	return nil
}

// Cleanup lets go of what the configuration held. Caddy calls it while streams
// of this configuration still run, and after a Provision that failed half-way.
func (h *Handler) Cleanup() error {
	h.swapping.Lock()
	rt, ended := h.current.Load(), h.ended
	h.ended = true
	h.swapping.Unlock()
	if rt == nil || ended {
		return nil
	}
	live.remove(h)
	live.configureLogs()
	if h.unwatch != nil {
		h.unwatch()
	}
	rt.release()
	return nil
}

func (h *Handler) routerOptions() routing.Options {
	return routing.Options{
		Cooldown:    time.Duration(*h.Cooldown),
		MaxAttempts: h.MaxAttempts,
		OnLossy:     h.OnLossy,
		ModelEcho:   h.ModelEcho,
		KeyCycles:   keyCycles(),
		Breaker:     h.Breaker.options(),
		Retries:     h.RetryBudget.options(),
		Wait:        time.Duration(h.Wait),
		Timeouts: routing.Timeouts{
			Connect:      time.Duration(h.Timeouts.Connect),
			FirstContent: time.Duration(h.Timeouts.FirstContent),
			Idle:         time.Duration(h.Timeouts.Idle),
			Total:        time.Duration(h.Timeouts.Total),
		},
	}
}

// keyCycles is how many times one request may go through a provider's keys,
// by the setting of the service that this project replaces.
func keyCycles() int {
	if n, err := strconv.Atoi(os.Getenv("MAX_KEY_RETRY_CYCLES")); err == nil && n > 0 {
		return n
	}
	return 1
}

// Interface guards
var (
	_ caddy.Module                = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ http.RoundTripper           = (*transport)(nil)
)
