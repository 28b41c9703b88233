package crossing_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// session is what a real client sent in one run of an agent loop, and what it
// got.
type session struct {
	name  string
	turns []exchange
}

type exchange struct {
	file     string // of the request, below the recordings
	protocol translate.Protocol
	request  []byte
	stream   bool
	reply    []byte // the body only
	path     string // where the body lies by itself
}

var endpoints = map[string]translate.Protocol{
	"/v1/chat/completions": translate.Chat,
	"/v1/responses":        translate.Responses,
	"/v1/messages":         translate.Messages,
}

// sessions returns the recorded sessions of clients that speak one of the three
// protocols over HTTP, or skips the test where they are missing.
func sessions(t *testing.T) []session {
	t.Helper()
	root := sharedDir + "/clients/recordings"
	folders, err := filepath.Glob(filepath.Join(root, "*", "index.json"))
	if err != nil || len(folders) == 0 {
		t.Skipf("the recorded sessions are not at hand in %s", root)
	}
	var all []session
	for _, index := range folders {
		s := session{name: filepath.Base(filepath.Dir(index))}
		files, err := filepath.Glob(filepath.Join(filepath.Dir(index), "*-main-*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if x, ok := readExchange(t, file); ok {
				s.turns = append(s.turns, x)
			}
		}
		if len(s.turns) > 0 {
			all = append(all, s)
		} else {
			t.Logf("%s has no request of the three protocols", s.name)
		}
	}
	return all
}

func readExchange(t *testing.T, file string) (x exchange, ok bool) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Method, Path string
		Body         json.RawMessage
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatalf("reading %s: %v", file, err)
	}
	path, _, _ := strings.Cut(recorded.Path, "?")
	x = exchange{file: file, protocol: endpoints[path]}
	if recorded.Method != "POST" || x.protocol == "" {
		return x, false
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, recorded.Body); err != nil {
		t.Fatalf("reading %s: %v", file, err)
	}
	x.request = compact.Bytes()
	reply, err := os.ReadFile(strings.TrimSuffix(file, ".json") + ".reply.http")
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := bytes.Cut(bytes.ReplaceAll(reply, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
	x.reply, x.stream = body, bytes.Contains(head, []byte("text/event-stream"))
	x.path = filepath.Join(t.TempDir(), "reply")
	if err := os.WriteFile(x.path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return x, true
}

// TestRecordedSessionsLoseOnlyWhatTheWarningsSay translates each request of the
// agents' main loops. What is said must be the same on the other side, and the
// losses those of testdata/warnings.
func TestRecordedSessionsLoseOnlyWhatTheWarningsSay(t *testing.T) {
	counts := tally{}
	for _, s := range sessions(t) {
		t.Run(s.name, func(t *testing.T) {
			var warnings []string
			for _, to := range others(s.turns[0].protocol) {
				for _, target := range targets {
					warnings = append(warnings, s.cross(t, target.of(to), apiName(to)+" "+target.name, counts)...)
				}
			}
			golden(t, "warnings/"+s.name+".golden", warnings)
		})
	}
	counts.report(t, "kept", "refused", "failed")
}

// cross translates the requests of a session for one target and returns what
// got lost in which of them.
func (s session) cross(t *testing.T, target *translate.Target, name string, counts tally) []string {
	t.Helper()
	var order []string
	turns := map[string][]string{}
	note := func(text string, turn int) {
		if turns[text] == nil {
			order = append(order, text)
		}
		turns[text] = append(turns[text], decimal(turn))
	}
	for i, x := range s.turns {
		p := pair{x.protocol, target.Protocol}
		var o strictjson.Object
		e := refusedBefore(&o, x)
		var r *crossing.Request
		if e == nil {
			r, e = crossing.Translate(nil, p.from, x.request, target)
		}
		if e != nil {
			note(e.Param+" refused", i)
			counts.add(p, "refused")
			continue
		}
		for _, loss := range r.Losses {
			note(loss.Param+" "+string(loss.Action), i)
		}
		ok := true
		for _, problem := range requestProblems(p.to, r.Body) {
			ok = false
			t.Errorf("%s, turn %d: %s", name, i, problem)
		}
		if ok = sameConversation(t, fmt.Sprintf("%s, turn %d", name, i), p, target, readRequest(p.from, x.request), readRequest(p.to, r.Body), r.Losses) && ok; ok {
			counts.add(p, "kept")
		} else {
			counts.add(p, "failed")
		}
	}
	slices.Sort(order)
	var lines []string
	for _, text := range order {
		lines = append(lines, name+": "+text+" in "+strings.Join(turns[text], " "))
	}
	return lines
}

// refusedBefore is the error of a request that no translation ever sees.
func refusedBefore(o *strictjson.Object, x exchange) *translate.Error {
	if err := o.Parse(x.request); err != nil {
		return &translate.Error{Status: 400, Message: err.Error()}
	}
	return translate.CheckRequest(x.protocol, translate.Generate, o)
}

// TestRecordedRepliesSayTheSameInEveryProtocol translates what the agents got.
func TestRecordedRepliesSayTheSameInEveryProtocol(t *testing.T) {
	oraclePath(t)
	counts := tally{}
	for _, s := range sessions(t) {
		for i, x := range s.turns {
			for _, to := range others(x.protocol) {
				p := pair{x.protocol, to}
				var out []byte
				if x.stream {
					out = relay(asking(p, true), x.reply).bytes
				} else {
					if translate.CheckAnswer(p.from, translate.Generate, x.reply) != nil {
						counts.add(p, "an error")
						continue
					}
					out = whole(p, x.reply).bytes
				}
				v := compare(t, p.from, x.path, p.to, out)
				outcome := "same"
				for _, problem := range append(v.faults(), v.Differences...) {
					if p.to == translate.Messages && strings.HasPrefix(problem, "tool_calls: ") && bytes.Contains(x.reply, []byte(`custom_tool_call`)) {
						continue // these have no custom tools; see the traps
					}
					outcome = "failed"
					t.Errorf("%s, turn %d, %s: %s", s.name, i, p, problem)
				}
				counts.add(p, outcome)
			}
		}
	}
	counts.report(t, "same", "an error", "failed")
}
