package upstream

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/payload"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// ask lets the handler answer a request.
func ask(r payload.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, payload.Path(r.Protocol), bytes.NewReader(r.Body())))
	return w
}

func TestTheModelAndTheStreamFlagChooseTheAnswer(t *testing.T) {
	answer := payload.Answer{Words: 7}
	for _, protocol := range []translate.Protocol{translate.Chat, translate.Responses, translate.Messages} {
		for _, size := range []payload.Size{payload.Small, payload.Agent} {
			r := payload.Request{Protocol: protocol, Size: size, Model: "x-" + answer.Model()}
			whole := ask(r)
			if want := answer.Whole(protocol, r.Model); whole.Code != 200 || !bytes.Equal(whole.Body.Bytes(), want) {
				t.Errorf("%s: answer = %d, %s, want %s", protocol, whole.Code, whole.Body, want)
			}
			r.Stream = true
			var want bytes.Buffer
			for _, e := range answer.Stream(protocol, r.Model) {
				want.Write(e.Bytes)
			}
			stream := ask(r)
			if got := stream.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") || !stream.Flushed {
				t.Errorf("%s: stream has Content-Type %q, flushed %v", protocol, got, stream.Flushed)
			}
			if !bytes.Equal(stream.Body.Bytes(), want.Bytes()) {
				t.Errorf("%s: stream = %s, want %s", protocol, stream.Body, &want)
			}
		}
	}
}

func TestAnUnknownModelIsNotFound(t *testing.T) {
	if w := ask(payload.Request{Protocol: translate.Chat, Model: "gpt-5"}); w.Code != http.StatusNotFound {
		t.Errorf("status = %d, want 404", w.Code)
	}
}

func TestASlowStreamKeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := payload.Answer{Words: 200, Pace: 50 * time.Millisecond}
		begin := time.Now()
		ask(payload.Request{Protocol: translate.Messages, Model: answer.Model(), Stream: true})
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("a stream of 200 words, one each 50 ms, took %v, want 10s", took)
		}
	})
}

func TestAMemberIsFoundWhereverItStands(t *testing.T) {
	for _, tc := range []struct{ body, model, stream string }{
		{`{"model":"a","stream":true}`, "a", "true"},
		{`{ "stream": false , "model": "b" }`, "b", "false"},
		{`{"text":"say \"model\":\"no\"","model":"c","stream":true` + "\n}", "c", "true"},
		{`{}`, "", ""},
		{`{"model":"d`, "d", ""},
	} {
		model, stream := member([]byte(tc.body), "model"), member([]byte(tc.body), "stream")
		if string(model) != tc.model || string(stream) != tc.stream {
			t.Errorf("member(%q) = %q, %q, want %q, %q", tc.body, model, stream, tc.model, tc.stream)
		}
	}
}
