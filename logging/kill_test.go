package logging

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/postgrestest"
)

// The other processes of these tests are this binary: role says what they do.
const (
	role      = "LOGGING_TEST_ROLE"
	rolePath  = "LOGGING_TEST_PATH"
	roleDSN   = "LOGGING_TEST_DSN"
	roleFirst = "LOGGING_TEST_FIRST"
)

func TestMain(m *testing.M) {
	path := os.Getenv(rolePath)
	switch os.Getenv(role) {
	case "victim":
		victim(Options{Path: path})
	case "victim on a server":
		victim(Options{DSN: os.Getenv(roleDSN), Spill: path})
	case "locker":
		locker(path)
	case "writer of a failing disk":
		failingDisk(path)
	default:
		os.Exit(postgrestest.Run(m))
	}
}

// as is this binary in another role.
func as(t testing.TB, what string, environment ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Skip("cannot run this test as a process of its own:", err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), role+"="+what), environment...)
	cmd.Stderr = os.Stderr
	return cmd
}

// must ends a process that cannot play its role.
func must(err error) {
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

// victim adds records as fast as they are written, and tells after each flush how
// many are stored.
func victim(o Options) {
	o.FreeSpace = roomy
	l, err := Open(o)
	must(err)
	var first int
	_, err = fmt.Sscan(os.Getenv(roleFirst), &first)
	must(err)
	fmt.Println("unclean", l.Stats().UncleanEnd)
	added := make(chan int)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		for n := 0; ; <-tick.C {
			for l.queue.len() < many(2*batchRows) { // so that none is dropped
				r := full()
				r.ID = fmt.Sprintf("id-%09d", first+n)
				l.Add(r)
				n++
			}
			select {
			case added <- n:
			default:
			}
		}
	}()
	for n := range added {
		must(l.Flush(context.Background()))
		fmt.Println("stored", n)
	}
}

// killed runs a victim until it has told so often that records are stored, kills
// it, and returns how many it told last.
func killed(t testing.TB, cmd *exec.Cmd, times int, unclean bool) (stored int) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		word, value, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "unclean":
			if value != fmt.Sprint(unclean) {
				t.Errorf("an unclean end before: %s, want %v", value, unclean)
			}
		case "stored":
			if _, err := fmt.Sscan(value, &stored); err != nil {
				t.Fatal(err)
			}
			if told++; told == times {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		default:
			t.Fatalf("the process says %q", lines.Text())
		}
	}
	_ = cmd.Wait() // it was killed
	return stored
}

// wantStored checks that records that were told to be stored are there, as a whole.
func wantStored(t testing.TB, db *sqlx.DB, first, n int) {
	t.Helper()
	var there int
	if err := db.Get(&there, db.Rebind("SELECT COUNT(*) FROM requests WHERE id >= ? AND id < ?"),
		fmt.Sprintf("id-%09d", first), fmt.Sprintf("id-%09d", first+n)); err != nil || there != n {
		t.Errorf("%d of the requests from %d on are there (%v), want all %d that were told", there, first, err, n)
	}
	for _, tc := range []struct {
		table string
		each  int
	}{{"attempts", 2}, {"skips", 1}} {
		var of int
		if err := db.Get(&of, "SELECT COUNT(*) FROM requests AS r WHERE (SELECT COUNT(*) FROM "+tc.table+" AS p WHERE p.request = r.seq) <> "+fmt.Sprint(tc.each)); err != nil || of != 0 {
			t.Errorf("%d requests have not all %s (%v)", of, tc.table, err)
		}
	}
}

func TestB6KilledProcessLosesNoStoredRow(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "llm.db")
	const kills = 20
	var stored [kills]int
	total := 0
	for kill := range kills {
		cmd := as(t, "victim", rolePath+"="+path, fmt.Sprintf("%s=%d", roleFirst, 1_000_000*kill))
		stored[kill] = killed(t, cmd, 2+kill%4, kill > 0)
		total += stored[kill]
	}
	begin := time.Now()
	l := open(t, Options{Path: path})
	if took := time.Since(begin); took > time.Second {
		t.Errorf("opening took %v, want 1s at most", took)
	}
	if !l.Stats().UncleanEnd {
		t.Error("the unclean end is not told")
	}
	closeLog(t, l)
	rows := wantIntegrity(t, path)
	db := other(t, path)
	for kill, n := range stored {
		wantStored(t, db, 1_000_000*kill, n)
	}
	t.Logf("%d kills, %d requests told as stored, %d there", kills, total, rows)
}

// The same on a server, and, while that is gone, in the spill.
func TestB7KilledProcessLosesNoStoredRow(t *testing.T) {
	t.Parallel()
	machine := postgrestest.Start(t)
	dsn, spill := machine.DSN(t), filepath.Join(t.TempDir(), "spill.db")
	const kills = 6
	var stored [kills]int
	for kill := range kills {
		switch kill {
		case 2:
			machine.Stop(t)
		case 4:
			machine.Launch(t)
		}
		cmd := as(t, "victim on a server", rolePath+"="+spill, roleDSN+"="+dsn, fmt.Sprintf("%s=%d", roleFirst, 1_000_000*kill))
		stored[kill] = killed(t, cmd, 3, kill > 0)
	}
	l := open(t, Options{DSN: dsn, Spill: spill})
	wait(t, "the spill is empty", func() bool { s := l.Stats(); return s.Healthy && s.Spill.Waiting == 0 })
	db := l.engine.(*server).connect(1, queryTimeout, nil)
	defer db.Close()
	for kill, n := range stored {
		wantStored(t, db, 1_000_000*kill, n)
	}
	t.Logf("requests told as stored: %v; %+v", stored, l.Stats().Spill)
}
