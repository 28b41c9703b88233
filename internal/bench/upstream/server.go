// Package upstream is a simulated provider that costs little CPU, and the same
// for every request: it sends answers that were encoded when their model was
// first asked for.
package upstream

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/payload"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Serve answers on the listener until that fails.
func Serve(listener net.Listener) error {
	server := &http.Server{Handler: Handler(), ReadHeaderTimeout: time.Minute}
	return server.Serve(listener)
}

// Handler serves Chat Completions, Responses and Messages. The request's model names the
// answer (see payload.ParseModel), its "stream" the form.
func Handler() http.Handler {
	mux := http.NewServeMux()
	for _, protocol := range []translate.Protocol{translate.Chat, translate.Responses, translate.Messages} {
		mux.Handle("POST "+payload.Path(protocol), &model{protocol: protocol})
	}
	return mux
}

// script is an encoded answer in both forms.
type script struct {
	pace   time.Duration
	whole  []byte
	length []string // Content-Length of whole, as a header value
	events []payload.Event
}

// model answers in one protocol.
type model struct {
	protocol translate.Protocol

	mu      sync.RWMutex
	scripts map[string]*script // by name of the model
}

// Header values that all answers share; net/http only reads them.
var (
	jsonType  = []string{"application/json"}
	eventType = []string{"text/event-stream; charset=utf-8"}
	noCache   = []string{"no-cache"}
)

// bodies are buffers for requests, which are long and otherwise all garbage.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(body)
	body.Reset()
	if _, err := io.Copy(body, r.Body); err != nil {
		return // the client is gone
	}
	answer, err := m.script(member(body.Bytes(), "model"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	h := w.Header()
	if !bytes.Equal(member(body.Bytes(), "stream"), []byte("true")) {
		h["Content-Type"], h["Content-Length"] = jsonType, answer.length
		_, _ = w.Write(answer.whole) // an error is the client's to notice
		return
	}
	h["Content-Type"], h["Cache-Control"] = eventType, noCache
	answer.stream(r.Context(), w)
}

// stream sends each event by a write and a flush of its own, as providers do.
func (s *script) stream(ctx context.Context, w http.ResponseWriter) {
	flush := http.NewResponseController(w).Flush
	due := time.Now()
	for _, e := range s.events {
		if e.Word && s.pace > 0 {
			// By the clock, so that one late word does not delay the rest.
			due = due.Add(s.pace)
			if !sleep(ctx, time.Until(due)) {
				return
			}
		}
		if _, err := w.Write(e.Bytes); err != nil {
			return
		}
		if err := flush(); err != nil {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// script finds the answer of a model, or encodes it the first time.
func (m *model) script(name []byte) (*script, error) {
	m.mu.RLock()
	known := m.scripts[string(name)]
	m.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	answer, err := payload.ParseModel(string(name))
	if err != nil {
		return nil, fmt.Errorf("looking for an answer: %w", err)
	}
	whole := answer.Whole(m.protocol, string(name))
	s := &script{
		pace:   answer.Pace,
		whole:  whole,
		length: []string{strconv.Itoa(len(whole))},
		events: answer.Stream(m.protocol, string(name)),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.scripts == nil {
		m.scripts = map[string]*script{}
	}
	m.scripts[string(name)] = s
	return s, nil
}

// member finds the value of a member whose name occurs once in the body: the
// content of a string without escapes, or the letters of a literal. A search
// for bytes is enough, since quotes inside of JSON strings are escaped.
func member(body []byte, name string) []byte {
	_, rest, found := bytes.Cut(body, []byte(`"`+name+`":`))
	if !found {
		return nil
	}
	rest = bytes.TrimLeft(rest, " \t\r\n")
	if len(rest) > 0 && rest[0] == '"' {
		value, _, _ := bytes.Cut(rest[1:], []byte(`"`))
		return value
	}
	if end := bytes.IndexAny(rest, ",} \t\r\n"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}
