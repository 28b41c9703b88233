package caddymodule

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/postgrestest"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

var logFaultLength = flag.Duration("logfault", 2*time.Second, "how long each trouble of the request log lasts")

// What the request log's troubles meet: so many requests per second, a half of them
// to a gateway with the log, and a half to one without it, which shows what else the
// machine does.
const (
	faultRate     = 600
	withLog       = chatPath
	withoutLog    = "/plain" + chatPath
	allowedDelay  = 5 * time.Millisecond // that the log's trouble may add at p99
	ballastOfDisk = 512 << 20
)

// timing is how long one request took.
type timing struct {
	path   string
	during span
	status int
	err    error
}

// RELIABILITY P6, B6: whatever happens to the database, requests are answered as
// quickly as before, and each has a row or is counted.
func TestTroubleOfTheDatabaseHarmsNoRequest(t *testing.T) {
	t.Run("locked by another process", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "requests.db")
		meetLogFault(t, "log sqlite "+file, func(t *testing.T) func() { return lockFromOutside(t, file) })
	})
	t.Run("disk full", func(t *testing.T) {
		disk := smallDisk(t)
		meetLogFault(t, "log sqlite "+filepath.Join(disk, "requests.db"), func(t *testing.T) func() {
			ballast := filepath.Join(disk, "ballast")
			if err := os.WriteFile(ballast, make([]byte, ballastOfDisk), 0o600); err == nil {
				t.Fatal("the disk cannot be filled")
			}
			return func() {
				if err := os.Remove(ballast); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
}

// The same with PostgreSQL, of which nothing is lost: what it does not take goes to a
// file, and home when it is back.
func TestTroubleOfPostgresHarmsNoRequest(t *testing.T) {
	for _, tc := range []struct {
		name     string
		down, up func(*postgrestest.Server, testing.TB)
	}{
		{
			"all its processes stand still and go on",
			func(s *postgrestest.Server, _ testing.TB) { s.Freeze() },
			func(s *postgrestest.Server, _ testing.TB) { s.Thaw() },
		},
		{
			"killed and started again",
			func(s *postgrestest.Server, _ testing.TB) { s.Kill() },
			(*postgrestest.Server).Launch,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := postgrestest.Start(t)
			t.Setenv("LOG_DSN", server.DSN(t))
			log := "log postgres {env.LOG_DSN} {\nspill " + filepath.Join(t.TempDir(), "spill.db") + "\n}"
			meetLogFault(t, log, func(t *testing.T) func() {
				tc.down(server, t)
				return func() { tc.up(server, t) }
			})
			if stats := logStats(t); stats.Dropped.Total() != 0 {
				t.Errorf("dropped %+v, want nothing", stats.Dropped)
			}
			loadNothing(t) // before the server goes
		})
	}
}

// meetLogFault sends requests before, during and after a trouble of the log that
// the directive keeps.
func meetLogFault(t *testing.T, log string, begin func(t *testing.T) (end func())) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	dir := t.TempDir()
	files := &gateway{t: t, dir: dir}
	files.write("providers", "p", provider("p", up.url, ""))
	files.write("models", "m", model("m", "", "p/up"))
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: log,
		site: fmt.Sprintf("handle_path /plain/* {\nllm_proxy {\nproviders %s/providers\nmodels %s/models\nclient_key tests {env.CLIENT_KEY_OF_THE_TESTS}\n}\n}",
			dir, dir),
	})
	g.load(time.Second) // connections are open then
	counted := metrics(t)
	before := g.load(min(*logFaultLength, 5*time.Second))
	machine := watchMachine()
	began := time.Now()
	end := begin(t)
	inTrouble := time.Since(began)
	during := g.load(*logFaultLength)
	trouble := logStats(t)
	end()
	after := g.load(time.Second)
	standstills := machine.stop()
	for i := range standstills { // as the load's times are
		standstills[i] = span{standstills[i].from - inTrouble, standstills[i].to - inTrouble}
	}

	if trouble.Healthy {
		t.Error("the log was well all the time, so this shows nothing")
	}
	for _, all := range [][]timing{before, during, after} {
		for _, one := range all {
			if one.status != http.StatusOK || one.err != nil {
				t.Errorf("a request to %s ended with status %d, %v", one.path, one.status, one.err)
			}
		}
	}
	var stats logging.Stats
	comesTrue(t, "the log does not recover", func() bool {
		stats = logStats(t)
		return stats.Healthy && stats.Queued == 0 && (stats.Spill == nil || stats.Spill.Waiting == 0)
	})
	g.wantAllCounted(stats, len(up.all()))
	dropped := int64(0)
	for name, value := range metrics(t) {
		if strings.HasPrefix(name, "caddy_llm_proxy_log_dropped_total") {
			dropped += int64(value - counted[name])
		}
	}
	if dropped != stats.Dropped.Total() {
		t.Errorf("caddy_llm_proxy_log_dropped_total grew by %d, want %d", dropped, stats.Dropped.Total())
	}
	t.Logf("of %d rows %d were written and %d dropped (%+v)", stats.Added, stats.Written, stats.Dropped.Total(), stats.Dropped)
	if !strings.Contains(log, "postgres") && *logFaultLength >= 20*time.Second && stats.Dropped.Total() == 0 {
		t.Error("nothing was dropped, although more came than the queue holds")
	}
	wantNoDelay(t, before, during, standstills)
}

