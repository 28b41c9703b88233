package caddymodule

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Texts that only a client and its upstream may see, wherever they stand.
const (
	promptCanary = "vexqzwk"
	answerCanary = "vyqxjwk"
)

// Further keys that nothing may show.
const (
	queryCanary     = "sk-canary-query-wqkzxj"
	headerKeyCanary = "sk-canary-x-api-key-kvzqjw"
	fileCanary      = "sk-canary-in-file-zvjxqk"
	dotenvCanary    = "sk-canary-dotenv-qjzwvx"
	setupCanary     = "sk-canary-setup-xkwqvz"
	dsnCanary       = "canary-of-a-dsn-zxvkjq"
)

var keyCanaries = []string{
	upstreamCanary, upstreamCanary2, clientCanary, strangerCanary, urlCanary, headerCanary,
	queryCanary, headerKeyCanary, fileCanary, dotenvCanary, setupCanary, dsnCanary,
}

// prompts are requests with the canary in everything that a client may say, by path.
var prompts = map[string]string{
	chatPath: `{"model":"m","user":"CANARY","metadata":{"CANARY":"CANARY"},"stop":["CANARY"],"max_tokens":9,
		"messages":[{"role":"system","content":"CANARY"},
			{"role":"user","name":"CANARY","content":[{"type":"text","text":"CANARY"},{"type":"image_url","image_url":{"url":"data:image/png;base64,CODED"}},{"type":"file","file":{"filename":"CANARY.pdf","file_data":"data:application/pdf;base64,CODED"}}]},
			{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"city\":\"CANARY\"}"}}]},
			{"role":"tool","tool_call_id":"call_1","content":"CANARY"}],
		"tools":[{"type":"function","function":{"name":"f","description":"CANARY","parameters":{"type":"object","properties":{"city":{"type":"string","description":"CANARY"}}}}}],
		"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"a":{"enum":["CANARY"]}}}}}}`,
	"/v1/responses": `{"model":"m","instructions":"CANARY","user":"CANARY","metadata":{"k":"CANARY"},
		"input":[{"role":"user","content":[{"type":"input_text","text":"CANARY"},{"type":"input_image","image_url":"data:image/png;base64,CODED"},{"type":"input_file","filename":"CANARY.pdf","file_data":"data:application/pdf;base64,CODED"}]},
			{"type":"function_call","call_id":"call_1","name":"f","arguments":"{\"city\":\"CANARY\"}"},{"type":"function_call_output","call_id":"call_1","output":"CANARY"}],
		"tools":[{"type":"function","name":"f","description":"CANARY","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}]}`,
	"/v1/messages": `{"model":"m","max_tokens":9,"system":[{"type":"text","text":"CANARY"}],"metadata":{"user_id":"CANARY"},"stop_sequences":["CANARY"],
		"messages":[{"role":"user","content":[{"type":"text","text":"CANARY"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"CODED"}},{"type":"document","title":"CANARY","source":{"type":"text","media_type":"text/plain","data":"CANARY"}}]},
			{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{"city":"CANARY"}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"CANARY"}]}],
		"tools":[{"name":"f","description":"CANARY","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}}]}`,
	countPath:        `{"model":"m","system":"CANARY","messages":[{"role":"user","content":"CANARY"}]}`,
	"/v1/embeddings": `{"model":"m","user":"CANARY","input":["CANARY"]}`,
}

// telling answers in the protocol of the path, with the canary of answers.
func telling(w http.ResponseWriter, r *http.Request) {
	for _, d := range dialects {
		if strings.HasSuffix(d.path, strings.TrimPrefix(r.URL.Path, "/v1")) {
			plain(d, answerCanary, w, r)
			return
		}
	}
	answers(200, `{"object":"list","model":"up","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"input_tokens":5,"usage":{"prompt_tokens":5,"total_tokens":5}}`)(w, r)
}

// hideout is a gateway with secrets everywhere, and what it is made of.
type hideout struct {
	*gateway
	log      logged
	database string
	state    string
	names    []string // of models

	tattler, good *upstream
	traces        *collector
}

