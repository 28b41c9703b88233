package logging

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/postgrestest"
)

// home waits until all records are in the database, and checks that each is
// there once.
func home(t testing.TB, l *Log, want int) {
	t.Helper()
	waitFor(t, 2*time.Minute, "all records are in the database", func() bool {
		s := l.Stats()
		return s.Healthy && s.Queued == 0 && s.Spill.Waiting == 0
	})
	wantRows(t, l, want)
	if ids := ask[int](t, l, "SELECT COUNT(DISTINCT id) FROM requests"); ids != want {
		t.Errorf("%d different requests, want %d", ids, want)
	}
	s := l.Stats()
	wantBalance(t, s)
	if s.Dropped.Total() != 0 || s.Spill.Refused != 0 {
		t.Errorf("stats %+v %+v, want nothing dropped", s, s.Spill)
	}
}

// RELIABILITY B7: whatever happens to the server, no record is lost and none is
// there twice, and nobody waits.
func TestB7OutageOfPostgresLosesAndDoublesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	for _, tc := range []struct {
		name     string
		down, up func(*postgrestest.Server, testing.TB)
	}{
		{
			"stopped", (*postgrestest.Server).Stop,
			(*postgrestest.Server).Launch,
		},
		{
			"killed", func(s *postgrestest.Server, _ testing.TB) { s.Kill() },
			(*postgrestest.Server).Launch,
		},
		{
			"frozen", func(s *postgrestest.Server, _ testing.TB) { s.Freeze() },
			func(s *postgrestest.Server, _ testing.TB) { s.Thaw() },
		},
		{
			"frozen and killed", func(s *postgrestest.Server, _ testing.TB) { s.Freeze() },
			func(s *postgrestest.Server, t testing.TB) { s.Kill(); s.Launch(t) },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := postgrestest.Start(t)
			l := open(t, Options{DSN: server.DSN(t), Spill: filepath.Join(t.TempDir(), "spill.db")})
			paced(t, l, 0, many(2000))
			tc.down(server, t)
			paced(t, l, many(2000), many(16000)) // seven seconds
			s := l.Stats()
			if s.Healthy || s.Spill.Spilled == 0 {
				t.Errorf("during the outage: stats %+v %+v, want trouble, and some spilled", s, s.Spill)
			}
			wantBalance(t, s)
			tc.up(server, t)
			paced(t, l, many(16000), many(18000))
			home(t, l, many(18000))
			if s := l.Stats(); s.Spill.Replayed < s.Spill.Spilled {
				t.Errorf("%d were spilled, but only %d came home", s.Spill.Spilled, s.Spill.Replayed)
			}
		})
	}
}

// A statement whose end was not awaited may be committed all the same, later.
func TestB7LateCommitIsNoSecondRow(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	l := open(t, Options{DSN: server.DSN(t), Spill: filepath.Join(t.TempDir(), "spill.db")})
	addAll(l, 0, 100)
	flush(t, l)
	for n := range 3 {
		server.Freeze()
		addAll(l, 100+100*n, 200+100*n)
		wait(t, "the records are safe", func() bool { return l.Stats().Queued == 0 })
		server.Thaw()
		wait(t, "the server is back", func() bool { return l.Stats().Healthy })
	}
	home(t, l, 400)
}

func TestB7SpillOfAnEarlierProcessComesHome(t *testing.T) {
	server := postgrestest.Start(t)
	o := Options{DSN: server.DSN(t), Spill: filepath.Join(t.TempDir(), "spill.db")}
	l := open(t, o)
	addAll(l, 0, 10)
	flush(t, l)
	server.Stop(t)
	addAll(l, 10, 200)
	big := full()
	big.Bodies = &Bodies{Request: []byte("a\x00\xff"), AnswerCut: true}
	l.Add(big)
	closeLog(t, l) // spills what waits
	if s := l.Stats(); s.Spill.Spilled != 191 || s.Dropped.Total() != 0 {
		t.Errorf("stats %+v %+v, want 191 spilled", s, s.Spill)
	}
	l = open(t, o)
	if s := l.Stats(); s.Spill.Waiting != 191 || s.Healthy {
		t.Errorf("stats %+v %+v, want 191 in the spill", s, s.Spill)
	}
	addAll(l, 200, 300)
	server.Launch(t)
	home(t, l, 301)
	got, err := l.Request(deadline(t), big.ID)
	if err != nil || string(got.Bodies.Request) != "a\x00\xff" || !got.Bodies.AnswerCut || len(got.Attempts) != 2 || len(got.Skipped) != 1 {
		t.Errorf("Request = %+v, %v, want all that was logged", got, err)
	}
	if rows := wantIntegrity(t, o.Spill); rows != 0 {
		t.Errorf("the spill still holds %d", rows)
	}
}

