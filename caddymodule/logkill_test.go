package caddymodule

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

var logKills = flag.Int("kills", 3, "how many times a gateway that keeps a request log is killed")

const childAdmin = "localhost:2998"

// requests are those that the child's administration tells, and thereby stores.
func (c *child) requests() (answer requestsAnswer, err error) {
	got, err := http.Get("http://" + childAdmin + "/llm_proxy/requests?limit=1000")
	if err != nil {
		return answer, err
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		return answer, fmt.Errorf("status %d", got.StatusCode)
	}
	return answer, json.NewDecoder(got.Body).Decode(&answer)
}

// siege is requests, several at a time, until the child is gone.
type siege struct {
	senders  sync.WaitGroup
	answered atomic.Int64
}

// besiege begins to send.
func (c *child) besiege() *siege {
	s := new(siege)
	for range 8 {
		s.senders.Go(func() {
			for {
				got, err := c.open(c.t.Context(), request{path: chatPath, body: chatRequest})
				if err != nil {
					return
				}
				got.Body.Close()
				s.answered.Add(1)
			}
		})
	}
	return s
}

// RELIABILITY B6: kill -9 under load takes no row that was stored, leaves the
// database sound, and the next process serves and logs.
func TestB6Kill9UnderLoadTakesNoStoredRow(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	dir := t.TempDir()
	file := filepath.Join(dir, "requests.db")
	stored := make(map[string]bool)
	answered, rows := 0, 0
	for kill := range *logKills {
		c := spawn(t, dir, up.url, "admin "+childAdmin, "log sqlite "+file)
		load := c.besiege()
		for asked := 0; asked < 3+kill%5; asked++ {
			answer, err := c.requests()
			if err != nil {
				t.Fatal(err)
			}
			if unclean := answer.Log.UncleanEnd; unclean != (kill > 0) || !answer.Log.Healthy {
				t.Errorf("process %d: an unclean end before: %v, log %+v", kill, unclean, answer.Log)
			}
			for _, row := range answer.Requests {
				stored[row.ID] = true
			}
		}
		// In the middle of a batch, or between two.
		last := load.answered.Load() + int64(kill*37)
		comesTrue(t, "the load has stopped", func() bool { return load.answered.Load() >= last })
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		c.wait()
		load.senders.Wait()
		answered += int(load.answered.Load())
		client.CloseIdleConnections()
		http.DefaultClient.CloseIdleConnections()
		there := integrity(t, file)
		for id := range stored {
			if !there[id] {
				t.Errorf("after kill %d row %s is gone", kill+1, id)
			}
		}
		rows = len(there)
	}
	t.Logf("%d kills: %d requests answered, %d rows there, among them all %d that had been seen", *logKills, answered, rows, len(stored))
	if len(stored) == 0 || len(stored) > rows || rows > answered+8**logKills {
		t.Errorf("%d rows seen, %d there, %d requests answered", len(stored), rows, answered)
	}

	c := spawn(t, dir, up.url, "admin "+childAdmin, "log sqlite "+file)
	id := c.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	if answer, err := c.requests(); err != nil || len(answer.Requests) == 0 || answer.Requests[0].ID != id || !answer.Log.Healthy {
		t.Errorf("the last process logs %+v, %v; want request %s first", answer.Log, err, id)
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	client.CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
	if exit := c.wait(); exit != 0 {
		t.Errorf("exit code %d, want 0", exit)
	}
	if there := integrity(t, file); len(there) != rows+1 {
		t.Errorf("%d rows at the end, want %d", len(there), rows+1)
	}
}