// newHideout is in front of upstreams that repeat their key wherever they can, that
// are well, and that cannot be reached; and of one, at /faulty, that panics.
func newHideout(t *testing.T) *hideout {
	t.Helper()
	newcomer(t)
	for name, value := range map[string]string{
		"UP_API_KEY_1": upstreamCanary, "UP_API_KEY_2": upstreamCanary2, "GOOD_API_KEY": upstreamCanary, "GONE_API_KEY": upstreamCanary2,
		"DSN_SECRET": dsnCanary, "URL_SECRET": urlCanary, "HEADER_SECRET": headerCanary, "CLIENT_CANARY": clientCanary,
	} {
		t.Setenv(name, value)
	}
	h := &hideout{database: filepath.Join(t.TempDir(), "requests.db"), state: filepath.Join(t.TempDir(), "state.json"), log: logFile(t)}
	h.tattler, h.good = serve(t, http.HandlerFunc(tattling)), serve(t, http.HandlerFunc(telling))
	// As Caddyfile.example does it: what clients write into headers and queries is
	// Caddy's to log.
	h.log.option = strings.Replace(h.log.option, "format json", `format filter {
		wrap json
		fields {
			request>headers>X-Api-Key delete
			request>uri query {
				replace key REDACTED
				replace api_key REDACTED
			}
		}
	}`, 1)
	h.traces = collect(t)
	h.names = []string{"401", "400", "429", "500", "404", "422", "page", "text", "redirect", "early", "late", "reset", "m", "gone"}
	models := map[string]string{"m": model("m", `"fallback_model_routings": ["gone"],`, "up/500", "good/up", "chat/up"), "gone": model("gone", "", "gone/x")}
	for _, name := range h.names[:12] {
		models[name] = model(name, "", "up/"+name, "chat/up")
	}
	chat := strings.NewReplacer(`"responses": "/responses",`, "", `"messages": "/messages",`, "").Replace(provider("chat", h.good.url, ""))
	t.Setenv("CHAT_API_KEY", upstreamCanary2)
	withHeader := strings.Replace(provider("up", h.tattler.url, ""), `"header_format"`, `"additional_headers": {"X-Account": "${HEADER_SECRET}"}, "header_format"`, 1)
	faulty := &gateway{t: t, dir: t.TempDir()}
	faulty.writeAll("providers", map[string]string{"up": provider("up", "http://localhost:1", "")})
	faulty.writeAll("models", map[string]string{"m": model("m", "", "up/m")})
	h.gateway = start(t, setup{
		providers: map[string]string{
			"up": withHeader, "good": fullProvider("good", h.good.url, ""), "chat": chat,
			"gone": provider("gone", "http://127.0.0.1:1/${URL_SECRET}", ""),
		},
		models:    models,
		directive: "client_key canary {env.CLIENT_CANARY}\nmax_attempts 3\ncooldown 0\nstate file " + h.state + "\nlog sqlite " + h.database,
		global:    h.log.option,
		site: fmt.Sprintf("log\ntracing {\nspan http\n}\nhandle_path /faulty/* {\nllm_proxy {\nproviders %[1]s/providers\nmodels %[1]s/models\nclient_key canary {env.CLIENT_CANARY}\ntransport faulty\n}\n}",
			faulty.dir),
		anonymous: true,
	})
	return h
}

// ask asks everything of every model, with good keys and bad ones, and adds the
// answers, without what clients may see in them.
func (h *hideout) ask(t *testing.T, all *received) {
	t.Helper()
	coded := base64.StdEncoding.EncodeToString([]byte(promptCanary))
	spoken := strings.NewReplacer("CANARY", promptCanary, "CODED", coded)
	for path, prompt := range prompts {
		body := spoken.Replace(prompt)
		bodies := []string{body}
		if path != countPath && path != "/v1/embeddings" {
			bodies = append(bodies, streamed(body))
		}
		for _, body := range bodies {
			for _, name := range append(h.names, "nobody") {
				all.addResponse("the answer of "+path+" about "+name, h.do(request{path: path, body: asking(body, name), key: clientCanary}))
			}
			all.addResponse("half a body at "+path, h.do(request{path: path, body: body[:len(body)-9], key: clientCanary}))
			all.addResponse("a stranger at "+path, h.do(request{path: path, body: body, key: strangerCanary}))
			all.addResponse("two keys at "+path, h.do(request{path: path, body: body, key: clientCanary, header: map[string]string{"X-Api-Key": headerKeyCanary}}))
			all.addResponse("a bad key at "+path, h.do(request{path: path + "?key=" + queryCanary + "&api_key=" + queryCanary, body: body, key: "-", header: map[string]string{"X-Api-Key": headerKeyCanary}}))
			for _, session := range []string{"panics", "panics later"} {
				all.addResponse("a panic at "+path, h.do(request{path: "/faulty" + path, body: body, key: clientCanary, header: map[string]string{"Session-Id": session}}))
			}
		}
	}
	conn, reader := h.dial(request{path: chatPath, body: streamed(spoken.Replace(prompts[chatPath])), header: map[string]string{"X-Api-Key": headerKeyCanary}})
	_, _ = reader.ReadByte()
	conn.Close() // it leaves
}

