package caddymodule

import (
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

// firstStory is the number of the first request whose story is told.
const firstStory = 2_000_000

// dayStories are ten requests that meet nothing by chance.
var dayStories = []struct {
	name, model string
	dialect     dialect
	streamed    bool
	kind        string
}{
	{"plain", "plain", chatDialect, false, asksModel},
	{"crossing", "crossing", messagesDialect, true, asksModel},
	{"fallback", "fallback", responsesDialect, false, asksModel},
	{"refused_keys", "refused", chatDialect, false, asksModel},
	{"skipped", "refused", chatDialect, true, asksModel}, // the same again: the keys are known now
	{"nobody", "trouble", messagesDialect, false, asksModel},
	{"mistake", "plain", chatDialect, false, isWrong},
	{"unknown_model", "nothing-of-ours", chatDialect, false, namesNobody},
	{"broken_stream", "cut", chatDialect, true, asksModel},
	{"client_left", "left-in-a-story", chatDialect, true, leavesLate},
}

// addStories adds the providers and models of the stories: d takes all protocols, e
// Chat Completions, and f and g are in trouble.
func addStories(t *testing.T, ledger *dayLedger, providers, models map[string]string) {
	t.Helper()
	for i, name := range []string{"d", "e", "f", "g"} {
		u := serve(t, &dayUpstream{ledger, name, i})
		providers[name] = provider(name, u.url, "")
		t.Setenv(strings.ToUpper(name)+"_API_KEY", name+"-key")
	}
	t.Setenv("F_API_KEY_2", "f-key-2")
	providers["e"] = strings.NewReplacer(`"responses": "/responses",`, "", `"messages": "/messages",`, "").Replace(providers["e"])
	models["plain"] = model("plain", dayPrices, "d/fine")
	models["crossing"] = model("crossing", dayPrices, "e/fine")
	models["fallback"] = model("fallback", "", "g/limited", "d/broken", "e/fine")
	models["refused"] = model("refused", "", "f/refused", "d/fine")
	models["trouble"] = model("trouble", "", "d/broken", "e/overloaded")
	models["left-in-a-story"] = model("left-in-a-story", "", "d/fine")
	models["cut"] = model("cut", dayPrices, "d/cut")
}

// What is different whenever a story is told.
var (
	someBegan = regexp.MustCompile(`(?m)^began .*$`)
	someTaken = regexp.MustCompile(`[0-9.]+(µs|ms|s)\b`)
)

// tellStories sends the requests whose stories are told, and wants `explain` to tell
// them as the files of testdata/command do.
func tellStories(t *testing.T, g *gateway, ledger *dayLedger) []dayEntry {
	t.Helper()
	var entries []dayEntry
	for i, story := range dayStories {
		q := dayRequest{
			number: firstStory + i, kind: story.kind, client: dayClients[i%len(dayClients)], model: story.model,
			streamed: story.streamed, toldUsage: true, dialect: story.dialect,
		}
		q.fill(dayText(q.number, q.kind))
		e := q.send(t, g, ledger)
		if e.err != nil || e.id == "" {
			t.Fatalf("%s: no answer: %v", story.name, e.err)
		}
		entries = append(entries, e)
		if e.outcome == logging.OutcomeClientClosed {
			comesTrue(t, "no row of the client that left", func() bool { return len(rows(t, "?outcome=client_closed")) == 1 })
		}
		told := run(t, "", "explain", e.id, "--address=localhost:2999").want(t, 0).stdout
		told = strings.ReplaceAll(told, e.id, "01234567-89ab-cdef-0123-456789abcdef")
		told = someBegan.ReplaceAllString(told, "began     2026-01-02T03:04:05Z")
		wantOutput(t, "explain_"+story.name+".txt", someTaken.ReplaceAllString(told, "12ms"), g.dir)
	}
	return entries
}