// load sends requests for a while, whether those before are answered or not.
func (g *gateway) load(length time.Duration) []timing {
	var mu sync.Mutex
	var all []timing
	var running sync.WaitGroup
	ticker := time.NewTicker(time.Second / faultRate)
	defer ticker.Stop()
	began := time.Now()
	for n := 0; time.Since(began) < length; n++ {
		running.Go(func() {
			one := timing{path: withLog}
			if n%2 == 1 {
				one.path = withoutLog
			}
			ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
			defer cancel()
			one.during.from = time.Since(began)
			got, err := g.open(ctx, request{path: one.path, body: chatRequest})
			if one.err = err; err == nil {
				_, one.err = io.Copy(io.Discard, got.Body)
				got.Body.Close()
				one.status = got.StatusCode
			}
			one.during.to = time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, one)
		})
		<-ticker.C
	}
	running.Wait()
	return all
}

// wantAllCounted wants every request of the gateway with the log to be a row or a
// drop. The upstream counts those of both.
func (g *gateway) wantAllCounted(stats logging.Stats, calls int) {
	g.t.Helper()
	var usage usageAnswer
	if err := json.Unmarshal([]byte(admin(g.t, http.MethodGet, "/llm_proxy/usage?by=client", "").want(g.t, 200).body), &usage); err != nil {
		g.t.Fatal(err)
	}
	if len(usage.Rows) != 1 || usage.Rows[0].Requests != stats.Written {
		g.t.Errorf("usage = %+v, want the %d rows that were written", usage.Rows, stats.Written)
	}
	if stats.Written+stats.Dropped.Total() != stats.Added || stats.Duplicates > 0 {
		g.t.Errorf("%d rows and %d drops for %d records, of which %d came twice", stats.Written, stats.Dropped.Total(), stats.Added, stats.Duplicates)
	}
	if half := int64(calls / 2); stats.Added < half-1 || stats.Added > half+2 { // three loads, each of an even or odd number
		g.t.Errorf("%d records for the half of %d requests", stats.Added, calls)
	}
}

// wantNoDelay wants the requests of the gateway with the log to take no longer in its
// trouble than before, and than those of the gateway without one.
func wantNoDelay(t *testing.T, before, during []timing, standstills []span) {
	t.Helper()
	p99 := func(all []timing, path string, except []span) time.Duration {
		var m moments
		for _, one := range all {
			if one.path == path && !overlaps(except, one.during) {
				m = append(m, one.during.to-one.during.from)
			}
		}
		if len(m) == 0 {
			return 0
		}
		return m.percentile(99)
	}
	calm := p99(before, withLog, nil)
	in, beside := p99(during, withLog, standstills), p99(during, withoutLog, standstills)
	t.Logf("p99: %v before; in trouble %v with the log, %v without; the machine stood still %d times", calm, in, beside, len(standstills))
	// By as much as the gateway without a log became slower the machine did, and by as
	// much the two may differ.
	allowed := max(slowed(allowedDelay), beside-p99(before, withoutLog, nil))
	if late := min(in-calm, in-beside); late > allowed {
		t.Errorf("the trouble of the log adds %v at p99, want %v at most", late, allowed)
	}
}

// logStats is how the request log is.
func logStats(t *testing.T) logging.Stats {
	t.Helper()
	var answer databaseAnswer
	if err := json.Unmarshal([]byte(admin(t, http.MethodGet, "/llm_proxy/db", "").want(t, 200).body), &answer); err != nil {
		t.Fatal(err)
	}
	return *answer.Log
}

// lockedFile is set in the process that locks a database: where that is.
const lockedFile = "DATABASE_LOCKED_BY_THE_TESTS"

// TestMainOfALocker is no test: it holds the write lock of a database for as long as
// its input is open.
func TestMainOfALocker(t *testing.T) {
	if os.Getenv(lockedFile) == "" {
		return
	}
	lockDatabase(t, os.Getenv(lockedFile))
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// lockFromOutside locks a database by another process, until the returned function
// is called.
func lockFromOutside(t *testing.T, file string) (unlock func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestMainOfALocker$")
	cmd.Env = append(os.Environ(), lockedFile+"="+file)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "locked") {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	return func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// integrity wants a database to be sound and returns the ids of its requests.
func integrity(t *testing.T, file string) map[string]bool {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity of %s: %q, %v", filepath.Base(file), verdict, err)
	}
	ids := make(map[string]bool)
	found, err := db.Query("SELECT id FROM requests")
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
		var id string
		if err := found.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids[id] = true
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}
