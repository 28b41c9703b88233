package caddymodule

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// bodies are requests in each protocol, with the place of the error's type.
var bodies = []struct {
	path      string
	errorType []any
}{
	{chatPath, []any{"error", "type"}},
	{"/v1/messages", []any{"error", "type"}},
	{"/v1/responses", []any{"error", "type"}},
}

func TestADrippingBodyEndsAtTheDeadline(t *testing.T) {
	before := bodyTimeout
	t.Cleanup(func() { bodyTimeout = before })
	bodyTimeout = 200 * time.Millisecond
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	for _, b := range bodies {
		started := time.Now()
		conn, reader := g.dial(request{path: b.path, header: map[string]string{"Transfer-Encoding": "chunked"}})
		ended := make(chan struct{})
		go func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					_, _ = io.WriteString(conn, "1\r\n{\r\n")
				case <-ended:
					return
				}
			}
		}()
		got := readResponse(t, reader)
		took := time.Since(started)
		close(ended)
		if got.want(t, 408).get(t, b.errorType...) == "" {
			t.Errorf("%s: no error type in %s", b.path, got.body)
		}
		if took < bodyTimeout || took > bodyTimeout+margin {
			t.Errorf("%s: answered after %v, want %v", b.path, took, bodyTimeout)
		}
		// Else the rest of the body would be taken for another request.
		if _, err := io.Copy(io.Discard, reader); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: the connection stays open: %v", b.path, err)
		}
	}
	if n := len(up.all()); n != 0 {
		t.Errorf("upstream calls = %d, want 0", n)
	}
	g.post(chatPath, chatRequest).want(t, 200)
}

// readResponse reads one response from a connection.
func readResponse(t *testing.T, reader *bufio.Reader) response {
	t.Helper()
	got, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	return response{got.StatusCode, got.Header, string(body), err}
}

func TestABodyThatIsTooLargeIsRefusedByItsLengthAlone(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: "max_body 1KiB",
	})
	const huge = "100000000000000" // bytes that nobody is going to send
	for _, b := range bodies {
		for name, header := range map[string]map[string]string{
			"length":                  {"Content-Length": huge},
			"length, and asks before": {"Content-Length": huge, "Expect": "100-continue"},
			"chunks":                  {"Transfer-Encoding": "chunked"},
		} {
			conn, reader := g.dial(request{path: b.path, header: header})
			if name == "chunks" {
				_, _ = fmt.Fprintf(conn, "%x\r\n%s\r\n", 2000, strings.Repeat(" ", 2000))
			}
			got := readResponse(t, reader).want(t, 413)
			if got.get(t, b.errorType...) == "" || !strings.Contains(got.body, "1.0 KiB") {
				t.Errorf("%s, %s: body = %s, want the limit in an error of the protocol", b.path, name, got.body)
			}
			conn.Close()
		}
	}
	if n := len(up.all()); n != 0 {
		t.Errorf("upstream calls = %d, want 0", n)
	}
	g.post(chatPath, chatRequest).want(t, 200)
}
