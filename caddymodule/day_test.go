package caddymodule

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var dayLength = flag.Int("day", shortDay, "how many requests the day in the life of a gateway has")

// dayWorkers is how many requests are under way at a time.
const dayWorkers = 24

// What the clients know, what the request log has and what the upstreams counted
// are the same: each request is one row, each upstream call is one attempt, and the
// tokens are those that the upstreams told.
func TestADayInTheLife(t *testing.T) {
	ledger := &dayLedger{calls: make(map[int][]dayCall), silent: make(map[int]chan struct{})}
	g := dayGateway(t, ledger)
	stories := tellStories(t, g, ledger)
	entries := make([]dayEntry, *dayLength)
	began := time.Now()
	numbers := make(chan int)
	var workers sync.WaitGroup
	for range dayWorkers {
		workers.Go(func() {
			for number := range numbers {
				entries[number] = newDayRequest(number).send(t, g, ledger)
			}
		})
	}
	for number := range entries {
		numbers <- number
	}
	close(numbers)
	workers.Wait()
	t.Logf("%d requests in %v", len(entries), time.Since(began))
	entries = append(entries, stories...)
	// A client that leaves does not wait for the gateway to notice.
	comesTrue(t, "requests are missing in the log", func() bool { return len(rows(t, "?limit=1")) == 1 && loggedAll(t, entries) })

	book := readBook(t)
	book.compareSums(t)
	for i := range entries {
		book.compare(t, &entries[i], ledger)
	}
	t.Logf("%d rows; ends: %s", len(book.byID), counted(book.ends))
	if len(book.byID) > 0 {
		for id, row := range book.byID {
			t.Errorf("row %s is of no request that was sent: %+v", id, row)
		}
	}
}

// dayGateway is a gateway for three clients in front of three providers of three
// keys each, and one that cannot be reached. a takes all protocols, b Chat
// Completions and c Messages.
func dayGateway(t *testing.T, ledger *dayLedger) *gateway {
	t.Helper()
	files := []string{
		fullProvider("a", "URL", ""),
		strings.NewReplacer(`"responses": "/responses",`, "", `"messages": "/messages",`, "").Replace(provider("b", "URL", "")),
		strings.NewReplacer(`"completions": "/chat/completions",`, `"completions": "/messages", "count_tokens": "/messages/count_tokens",`, `"responses": "/responses",`, "",
			`"messages": "/messages",`, "", `"openai"`, `"anthropic"`, `"embeddings": "/embeddings",`, "").Replace(provider("c", "URL", "")),
	}
	providers := map[string]string{"gone": provider("gone", "http://"+closedPort(t), "")}
	t.Setenv("GONE_API_KEY", "gone-key")
	models := map[string]string{
		"m":        model("m", "", "a/up", "b/up", "c/up"),
		"chat":     model("chat", `"fallback_model_routings": ["messages"],`, "gone/up", "b/up-chat"),
		"messages": model("messages", dayPrices, "c/up-messages", "a/up"),
		"left":     model("left", `"aliases": ["left-*"],`, "a/fine"),
	}
	addStories(t, ledger, providers, models)
	for i, name := range stormProviders {
		u := serve(t, &dayUpstream{ledger, name, i})
		extra := dayProviderPrices[name] + `"timeouts": {"first_content": "3s"}, "enabled"`
		providers[name] = strings.NewReplacer("URL", u.url, `"enabled"`, extra).Replace(files[i])
		for key := range 3 {
			t.Setenv(fmt.Sprintf("%s_API_KEY_%d", strings.ToUpper(name), key+1), fmt.Sprintf("%s-key-%d", name, key+1))
		}
	}
	directive := "log sqlite " + filepath.Join(t.TempDir(), "requests.db") + "\ncooldown 1s\n"
	for _, client := range dayClients {
		t.Setenv("KEY_OF_"+client, client+"-key")
		directive += fmt.Sprintf("client_key %s {env.KEY_OF_%s}\n", client, client)
	}
	return start(t, setup{
		providers: providers,
		models:    models,
		directive: directive,
		anonymous: true,
	})
}

// loggedAll tells whether there are as many rows as requests that must have one.
func loggedAll(t *testing.T, entries []dayEntry) bool {
	var answer usageAnswer
	if err := json.Unmarshal([]byte(admin(t, http.MethodGet, "/llm_proxy/usage?by=endpoint", "").want(t, 200).body), &answer); err != nil {
		t.Fatal(err)
	}
	var rows, due int64
	for _, row := range answer.Rows {
		rows += row.Requests
	}
	for i := range entries {
		if entries[i].kind != hasNoKey {
			due++
		}
	}
	return rows >= due
}

// book is the whole request log, to be compared with what others know.
type book struct {
	byID map[string]requestAnswer // that no client has claimed yet
	gone map[string]string        // ids of requests whose clients got none, by the model asked for
	ends map[string]int
}

