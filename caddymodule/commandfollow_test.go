package caddymodule

import (
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"
)

// deleteRow deletes a request as retention does.
func deleteRow(t *testing.T, file, id string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		"DELETE FROM attempts WHERE request IN (SELECT seq FROM requests WHERE id = ?)",
		"DELETE FROM skips WHERE request IN (SELECT seq FROM requests WHERE id = ?)",
		"DELETE FROM requests WHERE id = ?",
	} {
		if _, err := db.ExecContext(t.Context(), statement, id); err != nil {
			t.Fatal(err)
		}
	}
}

// Old rows go by when they began, so a long request is the last to be written and the
// first to be deleted. Where it was, another row comes.
func TestFollowedLogsTellEachRequestOnceWhileOldOnesAreDeleted(t *testing.T) {
	g, file := keepingLog(t, answers(200, chatAnswer), answers(500, brokenBody))
	ask := func() string { return g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id") }
	ids := []string{ask(), ask(), ask()}
	f := follow(t)
	f.ask()
	deleteRow(t, file, ids[2])
	f.ask()
	ids = append(ids, ask())
	f.ask()
	deleteRow(t, file, ids[3])
	deleteRow(t, file, ids[1])
	ids = append(ids, ask(), ask())
	f.ask()
	for _, id := range ids {
		deleteRow(t, file, id)
	}
	f.ask()
	ids = append(ids, ask())
	f.ask()
	var told []string
	for _, line := range f.lines()[1:] {
		told = append(told, line[strings.LastIndexByte(line, ' ')+1:])
	}
	if !slices.Equal(told, ids) {
		t.Errorf("told are\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(ids, "\n"))
	}
}

// A request that began while it was watched is told, however long it took.
func TestFollowedLogsTellRequestsThatTakeLongerThanSince(t *testing.T) {
	s := &slowly{first: chatStream[:len(chatStream)/2], rest: chatStream[len(chatStream)/2:], goOn: make(chan struct{})}
	g, _ := keepingLog(t, s, answers(500, brokenBody))
	const since = 200 * time.Millisecond
	f := follow(t, "--since", since.String())
	f.ask()
	_, reader := g.dial(request{path: chatPath, body: chatStreamed})
	readUntil(t, reader, "hel")
	began := time.Now()
	comesTrue(t, "time stands still", func() bool { return time.Since(began) > since })
	close(s.goOn)
	readUntil(t, reader, "[DONE]")
	comesTrue(t, "the stream is no row", func() bool { return len(rows(t, "")) == 1 })
	f.ask()
	if lines := f.lines(); len(lines) != 2 || !strings.Contains(lines[1], "  ok ") {
		t.Errorf("told is\n%s\nwant the stream", strings.Join(lines, "\n"))
	}
}
