package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
	"go.uber.org/zap"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// What outlives a configuration: the memory about keys and conversations by the
// directory of provider files, and connection pools by provider and transport settings. A
// reload finds both again, so a resting key keeps resting and no provider sees
// a new connection.
var (
	sharedStates = caddy.NewUsagePool()
	transports   = caddy.NewUsagePool()
)

// runtime is a handler's working state. Caddy cleans a configuration up while
// its streams still run, and a reload of the files exchanges the state under
// them, so it counts who uses it: the handler once, and every request in flight.
// When the last one leaves, the pools are let go.
type runtime struct {
	catalog  *routing.Catalog
	warnings []routing.Problem // of its files
	router   *routing.Router
	names    *routeNames
	log      *logging.Log // nil: no request is kept
	bodies   *bodyKeeper  // nil: no bodies are
	logProbe logProbe
	requests requestSeries
	refs     atomic.Int64
	closers  []func()
}

// acquire finds the handler's working state for one request and, as long as the
// configuration lives, holds it. A request may come after Cleanup: it had
// passed the door before the next configuration took over, and was held up by
// an authentication, or is the first one on a connection that was already open.
// It is answered all the same, with a state that nobody holds any more: the
// pools have let go of it, but nothing in it stops working.
func (h *Handler) acquire() (rt *runtime, held bool) {
	for {
		rt = h.current.Load()
		for n := rt.refs.Load(); n > 0; n = rt.refs.Load() {
			if rt.refs.CompareAndSwap(n, n+1) {
				return rt, true
			}
		}
		if rt == h.current.Load() {
			return rt, false
		}
		// A reload has put another in its place before it let go of this one.
	}
}

// swap lets a new working state take the place of the present one, unless the
// configuration has ended meanwhile.
func (h *Handler) swap(next *runtime) {
	h.swapping.Lock()
	over := next
	if !h.ended {
		over = h.current.Swap(next)
	}
	h.swapping.Unlock()
	over.release()
}

// release lets go of the state and, if nobody else holds it, ends it.
func (rt *runtime) release() {
	if rt.refs.Add(-1) == 0 {
		rt.end()
	}
}

// leave is release for a request, whose client does not wait for the end of the state:
// closing a request log may take seconds.
func (rt *runtime) leave() {
	if rt.refs.Add(-1) == 0 {
		endings.run(rt.end)
	}
}

// end lets the pools go.
func (rt *runtime) end() {
	for _, closer := range rt.closers {
		closer()
	}
}

// load reads the files and builds the working state, held once. Nothing that
// serves notices it.
func (h *Handler) load() (*runtime, error) {
	environ := os.Environ()
	catalog, warnings, err := routing.Load(routing.LoadOptions{
		ProvidersDir: h.Providers,
		ModelsDir:    h.Models,
		Environ:      environ,
	})
	if err != nil {
		return nil, err
	}

	rt := &runtime{catalog: catalog, warnings: warnings}
	rt.refs.Store(1)
	shared, err := rt.shared(h)
	if err != nil {
		rt.release()
		return nil, err
	}
	if err := rt.openLog(h); err != nil {
		rt.release()
		return nil, err
	}
	options := h.routerOptions()
	options.Catalog, options.Keys, options.Environ = catalog, shared.keys, environ
	if *h.Affinity {
		options.Affinity = &shared.affinity
	}
	options.Transport = func(p *routing.Provider, connect time.Duration) (http.RoundTripper, error) {
		return rt.transport(h.ctx, h.TransportRaw, p, connect)
	}
	told, err := newNotices(h.ctx, h.logger)
	if err != nil {
		rt.release()
		return nil, err
	}
	options.Notify = told.notify
	rt.router, warnings, err = routing.New(options)
	rt.warnings = append(rt.warnings, warnings...)
	if err != nil {
		rt.release()
		return nil, err
	}
	rt.names = newRouteNames(rt.router)
	told.start(rt.names)
	rt.closers = append(rt.closers, rt.router.Close, told.stop)
	rt.openBodies(h)
	return rt, nil
}

// logWarnings tells the operator what works but is hardly meant.
func (h *Handler) logWarnings(warnings []routing.Problem) {
	for _, warning := range warnings {
		h.logger.Warn("configuration file", zap.Stringer("problem", warning))
	}
}

// announce says once, at load, what a newcomer wants to know.
func (h *Handler) announce(router *routing.Router) {
	ready, keyless := router.ReadyProviders()
	h.logger.Info("gateway is configured",
		zap.String("version", version),
		zap.Strings("providers_with_keys", ready),
		zap.Strings("providers_without_need_of_keys", keyless),
		zap.Int("models", len(router.Models())),
		zap.Strings("clients", h.clients.Names()),
	)
	if h.Log.Bodies.kept() && h.Log.Bodies.Mode == BodiesFull {
		h.logger.Warn("prompts and answers are kept in the request log, as log bodies full says")
	}
	if len(ready) == 0 && len(keyless) > 0 {
		h.logger.Warn("no provider key is set in the environment, so only providers that need none can answer; model \"demo\" is the simulated one, where llm_demo serves it",
			zap.Strings("providers", keyless))
	}
}

