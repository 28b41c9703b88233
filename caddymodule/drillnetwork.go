package caddymodule

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/simulated"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// drillNetwork is all that a drill can reach: one simulated provider in the memory
// of the process, which stands for every provider. Connections to it are pipes;
// nothing here can open a socket.
type drillNetwork struct {
	setup  *drillSetup
	faults []drillFault
	server *http.Server
	client *http.Transport
	opened chan net.Conn // by the client, for the server
	closed chan struct{}

	mu    sync.Mutex
	first *drillCall // nil until somebody has been asked
}

// drillCall is whom one upstream call was for.
type drillCall struct {
	provider, model string
	key             string // made up; empty for a provider that takes none
}

// drillFault is what some calls shall get.
type drillFault struct {
	// words are those of the simulated provider, or unreachable.
	words string
	hits  func(call, first *drillCall) bool
}

// Words of faults: no fault, and one that the simulated provider cannot play.
const (
	drillOK     = "ok"
	unreachable = "unreachable"
)

// newDrillNetwork makes a network in which some words will be wanted.
func newDrillNetwork(setup *drillSetup, words ...string) *drillNetwork {
	n := &drillNetwork{setup: setup, opened: make(chan net.Conn), closed: make(chan struct{})}
	// Words come as the key of a request: keys may have a behaviour.
	behaviours := map[string]string{drillOK: drillOK}
	for _, w := range words {
		if w != unreachable {
			behaviours[w] = w
		}
	}
	n.server = &http.Server{
		Handler:  simulated.New(simulated.Config{Keys: behaviours}),
		ErrorLog: log.New(io.Discard, "", 0), // connections break on purpose
	}
	n.client = &http.Transport{DialContext: n.dial}
	go func() { _ = n.server.Serve(n) }()
	return n
}

// close ends the simulated provider, and what it still answers.
func (n *drillNetwork) close() {
	n.client.CloseIdleConnections()
	_ = n.server.Close()
}

// dial connects the client with the server, whatever the address.
func (n *drillNetwork) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case n.opened <- far:
		return near, nil
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (n *drillNetwork) Accept() (net.Conn, error) {
	select {
	case conn := <-n.opened:
		return conn, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. The server calls it once.
func (n *drillNetwork) Close() error {
	close(n.closed)
	return nil
}

// Addr implements net.Listener.
func (n *drillNetwork) Addr() net.Addr { return &net.UnixAddr{Name: "drill", Net: "unix"} }

// drillTransport takes the place of the connections to one provider.
type drillTransport struct {
	network  *drillNetwork
	provider *routing.Provider
}

// RoundTrip implements http.RoundTripper.
func (t *drillTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil {
		return nil, err
	}
	model := gjson.GetBytes(body, "model").String()
	call := &drillCall{t.provider.ID, model, t.network.setup.keyIn(r)}
	words := t.network.wordsFor(call)
	if words == unreachable {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	inside := r.Clone(r.Context())
	inside.URL = &url.URL{Scheme: "http", Host: "drill", Path: t.usualPath(r.URL.Path)}
	inside.Host = inside.URL.Host
	inside.Body, inside.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	inside.Header.Del("Authorization")
	inside.Header.Set("X-Api-Key", words)
	return t.network.client.RoundTrip(inside)
}

// wordsFor is what a call shall get.
func (n *drillNetwork) wordsFor(call *drillCall) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.first == nil {
		n.first = call
	}
	for _, f := range n.faults {
		if f.hits(call, n.first) {
			return f.words
		}
	}
	return drillOK
}

// usualPath is the path under which the simulated provider knows an endpoint of a
// provider, whose file may have it at any other.
func (t *drillTransport) usualPath(path string) string {
	for _, known := range []struct {
		protocol translate.Protocol
		usual    string
	}{{translate.Chat, "/chat/completions"}, {translate.Responses, "/responses"}, {translate.Messages, "/messages"}} {
		for _, stream := range []bool{true, false} {
			written, _, _ := strings.Cut(t.provider.Path(known.protocol, stream), "?")
			if _, behind, found := strings.Cut(written, "{model}"); found {
				written = behind
			}
			if written != "" && strings.HasSuffix(path, "/"+strings.TrimPrefix(written, "/")) {
				return known.usual
			}
		}
	}
	return path
}

// Interface guards
var (
	_ net.Listener      = (*drillNetwork)(nil)
	_ http.RoundTripper = (*drillTransport)(nil)
)
