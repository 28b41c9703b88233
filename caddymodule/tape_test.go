package caddymodule

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/simulated"
)

// tape keeps what an upstream said last, byte for byte.
type tape struct {
	next http.Handler

	mu   sync.Mutex
	body strings.Builder
}

// ServeHTTP implements http.Handler.
func (t *tape) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	t.body.Reset()
	t.mu.Unlock()
	t.next.ServeHTTP(&taping{w, t}, r)
}

// last is the body of the newest answer.
func (t *tape) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.body.String()
}

// events are the data of the newest answer's events, without those that the
// SDKs keep to themselves.
func (t *tape) events() []string {
	var events []string
	for line := range strings.Lines(t.last()) {
		data, ok := strings.CutPrefix(line, "data:")
		if data = strings.TrimSpace(data); !ok || data == "[DONE]" || strings.Contains(data, `"type":"ping"`) || strings.Contains(data, `"type": "ping"`) {
			continue
		}
		events = append(events, data)
	}
	return events
}

// taping is the writer of an answer that is on tape before it is sent.
type taping struct {
	http.ResponseWriter
	tape *tape
}

// Write implements http.ResponseWriter.
func (w *taping) Write(b []byte) (int, error) {
	w.tape.mu.Lock()
	w.tape.body.Write(b)
	w.tape.mu.Unlock()
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController flush.
func (w *taping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// demoGateway is a gateway in front of a simulated provider on tape, which
// serves any model under its own name. No key ever rests.
func demoGateway(t *testing.T) (*gateway, *upstream, *tape) {
	t.Helper()
	recorded := &tape{next: simulated.New(simulated.Config{})}
	up := serve(t, recorded)
	t.Setenv("UP_API_KEY", "upstream-key")
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, "")},
		models: map[string]string{
			"demo":        model("demo", `"aliases": ["demo-*"],`, "up/*"),
			"vendor/m":    model("vendor/m", `"display_name": "The model", `, "up/demo"),
			"other":       model("other", "", "up/demo"),
			"yet-another": model("yet-another", "", "up/demo"),
			"zeta":        model("zeta", "", "up/demo"),
		},
		directive: "cooldown 0",
	})
	return g, up, recorded
}

// fullProvider is the text of a provider file that has every endpoint.
func fullProvider(name, url, extra string) string {
	return strings.Replace(provider(name, url, extra), `"embeddings": "/embeddings",`,
		`"embeddings": "/embeddings", "count_tokens": "/messages/count_tokens",`, 1)
}

// withoutSDKSettings keeps this machine's environment out of the SDKs.
func withoutSDKSettings(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE", "ANTHROPIC_CUSTOM_HEADERS",
		"OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS",
	} {
		t.Setenv(name, "")
	}
}

// heard is what an SDK understood of an answer.
type heard struct {
	// raw is the JSON that it read: of the whole answer, or of each event.
	raw            []string
	text, thinking string
	calls          []string
	stop           string
	input, output  int64
}

// question is what the SDKs ask.
type question struct {
	model  string
	stream bool
	// noUsage leaves stream_options out.
	noUsage bool
}

const prompt = `Hello "you", is it 12 °C or <warmer> & 日本?`

var weatherSchema = map[string]any{
	"type":                 "object",
	"properties":           map[string]any{"city": map[string]any{"type": "string"}, "days": map[string]any{"type": "integer", "minimum": 2}},
	"required":             []string{"city", "days"},
	"additionalProperties": false,
}

// answersOfTheDemo are the questions that every SDK asks, and the answers.
var answersOfTheDemo = []struct {
	name, model string
	want        heard
}{
	{"text", "demo-long-3", heard{text: "1 2 3", stop: "end"}},
	{"tools", "demo-tools+parallel+text", heard{text: "I will call weather.", calls: []string{`weather {"city":"Paris","days":2}`, "clock {}"}, stop: "calls"}},
	{"thinking", "demo-thinking+long-2", heard{thinking: "some", text: "1 2", stop: "end"}},
}

// check compares what an SDK understood with what was to be understood, and
// what it read with what the upstream wrote.
func (h heard) check(t *testing.T, want heard, up *tape, stream bool) {
	t.Helper()
	if h.text != want.text || h.stop != want.stop || strings.Join(h.calls, "|") != strings.Join(want.calls, "|") {
		t.Errorf("understood %+v, want %+v", h, want)
	}
	if (h.thinking != "") != (want.thinking != "") {
		t.Errorf("thinking = %q, want some: %v", h.thinking, want.thinking != "")
	}
	if h.input < 2 || h.output < 1 {
		t.Errorf("usage = %d in, %d out", h.input, h.output)
	}
	h.checkRaw(t, up, stream)
}

func (h heard) checkRaw(t *testing.T, up *tape, stream bool) {
	t.Helper()
	said := []string{strings.TrimSpace(up.last())}
	if stream {
		said = up.events()
	}
	if len(h.raw) != len(said) {
		t.Errorf("the SDK read %d pieces, the upstream wrote %d", len(h.raw), len(said))
		return
	}
	for i := range said {
		if strings.TrimSpace(h.raw[i]) != said[i] {
			t.Errorf("piece %d: the SDK read\n%s\nthe upstream wrote\n%s", i, h.raw[i], said[i])
		}
	}
}

// unquoted decodes a JSON string, the empty one for nothing.
func unquoted(t *testing.T, raw string) (s string) {
	t.Helper()
	if raw == "" || raw == "null" {
		return ""
	}
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		t.Fatal(err)
	}
	return s
}