// sharedState is what is known about keys and conversations, in its pool. It
// needs no cleaning up.
type sharedState struct {
	keys     *keys.State
	affinity routing.Affinity
}

// Destruct implements caddy.Destructor.
func (*sharedState) Destruct() error { return nil }

// shared finds or makes what the handler has in common with those before it.
func (rt *runtime) shared(h *Handler) (*sharedState, error) {
	path, err := filepath.Abs(h.Providers)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", h.Providers, err)
	}
	value, _, err := sharedStates.LoadOrNew(path, func() (caddy.Destructor, error) {
		return &sharedState{keys: keys.NewState()}, nil
	})
	if err != nil {
		return nil, err
	}
	rt.closers = append(rt.closers, func() { _, _ = sharedStates.Delete(path) })
	state := value.(*sharedState)
	if h.State.File != "" {
		if err := rt.keepState(path, h.State.File, state.keys, h.logger); err != nil {
			return nil, err
		}
	}
	return state, nil
}

// transport is one provider's connection pool.
type transport struct {
	http.RoundTripper
	close context.CancelFunc
}

// Destruct closes idle connections and cleans the transport module up.
func (t *transport) Destruct() error {
	t.close()
	return nil
}

// transport finds or makes the connection pool of a provider.
func (rt *runtime) transport(ctx caddy.Context, raw json.RawMessage, p *routing.Provider, connect time.Duration) (http.RoundTripper, error) {
	module, config, err := transportConfig(raw, connect)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(config)
	// connect bounds the TLS handshake, which the settings do not tell.
	key := p.ID + "/" + module + "/" + connect.String() + "/" + hex.EncodeToString(sum[:])
	value, _, err := transports.LoadOrNew(key, func() (caddy.Destructor, error) {
		return newTransport(ctx, module, config, connect)
	})
	if err != nil {
		return nil, fmt.Errorf("transport of provider %s: %w", p.ID, err)
	}
	rt.closers = append(rt.closers, func() { _, _ = transports.Delete(key) })
	return value.(*transport), nil
}

// transportConfig completes the operator's transport settings.
func transportConfig(raw json.RawMessage, connect time.Duration) (module string, config []byte, err error) {
	config = raw
	if len(config) == 0 {
		config = []byte(`{"protocol":"http"}`)
	}
	protocol := gjson.GetBytes(config, "protocol").String()
	if config, err = sjson.DeleteBytes(config, "protocol"); err != nil {
		return "", nil, fmt.Errorf("reading transport: %w", err)
	}
	if protocol != "http" {
		return "http.reverse_proxy.transport." + protocol, config, nil
	}
	for _, setting := range []struct {
		path  string
		value any
	}{
		{"dial_timeout", connect.Nanoseconds()},
		// Agents open dozens of streams at once; with Caddy's default of 32
		// their connections would be closed and opened again after each burst.
		{"keep_alive.max_idle_conns_per_host", 512},
	} {
		if gjson.GetBytes(config, setting.path).Exists() {
			continue
		}
		if config, err = sjson.SetBytes(config, setting.path, setting.value); err != nil {
			return "", nil, fmt.Errorf("completing transport: %w", err)
		}
	}
	return "http.reverse_proxy.transport." + protocol, config, nil
}

// newTransport makes a transport that does not end with the configuration
// which made it: a later configuration and running streams go on using it.
func newTransport(ctx caddy.Context, module string, config []byte, connect time.Duration) (*transport, error) {
	detached := ctx
	detached.Context = context.WithoutCancel(ctx.Context)
	lasting, closeAll := caddy.NewContext(detached)
	loaded, err := lasting.LoadModuleByID(module, config)
	if err != nil {
		closeAll()
		return nil, err
	}
	roundTripper, ok := loaded.(http.RoundTripper)
	if !ok {
		closeAll()
		return nil, fmt.Errorf("module %s is not an HTTP transport", module)
	}
	if t, ok := loaded.(*reverseproxy.HTTPTransport); ok {
		tune(t.Transport, connect)
	}
	return &transport{roundTripper, closeAll}, nil
}

// pings are how a dead HTTP/2 connection is found out. Only tests change them.
var pings = http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second}

// tune sets what the module's configuration cannot say.
func tune(t *http.Transport, connect time.Duration) {
	if t.TLSHandshakeTimeout == 0 {
		t.TLSHandshakeTimeout = connect
	}
	// Without pings a black-holed HTTP/2 connection takes every later request
	// with it; net/http never drops it by itself.
	if t.HTTP2 == nil {
		own := pings
		t.HTTP2 = &own
	}
}
