package caddymodule

import (
	"strings"
	"testing"
)

// editing is a provider file with everything that changes a request.
const editing = `"request_config": {
		"default_parameters": {"temperature": 0.5, "stop": ["a\"}", "b"], "extra": {"deep": {"er": null}}},
		"required_parameters": ["max_tokens"]
	},
	"model_mapping": {"short": "vendor/the-long-name", "m\"<x>&": "quoted \"name\" <é>"},`

func editingGateway(t *testing.T) (*gateway, *upstream, *upstream) {
	t.Helper()
	up, second := serve(t, new(script)), serve(t, new(script))
	t.Setenv("UP_API_KEY", "upstream-key")
	t.Setenv("SECOND_API_KEY", "upstream-key")
	withQuery := strings.Replace(fullProvider("second", second.url, ""), `"messages": "/messages"`, `"messages": "/messages?api-version=1"`, 1)
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, editing), "second": withQuery},
		models: map[string]string{
			"m":      model("m", "", "up/short"),
			"any":    model("any", `"aliases": ["*"],`, "up/*"),
			"two":    model("two", "", "up/first", "second/second"),
			"second": model("second", "", "second/second"),
		},
	})
	return g, up, second
}

func TestARouteEditsNothingButWhatItMust(t *testing.T) {
	g, up, _ := editingGateway(t)
	const defaults = `,"temperature":0.5,"stop":["a\"}", "b"],"extra":{"deep": {"er": null}}`
	for _, tc := range []struct{ name, path, body, want string }{
		{
			"defaults are added where there are none", chatPath,
			`{"model":"other", "max_tokens":1,"messages":[]}`,
			`{"model":"other", "max_tokens":1,"messages":[]` + defaults + `}`,
		},
		{
			"white space stays", chatPath,
			"\r\n {\"max_tokens\" :\t1 ,\"messages\":[ ] , \"model\" : \"other\" \n}\n ",
			"\r\n {\"max_tokens\" :\t1 ,\"messages\":[ ] , \"model\" : \"other\" \n" + defaults + "}\n ",
		},
		{
			"what the client sent counts, null too", chatPath,
			`{"model":"other","max_tokens":1,"messages":[],"temperature":null,"stop":"x","extra":{}}`,
			`{"model":"other","max_tokens":1,"messages":[],"temperature":null,"stop":"x","extra":{}}`,
		},
		{
			"some of each", chatPath,
			`{"model":"other","temperature":1,"max_tokens":1,"messages":[{"temperature":2}]}`,
			`{"model":"other","temperature":1,"max_tokens":1,"messages":[{"temperature":2}],"stop":["a\"}", "b"],"extra":{"deep": {"er": null}}}`,
		},
		{
			"names count as they read, not as they are written", chatPath,
			`{"model":"other","\u0074emperature":1,"st\u006fp":null,"extra":1,"max_tokens":1,"messages":[]}`,
			`{"model":"other","\u0074emperature":1,"st\u006fp":null,"extra":1,"max_tokens":1,"messages":[]}`,
		},
		{
			"the route's name, mapped", chatPath,
			`{"model" : "m" ,"temperature":1,"stop":1,"extra":1,"max_tokens":1,"messages":[]}`,
			`{"model" : "vendor/the-long-name" ,"temperature":1,"stop":1,"extra":1,"max_tokens":1,"messages":[]}`,
		},
		{
			"the client's name, mapped", chatPath,
			`{"temperature":1,"stop":1,"extra":1,"max_tokens":1,"messages":[{"model":"short"}],"mod\u0065l":"\u0073hort"}`,
			`{"temperature":1,"stop":1,"extra":1,"max_tokens":1,"messages":[{"model":"short"}],"mod\u0065l":"vendor/the-long-name"}`,
		},
		{
			"the same name in other words is left alone", chatPath,
			`{"model":"\u006fther","temperature":1,"stop":1,"extra":1,"max_tokens":1,"messages":[]}`,
			`{"model":"\u006fther","temperature":1,"stop":1,"extra":1,"max_tokens":1,"messages":[]}`,
		},
		{
			"a name that must be quoted", chatPath,
			`{"model":"m\"<x>&","temperature":1,"stop":1,"extra":1,"max_tokens":1,"messages":[]}`,
			`{"model":"quoted \"name\" \u003cé\u003e","temperature":1,"stop":1,"extra":1,"max_tokens":1,"messages":[]}`,
		},
		{
			"defaults are in the words of the provider's main protocol: none for Messages", "/v1/messages",
			`{"model":"other","max_tokens":1,"messages":[]}`,
			`{"model":"other","max_tokens":1,"messages":[]}`,
		},
		{
			"nor for Responses", "/v1/responses",
			`{"model":"other","max_tokens":1,"input":"hi"}`,
			`{"model":"other","max_tokens":1,"input":"hi"}`,
		},
		{
			"nor for embeddings, which require nothing either", "/v1/embeddings",
			`{"model":"short","input":"hi"}`,
			`{"model":"vendor/the-long-name","input":"hi"}`,
		},
		{
			"nor for token counts", "/v1/messages/count_tokens",
			`{"model":"other","messages":[]}`,
			`{"model":"other","messages":[]}`,
		},
	} {
		up.reset()
		g.post(tc.path, tc.body).want(t, 200)
		if got := up.all()[0].body; got != tc.want {
			t.Errorf("%s: %s", tc.name, difference(got, tc.want))
		}
	}
}

