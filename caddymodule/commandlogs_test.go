package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// following is a logs --follow that runs beside the test, which lets it ask.
type following struct {
	t              *testing.T
	beats          chan time.Time
	stdout, stderr lockedBuffer
	interrupt      context.CancelFunc
	ended          chan error
}

// lockedBuffer is written by a command while a test reads it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is what was written so far.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// follow runs logs --follow with further arguments.
func follow(t *testing.T, arguments ...string) *following {
	t.Helper()
	f := &following{t: t, beats: make(chan time.Time), ended: make(chan error, 1)}
	before := followPause
	followPause = func(time.Duration) <-chan time.Time { return f.beats }
	ours := &cobra.Command{Use: "llm-proxy"}
	fillCommand(ours)
	ours.SetArgs(append([]string{"logs", "--follow", "--address=localhost:2999"}, arguments...))
	ours.SetOut(&f.stdout)
	ours.SetErr(&f.stderr)
	var ctx context.Context
	ctx, f.interrupt = context.WithCancel(context.Background())
	go func() { f.ended <- ours.ExecuteContext(ctx) }()
	t.Cleanup(func() {
		f.interrupt()
		<-f.ended
		followPause = before
	})
	return f
}

// ask lets the command ask twice more, and waits until it has printed the second
// answer: the first question may meet a listener that is just being closed.
func (f *following) ask() {
	for range 3 { // one is taken only after the question before
		f.beats <- time.Time{}
	}
}

// lines are what it has printed so far.
func (f *following) lines() []string {
	return strings.Split(strings.TrimSpace(f.stdout.String()), "\n")
}

func TestLogsCanBeFollowedOverReloadsAndOutages(t *testing.T) {
	g, _ := keepingLog(t, answers(200, chatAnswer), answers(500, brokenBody))
	first := g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	second := g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	f := follow(t)
	f.ask()
	wantRows := func(ids ...string) {
		t.Helper()
		lines := f.lines()
		if len(lines) != len(ids)+1 || !strings.HasPrefix(lines[0], "BEGAN (UTC)          OUTCOME") {
			t.Fatalf("printed are %d lines, want a head and %d:\n%s", len(lines), len(ids), f.stdout.String())
		}
		for i, id := range ids {
			if !strings.HasSuffix(lines[i+1], "  "+id) {
				t.Errorf("line %d is %q, want request %s", i+1, lines[i+1], id)
			}
		}
	}
	wantRows(first, second)

	third := g.post(chatPath, `{"model":"m"`).want(t, 400).header.Get("X-Request-Id")
	f.ask()
	wantRows(first, second, third)

	g.wantReload(t, "")
	fourth := g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	f.ask()
	wantRows(first, second, third, fourth)
	if said := f.stderr.String(); said != "" {
		t.Errorf("stderr is %q, want nothing over a reload", said)
	}

	config := g.config
	g.config = strings.Replace(config, "admin localhost:2999", "admin off", 1)
	g.wantReload(t, "")
	f.ask()
	if said := f.stderr.String(); said != "Note: the gateway does not answer; asking again every second\n" {
		t.Errorf("stderr is %q, want one note", said)
	}
	fifth := g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	g.config = config
	g.wantReload(t, "")
	f.ask()
	wantRows(first, second, third, fourth, fifth)
	if said := f.stderr.String(); !strings.HasSuffix(said, "Note: the gateway answers again\n") {
		t.Errorf("stderr is %q, want that it answers again", said)
	}
	f.interrupt()
	if err := <-f.ended; err != nil {
		t.Errorf("an interrupted command ends with %v, want nil", err)
	}
	f.ended <- nil // for the end of the test
}

