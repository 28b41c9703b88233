package caddymodule

import (
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/quic-go/quic-go/http3"
)

const secureURL = "https://localhost:9443"

// httpClients speak one version of HTTP each. None asks for compression by
// itself.
func httpClients(t *testing.T) map[string]*http.Client {
	t.Helper()
	one := &http.Transport{TLSClientConfig: insecure.Clone(), DisableCompression: true, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	two := &http.Transport{TLSClientConfig: insecure.Clone(), DisableCompression: true, ForceAttemptHTTP2: true}
	three := &http3.Transport{TLSClientConfig: insecure.Clone(), DisableCompression: true}
	t.Cleanup(func() {
		one.CloseIdleConnections()
		two.CloseIdleConnections()
		_ = three.Close()
	})
	return map[string]*http.Client{"HTTP/1.1": {Transport: one}, "HTTP/2.0": {Transport: two}, "HTTP/3.0": {Transport: three}}
}

// decoders read a compressed body as it comes.
var decoders = map[string]func(io.Reader) (io.Reader, error){
	"":     func(r io.Reader) (io.Reader, error) { return r, nil },
	"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderConcurrency(1)) },
}

// stepwise serves a stream event by event, each when the test asks for it.
type stepwise struct{ events chan string }

// ServeHTTP implements http.Handler.
func (s stepwise) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	controller := http.NewResponseController(w)
	_ = controller.Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case event, more := <-s.events:
			if !more {
				return
			}
			_, _ = io.WriteString(w, event)
			_ = controller.Flush()
		}
	}
}

func TestEveryEventArrivesBeforeTheNextIsWritten(t *testing.T) {
	for _, encode := range []string{"", "encode zstd gzip"} {
		t.Run("site with "+cmp.Or(encode, "no encode"), func(t *testing.T) {
			g, upstream := secureGateway(t, encode)
			clients := httpClients(t)
			for _, version := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
				for _, accept := range []string{"", "gzip", "zstd"} {
					encoding := ""
					if encode != "" {
						encoding = accept
					}
					for path, stream := range goodStreams {
						passed := t.Run(fmt.Sprintf("%s %s %s", version, accept, path), func(t *testing.T) {
							events := make(chan string, 1)
							upstream.says(stepwise{events})
							readStepwise(t, g, clients[version], path, accept, encoding, wholeEvents(stream), events)
						})
						if !passed {
							return // the others would wait as long
						}
					}
				}
			}
		})
	}
}

// readStepwise asks for a stream and reads each event before it lets the
// upstream write the next.
func readStepwise(t *testing.T, g *gateway, client *http.Client, path, accept, encoding string, events []string, upstream chan<- string) {
	t.Helper()
	// The answer begins with the first content, and what is before it comes
	// with it.
	api := map[string]string{chatPath: "chat", "/v1/responses": "responses", "/v1/messages": "messages"}[path]
	opening := 1
	for !contentIn(api, events[:opening]) {
		opening++
	}
	steps := append([]string{strings.Join(events[:opening], "")}, events[opening:]...)
	if len(steps) < 3 {
		t.Fatalf("only %d steps", len(steps))
	}
	upstream <- steps[0]
	response := postAs(soon(t), t, client, g.url+path, streamed(goodRequests[path]), accept)
	defer response.Body.Close()
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" || response.Header.Get("Content-Encoding") != encoding {
		t.Fatalf("status %d, %v", response.StatusCode, response.Header)
	}
	body, err := decoders[encoding](response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range steps {
		if i > 0 {
			upstream <- want
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(body, got); err != nil || string(got) != want {
			t.Fatalf("step %d: %q, %v; want %q before anything else is written", i, got, err, want)
		}
	}
	close(upstream)
	if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
		t.Errorf("after the last event: %q, %v", rest, err)
	}
}

