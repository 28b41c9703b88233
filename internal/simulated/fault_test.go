package simulated

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// post sends one of the small bodies and reads the answer to its end or break.
func post(t *testing.T, url, path, body string, header ...string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp, string(got), err
}

// seen is what a client makes of a broken stream.
type seen struct {
	opening, content, terminal, failure bool
	broken                              bool // the connection broke
}

var marks = map[string]struct{ opening, terminal string }{
	"chat":      {`"role":"assistant"`, "[DONE]"},
	"responses": {"response.in_progress", "response.completed"},
	"messages":  {"message_start", "message_stop"},
}

func TestStreamsBreakWhereTheyWereToldTo(t *testing.T) {
	server := httptest.NewServer(New(Config{}))
	defer server.Close()
	for model, want := range map[string]seen{
		"demo":             {opening: true, content: true, terminal: true},
		"demo-cut":         {opening: true, content: true, broken: true},
		"demo-cut-early":   {opening: true, broken: true},
		"demo-eof":         {opening: true, content: true},
		"demo-badjson":     {opening: true, content: true},
		"demo-error-event": {opening: true, failure: true},
		"demo-error-first": {failure: true},
		"demo-error-late":  {opening: true, content: true, failure: true},
		"demo-html":        {},
		"demo-empty":       {},
	} {
		for _, api := range bodies {
			resp, body, err := post(t, server.URL, api.path, fill(api.body, model, true))
			if resp == nil {
				t.Errorf("%s %s: %v", api.name, model, err)
				continue
			}
			mark := marks[api.name]
			got := seen{
				opening:  strings.Contains(body, mark.opening),
				content:  strings.Contains(body, `"You "`),
				terminal: strings.Contains(body, mark.terminal),
				failure:  strings.Contains(body, `"error":{`),
				broken:   errors.Is(err, io.ErrUnexpectedEOF),
			}
			if got != want || resp.StatusCode != http.StatusOK {
				t.Errorf("%s %s = %d %+v (%v), want %+v; body:\n%s", api.name, model, resp.StatusCode, got, err, want, body)
			}
		}
	}
}

func TestWholeAnswersBreakAsTheyWereToldTo(t *testing.T) {
	server := httptest.NewServer(New(Config{}))
	defer server.Close()
	for _, tc := range []struct {
		model   string
		media   string
		prefix  string
		closing bool // the body ends with its last brace
		broken  bool
	}{
		{"demo", "application/json", "{", true, false},
		{"demo-cut", "application/json", "{", false, true},
		{"demo-cut-early", "application/json", "", false, true},
		{"demo-eof", "application/json", "{", false, false},
		{"demo-badjson", "application/json", "{", false, false},
		{"demo-error-event", "application/json", "{", true, false},
		{"demo-html", "text/html; charset=utf-8", "<!DOCTYPE html>", false, false},
		{"demo-empty", "application/json", "", false, false},
	} {
		for _, api := range bodies {
			resp, body, err := post(t, server.URL, api.path, fill(api.body, tc.model, false))
			if resp == nil {
				t.Errorf("%s %s: %v", api.name, tc.model, err)
				continue
			}
			if m := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || m != tc.media {
				t.Errorf("%s %s = %d %s, want 200 %s", api.name, tc.model, resp.StatusCode, m, tc.media)
			}
			if !strings.HasPrefix(body, tc.prefix) || tc.prefix == "" && body != "" ||
				strings.HasSuffix(body, "}") != tc.closing || (err != nil) != tc.broken {
				t.Errorf("%s %s: error %v, body %q", api.name, tc.model, err, body)
			}
		}
	}
}

func TestErrorEventsSayWhatTheStatusWordSays(t *testing.T) {
	server := httptest.NewServer(New(Config{}))
	defer server.Close()
	want := map[string]string{
		"chat":      `{"error":{"message":"Rate limit reached on requests per min (RPM): Limit 60, Used 60, Requested 1. Please try again in 3s.","type":"requests","param":null,"code":"rate_limit_exceeded"}}`,
		"responses": `"status":"failed"`,
		"messages":  `{"type":"error","error":{"type":"rate_limit_error"`,
	}
	for _, api := range bodies {
		resp, body, err := post(t, server.URL, api.path, fill(api.body, "demo-error-late+429-3", true))
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(body, want[api.name]) {
			t.Errorf("%s: %v, body:\n%s", api.name, err, body)
		}
	}
}

// leave sends a request, waits until the provider has it and until all of
// before was read, then leaves. It returns once the provider has noticed.
func leave(t *testing.T, model string, stream bool, before string) Count {
	t.Helper()
	arrived := make(chan struct{})
	p := New(Config{Log: func(Record) { close(arrived) }})
	finished := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(finished)
		p.ServeHTTP(w, r)
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/messages", strings.NewReader(fill(bodies[2].body, model, stream)))
	if err != nil {
		t.Fatal(err)
	}
	if before == "" {
		go func() {
			<-arrived
			cancel()
		}()
	}
	resp, err := http.DefaultClient.Do(req)
	if before == "" {
		if err == nil {
			t.Errorf("%s: got headers, want none", model)
		}
	} else {
		if err != nil {
			t.Fatal(err)
		}
		read := make([]byte, 0, 4096)
		for !strings.Contains(string(read), before) {
			n, err := resp.Body.Read(read[len(read):cap(read)])
			if err != nil {
				t.Fatalf("%s: %v after %q", model, err, read)
			}
			read = read[:len(read)+n]
		}
		cancel()
	}
	<-finished
	return p.Ledger()[""]
}

