package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/payload"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/upstream"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// planFor asks a test server once per connection.
func planFor(server *httptest.Server, protocol translate.Protocol, answer payload.Answer, stream bool) Plan {
	address := strings.TrimPrefix(server.URL, "http://")
	request := payload.Request{Protocol: protocol, Model: answer.Model(), Stream: stream}
	return Plan{
		Address: address, Request: request.HTTP(address, "key"), Want: answer.Complete(protocol, stream),
		Connections: 1, Once: true,
	}
}

func TestCompleteAnswersAreCounted(t *testing.T) {
	server := httptest.NewServer(upstream.Handler())
	defer server.Close()
	for _, protocol := range []translate.Protocol{translate.Chat, translate.Messages} {
		for _, stream := range []bool{false, true} {
			plan := planFor(server, protocol, payload.Answer{Words: 20}, stream)
			plan.Connections = 3
			result, err := Run(t.Context(), plan)
			if err != nil || result.Complete != 3 || result.Failed != 0 || result.Latency.Count != 3 {
				t.Errorf("Run(%s, stream %v) = %+v, %v, want 3 complete answers", protocol, stream, result, err)
			}
		}
	}
}

func TestAConnectionIsUsedUntilTheTimeIsOver(t *testing.T) {
	server := httptest.NewServer(upstream.Handler())
	defer server.Close()
	plan := planFor(server, translate.Chat, payload.Answer{Words: 1}, false)
	plan.Once, plan.Duration = false, 50*time.Millisecond
	result, err := Run(t.Context(), plan)
	if err != nil || result.Complete < 2 || result.Failed != 0 || result.Elapsed < plan.Duration {
		t.Errorf("Run for %v = %+v, %v, want several complete answers", plan.Duration, result, err)
	}
}

func TestAGaugeRemembersItsHighestValue(t *testing.T) {
	var g gauge
	for _, n := range []int64{1, 1, -1, 1, 1, -1, -1, -1} {
		g.add(n)
	}
	if now, most := g.now.Load(), g.most.Load(); now != 0 || most != 3 {
		t.Errorf("gauge = %d, at most %d, want 0, at most 3", now, most)
	}
}

func TestGapsAndOpenStreamsAreRecorded(t *testing.T) {
	const streams, words = 4, 5
	server := httptest.NewServer(upstream.Handler())
	defer server.Close()
	plan := planFor(server, translate.Messages, payload.Answer{Words: words}, true)
	plan.Connections, plan.Ramp, plan.Streams = streams, time.Millisecond, true
	result, err := Run(t.Context(), plan)
	if err != nil || result.Complete != streams || result.Gap.Count != streams*(words-1) {
		t.Errorf("Run = %+v, %v, want %d complete answers with %d gaps", result, err, streams, streams*(words-1))
	}
	if result.MostOpen < 1 || result.MostOpen > streams {
		t.Errorf("MostOpen = %d, want 1 to %d", result.MostOpen, streams)
	}
}

func TestFailingAnswersAreCountedWithTheirReasons(t *testing.T) {
	truncated := strings.TrimSuffix(string((payload.Answer{Words: 2}).Whole(translate.Chat, "m")), "}")
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"refused", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "who are you?", http.StatusUnauthorized)
		}, "status 401, body ends with \"who are you?\\n\""},
		{"short", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "~0000 }") }, "1 of 2 words"},
		{"cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, errNoAnswer.Error()},
		{"cut in the body", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "999")
			fmt.Fprint(w, truncated)
		}, "unexpected EOF"},
	} {
		server := httptest.NewServer(tc.handler)
		plan := planFor(server, translate.Chat, payload.Answer{Words: 2}, false)
		plan.Once, plan.Duration = false, time.Hour // it gives up by itself
		result, err := Run(t.Context(), plan)
		server.Close()
		if err != nil || result.Complete != 0 || result.Failed != maxFailures {
			t.Errorf("%s: Run = %+v, %v, want %d failures", tc.name, result, err, maxFailures)
		}
		for text := range result.Errors {
			if !strings.Contains(text, tc.want) {
				t.Errorf("%s: error %q, want %q in it", tc.name, text, tc.want)
			}
		}
	}
}

func TestAServerThatIsDownIsAFailureWithoutPorts(t *testing.T) {
	server := httptest.NewServer(nil)
	plan := planFor(server, translate.Chat, payload.Answer{Words: 1}, false)
	server.Close()
	result, err := Run(t.Context(), plan)
	if want := "dial: connect: connection refused"; err != nil || result.Errors[want] != 1 {
		t.Errorf("Run = %+v, %v, want the error %q", result, err, want)
	}
}

func TestAnInterruptEndsARun(t *testing.T) {
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // net/http notices a closed connection only then
		close(arrived)
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	plan := planFor(server, translate.Chat, payload.Answer{Words: 1}, false)
	plan.Connections, plan.Ramp = 2, 2*time.Hour // one waits for the answer, one for its turn
	if _, err := Run(ctx, plan); err == nil {
		t.Error("an interrupted run has no error")
	}
}