func TestFollowedLogsAreFilteredAndJSONLines(t *testing.T) {
	g, _ := keepingLog(t, answers(200, chatAnswer), answers(500, brokenBody))
	g.post(chatPath, chatRequest).want(t, 200)
	f := follow(t, "--json", "--trouble", "--status", "400", "--limit", "1")
	f.ask()
	if said := f.stdout.String(); said != "" {
		t.Errorf("printed is %q before there is any such request", said)
	}
	var want []string
	for range 3 {
		want = append(want, g.post(chatPath, `{"model":"m"`).want(t, 400).header.Get("X-Request-Id"))
		g.post(chatPath, chatRequest).want(t, 200)
	}
	f.ask()
	for i, line := range f.lines() {
		var row requestSummary
		if err := json.Unmarshal([]byte(line), &row); err != nil || row.ID != want[i] || row.Status != 400 {
			t.Errorf("line %d is %s (%v), want request %s", i, line, err, want[i])
		}
	}
	if n := len(f.lines()); n != len(want) {
		t.Errorf("%d lines, want %d", n, len(want))
	}
}

func TestFollowedLogsGoOnWithALogThatBeganAnew(t *testing.T) {
	g, file := keepingLog(t, answers(200, chatAnswer), answers(500, brokenBody))
	for range 3 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	f := follow(t)
	f.ask()
	loadNothing(t)
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	g.wantReload(t, "")
	id := g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	f.ask()
	if lines := f.lines(); len(lines) != 5 || !strings.HasSuffix(lines[4], id) {
		t.Errorf("printed is\n%s\nwant the request of the new log at the end", f.stdout.String())
	}
}

func TestFollowingLogsEndsWellByCtrlC(t *testing.T) {
	g, _ := keepingLog(t, answers(200, chatAnswer), answers(500, brokenBody))
	id := g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	var stdout, stderr lockedBuffer
	cmd := command(t, "llm-proxy", "logs", "-f", "--address=localhost:2999")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	comesTrue(t, "the request is not printed", func() bool { return strings.Contains(stdout.String(), id) })
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || stderr.String() != "" {
		t.Errorf("the command ends with %v and says %q, want exit code 0 and nothing", err, stderr.String())
	}
}