func TestTheProviderNoticesThatTheClientLeaves(t *testing.T) {
	want := Count{Requests: 1, Left: 1}
	for _, tc := range []struct {
		model  string
		stream bool
		before string
	}{
		{"demo-hang", true, ""},
		{"demo-hang", false, ""},
		{"demo-slow-600000", false, ""},
		{"demo-silent-1", true, "event: ping"},
		{"demo-silent-0", true, "message_start"},
		{"demo-slow-0-600000", true, "message_start"},
	} {
		if got := leave(t, tc.model, tc.stream, tc.before); got != want {
			t.Errorf("%s: %+v, want %+v", tc.model, got, want)
		}
	}
}

// clocked runs a request under a synthetic clock until its context ends after
// limit. It returns the answer and the time that passed until its end.
func clocked(t *testing.T, path, body string, limit time.Duration) (w *httptest.ResponseRecorder, took time.Duration, aborted bool) {
	t.Helper()
	w = httptest.NewRecorder()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		start := time.Now()
		defer func() {
			took = time.Since(start)
			if r := recover(); r != nil {
				aborted = errors.Is(r.(error), http.ErrAbortHandler)
			}
		}()
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(body))
		New(Config{}).ServeHTTP(w, r)
	})
	return w, took, aborted
}

func TestSlowAnswersTakeExactlyTheirTime(t *testing.T) {
	for _, tc := range []struct {
		model  string
		stream bool
		want   func(events int) time.Duration
	}{
		{"demo", true, func(int) time.Duration { return 0 }},
		{"demo-slow", false, func(int) time.Duration { return 2 * time.Second }},
		{"demo-slow", true, func(n int) time.Duration { return 2*time.Second + time.Duration(n-1)*100*time.Millisecond }},
		{"demo-slow-500", true, func(n int) time.Duration { return time.Duration(n) * 500 * time.Millisecond }},
		{"demo-slow-500-20", true, func(n int) time.Duration { return 500*time.Millisecond + time.Duration(n-1)*20*time.Millisecond }},
		{"demo-bench-50-10", true, func(n int) time.Duration { return time.Duration(n-1) * 10 * time.Millisecond }},
	} {
		for _, api := range bodies {
			w, took, _ := clocked(t, api.path, fill(api.body, tc.model, tc.stream), time.Hour)
			events := strings.Count(w.Body.String(), "\n\n")
			if want := tc.want(events); took != want {
				t.Errorf("%s %s: %d events took %v, want %v", api.name, tc.model, events, took, want)
			}
		}
	}
}

// steps is a ResponseWriter that notes what is done with it.
type steps struct {
	discard
	done []string
}

func (s *steps) Write(b []byte) (int, error) {
	s.done = append(s.done, string(b))
	return len(b), nil
}

func (s *steps) FlushError() error {
	s.done = append(s.done, "flush")
	return nil
}

func TestEveryEventIsWrittenAndFlushedAlone(t *testing.T) {
	for _, api := range bodies {
		w := &steps{discard: discard{header: make(http.Header)}}
		r := httptest.NewRequest(http.MethodPost, api.path, strings.NewReader(fill(api.body, "demo-thinking", true)))
		New(Config{}).ServeHTTP(w, r)
		if len(w.done) < 20 || len(w.done)%2 != 0 {
			t.Fatalf("%s: %d steps", api.name, len(w.done))
		}
		for i := 0; i < len(w.done); i += 2 {
			if event := w.done[i]; strings.Index(event, "\n\n") != len(event)-2 || w.done[i+1] != "flush" {
				t.Errorf("%s: step %d writes %q, then %q", api.name, i, event, w.done[i+1])
			}
		}
	}
}

func TestASilentStreamSaysNothingButKeepAlives(t *testing.T) {
	for _, api := range bodies {
		w, took, aborted := clocked(t, api.path, fill(api.body, "demo-silent-2000", true), 9*time.Second)
		keepAlives := strings.Count(w.Body.String(), ": keep-alive\n\n") + strings.Count(w.Body.String(), pingEvent)
		if keepAlives != 4 || took != 9*time.Second || !aborted || strings.Contains(w.Body.String(), `"You "`) {
			t.Errorf("%s: %d keep-alives in %v, aborted %v, body:\n%s", api.name, keepAlives, took, aborted, w.Body)
		}
	}
}

func TestFlakyFailsExactlyAsOftenAsItSays(t *testing.T) {
	p := New(Config{})
	var got []int
	for range 6 {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/messages", strings.NewReader(fill(bodies[2].body, "demo-flaky-2", false))))
		got = append(got, w.Code)
	}
	for i, want := range []int{500, 500, 200, 500, 500, 200} {
		if got[i] != want {
			t.Fatalf("statuses are %v", got)
		}
	}
}
