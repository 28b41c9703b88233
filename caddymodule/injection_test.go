package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// injectionCanary is what a text that is expanded by mistake would show.
const injectionCanary = "canary-of-the-environment-vqzkxwjy"

// hostileNames are names of models that would do harm somewhere, were they
// anything else than names: a path, a URL, a placeholder of Caddy's, a statement, a
// formula, a label, a path of gjson's, an escape sequence.
var hostileNames = []string{
	"../../etc/passwd", "{file./etc/hostname}", "{env.CANARY_SECRET}", "{$CANARY_SECRET}", "${CANARY_SECRET}$(id)`id`",
	"{{env \"CANARY_SECRET\"}}", "%0d%0aSet-Cookie:a=b", "x'; DROP TABLE requests;--", "x\" OR \"1\"=\"1", "*)(uid=*))(|(uid=*",
	`=HYPERLINK("http://evil")`, "@SUM(1+1)*cmd|' /C calc'!A0", "+1", "-1", "*", "#(a==\"b\")#", "@pretty", "!\"x\"", "a.0.b|@this",
	`up",provider="evil`, "a,b;c=d", "<script>alert(1)</script>", "x\u202egpj.exe", "x\u2028y", "good-model/../x", "good-model?x=1#y",
	strings.Repeat("n", 240),
}

// controlledNames have what moves a cursor, ends a line or ends a text.
var controlledNames = []string{
	"x\n{\"level\":\"error\",\"msg\":\"forged\"}", "x\r\nSet-Cookie: a=b", "x\x1b[2J\x1b]0;title\x07", "x\u009b2J", "x\x00y", "x\ty", "x\x7f",
}

// hostileGateway has everything that tells of requests: a request log, an access
// log, headers that repeat what was asked for, and a model of any name.
func hostileGateway(t *testing.T) (*gateway, *upstream, logged) {
	t.Helper()
	t.Setenv("CANARY_SECRET", injectionCanary)
	t.Setenv("UP_API_KEY", "UPSTREAM-KEY-0")
	t.Setenv("HOSTILE_CLIENT", badInputsKey)
	up, log := serve(t, new(script)), logFile(t)
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, "")},
		models: map[string]string{
			"good-model":  model("good-model", "", "up/good-model"),
			"any":         model("any", `"aliases": ["any-*"],`, "up/*"),
			"to-chat":     wired("to-chat", "", "up", translate.Chat),
			"to-messages": wired("to-messages", "", "up", translate.Messages),
			"to-response": wired("to-responses", "", "up", translate.Responses),
		},
		directive: "client_key good {env.HOSTILE_CLIENT}\nlog sqlite " + t.TempDir() + "/requests.db",
		site:      "log\nheader >X-Asked \"{http.llm_proxy.model}\"",
		global:    log.option,
		anonymous: true,
	})
	return g, up, log
}

// wantGood asks for something that must be answered, with the key that others
// may have made rest.
func wantGood(t *testing.T, g *gateway) {
	t.Helper()
	for _, at := range generators {
		got := g.do(request{path: at.path, body: asking(goodRequests[at.path], "good-model"), key: badInputsKey})
		if got.status != 200 || got.body != goodAnswers[at.path] {
			t.Errorf("afterwards a good request is answered %d: %s", got.status, got.body)
		}
	}
	keys := admin(t, http.MethodGet, "/llm_proxy/keys", "").want(t, 200)
	if strings.Contains(keys.body, `"scope"`) || !strings.Contains(keys.body, `"cooling":[]`) {
		t.Errorf("a key rests: %s", keys.body)
	}
}

// called is a good request for a model.
func called(path, name string) string {
	quoted, _ := json.Marshal(name)
	return strings.Replace(goodRequests[path], `"m"`, string(quoted), 1)
}

