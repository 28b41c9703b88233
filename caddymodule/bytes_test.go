package caddymodule

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Same protocol on both sides: nothing is changed that need not be. These tests
// hold that against recorded traffic of real providers.

// stateful names the member for which this gateway refuses a request: it keeps
// no conversations, and with keys and providers that take turns nobody else
// keeps them for it.
func stateful(r recording) string {
	if r.api != "responses" {
		return ""
	}
	var body map[string]json.RawMessage
	if json.Unmarshal(r.body, &body) != nil {
		return ""
	}
	for _, name := range []string{"previous_response_id", "conversation"} {
		if value, ok := body[name]; ok && string(value) != "null" {
			return name
		}
	}
	return ""
}

func TestRequestBytesReachTheUpstreamButForTheModel(t *testing.T) {
	for _, tc := range []struct{ name, route, model string }{
		{"another name", "up/upstream-model", `"upstream-model"`},
		{"the same name", "up/*", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			requests := recordings(t, "request")
			g, up, _ := corpusGateway(t, tc.route)
			passed, refused := make(tally), make(tally)
			for _, r := range requests {
				up.reset()
				got := g.do(request{path: r.path(), body: string(r.body)})
				calls := up.all()
				if member := stateful(r); member != "" {
					if got.status != 400 || got.get(t, "error", "param") != member || len(calls) != 0 {
						t.Errorf("%s: status %d after %d calls, want 400 for %s at once", r.file, got.status, len(calls), member)
					}
					t.Logf("refused because of %s: %s", member, r.file)
					refused[r.api]++
					continue
				}
				if got.status != 200 || len(calls) != 1 {
					t.Errorf("%s: status %d after %d calls: %s", r.file, got.status, len(calls), got.body)
					continue
				}
				want := string(r.body)
				if tc.model != "" {
					from, to := memberAt(t, r.body, "model")
					want = want[:from] + tc.model + want[to:]
				}
				c := calls[0]
				if c.body != want {
					t.Errorf("%s: %s", r.file, difference(c.body, want))
				}
				if c.path != r.path() || c.header.Get("Content-Length") != strconv.Itoa(len(want)) {
					t.Errorf("%s: asked at %s with Content-Length %s, want %s and %d", r.file, c.path, c.header.Get("Content-Length"), r.path(), len(want))
				}
				passed[r.api]++
			}
			passed.log(t, "requests passed")
			refused.log(t, "requests refused")
			if n := passed.sum() + refused.sum(); n != len(requests) {
				t.Errorf("%d of %d requests are accounted for", n, len(requests))
			}
		})
	}
}

func (c tally) sum() (n int) {
	for _, count := range c {
		n += count
	}
	return n
}

// unfit tells what the client must see instead of a recorded answer that is
// none to the question which it gets.
func unfit(r recording) (status int, why string) {
	var body struct {
		Error  json.RawMessage
		Output json.RawMessage
	}
	if json.Unmarshal(r.body, &body) != nil {
		return 0, ""
	}
	switch {
	case r.api == "models":
		return 0, "is the gateway's own to answer"
	case strings.HasPrefix(string(body.Error), "{"):
		// Azure once reported what its content filter did this way.
		return 400, "is an error with status 200"
	case r.api == "responses" && body.Output == nil:
		return 502, "answers another endpoint, /responses/input_tokens, which the gateway has not"
	}
	return 0, ""
}

