package logging

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/postgrestest"
)

// victimPath is set in the process that is to be killed: where its log is.
const victimPath = "LOGGING_TEST_VICTIM"

func TestMain(m *testing.M) {
	if path := os.Getenv(victimPath); path != "" {
		victim(path)
		return
	}
	os.Exit(postgrestest.Run(m))
}

// victim adds records without end and tells after each flush up to which number
// they are stored.
func victim(path string) {
	l, err := Open(Options{Path: path, FreeSpace: roomy})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	first, err := strconv.Atoi(os.Getenv(victimPath + "_FIRST"))
	if err != nil {
		fmt.Println("first:", err)
		os.Exit(1)
	}
	fmt.Println("unclean", l.Stats().UncleanEnd)
	ctx, out := context.Background(), bufio.NewWriter(os.Stdout)
	for n := first; ; n += 50 {
		for i := n; i < n+50; i++ {
			r := full()
			r.ID = fmt.Sprintf("id-%09d", i)
			l.Add(r)
		}
		if err := l.Flush(ctx); err != nil {
			fmt.Println("flush:", err)
			os.Exit(1)
		}
		fmt.Fprintln(out, "stored", n+50)
		_ = out.Flush()
	}
}

func TestB6KilledProcessLosesNoStoredRow(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Skip("cannot run this test as a process of its own:", err)
	}
	path := filepath.Join(t.TempDir(), "llm.db")
	stored := 0
	for kill := range 20 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), victimPath+"="+path, fmt.Sprintf("%s_FIRST=%d", victimPath, stored+1_000_000*kill))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		batches := 0
		for lines.Scan() {
			word, value, _ := strings.Cut(lines.Text(), " ")
			switch word {
			case "unclean":
				if want := fmt.Sprint(kill > 0); value != want {
					t.Errorf("kill %d: an unclean end before: %s, want %s", kill, value, want)
				}
			case "stored":
				if batches++; batches == 3+2*kill {
					// In the middle of another batch, or between two.
					if err := cmd.Process.Kill(); err != nil {
						t.Fatal(err)
					}
				}
			default:
				t.Fatalf("kill %d: the process says %q", kill, lines.Text())
			}
		}
		_ = cmd.Wait() // it was killed
		stored += 50 * batches
	}
	begin := time.Now()
	l := open(t, Options{Path: path})
	if took := time.Since(begin); took > time.Second {
		t.Errorf("opening took %v, want 1s at most", took)
	}
	if !l.Stats().UncleanEnd {
		t.Error("the unclean end is not told")
	}
	totals, err := l.Totals(deadline(t), time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	// The last batch of each may be stored without having been told.
	if totals.Requests < int64(stored) || totals.Requests > int64(stored)+20*50 {
		t.Errorf("%d requests are there, want those %d that were told, and 1000 more at most", totals.Requests, stored)
	}
	closeLog(t, l)
	if rows := wantIntegrity(t, path); rows%50 != 0 {
		t.Errorf("%d requests: a batch is there in part", rows)
	}
	db := other(t, path)
	for _, tc := range []struct {
		table string
		each  int
	}{{"attempts", 2}, {"skips", 1}} {
		var n int
		if err := db.Get(&n, "SELECT COUNT(*) FROM "+tc.table); err != nil || n != tc.each*int(totals.Requests) {
			t.Errorf("%d %s (%v), want %d for each of %d requests", n, tc.table, err, tc.each, totals.Requests)
		}
	}
	t.Logf("20 kills, %d requests told as stored, %d there", stored, totals.Requests)
}