func TestNamesOfModelsAreNothingElse(t *testing.T) {
	g, up, log := hostileGateway(t)
	var all received
	asked := map[string]int{}
	before := metrics(t)
	for _, at := range generators {
		for _, name := range append(slices.Clone(hostileNames), controlledNames...) {
			controlled := slices.Contains(controlledNames, name)
			for prefix, status := range map[string]int{"": 404, "any-": 200} {
				up.reset()
				if controlled {
					status = 400
				} else {
					asked[prefix+name]++
				}
				got := g.do(request{path: at.path, body: called(at.path, prefix+name), key: badInputsKey})
				all.addResponse("the answer about "+name, got)
				if got.status != status {
					t.Errorf("%s %q: status %d, want %d: %s", at.path, prefix+name, got.status, status, got.body)
				}
				if got.header.Get("Set-Cookie") != "" || !json.Valid([]byte(got.body)) {
					t.Errorf("%s %q: %v %s", at.path, prefix+name, got.header, got.body)
				}
				if h := got.header.Get("X-Asked"); status != 400 && h != prefix+name {
					t.Errorf("%s %q: the header that repeats it is %q", at.path, prefix+name, h)
				}
				calls := up.all()
				if len(calls) > 0 != (status == 200) {
					t.Errorf("%s %q: upstream calls = %d", at.path, prefix+name, len(calls))
				}
				for _, c := range calls {
					if sent := gjson.Get(c.body, "model").String(); sent != prefix+name || c.path != at.path || c.query != "" {
						t.Errorf("%s %q: upstream is asked for %q at %s?%s", at.path, prefix+name, sent, c.path, c.query)
					}
					all.add("what is sent upstream", c.without("Authorization"))
				}
			}
		}
	}
	// The list of models is asked by name, too.
	for _, name := range append(slices.Clone(hostileNames), controlledNames...) {
		got := g.do(request{method: http.MethodGet, path: "/v1/models/" + url.PathEscape(name), key: badInputsKey})
		all.addResponse("the answer about "+name, got)
		if got.status != 404 || got.header.Get("Set-Cookie") != "" {
			t.Errorf("GET /v1/models/ %q: status %d: %s", name, got.status, got.body)
		}
	}
	wantGood(t, g)

	// No series for a name that somebody made up.
	for series := range metrics(t) {
		if _, old := before[series]; !old && !strings.Contains(series, `model="*"`) && !strings.Contains(series, `model="good-model"`) && strings.Contains(series, "model=") {
			t.Errorf("there is a new series %s", series)
		}
	}
	wantHonestLog(t, log)
	all.add("the log", log.text(t))
	wantTables(t, &all, asked)
	all.wantNone(t, injectionCanary, "UPSTREAM-KEY-0", badInputsKey)
}

// without is all of a call but one header.
func (c call) without(header string) string {
	h := c.header.Clone()
	h.Del(header)
	return fmt.Sprint(c.path, c.query, h, c.body)
}

// wantHonestLog wants each line of Caddy's log to be one event of ours or Caddy's.
func wantHonestLog(t *testing.T, log logged) {
	t.Helper()
	log.line(t, "handled request")
	for line := range strings.Lines(log.text(t)) {
		var event struct{ Level, Logger, Msg string }
		if err := json.Unmarshal([]byte(line), &event); err != nil || event.Msg == "" || event.Msg == "forged" {
			t.Errorf("a line of the log is %q", line)
		}
	}
}

// wantTables wants what the request log holds and what commands print of it to be
// what was asked for, in as many lines, none of which a terminal may obey.
func wantTables(t *testing.T, all *received, asked map[string]int) {
	t.Helper()
	const address = "--address=" + adminAddress
	requests := rows(t, "?limit=1000")
	count := map[string]int{}
	for _, r := range requests {
		count[r.Asked]++
	}
	for name, n := range asked {
		if count[name] != n {
			t.Errorf("the log has %d requests for %q, want %d", count[name], name, n)
		}
		// A filter is no pattern and no statement.
		var some requestsAnswer
		got := run(t, "", "logs", "--json", "--limit", "1000", "--model", name, address).want(t, 0)
		if err := json.Unmarshal([]byte(got.stdout), &some); err != nil || len(some.Requests) != n {
			t.Errorf("logs --model %q: %d requests, %v; want %d", name, len(some.Requests), err, n)
		}
	}
	outputs := map[string]string{
		"logs":  run(t, "", "logs", "--limit", "1000", address).want(t, 0).stdout,
		"usage": run(t, "", "usage", "--by", "asked", address).want(t, 0).stdout,
		"keys":  run(t, "", "keys", "list", address).want(t, 0).stdout,
	}
	sums := len(count)
	if sums > 1 {
		sums++ // their total
	}
	for command, want := range map[string]int{"logs": len(requests) + 1, "usage": sums + 1, "keys": 2} {
		if n := strings.Count(outputs[command], "\n"); n != want {
			t.Errorf("%s prints %d lines, want %d:\n%s", command, n, want, outputs[command])
		}
	}
	for i, r := range requests {
		outputs["explain "+r.ID] = run(t, "", "explain", r.ID, address).want(t, 0).stdout
		if i < 10 {
			outputs["plan "+r.Asked] = run(t, "", "plan", r.Asked, address).stderr
		}
	}
	for command, output := range outputs {
		if strings.ContainsFunc(strings.ReplaceAll(output, "\n", ""), dangerous) {
			t.Errorf("%s prints characters that a terminal may obey: %q", command, output)
		}
		if n := strings.Count(output, "\n"); strings.HasPrefix(command, "explain") && (n < 4 || n > 10) {
			t.Errorf("%s prints %d lines:\n%s", command, n, output)
		}
		all.add("the output of "+command, output)
	}
}