func TestWholeAnswersComeBackUntouched(t *testing.T) {
	answers := recordings(t, "response")
	g, _, upstream := corpusGateway(t, "up/*")
	passed, others := make(tally), make(tally)
	for _, r := range answers {
		status, why := unfit(r)
		if why != "" {
			t.Logf("not an answer: %s %s", r.file, why)
			others[r.api]++
			if status == 0 {
				continue
			}
		}
		upstream.says(&scripted{pieces: [][]byte{r.body}})
		got := g.post(r.path(), goodRequests[r.path()])
		if why != "" {
			if got.status != status {
				t.Errorf("%s: status %d, want %d: %s", r.file, got.status, status, got.body)
			}
			continue
		}
		if got.status != 200 || got.body != string(r.body) || got.err != nil {
			t.Errorf("%s: status %d, %v; %s", r.file, got.status, got.err, difference(got.body, string(r.body)))
		}
		if n := got.header.Get("Content-Length"); n != strconv.Itoa(len(r.body)) {
			t.Errorf("%s: Content-Length %q, want %d", r.file, n, len(r.body))
		}
		if got.header.Get("Llm-Proxy-Warnings") != "" {
			t.Errorf("%s: warned of %s", r.file, got.header.Get("Llm-Proxy-Warnings"))
		}
		passed[r.api]++
	}
	passed.log(t, "answers came back")
	others.log(t, "are no answers")
	if n := passed.sum() + others.sum(); n != len(answers) {
		t.Errorf("%d of %d answers are accounted for", n, len(answers))
	}
}

// seenAs is the status with which a client sees a recorded error.
func seenAs(t *testing.T, r recording) (status int, untouched bool) {
	t.Helper()
	code := ""
	var body struct {
		Error struct {
			Code    any
			Message string
		}
	}
	if json.Unmarshal(r.body, &body) == nil {
		code, _ = body.Error.Code.(string)
	}
	switch {
	case r.api == "chat" && strings.Contains(body.Error.Message, "maximum context length") && code != "context_length_exceeded":
		// Without the code no client knows that it has to compact.
		return http.StatusBadRequest, false
	case code == "model_not_found":
		return http.StatusNotFound, false
	case code == "tool_use_failed":
		// Groq's server could not read what its own model wrote.
		return http.StatusBadGateway, false
	}
	switch r.status {
	case 0, 400:
		return http.StatusBadRequest, true
	case 401:
		return http.StatusBadGateway, false
	case 404, 429:
		return r.status, false
	}
	t.Fatalf("%s: came with status %d, which this test knows nothing about", r.file, r.status)
	return 0, false
}

func TestErrorsOfTheClientsMakingComeBackUntouched(t *testing.T) {
	errors := recordings(t, "error")
	g, _, upstream := corpusGateway(t, "up/*")
	passed, told := make(tally), make(tally)
	for _, r := range errors {
		status, untouched := seenAs(t, r)
		sent := r.status
		if sent == 0 {
			sent = 400
		}
		upstream.says(&scripted{status: sent, pieces: [][]byte{r.body}})
		request := goodRequests[r.path()]
		bodies := []string{request}
		if r.api != "embeddings" && !strings.HasSuffix(r.path(), "count_tokens") {
			bodies = append(bodies, streamed(request))
		}
		for _, body := range bodies {
			got := g.post(r.path(), body)
			if r.path() == "/v1/messages/count_tokens" && status >= 404 {
				status = 200 // an estimate serves agents better
			}
			if got.status != status {
				t.Errorf("%s: status %d, want %d: %s", r.file, got.status, status, got.body)
			}
			if untouched && got.body != string(r.body) {
				t.Errorf("%s: %s", r.file, difference(got.body, string(r.body)))
			}
			if !untouched && status != 200 && got.get(t, "error", "message") == "" {
				t.Errorf("%s: no message in %s", r.file, got.body)
			}
			if !untouched && status == 400 && got.get(t, "error", "code") != "context_length_exceeded" {
				t.Errorf("%s: the code does not say that the context is too long: %s", r.file, got.body)
			}
		}
		if untouched {
			passed[r.api]++
		} else {
			told[r.api]++
		}
	}
	passed.log(t, "errors came back as they were")
	told.log(t, "errors were told in the gateway's words")
	if n := passed.sum() + told.sum(); n != len(errors) {
		t.Errorf("%d of %d errors are accounted for", n, len(errors))
	}
}