// wantSent wants the canaries to have been where they belong, or the hunt would show
// nothing.
func (h *hideout) wantSent(t *testing.T) {
	t.Helper()
	used := strings.Join(append(h.tattler.keysUsed(), h.good.keysUsed()...), " ")
	if !strings.Contains(used, upstreamCanary) || !strings.Contains(used, upstreamCanary2) {
		t.Error("not every key was sent to an upstream")
	}
	for _, c := range h.good.all() {
		if !strings.Contains(c.body, promptCanary) {
			t.Errorf("a request without a prompt: %s", c.body)
		}
	}
}

// breakFiles lets reloads fail because of files and configurations that hold keys
// where none belong.
func (h *hideout) breakFiles(t *testing.T, all *received) {
	t.Helper()
	h.write("providers", "leak", `{"name": "leak", "enabled": true, "api_key": "`+fileCanary+`", "endpoints": {"base_url": "http://user:`+fileCanary+`@127.0.0.1:1/`+fileCanary+`"}}`)
	all.addResponse("the reload of a file with a key", h.reloadFiles(t))
	all.addResponse("/health/detailed with a broken file", h.do(request{method: http.MethodGet, path: "/health/detailed"}))
	all.addRun("config validate with a broken file", run(t, "", "config", "validate", "--providers", h.dir+"/providers", "--models", h.dir+"/models"))
	all.addRun("reload with a broken file", run(t, "", "reload", "--address=localhost:2999"))
	all.add("the load of a file with a key", fmt.Sprint(h.reload()))
	h.remove("providers", "leak")
	config := h.config
	h.config = strings.Replace(config, "client_key canary", "client_key twice {env.CLIENT_CANARY}\nclient_key canary", 1)
	all.add("the load of a key of two clients", fmt.Sprint(h.reload()))
	h.config = config
	h.wantReload(t, "")
}

// keepBodies keeps bodies in another database, where prompts may be, and keys not.
func (h *hideout) keepBodies(t *testing.T, mode string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bodies.db")
	config := h.config
	h.config = strings.Replace(config, "log sqlite "+h.database, "log sqlite "+file+" {\nbodies "+mode+"\n}", 1)
	h.wantReload(t, "")
	answered, kept, texts := received{strict: true}, received{strict: true}, received{strict: true}
	h.ask(t, &answered)
	for i, row := range rows(t, "?limit=1000") {
		if i%7 != 0 { // the database's file has all of them
			continue
		}
		texts.addResponse("a request with its bodies", admin(t, http.MethodGet, "/llm_proxy/requests/"+row.ID, ""))
		texts.addRun("explain with bodies", run(t, "", "explain", row.ID, "--address=localhost:2999"))
	}
	for _, path := range []string{"/llm_proxy/requests?limit=1000", "/llm_proxy/usage", "/llm_proxy/db", "/llm_proxy/health", "/metrics", "/config/"} {
		kept.addResponse("with bodies "+mode+" the administration's "+path, admin(t, http.MethodGet, path, ""))
	}
	kept.addRun("logs with bodies", run(t, "", "logs", "--limit", "1000", "--address=localhost:2999"))
	for _, path := range []string{file, file + "-wal"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		texts.add("with bodies "+mode+" the file "+filepath.Base(path), string(text))
	}
	for _, all := range []*received{&answered, &kept, &texts} {
		all.wantNone(t, keyCanaries...)
	}
	kept.wantNone(t, promptCanary, answerCanary)
	if mode == "full" {
		if all := string(texts.parts["a request with its bodies"]); !strings.Contains(all, promptCanary) || !strings.Contains(all, answerCanary) {
			t.Error("no bodies are kept, so this shows nothing")
		}
	} else {
		texts.wantNone(t, promptCanary, answerCanary)
	}
	h.config = config
	h.wantReload(t, "")
}

// keepElsewhere keeps the log on a server that is not there, by a password.
func (h *hideout) keepElsewhere(t *testing.T, all *received) {
	t.Helper()
	config := h.config
	for _, dsn := range []string{
		"postgres://gateway:{env.DSN_SECRET}@127.0.0.1:1/logs",
		`"host=127.0.0.1 port=1 user=gateway password={env.DSN_SECRET} dbname=logs"`,
		"postgres://gateway:{env.DSN_SECRET}@127.0.0.1:port/logs",
		"postgres://gateway:{env.DSN_SECRET}%zz@127.0.0.1/logs",
	} {
		spill := filepath.Join(t.TempDir(), "spill.db")
		h.config = strings.Replace(config, "log sqlite "+h.database, "log postgres "+dsn+" {\nspill "+spill+"\n}", 1)
		all.add("the load of "+dsn, fmt.Sprint(h.reload()))
		h.do(request{path: chatPath, body: chatRequest, key: clientCanary})
		for _, path := range []string{"/llm_proxy/db", "/llm_proxy/health", "/llm_proxy/requests", "/config/", "/metrics"} {
			all.addResponse(path+" with the log at "+dsn, admin(t, http.MethodGet, path, ""))
		}
		all.addResponse("/health/detailed with the log at "+dsn, h.do(request{method: http.MethodGet, path: "/health/detailed"}))
		for _, command := range []string{"db stats", "doctor", "health --detailed --endpoint " + h.url} {
			all.addRun(command+" with the log at "+dsn, run(t, "", strings.Fields(command)...))
		}
	}
	h.config = config
	h.wantReload(t, "")
}