// plainName is the name of a tool that every provider takes.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// Names of tools and of their parameters reach the model as they are, whatever they
// would be as a path, a placeholder or an index.
func TestNamesOfToolsAreNothingElse(t *testing.T) {
	g, up, log := hostileGateway(t)
	var all received
	tool := map[string]string{
		chatPath:        `"tools":[{"type":"function","function":{"name":NAME,"parameters":{"type":"object","properties":{NAME:{"type":"string"}}}}}]`,
		"/v1/messages":  `"tools":[{"name":NAME,"input_schema":{"type":"object","properties":{NAME:{"type":"string"}}}}]`,
		"/v1/responses": `"tools":[{"type":"function","name":NAME,"parameters":{"type":"object","properties":{NAME:{"type":"string"}}}}]`,
	}
	names := []string{
		"100000000", "-1", "@pretty", "@this", "#", "*", "a.b", `a\.b`, "!x", "~true", ":1", "|", "{env.CANARY_SECRET}", "{file./etc/hostname}",
		"__proto__", "x'; DROP TABLE requests;--", "x\n{\"msg\":\"forged\"}", "x\x1b[2J", strings.Repeat("x", 300),
	}
	for _, at := range generators {
		// The limit of one is that of all of them here: looking takes longer than asking.
		grown := memoryUse(func() {
			for _, name := range names {
				for _, asked := range []string{"good-model", "to-chat", "to-messages", "to-responses"} {
					up.reset()
					quoted, _ := json.Marshal(name)
					body := strings.Replace(called(at.path, asked), "{", "{"+strings.ReplaceAll(tool[at.path], "NAME", string(quoted))+",", 1)
					got := g.do(request{path: at.path, body: body, key: badInputsKey})
					all.addResponse("the answer", got)
					if got.status != 200 && got.status != 400 {
						t.Errorf("%s for %s, tool %q: status %d: %s", at.path, asked, name, got.status, got.body)
					}
					if got.status == 200 != (len(up.all()) == 1) {
						t.Errorf("%s for %s, tool %q: status %d and %d upstream calls", at.path, asked, name, got.status, len(up.all()))
					}
					for _, c := range up.all() {
						// Another protocol's names of tools have fewer characters; answers
						// bring the client's back.
						found := toolNames(t, c.body)
						if len(found) != 2 || found[1] != name || found[0] != name && (c.path == at.path || !plainName.MatchString(found[0])) {
							t.Errorf("%s for %s, tool %q: upstream is told of %q", at.path, asked, name, found)
						}
						all.add("what is sent upstream", c.body)
					}
				}
			}
		})
		if grown > 32 {
			t.Errorf("%s: memory grew by %d MB", at.path, grown)
		}
	}
	wantGood(t, g)
	wantHonestLog(t, log)
	all.add("the log", log.text(t))
	all.wantNone(t, injectionCanary, "UPSTREAM-KEY-0", badInputsKey)
}

