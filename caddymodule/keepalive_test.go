package caddymodule

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func TestSilenceIsFilledWithPings(t *testing.T) {
	for p, ping := range map[translate.Protocol]string{
		translate.Chat:      ": ping\n\n",
		translate.Responses: ": ping\n\n",
		translate.Messages:  "event: ping\ndata: {\"type\": \"ping\"}\n\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := httptest.NewRecorder()
			events := newEventWriter(w)
			events.pings(p, nil)
			wait := func(d time.Duration, want string) {
				t.Helper()
				time.Sleep(d)
				synctest.Wait()
				events.mu.Lock()
				got := w.Body.String()
				events.mu.Unlock()
				if got != want {
					t.Errorf("%s: written %q, want %q", p, got, want)
				}
			}
			wait(14*time.Second, "")
			if err := events.write([]byte("one|")); err != nil {
				t.Fatal(err)
			}
			wait(14*time.Second, "one|")
			wait(2*time.Second, "one|"+ping)
			wait(30*time.Second, "one|"+strings.Repeat(ping, 3))
			events.close()
			wait(time.Minute, "one|"+strings.Repeat(ping, 3))
		})
	}
}

func TestAStreamInTheClientsProtocolGetsNoPingsFromHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		events := newEventWriter(w)
		if err := events.write([]byte("one")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		events.close()
		if got := w.Body.String(); got != "one" {
			t.Errorf("written %q", got)
		}
	})
}

// panicking is a response writer of somebody else's.
type panicking struct{ *httptest.ResponseRecorder }

// Write implements http.ResponseWriter.
func (panicking) Write([]byte) (int, error) { panic("out of order") }

func TestAPanicInAPingTakesNothingAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := newEventWriter(panicking{httptest.NewRecorder()})
		faults := 0
		events.pings(translate.Messages, func(any) { faults++ })
		time.Sleep(time.Hour)
		synctest.Wait()
		if events.close(); faults != 1 {
			t.Errorf("%d panics were told, want 1 and no ping after it", faults)
		}
	})
}