// readBook reads the log through the administration.
func readBook(t *testing.T) *book {
	t.Helper()
	b := &book{make(map[string]requestAnswer), make(map[string]string), make(map[string]int)}
	var ids []string
	until := ""
	for {
		page := rows(t, "?limit=1000"+until)
		fresh := 0
		for _, row := range page {
			if _, known := b.byID[row.ID]; !known {
				b.byID[row.ID] = requestAnswer{}
				ids = append(ids, row.ID)
				fresh++
			}
		}
		if fresh == 0 {
			break
		}
		// One microsecond later, or others of the same would be left out.
		until = "&until=" + page[len(page)-1].Began.Add(time.Microsecond).Format(time.RFC3339Nano)
	}
	var mu sync.Mutex
	var readers sync.WaitGroup
	for part := range slices.Chunk(ids, len(ids)/4+1) {
		readers.Go(func() {
			for _, id := range part {
				var whole requestAnswer
				got := admin(t, http.MethodGet, "/llm_proxy/requests/"+id, "")
				err := json.Unmarshal([]byte(got.body), &whole)
				if err != nil || got.status != 200 {
					t.Errorf("request %s: status %d, %v", id, got.status, err)
				}
				mu.Lock()
				b.byID[id] = whole
				if strings.HasPrefix(whole.Asked, "left-") {
					b.gone[whole.Asked] = id
				}
				mu.Unlock()
			}
		})
	}
	readers.Wait()
	return b
}

// compare compares what is known of one request, and takes its row out of the book.
func (b *book) compare(t *testing.T, e *dayEntry, ledger *dayLedger) {
	t.Helper()
	b.ends[e.kind+": "+e.outcome]++
	calls := ledger.of(e.number)
	id := e.id
	if e.kind == leavesEarly {
		id = b.gone[e.model]
	}
	row, found := b.byID[id]
	delete(b.byID, id)
	if e.kind == hasNoKey {
		if e.status != http.StatusUnauthorized || found || len(calls) > 0 {
			t.Errorf("request %d without a key: status %d, a row: %v, calls: %v; want 401 and neither", e.number, e.status, found, calls)
		}
		return
	}
	if !found || e.err != nil {
		t.Errorf("request %d, which %s: no row of id %q, or the client's error %v", e.number, e.kind, id, e.err)
		return
	}
	type facts struct {
		Client, Endpoint, Asked, Outcome, Provider, Model string
		Streamed                                          bool
		In                                                int64
	}
	wants := facts{e.client, e.path, e.model, e.outcome, e.provider, e.upstreamModel, e.streamed && e.provider != "", int64(len(e.body))}
	has := facts{row.Client, row.Endpoint, row.Asked, row.Outcome, row.Provider, row.Model, row.Streamed, row.BytesIn}
	if has != wants {
		t.Errorf("request %d, which %s: the row tells %+v, the client %+v", e.number, e.kind, has, wants)
	}
	if e.id != "" && row.Status != e.status {
		t.Errorf("request %d, which %s: status %d in the row, %d for the client", e.number, e.kind, row.Status, e.status)
	}
	if e.outcome != "client_closed" && row.BytesOut != int64(e.out) {
		t.Errorf("request %d, which %s: %d bytes in the row, %d for the client", e.number, e.kind, row.BytesOut, e.out)
	}
	b.compareAttempts(t, e, &row, calls)
	b.compareTokens(t, e, &row, calls)
	b.compareCost(t, e, &row)
}

// compareAttempts wants the row to have an attempt for each call that the upstreams
// counted, and no others but those to the provider that cannot be reached.
func (b *book) compareAttempts(t *testing.T, e *dayEntry, row *requestAnswer, calls []dayCall) {
	t.Helper()
	var tried, counted []string
	for _, a := range row.Tried {
		if a.Provider != "gone" {
			tried = append(tried, a.Provider+" "+a.Model+" "+a.KeyID)
		} else if a.Class == "ok" || a.Status != 0 {
			t.Errorf("request %d: the provider that cannot be reached answered: %+v", e.number, a)
		}
	}
	for _, c := range calls {
		counted = append(counted, c.attempt())
	}
	slices.Sort(tried)
	slices.Sort(counted)
	if !slices.Equal(tried, counted) {
		t.Errorf("request %d, which %s: the row has the attempts %q, the upstreams counted %q", e.number, e.kind, tried, counted)
	}
	if len(row.Tried) != row.Attempts || e.attempts != "" && e.attempts != fmt.Sprint(row.Attempts) {
		t.Errorf("request %d, which %s: %d attempts in the row, of which %d are told, and %s for the client", e.number, e.kind, row.Attempts, len(row.Tried), e.attempts)
	}
}