func TestWholeAnswersArriveInEveryVersionOfHTTP(t *testing.T) {
	for _, encode := range []string{"", "encode zstd gzip"} {
		t.Run("site with "+cmp.Or(encode, "no encode"), func(t *testing.T) {
			g, upstream := secureGateway(t, encode)
			clients := httpClients(t)
			// Long enough to be compressed.
			answer := strings.Replace(chatAnswer, "hello", strings.Repeat("hello ", 2000), 1)
			upstream.says(&scripted{pieces: [][]byte{[]byte(answer)}})
			for _, version := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
				for _, accept := range []string{"", "gzip", "zstd"} {
					response := postAs(soon(t), t, clients[version], g.url+chatPath, chatRequest, accept)
					encoding := response.Header.Get("Content-Encoding")
					if want := map[bool]string{true: accept}[encode != ""]; encoding != want {
						t.Errorf("%s: Content-Encoding %q, want %q", version, encoding, want)
					}
					body, err := decoders[encoding](response.Body)
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(body)
					response.Body.Close()
					if response.StatusCode != 200 || err != nil || string(got) != answer {
						t.Errorf("%s %s: status %d, %v; %s", version, accept, response.StatusCode, err, difference(string(got), answer))
					}
					if response.Proto != version {
						t.Errorf("the answer came in %s, want %s", response.Proto, version)
					}
				}
			}
		})
	}
}

func TestErrorsArriveInEveryVersionOfHTTP(t *testing.T) {
	g, upstream := secureGateway(t, "")
	clients := httpClients(t)
	upstream.says(&scripted{status: 400, pieces: [][]byte{[]byte(`{"error":{"message":"no","type":"invalid_request_error"}}`)}})
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
		for _, body := range []string{chatRequest, chatStreamed, "{"} {
			response := postAs(soon(t), t, clients[version], g.url+chatPath, body, "")
			got, err := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != 400 || err != nil || !strings.HasPrefix(string(got), `{"error":{"message":`) {
				t.Errorf("%s: %q is answered with %d, %v: %s", version, body, response.StatusCode, err, got)
			}
		}
	}
}

// secureGateway is a gateway behind TLS.
func secureGateway(t *testing.T, site string) (*gateway, *script) {
	t.Helper()
	s := new(script)
	up := serve(t, s)
	t.Setenv("UP_API_KEY", "upstream-key")
	g := start(t, setup{
		address:   secureURL,
		site:      site,
		providers: map[string]string{"up": fullProvider("up", up.url, "")},
		models:    map[string]string{"m": model("m", "", "up/up")},
	})
	awaitCertificate(t)
	return g, s
}

// awaitCertificate returns when Caddy has made its certificate, which it does
// after the configuration has been loaded and tells nobody.
func awaitCertificate(t *testing.T) {
	t.Helper()
	address := strings.TrimPrefix(secureURL, "https://")
	var dialer tls.Dialer
	dialer.Config = insecure
	for ctx, tick := soon(t), time.NewTicker(10*time.Millisecond); ; {
		connection, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			connection.Close()
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

// insecure accepts any certificate: Caddy's own CA is not trusted by machines
// that run tests.
var insecure = &tls.Config{InsecureSkipVerify: true}

// postAs sends a body with a client of the caller's.
func postAs(ctx context.Context, t *testing.T, client *http.Client, url, body, accept string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+clientKey)
	if accept != "" {
		request.Header.Set("Accept-Encoding", accept)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestAClientThatLeavesEndsTheUpstreamCall(t *testing.T) {
	g, upstream := secureGateway(t, "")
	for version, client := range httpClients(t) {
		ended := make(chan struct{})
		upstream.says(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, chatStream[:strings.Index(chatStream, "data: [DONE]")/2])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))
		ctx, leave := context.WithCancel(soon(t))
		response := postAs(ctx, t, client, g.url+chatPath, chatStreamed, "")
		leave()
		response.Body.Close()
		select {
		case <-ended:
		case <-soon(t).Done():
			t.Errorf("%s: the upstream call goes on", version)
		}
	}
}
