package caddymodule

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// overridingGateway serves any name as itself, "small" as "small-up", and "wire"
// in Messages only, with a model that the operator chooses.
func overridingGateway(t *testing.T, override, site string) (*gateway, *upstream) {
	t.Helper()
	up := serve(t, new(script))
	t.Setenv("UP_API_KEY", "upstream-key")
	return start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, "")},
		models: map[string]string{
			"any":   model("any", `"aliases": ["*"],`, "up/*"),
			"small": model("small", "", "up/small-up"),
			"wire":  wired("wire", "", "up", translate.Messages),
		},
		directive: "model_override " + override,
		site:      site,
	}), up
}

func TestTheOperatorChoosesTheModel(t *testing.T) {
	g, up := overridingGateway(t, "{header.X-Model}", "")
	for _, tc := range []struct {
		name, path, model, body string
		want                    string // what the upstream is sent
	}{
		{"another model", chatPath, "small", `{"model" : "m","messages":[]}`, `{"model" : "small-up","messages":[]}`},
		{"one that the provider knows by the same name", chatPath, "direct", `{"messages":[], "model":"m"}`, `{"messages":[], "model":"direct"}`},
		{"the one that the body names", chatPath, "m", `{"model":"m","messages":[]}`, `{"model":"m","messages":[]}`},
		{"one whose name at the provider the body has", chatPath, "small", `{"model":"small-up","messages":[]}`, `{"model":"small-up","messages":[]}`},
		{"none", chatPath, "", `{"model":"m","messages":[]}`, `{"model":"m","messages":[]}`},
		{"for a body that names none", chatPath, "small", `{"messages":[] } `, `{"messages":[] ,"model":"small-up"} `},
		{"for a body that names none, under the same name", chatPath, "direct", `{"messages":[]}`, `{"messages":[],"model":"direct"}`},
		{"for an empty body", "/v1/responses", "small", `{ }`, `{ "model":"small-up"}`},
		{"for an endpoint that always streams", "/v1/messages-stream", "small", `{"messages":[]}`, `{"messages":[],"model":"small-up","stream":true}`},
		{"for embeddings", "/v1/embeddings", "small", `{"input":"hi"}`, `{"input":"hi","model":"small-up"}`},
		{"for token counts", "/v1/messages/count_tokens", "small", `{"model":"m","messages":[]}`, `{"model":"small-up","messages":[]}`},
		{"that has to be quoted", chatPath, `"a"\`, `{"model":"m","messages":[]}`, `{"model":"\"a\"\\","messages":[]}`},
	} {
		up.reset()
		got := g.do(request{path: tc.path, body: tc.body, header: map[string]string{"X-Model": tc.model}}).want(t, 200)
		calls := up.all()
		if len(calls) != 1 || calls[0].body != tc.want {
			t.Errorf("%s: upstream is sent %+v, want %s", tc.name, calls, tc.want)
			continue
		}
		if name := got.header.Get("Llm-Proxy-Model"); !strings.Contains(tc.want, fmt.Sprintf(`"model":%q`, name)) && !strings.Contains(tc.want, fmt.Sprintf(`"model" : %q`, name)) {
			t.Errorf("%s: Llm-Proxy-Model = %q", tc.name, name)
		}
	}
	g.post(chatPath, `{"messages":[]}`).wantError(t, translate.Chat, 400, false)
}

func TestAChosenModelCrossesAndTheAnswerBearsTheClientsName(t *testing.T) {
	for _, tc := range []struct{ directive, body, want string }{
		{"model_echo requested", chatRequest, "m"},
		{"model_echo requested", `{"messages":[{"role":"user","content":"hi"}]}`, "wire"},
		{"", chatRequest, "up"},
	} {
		g, up := overridingGateway(t, "wire\n"+tc.directive, "")
		got := g.post(chatPath, tc.body).want(t, 200)
		if calls := up.all(); len(calls) != 1 || calls[0].path != "/v1/messages" || !strings.Contains(calls[0].body, `"model":"wire"`) {
			t.Errorf("%s: upstream is sent %+v", tc.body, calls)
		}
		if name := got.get(t, "model"); name != tc.want {
			t.Errorf("%s %s: the answer's model = %v, want %s", tc.directive, tc.body, name, tc.want)
		}
	}
}

func TestABodyWithoutAModelCrossesBetweenAllProtocols(t *testing.T) {
	for wire, to := range pathOf {
		up := serve(t, new(script))
		t.Setenv("UP_API_KEY", "upstream-key")
		g := start(t, setup{
			providers: map[string]string{"up": fullProvider("up", up.url, "")},
			models:    map[string]string{"wire": wired("wire", "", "up", wire)},
			directive: "model_override wire",
		})
		for client, path := range pathOf {
			up.reset()
			body := strings.Replace(goodRequests[path], `"model":"m",`, "", 1)
			g.post(path, body).want(t, 200)
			if calls := up.all(); len(calls) != 1 || calls[0].path != to || strings.Count(calls[0].body, `"model":"wire"`) != 1 {
				t.Errorf("%s to %s: upstream is sent %+v", client, wire, calls)
			}
		}
	}
}

// Whatever a client says is data. Were it expanded, {env.UP_API_KEY} in a header
// would come back in an error, or go to whoever runs the upstream.
func TestWhatAClientSaysIsNeverExpanded(t *testing.T) {
	const said = "{env.UP_API_KEY}{http.request.uuid}"
	header := map[string]string{"X-Model": said}
	for _, tc := range []struct{ override, site string }{
		{"{header.X-Model}", ""},
		{"{http.vars.llm_model}", "vars llm_model {header.X-Model}"},
		{"{llm_model}", "map {header.X-None} {llm_model} {\ndefault {header.X-Model}\n}"},
		{"{llm_model}", "map {header.X-Model} {llm_model} {\n~(.*) \"${1}\"\n}"},
		{"{query.model}", ""},
	} {
		g, up := overridingGateway(t, tc.override, tc.site)
		got := g.do(request{path: chatPath + "?model=%7Benv.UP_API_KEY%7D%7Bhttp.request.uuid%7D", body: chatRequest, header: header}).want(t, 200)
		if name := got.header.Get("Llm-Proxy-Model"); name != said {
			t.Errorf("%s: the model is %q, want %q", tc.override, name, said)
		}
		if calls := up.all(); len(calls) != 1 || !strings.Contains(calls[0].body, fmt.Sprintf(`"model":%q`, said)) {
			t.Errorf("%s: upstream is sent %+v", tc.override, calls)
		}
	}
	// Nor is the body's own model.
	g, up := overridingGateway(t, "{header.X-None}", "")
	g.post(chatPath, asking(chatRequest, said)).want(t, 200)
	if calls := up.all(); len(calls) != 1 || !strings.Contains(calls[0].body, said) {
		t.Errorf("upstream is sent %+v", calls)
	}
}

func TestAnOverrideThatSaysNothingLeavesTheBodysModel(t *testing.T) {
	for _, override := range []string{"{llm_unheard_of}", "{http.vars.llm_model}", "{header.X-Model}", "prefix/{header.X-Model}", "{env.LLM_UNHEARD_OF}"} {
		g, _ := overridingGateway(t, override, "")
		if got := g.post(chatPath, chatRequest).want(t, 200); got.header.Get("Llm-Proxy-Model") != "m" {
			t.Errorf("%s: the model is %q, want m", override, got.header.Get("Llm-Proxy-Model"))
		}
	}
}

func TestAChosenNameThatCannotBeAModelsIsRefused(t *testing.T) {
	g, up := overridingGateway(t, "{header.X-Model}", "")
	for _, name := range []string{strings.Repeat("n", 257), "a\tb"} {
		got := g.do(request{path: chatPath, body: chatRequest, header: map[string]string{"X-Model": name}}).wantError(t, translate.Chat, 400, false)
		if got.message != "the model that model_override chooses is longer than 256 bytes or has control characters" || got.param != "model" {
			t.Errorf("told %+v", got)
		}
	}
	if calls := up.all(); len(calls) > 0 {
		t.Errorf("upstream is sent %+v", calls)
	}
	g.do(request{path: chatPath, body: chatRequest, header: map[string]string{"X-Model": strings.Repeat("n", 256)}}).want(t, 200)
}

func TestALogTellsTheModelThatWasChosen(t *testing.T) {
	log := logFile(t)
	up := serve(t, answers(http.StatusInternalServerError, `{"error":{"message":"no"}}`))
	t.Setenv("UP_API_KEY", "upstream-key")
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, "")},
		models:    map[string]string{"small": model("small", "", "up/small-up")},
		directive: "model_override small",
		global:    log.option,
	})
	if got := g.post(chatPath, chatRequest); got.status < 500 {
		t.Errorf("status = %d", got.status)
	}
	if line := log.line(t, `"msg":"upstream attempt"`); !strings.Contains(line, `"asked_model":"small"`) || !strings.Contains(line, `"model":"small-up"`) {
		t.Errorf("the log says %s", line)
	}
}

// Each way of the manual to choose a model by a matcher.
func TestMatchersChooseTheModel(t *testing.T) {
	t.Run("of one block", func(t *testing.T) {
		g, _ := overridingGateway(t, "{http.vars.llm_model}", "@lab header X-Team lab\nvars @lab llm_model small")
		wantModel(t, g, "lab", "small-up")
		wantModel(t, g, "", "m")
	})
	t.Run("of several blocks", func(t *testing.T) {
		g, up := overridingGateway(t, "{header.X-None}", "")
		block := func(matcher, override string) string {
			return fmt.Sprintf("llm_proxy %s {\nproviders %s\nmodels %s\nclient_key tests {env.CLIENT_KEY_OF_THE_TESTS}\nmodel_override %s\n}\n",
				matcher, filepath.Join(g.dir, "providers"), filepath.Join(g.dir, "models"), override)
		}
		g.config = strings.Replace(g.config, "llm_proxy {", "@lab header X-Team lab\n@none header X-Team none\n"+
			block("@lab", "small")+block("@none", `""`)+"llm_proxy {", 1)
		g.wantReload(t, "")
		wantModel(t, g, "lab", "small-up")
		wantModel(t, g, "none", "m")
		wantModel(t, g, "", "m")
		if n := len(up.all()); n != 3 {
			t.Errorf("calls = %d, want 3", n)
		}
	})
}

// wantModel asks as a member of a team.
func wantModel(t *testing.T, g *gateway, team, want string) {
	t.Helper()
	got := g.do(request{path: chatPath, body: chatRequest, header: map[string]string{"X-Team": team}}).want(t, 200)
	if name := got.header.Get("Llm-Proxy-Model"); name != want {
		t.Errorf("team %q is answered by %q, want %q", team, name, want)
	}
}