// toolNames are the name of the only tool of a request, and of its only parameter,
// in any protocol.
func toolNames(t *testing.T, body string) (names []string) {
	t.Helper()
	type schema struct{ Properties map[string]json.RawMessage }
	type function struct {
		Name                     string
		Parameters, Input_schema schema
	}
	var asked struct {
		Tools []struct {
			function
			Function function
		}
	}
	if err := json.Unmarshal([]byte(body), &asked); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, one := range asked.Tools {
		for _, f := range []function{one.function, one.Function} {
			if f.Name == "" {
				continue
			}
			names = append(names, f.Name)
			for _, s := range []schema{f.Parameters, f.Input_schema} {
				for name := range s.Properties {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// What else a client may say: headers, its own ids, a query, members that cannot
// cross to another protocol.
func TestNothingThatAClientSaysIsExpandedOrObeyed(t *testing.T) {
	g, up, log := hostileGateway(t)
	var all received
	const said = "{env.CANARY_SECRET}{http.request.uuid}${CANARY_SECRET}'; DROP TABLE requests;--\",x=\"\xc2\x9b2J"
	ids := map[string]bool{}
	n := 0
	for _, at := range generators {
		for _, asked := range []string{"good-model", "to-chat", "to-messages", "to-responses"} {
			body := strings.Replace(called(at.path, asked), "{", `{"user":"{env.CANARY_SECRET}\u001b[2J\r\nx","{env.CANARY_SECRET}\r\nSet-Cookie: a=b\u001b[2J":1,"x.0.@pretty|#":{"seed":1},`, 1)
			r := request{path: at.path + "?x={env.CANARY_SECRET}%0d%0a&beta=%1b", body: body, key: badInputsKey, header: map[string]string{
				"X-Request-Id": said, "X-Correlation-Id": said, "User-Agent": said, "Traceparent": said, "Idempotency-Key": said,
				"Anthropic-Beta": said, "Anthropic-Version": said, "Openai-Beta": said, "Session-Id": said, "X-Forwarded-For": said,
				"Llm-Proxy-Provider": said, "Llm-Proxy-Warnings": said, "Accept": said, "Accept-Language": said,
			}}
			got := g.do(r)
			all.addResponse("the answer", got)
			n++
			if got.status != 200 && got.status != 400 {
				t.Errorf("%s for %s: status %d: %s", at.path, asked, got.status, got.body)
			}
			id := got.header.Get("X-Request-Id")
			if !uuid.MatchString(id) || ids[id] {
				t.Errorf("%s for %s: X-Request-Id is %q, want a new one of ours", at.path, asked, id)
			}
			ids[id] = true
			for name, values := range got.header {
				if strings.EqualFold(name, "Set-Cookie") || strings.Contains(strings.Join(values, ""), "DROP TABLE") || len(strings.Join(values, "")) > 4<<10 {
					t.Errorf("%s for %s: the answer has %s: %q", at.path, asked, name, values)
				}
			}
		}
	}
	for _, c := range up.all() {
		all.add("what is sent upstream", c.without("Authorization"))
	}
	wantGood(t, g)
	wantHonestLog(t, log)
	all.add("the log", log.text(t))
	requests := rows(t, "?limit=1000")
	if len(requests) != n+len(generators) {
		t.Errorf("rows = %d, want %d", len(requests), n+len(generators))
	}
	for id := range ids {
		if !slices.ContainsFunc(requests, func(r requestSummary) bool { return r.ID == id }) {
			t.Errorf("request %s has no row", id)
		}
	}
	wantTables(t, &all, nil)
	all.wantNone(t, injectionCanary, "UPSTREAM-KEY-0", badInputsKey)
}

// What an upstream says is as little to be trusted: it stands in tables, too.
func TestWhatAnUpstreamSaysIsNotObeyed(t *testing.T) {
	const evil = `\r\n{\"level\":\"error\",\"msg\":\"forged\"}\u001b[2J\u009b2J\u202e {env.CANARY_SECRET}\u0000 =cmd|' /C calc'!A0`
	failing := answers(500, `{"error":{"message":"`+evil+`","type":"`+evil+`","code":"`+evil+`","param":"`+evil+`"}}`, "X-Request-Id", "{env.CANARY_SECRET}")
	t.Setenv("CANARY_SECRET", injectionCanary)
	log := logFile(t)
	up := serve(t, inTurn(failing, failing, answers(200, strings.Replace(chatAnswer, `"up"`, `"`+evil+`"`, 1))))
	t.Setenv("UP_API_KEY", "UPSTREAM-KEY-0")
	g := start(t, setup{
		providers: map[string]string{"up": provider("up", up.url, "")},
		models:    map[string]string{"m": model("m", "", "up/a", "up/b")},
		directive: "breaker off\nretry_budget off\nmax_attempts 2\nlog sqlite " + t.TempDir() + "/requests.db",
		site:      "log\nheader >X-Asked \"{http.llm_proxy.model}\"",
		global:    log.option,
	})
	var all received
	all.addResponse("the answer", g.post(chatPath, chatRequest).want(t, 502))
	all.addResponse("the answer", g.post(chatPath, chatRequest).want(t, 200))
	wantHonestLog(t, log)
	all.add("the log", log.text(t))
	wantTables(t, &all, map[string]int{"m": 2})
	story := run(t, "", "explain", rows(t, "")[1].ID, "--address="+adminAddress).want(t, 0).stdout
	if !regexp.MustCompile(`(?m)^tried 2   up, model .*status 500: .*\\r\\n\{|\\x0d\\n\{`).MatchString(story) {
		t.Errorf("explain says\n%s\nwant the reason on one line", story)
	}
	all.wantNone(t, injectionCanary, "UPSTREAM-KEY-0")
}

func TestBadNamesOfTheCollectionHarmNobody(t *testing.T) {
	cases := badInputs(t, "injection")
	g, up, log := hostileGateway(t)
	for _, b := range cases {
		for _, at := range generators {
			t.Run(fmt.Sprintf("%s %s", b.ID, at.protocol), func(t *testing.T) {
				up.reset()
				b.try(t, g, up, at.path, at.protocol)
				wantGood(t, g)
			})
		}
	}
	wantHonestLog(t, log)
	var all received
	all.add("the log", log.text(t))
	wantTables(t, &all, nil)
	all.wantNone(t, injectionCanary, "UPSTREAM-KEY-0", badInputsKey)
}
