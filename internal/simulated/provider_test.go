package simulated

import (
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestEndpointsAreFoundBelowAnyPrefix(t *testing.T) {
	for _, tc := range []struct {
		method, path string
		want         endpoint
		model        string
	}{
		{"POST", "/v1/chat/completions", chatCompletions, ""},
		{"POST", "/openai/deployments/x/chat/completions", chatCompletions, ""},
		{"POST", "/responses", createResponse, ""},
		{"POST", "/v1/messages", createMessage, ""},
		{"POST", "/a/b/messages/count_tokens", countTokens, ""},
		{"POST", "/v1/embeddings", embeddings, ""},
		{"GET", "/v1/models", listModels, ""},
		{"GET", "/v1/models/demo", oneModel, "demo"},
		{"GET", "/v1/models/accounts/x/models/y", oneModel, "accounts/x/models/y"},
		{"GET", "/v1/models/", nowhere, ""},
		{"GET", "/v1/messages", nowhere, ""},
		{"POST", "/v1/models", nowhere, ""},
		{"POST", "/v1/submessages", nowhere, ""},
		{"POST", "/v1/messages/", nowhere, ""},
		{"GET", "/", nowhere, ""},
	} {
		at, model := find(tc.method, tc.path)
		if at != tc.want || model != tc.model {
			t.Errorf("find(%s, %s) = %v, %q, want %v, %q", tc.method, tc.path, at, model, tc.want, tc.model)
		}
		if got := New(Config{}).Handles(httptest.NewRequest(tc.method, tc.path, nil)); got != (tc.want != nowhere) {
			t.Errorf("Handles(%s %s) = %v", tc.method, tc.path, got)
		}
	}
}

func TestKeysAreAcceptedInEveryHeaderAndGetTheirMode(t *testing.T) {
	p := New(Config{Keys: map[string]string{"good": "ok", "limited": "429-5", "dead": "401"}})
	chat, messages := bodies[0], bodies[2]
	for _, tc := range []struct {
		header, value string
		want          int
	}{
		{"Authorization", "Bearer good", 200},
		{"Authorization", "bearer good", 200},
		{"Authorization", "good", 200},
		{"X-Api-Key", "good", 200},
		{"Api-Key", "good", 200},
		{"X-Api-Key", "limited", 429},
		{"X-Api-Key", "dead", 401},
		{"X-Api-Key", "stranger", 401},
		{"X-Nothing", "good", 401},
	} {
		for _, api := range []struct{ path, body string }{{chat.path, chat.body}, {messages.path, messages.body}} {
			if w := do(p, "POST", api.path, fill(api.body, "demo", true), tc.header, tc.value); w.Code != tc.want {
				t.Errorf("%s with %s: %s = %d, want %d", api.path, tc.header, tc.value, w.Code, tc.want)
			}
		}
		if w := do(p, "GET", "/models", "", tc.header, tc.value); w.Code != tc.want {
			t.Errorf("models with %s: %s = %d, want %d", tc.header, tc.value, w.Code, tc.want)
		}
	}
	want := map[string]Count{
		"good":     {Requests: 15},
		"limited":  {Requests: 3, Failed: 3},
		"dead":     {Requests: 3, Failed: 3},
		"stranger": {Requests: 3, Failed: 3},
		"":         {Requests: 3, Failed: 3},
	}
	if got := p.Ledger(); !reflect.DeepEqual(got, want) {
		t.Errorf("the ledger is %+v, want %+v", got, want)
	}
}

func TestTheWordsOfAKeyOverruleThoseOfTheRequest(t *testing.T) {
	p := New(Config{Keys: map[string]string{"k": "503"}})
	if w := do(p, "POST", bodies[0].path, fill(bodies[0].body, "demo-429", false), "X-Api-Key", "k"); w.Code != 503 {
		t.Errorf("status is %d, want 503", w.Code)
	}
}

func TestAKeyWithAnUnknownWordIsAProgrammingError(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("New accepts an unknown word")
		}
	}()
	New(Config{Keys: map[string]string{"k": "ok+nonsense"}})
}

func TestEveryRequestIsLoggedAsItArrived(t *testing.T) {
	var got []Record
	p := New(Config{Keys: map[string]string{"k": "ok"}, Log: func(r Record) { got = append(got, r) }})
	do(p, "POST", "/v1/messages?beta=true", `{"broken`, "X-Api-Key", "stranger", "Anthropic-Beta", "x")
	do(p, "GET", "/v1/models", "", "Authorization", "Bearer k")
	if len(got) != 2 {
		t.Fatalf("got %d records, want 2", len(got))
	}
	first := got[0]
	if first.Method != "POST" || first.Path != "/v1/messages" || first.Query != "beta=true" || string(first.Body) != `{"broken` ||
		first.Key != "stranger" || first.Header.Get("Anthropic-Beta") != "x" {
		t.Errorf("the first record is %+v", first)
	}
	if got[1].Key != "k" || len(got[1].Body) != 0 {
		t.Errorf("the second record is %+v", got[1])
	}
}

func TestTheLedgerIsBounded(t *testing.T) {
	l := ledger{tallies: make(map[string]*tally)}
	for i := range 2 * maxLedgerKeys {
		l.begin(strings.Repeat("x", i%7) + time.Duration(i).String()).end(false)
	}
	counts := l.counts()
	if len(counts) != maxLedgerKeys+1 || counts[""].Requests != maxLedgerKeys {
		t.Errorf("%d keys, %d requests under none", len(counts), counts[""].Requests)
	}
}

func TestModelsThatAreNotDemoAnswerPlainly(t *testing.T) {
	p := New(Config{Models: []string{"demo", "demo-turbo"}})
	for model, want := range map[string]int{
		"gpt-6": 200, "claude-opus-5": 200, "demo": 200, "demonstration": 200, "demo-turbo": 200,
		"vendor/demo-429": 429, "vendor/model": 200, "demo-": 200, "demo-tolls": 404,
	} {
		if w := do(p, "POST", bodies[0].path, fill(bodies[0].body, model, false)); w.Code != want {
			t.Errorf("%s = %d %s, want %d", model, w.Code, w.Body, want)
		}
	}
}

func TestDelayHoldsForEveryAnswerButThoseThatAreSlowAnyway(t *testing.T) {
	p := New(Config{Delay: time.Minute})
	b := behaviour{pace: p.pace}
	if want := (pace{time.Minute, time.Minute}); b.pace != want {
		t.Errorf("pace is %v, want %v", b.pace, want)
	}
	b.applyModel("demo-slow-5-6")
	if want := (pace{5 * time.Millisecond, 6 * time.Millisecond}); b.pace != want {
		t.Errorf("pace is %v, want %v", b.pace, want)
	}
}