// A process may end when the server has the rows and the spill still holds them: the
// next one brings them home again, with all that belongs to them, and nothing changes.
func TestB7SpillThatCameHomeBeforeAnEndChangesNothing(t *testing.T) {
	o := onServer(t)
	dsn := o.DSN
	o.DSN = nowhere
	l := open(t, o)
	for n := range 300 {
		r := full()
		r.ID = record(n).ID
		l.Add(r)
	}
	closeLog(t, l)
	before, err := os.ReadFile(o.Spill)
	if err != nil {
		t.Fatal(err)
	}
	o.DSN = dsn
	for range 2 {
		if err := os.WriteFile(o.Spill, before, 0o600); err != nil {
			t.Fatal(err)
		}
		l = open(t, o)
		home(t, l, 300)
		if n := ask[int](t, l, "SELECT COUNT(*) FROM attempts"); n != 300*len(full().Attempts) {
			t.Errorf("%d attempts, want %d for each of 300", n, len(full().Attempts))
		}
		closeLog(t, l)
	}
}

// Both writers take from the queue, so also what the server refuses later is
// searched for alone.
func TestB7PoisonInTheSpillTakesNoOtherWithIt(t *testing.T) {
	o := onServer(t)
	l := open(t, o)
	change(t, l, "ALTER TABLE labels ADD CONSTRAINT poison CHECK (client <> 'poison')")
	closeLog(t, l)
	dsn := o.DSN
	o.DSN = "postgres://someone@127.0.0.1:1/db"
	l = open(t, o)
	for n := range 600 {
		r := record(n)
		if n == 300 {
			r.Client = "poison"
		}
		l.Add(r)
	}
	flush(t, l)
	closeLog(t, l)
	o.DSN = dsn
	l = open(t, o)
	wait(t, "the spill is empty", func() bool { return l.Stats().Spill.Waiting == 0 })
	if s := l.Stats(); s.Spill.Refused != 1 || s.Spill.Replayed != 599 {
		t.Errorf("stats %+v, want 599 brought home and 1 refused", s.Spill)
	}
	wantRows(t, l, 599)
}

func TestB7SpillIsBounded(t *testing.T) {
	o := Options{DSN: "postgres://someone@127.0.0.1:1/db", Spill: filepath.Join(t.TempDir(), "spill.db"), SpillSize: 1 << 20, Queue: 1000}
	l := open(t, o)
	n := 0
	waitFor(t, time.Minute, "there is no more room", func() bool {
		addAll(l, n, n+500)
		n += 500
		_ = l.Flush(deadline(t)) // an error once there is no more room
		return l.Stats().Dropped.Total() > 0
	})
	s := l.Stats()
	if s.Dropped.Total() == 0 || s.Spill.Healthy || s.Spill.FileSize > 128<<20 {
		t.Errorf("stats %+v %+v, want drops, and a file that stopped growing", s, s.Spill)
	}
	wantBalance(t, s)
}

func TestB7CloseEndsWhileTheServerHangs(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	o := Options{DSN: server.DSN(t), Spill: filepath.Join(t.TempDir(), "spill.db")}
	l := open(t, o)
	addAll(l, 0, 10)
	flush(t, l)
	server.Freeze()
	addAll(l, 10, many(1200))
	begin := time.Now()
	closeLog(t, l)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("Close took %v, want 5s at most", took)
	}
	s := l.Stats()
	wantBalance(t, s)
	if s.Dropped.Total() != 0 || s.Written != int64(many(1200)) {
		t.Errorf("stats %+v, want all written", s)
	}
	server.Thaw()
	home(t, open(t, o), many(1200))
}