func TestLogsPageBackByRequestAndFilterByStatus(t *testing.T) {
	g, _ := keepingLog(t, answers(200, chatAnswer), answers(500, brokenBody))
	var ids []string
	for range 4 {
		ids = append([]string{g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")}, ids...)
	}
	bad := g.post(chatPath, `{"model":"m"`).want(t, 400).header.Get("X-Request-Id")
	listed := func(arguments ...string) (got []string) {
		t.Helper()
		var answer requestsAnswer
		said := run(t, "", append([]string{"logs", "--json", "--address=localhost:2999"}, arguments...)...).want(t, 0)
		if err := json.Unmarshal([]byte(said.stdout), &answer); err != nil {
			t.Fatal(err)
		}
		for _, row := range answer.Requests {
			got = append(got, row.ID)
		}
		return got
	}
	for _, tc := range []struct {
		arguments string
		want      []string
	}{
		{"--limit 2", []string{bad, ids[0]}},
		{"--limit 2 --before " + ids[0], ids[1:3]},
		{"--limit 2 --before " + ids[2], ids[3:]},
		{"--before " + ids[3], nil},
		{"--status 200 --limit 1", ids[:1]},
		{"--status 400", []string{bad}},
		{"--status 502", nil},
	} {
		if got := listed(strings.Fields(tc.arguments)...); strings.Join(got, " ") != strings.Join(tc.want, " ") {
			t.Errorf("logs %s lists %q, want %q", tc.arguments, got, tc.want)
		}
	}
	const address = "--address=localhost:2999"
	run(t, "", "logs", "--before", "nobody", address).want(t, 1, "before: no such request")
	run(t, "", "logs", "--follow", "--before", "x", address).want(t, 2, "does not go with --before")
}

// A row from before since, as the last one is sooner or later where since is how long
// ago, is a place in the log like any other.
func TestReadingGoesOnBehindARowThatTheFilterLeavesOut(t *testing.T) {
	s := &slowly{first: chatStream[:len(chatStream)/2], rest: chatStream[len(chatStream)/2:], goOn: make(chan struct{})}
	g, _ := keepingLog(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), `"stream":true`) {
			s.ServeHTTP(w, r)
			return
		}
		answers(200, chatAnswer).ServeHTTP(w, r)
	}), answers(500, brokenBody))
	_, reader := g.dial(request{path: chatPath, body: chatStreamed})
	readUntil(t, reader, "hel")
	second := g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	since := firstRow(t, "").Began
	close(s.goOn)
	readUntil(t, reader, "[DONE]")
	comesTrue(t, "the stream, which began before, is no row", func() bool { return len(rows(t, "")) == 2 })
	place := func(query string) (answer requestsAnswer) {
		t.Helper()
		if err := json.Unmarshal([]byte(admin(t, http.MethodGet, "/llm_proxy/requests?order=written&"+query, "").want(t, 200).body), &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	filter := url.Values{"since": {since.Format(time.RFC3339Nano)}}
	if answer := place(filter.Encode()); len(answer.Requests) != 1 || answer.Requests[0].ID != second {
		t.Fatalf("since %v there are %+v, want %s", since, answer.Requests, second)
	}
	filter.Set("after", place("").Next)
	if answer := place(filter.Encode()); len(answer.Requests) != 0 || answer.Next != filter.Get("after") {
		t.Errorf("behind the last row there are %+v, next %q; want none, %q", answer.Requests, answer.Next, filter.Get("after"))
	}
	third := g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	filter.Set("limit", "1")
	if answer := place(filter.Encode()); len(answer.Requests) != 1 || answer.Requests[0].ID != third {
		t.Errorf("behind the stream there are %+v, want %s", answer.Requests, third)
	}
}

func TestTheRequestsOfTheLogCanBeReadAsTheyWereWritten(t *testing.T) {
	g, _ := keepingLog(t, answers(200, chatAnswer), answers(500, brokenBody))
	for range 5 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	page := func(query url.Values) (answer requestsAnswer) {
		t.Helper()
		query.Set("limit", "2")
		got := admin(t, http.MethodGet, "/llm_proxy/requests?"+query.Encode(), "").want(t, 200)
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	var read []string
	query := url.Values{"order": {"written"}}
	for {
		answer := page(query)
		if len(answer.Requests) == 0 {
			if answer.Next != query.Get("after") {
				t.Errorf("next after the last row is %q, want %q", answer.Next, query.Get("after"))
			}
			break
		}
		for _, row := range answer.Requests {
			read = append(read, row.ID)
		}
		query.Set("after", answer.Next)
	}
	var oldest []string
	for _, row := range rows(t, "?order=oldest") {
		oldest = append(oldest, row.ID)
	}
	if len(read) != 5 || strings.Join(read, " ") != strings.Join(oldest, " ") {
		t.Errorf("read %q, want %q", read, oldest)
	}
	if answer := page(url.Values{"order": {"written"}, "after": {"4"}}); len(answer.Requests) != 1 || answer.Requests[0].ID != read[4] {
		t.Errorf("after=4 gives %+v, want the fifth", answer.Requests)
	}
	for query, want := range map[string]string{
		"order=random":                    "none of newest, oldest and written",
		"after=3":                         "takes order=written",
		"order=written&after=x":           "no place in the log",
		"order=written&after=-1":          "no place in the log",
		"order=written&before=" + read[0]: "does not go with order=written",
		"limit=1001":                      "no number from 1 to 1000",
		"status=1000":                     "no number from 100 to 599",
	} {
		if got := admin(t, http.MethodGet, "/llm_proxy/requests?"+query, "").want(t, 400); !strings.Contains(got.body, want) {
			t.Errorf("%s: %s, want %q", query, got.body, want)
		}
	}
}
