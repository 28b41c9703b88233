package logging

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// locker holds the write lock of a database until its standard input ends.
func locker(path string) {
	db, err := connect(path, 1, "_txlock=immediate")
	must(err)
	_, err = db.Beginx()
	must(err)
	fmt.Println("locked")
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
}

func TestB6DatabaseLockedFor30SecondsByAnotherProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "llm.db")
	l := open(t, Options{Path: path})
	addAll(l, 0, 10)
	flush(t, l)
	cmd := as(t, "locker", rolePath+"="+path)
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
	if said, err := bufio.NewReader(out).ReadString('\n'); said != "locked\n" {
		t.Fatalf("the other process says %q (%v)", said, err)
	}
	// A hundred a second: the queue has room for them.
	const rows = 3010
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var took []time.Duration
	begin := time.Now()
	for n := 10; n < rows; n++ {
		<-tick.C
		before := time.Now()
		l.Add(record(n))
		took = append(took, time.Since(before))
		if n == rows/2 {
			wantRows(t, l, 10) // who reads is not locked out
		}
	}
	held := time.Since(begin)
	wantQuick(t, took)
	s := l.Stats()
	if s.Healthy || s.Queued != rows-10 || s.Dropped.Total() != 0 {
		t.Errorf("stats %+v, want unhealthy, %d queued, none dropped", s, rows-10)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	flush(t, l)
	wantRows(t, l, rows)
	if s := l.Stats(); !s.Healthy || s.Written != rows || s.Dropped.Total() != 0 {
		t.Errorf("stats %+v, want all %d written", s, rows)
	}
	t.Logf("locked for %v; the slowest of %d records took %v to add", held, rows-10, took[len(took)-1])
}