// huntedRoutes are the answers of the administration.
var huntedRoutes = []struct{ method, path, body string }{
	{"GET", "/llm_proxy/health", ""},
	{"GET", "/llm_proxy/models", ""},
	{"GET", "/llm_proxy/keys", ""},
	{"GET", "/llm_proxy/plan?model=m", ""},
	{"GET", "/llm_proxy/requests?limit=1000", ""},
	{"GET", "/llm_proxy/requests?trouble=true", ""},
	{"GET", "/llm_proxy/requests/ID", ""},
	{"GET", "/llm_proxy/usage?by=key", ""},
	{"GET", "/llm_proxy/db", ""},
	{"GET", "/llm_proxy/db/reset", ""}, // which is refused
	{"POST", "/llm_proxy/keys/reset?key=deadbeef", ""},
	{"POST", "/llm_proxy/keys/reset", `{"provider": "up", "key": "` + upstreamCanary + `"}`},
	{"POST", "/llm_proxy/reload", ""},
	{"GET", "/config/", ""},
	{"GET", "/metrics", ""},
	{"GET", "/debug/vars", ""},
	{"GET", "/debug/pprof/cmdline", ""},
	{"GET", "/debug/pprof/goroutine?debug=2", ""},
}

// askAdministration asks every route, among them all of ours.
func (h *hideout) askAdministration(t *testing.T, all *received) {
	t.Helper()
	id := firstRow(t, "?trouble=true&limit=1").ID
	for _, route := range (*adminAPI)(nil).Routes() {
		if !slices.ContainsFunc(huntedRoutes, func(r struct{ method, path, body string }) bool {
			path, _, _ := strings.Cut(r.path, "?")
			return path == route.Pattern || strings.HasSuffix(route.Pattern, "/") && strings.HasPrefix(path, route.Pattern)
		}) {
			t.Errorf("the route %s is not asked, which might tell a secret", route.Pattern)
		}
	}
	for _, r := range huntedRoutes {
		all.addResponse("the administration's "+r.method+" "+r.path, admin(t, r.method, strings.Replace(r.path, "/ID", "/"+id, 1), r.body))
	}
}

// addFiles takes what the hideout keeps on the disk.
func (h *hideout) addFiles(t *testing.T, all *received) {
	t.Helper()
	h.log.line(t, "handled request")
	h.log.line(t, "upstream attempt")
	h.log.line(t, "panic while serving a request")
	all.add("the log", h.log.text(t))
	h.traces.mu.Lock()
	defer h.traces.mu.Unlock()
	for _, span := range h.traces.spans {
		all.add("the traces", fmt.Sprintf("%+v\n", span))
	}
	if len(h.traces.spans) == 0 {
		t.Error("there are no traces")
	}
	for _, path := range []string{h.database, h.database + "-wal", h.database + "-shm", h.state} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		all.add("the file "+filepath.Base(path), string(text))
	}
}

// Keys and prompts that are planted everywhere show nowhere: not to clients, not in
// logs, metrics, traces, the administration's answers, the output of commands, the
// request log's database or any other file.
func TestSecretsHunt(t *testing.T) {
	h := newHideout(t)
	answered, kept := received{strict: true}, received{strict: true}
	h.ask(t, &answered)
	h.wantSent(t)
	h.breakFiles(t, &kept)
	h.keepElsewhere(t, &kept)
	h.keepBodies(t, "redacted")
	h.keepBodies(t, "full")
	comesTrue(t, "there are no rows", func() bool { return len(rows(t, "?outcome=ok")) > 0 && len(rows(t, "?trouble=true")) > 0 })
	h.runCommands(t, &kept)
	h.askAdministration(t, &kept)
	comesTrue(t, "the state is not saved", func() bool { _, err := os.Stat(h.state); return err == nil })
	h.addFiles(t, &kept)
	answered.wantNone(t, keyCanaries...)
	kept.wantNone(t, keyCanaries...)
	kept.wantNone(t, promptCanary, answerCanary)
	size := 0
	for _, part := range kept.parts {
		size += len(part)
	}
	t.Logf("%d answers, %d other outputs of %d bytes", len(answered.parts), len(kept.parts), size)
}
