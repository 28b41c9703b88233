package translate

import (
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

func TestARequestIsRefusedOnlyForWhatNobodyWouldTake(t *testing.T) {
	for _, tc := range []struct {
		protocol  Protocol
		operation Operation
		body      string
		param     string // of the error; "" is no error
	}{
		{Chat, Generate, `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, ""},
		{Chat, Generate, `{"model":"m"}`, "messages"},
		{Chat, Generate, `{"model":"m","messages":null}`, "messages"},
		{Chat, Generate, `{"model":"m","messages":"hi"}`, "messages"},
		{Chat, Generate, `{"model":"m","messages":{"role":"user"}}`, "messages"},
		{Chat, Generate, `{"model":"m","messages":[null]}`, "messages"},
		{Chat, Generate, `{"model":"m","messages":[{"role":"user"},5]}`, "messages"},
		{Chat, Generate, `{"model":"m","messages":[true]}`, "messages"},
		{Chat, Generate, `{"model":"m","messages":[{"role":"user","content":[null,5]}]}`, "messages"},
		{Chat, Generate, `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x"},false]}]}`, "messages"},
		// An upstream may judge these; we need not know better.
		{Chat, Generate, `{"model":"m","messages":[]}`, ""},
		{Chat, Generate, `{"model":"m","messages":["hi"]}`, ""},
		{Chat, Generate, `{"model":"m","messages":[{"role":"hacker","content":"hi"}]}`, ""},
		{Chat, Generate, `{"model":"m","messages":[{"role":"assistant","content":null}]}`, ""},
		{Chat, Generate, `{"model":"m","messages":[{"role":"tool","content":"x"}]}`, ""},
		{Chat, Generate, `{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":1.5,"unheard_of":{}}`, ""},
		// Bare elements elsewhere are nobody's mistake.
		{Chat, Generate, `{"model":"m","messages":[{"role":"user","content":[{"type":"x","list":[1,null]}],"tags":[1,2]}],"stop":[null],"logit_bias":[[[1]]]}`, ""},
		{Chat, Generate, `{"model":"m","messages":[{"role":"assistant","tool_calls":[null],"content":[{"type":"text"}]}]}`, ""},
		{Chat, Generate, `{"model":"m","system":5,"messages":[{"role":"user","content":"hi"}]}`, ""},
		{Chat, Generate, `{"model":"m","\u006dessages":[null]}`, "messages"},

		{Messages, Generate, `{"model":"m","messages":[{"role":"user","content":"hi"}],"system":"s"}`, ""},
		{Messages, Generate, `{"model":"m","messages":[{"role":"user","content":"hi"}],"system":[{"type":"text","text":"s"}]}`, ""},
		{Messages, Generate, `{"model":"m","messages":[{"role":"user","content":"hi"}],"system":null}`, ""},
		{Messages, Generate, `{"model":"m","messages":[{"role":"user","content":"hi"}],"system":{"a":1}}`, "system"},
		{Messages, Generate, `{"model":"m","messages":[{"role":"user","content":"hi"}],"system":true}`, "system"},
		{Messages, Generate, `{"model":"m","messages":[{"role":"user","content":"hi"}],"system":-1}`, "system"},
		{Messages, Generate, `{"model":"m","max_tokens":5}`, "messages"},
		{Messages, Generate, `{"model":"m","messages":[{"role":"user","content":[0]}]}`, "messages"},
		{Messages, CountTokens, `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, ""},
		{Messages, CountTokens, `{"model":"m"}`, "messages"},
		{Messages, CountTokens, `{"model":"m","messages":[null]}`, "messages"},

		{Responses, Generate, `{"model":"m","input":"hi"}`, ""},
		{Responses, Generate, `{"model":"m","input":[{"role":"user","content":"hi"}]}`, ""},
		{Responses, Generate, `{"model":"m"}`, ""}, // a stored prompt needs none
		{Responses, Generate, `{"model":"m","input":null}`, ""},
		{Responses, Generate, `{"model":"m","input":5}`, "input"},
		{Responses, Generate, `{"model":"m","input":{"role":"user"}}`, "input"},
		{Responses, Generate, `{"model":"m","input":[null]}`, "input"},
		{Responses, Generate, `{"model":"m","input":[{"role":"user","content":[null]}]}`, "input"},
		{Responses, Generate, `{"model":"m","input":"hi","store":true}`, ""},
		// What another client, or another key, has stored is not ours to ask for.
		{Responses, Generate, `{"model":"m","input":"hi","previous_response_id":"resp_1"}`, "previous_response_id"},
		{Responses, Generate, `{"model":"m","input":"hi","conversation":{"id":"c"}}`, "conversation"},
		{Responses, Generate, `{"model":"m","input":"hi","previous_response_id":null,"conversation":null}`, ""},

		{Chat, Embed, `{"model":"m","input":"hi"}`, ""},
		{Chat, Embed, `{"model":"m","input":["a","b"]}`, ""},
		{Chat, Embed, `{"model":"m","input":[1,2,3]}`, ""},
		{Chat, Embed, `{"model":"m","input":[[1,2],[3]]}`, ""},
		{Chat, Embed, `{"model":"m"}`, "input"},
		{Chat, Embed, `{"model":"m","input":null}`, "input"},
		{Chat, Embed, `{"model":"m","messages":[]}`, "input"},
	} {
		var o strictjson.Object
		if err := o.Parse([]byte(tc.body)); err != nil {
			t.Fatalf("%s: %v", tc.body, err)
		}
		e := CheckRequest(tc.protocol, tc.operation, &o)
		switch {
		case e == nil && tc.param != "":
			t.Errorf("CheckRequest(%s, %s) = nil, want an error about %s", tc.protocol, tc.body, tc.param)
		case e == nil:
		case e.Param != tc.param || e.Status != 400 || !strings.HasPrefix(e.Message, tc.param+": "):
			t.Errorf("CheckRequest(%s, %s) = %+v, want a 400 about %q", tc.protocol, tc.body, *e, tc.param)
		}
	}
}

// Whatever real clients have sent has to pass.
func TestRecordedRequestsAreNotRefused(t *testing.T) {
	for _, f := range fixtures(t, "request") {
		operation := Generate
		switch {
		case strings.HasPrefix(f.file, "embeddings/"):
			operation = Embed
		case strings.Contains(f.shows, "count_tokens"):
			operation = CountTokens
		}
		var o strictjson.Object
		if err := o.Parse(f.body); err != nil {
			t.Errorf("%s: %v", f.file, err)
			continue
		}
		e := CheckRequest(f.protocol, operation, &o)
		if e == nil {
			continue
		}
		// The two that this gateway refuses on purpose.
		if e.Param != "previous_response_id" && e.Param != "conversation" {
			t.Errorf("%s: %v", f.file, e)
		}
	}
}

// FuzzCheckRequest wants every object to be judged, in words that fit into an
// error of any protocol.
func FuzzCheckRequest(f *testing.F) {
	for _, body := range []string{
		`{"messages":[{"content":[null]}]}`, `{"input":[1,[2,[3,[4]]]]}`, `{"system":[],"messages":[[]]}`,
		`{"previous_response_id":"x"}`, `{"messages":[{"content":{"content":[1]}}]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var o strictjson.Object
		if o.Parse(body) != nil {
			return
		}
		for _, p := range []Protocol{Chat, Messages, Responses} {
			for _, op := range []Operation{Generate, Embed, CountTokens} {
				if e := CheckRequest(p, op, &o); e != nil && (e.Param == "" || e.Message == "" || e.Status != 400) {
					t.Errorf("CheckRequest(%s, %v, %q) = %+v", p, op, body, *e)
				}
			}
		}
	})
}
