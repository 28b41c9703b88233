package caddymodule

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() { caddy.RegisterModule(new(faultyTransport)) }

// faultyTransport stands for an operator's transport module with a fault in it.
type faultyTransport struct{}

// CaddyModule implements caddy.Module.
func (*faultyTransport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.faulty", New: func() caddy.Module { return new(faultyTransport) }}
}

// UnmarshalCaddyfile implements caddyfile.Unmarshaler.
func (*faultyTransport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

// RoundTrip implements http.RoundTripper.
func (*faultyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.Header.Get("Session-Id") {
	case "panics":
		panic("the secret of " + r.Header.Get("Authorization"))
	case "panics beside": // the second provider, while the first is silent
		if r.URL.Port() == "2" {
			panic("the secret of " + r.Header.Get("Authorization"))
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	case "panics later":
		return &http.Response{StatusCode: 200, Header: make(http.Header), Body: new(faultyBody)}, nil
	}
	return &http.Response{StatusCode: 200, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(chatAnswer))}, nil
}

type faultyBody struct{ read bool }

func (b *faultyBody) Read(p []byte) (int, error) {
	if b.read {
		panic("the secret in the body")
	}
	b.read = true
	return copy(p, pacedEvents("s", 1)[0]), nil
}

func (*faultyBody) Close() error { return nil }

func TestB5APanicTakesItsOwnRequestOnly(t *testing.T) {
	t.Setenv("P_API_KEY", "upstream-secret")
	log := filepath.Join(t.TempDir(), "log")
	g := start(t, setup{
		global:    "log {\n\t\toutput file " + log + "\n\t}",
		providers: map[string]string{"p": provider("p", "http://localhost:1", "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: "transport faulty\nlog sqlite " + filepath.Join(t.TempDir(), "requests.db"),
	})
	for _, b := range bodies {
		body := chatRequest
		if strings.HasSuffix(b.path, "responses") {
			body = `{"model":"m","input":"hi"}`
		}
		got := g.do(request{path: b.path, body: body, header: map[string]string{"Session-Id": "panics"}}).want(t, 500)
		if kind := got.get(t, b.errorType...); kind == "" || strings.Contains(got.body, "secret") {
			t.Errorf("%s: body = %s, want an error of the protocol that tells nothing", b.path, got.body)
		}
	}
	got := g.do(request{path: chatPath, body: chatStreamed, header: map[string]string{"Session-Id": "panics later"}}).want(t, 200)
	if seen := chatDialect.view(got.body); got.err == nil || seen.finished {
		t.Errorf("after content the client sees %+v, error %v; want the connection cut", seen, got.err)
	}
	// Nor do rows tell of a success that the client has not seen.
	for i, row := range rows(t, "") {
		want := requestSummary{Status: 500, Outcome: "error", Class: "local"}
		if i == 0 {
			want = requestSummary{Status: 200, Outcome: "partial", Class: "local"}
		}
		if row.Status != want.Status || row.Outcome != want.Outcome || row.Class != want.Class {
			t.Errorf("row %d is %d %s %s, want %d %s %s", i, row.Status, row.Outcome, row.Class, want.Status, want.Outcome, want.Class)
		}
	}
	g.post(chatPath, chatRequest).want(t, 200)

	logged, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(logged), "panic while serving a request") || strings.Contains(string(logged), "the secret") {
		t.Errorf("log = %s, want it to tell of the panic and not what it held", logged)
	}
}