func TestAProviderThatRequiresAParameterIsNotAskedWithoutIt(t *testing.T) {
	g, up, second := editingGateway(t)
	got := g.post(chatPath, `{"model":"m","messages":[]}`).want(t, 400)
	if got.get(t, "error", "param") != "max_tokens" {
		t.Errorf("body = %s, want max_tokens named", got.body)
	}
	if n := len(up.all()); n != 0 {
		t.Errorf("upstream calls = %d, want 0", n)
	}
	// Another route may do without.
	g.post(chatPath, `{"model":"two","messages":[]}`).want(t, 200)
	if len(up.all()) != 0 || len(second.all()) != 1 {
		t.Errorf("calls = %d and %d, want 0 and 1", len(up.all()), len(second.all()))
	}
}

func TestTheStreamAliasesAlwaysStream(t *testing.T) {
	g, _, second := editingGateway(t)
	for path, base := range map[string]string{
		"/v1/chat/completions-stream": chatPath,
		"/v1/chat/completions/stream": chatPath,
		"/v1/messages-stream":         "/v1/messages",
	} {
		for _, tc := range []struct{ body, want string }{
			{`{"model":"second","messages":[] }`, `{"model":"second","messages":[] ,"stream":true}`},
			{`{"stream":false,"model":"second","messages":[]}`, `{"stream":true,"model":"second","messages":[]}`},
			{`{"stream" : null,"model":"second","messages":[]}`, `{"stream" : true,"model":"second","messages":[]}`},
			{`{"model":"second","messages":[],"stre\u0061m":true}`, `{"model":"second","messages":[],"stre\u0061m":true}`},
		} {
			second.reset()
			got := g.post(path, tc.body).want(t, 200)
			if got.body != goodStreams[base] || got.header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("%s: answered with %s: %s", path, got.header.Get("Content-Type"), difference(got.body, goodStreams[base]))
			}
			c := second.all()[0]
			if c.body != tc.want || c.path != base || c.header.Get("Accept") != "text/event-stream" {
				t.Errorf("%s: the upstream got %s at %s, want %s at %s", path, c.body, c.path, tc.want, base)
			}
		}
	}
}

func TestOfTheQueryOnlyBetaGoesUpstream(t *testing.T) {
	g, up, second := editingGateway(t)
	for _, tc := range []struct{ query, want string }{
		{"", ""},
		{"?beta=true", "beta=true"},
		{"?beta=true&key=secret&api-version=9", "beta=true"},
		{"?key=secret&beta=true", "beta=true"},
		{"?beta=false", ""},
		{"?beta=", ""},
		{"?key=secret", ""},
	} {
		up.reset()
		second.reset()
		g.post("/v1/messages"+tc.query, `{"model":"other","max_tokens":1,"messages":[]}`).want(t, 200)
		g.post("/v1/messages"+tc.query, `{"model":"second","max_tokens":1,"messages":[]}`).want(t, 200)
		if got := up.all()[0].query; got != tc.want {
			t.Errorf("%s: the upstream got %q, want %q", tc.query, got, tc.want)
		}
		if want := strings.TrimSuffix("api-version=1&"+tc.want, "&"); second.all()[0].query != want {
			t.Errorf("%s: the upstream with a query of its own got %q, want %q", tc.query, second.all()[0].query, want)
		}
	}
}
