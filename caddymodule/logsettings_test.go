package caddymodule

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"
)

// age makes requests of a database so much older.
func age(t *testing.T, file, id string, by time.Duration) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE requests SET start_us = start_us - ? WHERE id = ?", by.Microseconds(), id); err != nil {
		t.Fatal(err)
	}
}

// An open log goes by the settings of the newest configuration, and not by those of
// one that was rejected.
func TestAReloadChangesTheSettingsOfTheOpenLog(t *testing.T) {
	g, file := keepingLog(t, answers(200, chatAnswer), answers(500, brokenBody))
	ids := make([]string, 3)
	for i := range ids {
		ids[i] = g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	}
	rows(t, "")
	age(t, file, ids[0], 48*time.Hour)
	age(t, file, ids[1], 2*time.Hour)
	left := func() (found []string) {
		for _, row := range rows(t, "?order=oldest") {
			found = append(found, row.ID)
		}
		return found
	}
	retain := func(config, retain string) string { return strings.Replace(config, "retain 7d", "retain "+retain, 1) }
	config := g.config
	for _, rejected := range []struct{ config, problem string }{
		// One block is provisioned before the other fails.
		{strings.Replace(config, "respond \"the next", "handle /x {\nllm_proxy {\nproviders /nowhere\n}\n}\nrespond \"the next", 1), "/nowhere"},
		// All is provisioned, but cannot start.
		{config + fmt.Sprintf("\n%s {\nbind 127.0.0.1\nrespond x\n}\n", serve(t, answers(200, "")).url), "address already in use"},
	} {
		g.config = retain(rejected.config, "1h")
		g.wantReload(t, rejected.problem)
	}
	g.config = retain(config, "1d")
	g.wantReload(t, "")
	comesTrue(t, "the row of two days ago is still there", func() bool { return len(left()) < 3 })
	if got := left(); strings.Join(got, " ") != strings.Join(ids[1:], " ") {
		t.Errorf("left are %q, want %q", got, ids[1:])
	}
	g.config = retain(config, "1h")
	g.wantReload(t, "")
	comesTrue(t, "the row of two hours ago is still there", func() bool { return len(left()) < 2 })
	if got := left(); strings.Join(got, " ") != ids[2] {
		t.Errorf("left are %q, want %q", got, ids[2])
	}
}

// A log that has no configuration any more, but a request, is known to a new one.
func TestALogThatARequestHoldsOpenTakesNewSettingsToo(t *testing.T) {
	s := &slowly{first: chatStream[:len(chatStream)/2], rest: chatStream[len(chatStream)/2:], goOn: make(chan struct{})}
	g, file := keepingLog(t, s, s)
	_, reader := g.dial(request{path: chatPath, body: chatStreamed})
	readUntil(t, reader, "hel")
	id := g.do(request{path: chatPath, body: `{"model":`}).want(t, 400).header.Get("X-Request-Id")
	rows(t, "")
	age(t, file, id, 48*time.Hour)
	loadNothing(t)
	g.config = strings.Replace(g.config, "retain 7d", "retain 1d", 1)
	g.wantReload(t, "")
	comesTrue(t, "the row of two days ago is still there", func() bool { return len(rows(t, "")) == 0 })
	close(s.goOn)
	readUntil(t, reader, "[DONE]")
	comesTrue(t, "the stream is no row", func() bool { return len(rows(t, "")) == 1 })
}
