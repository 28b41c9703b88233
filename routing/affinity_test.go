package routing

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestAffinityRemembersAsManyConversationsAsItSays(t *testing.T) {
	const most = affinityShards * affinitySize
	var a Affinity
	now := time.Now()
	for i := range 2 * most {
		q := Request{Model: "m", Header: http.Header{"Session-Id": {fmt.Sprint(i)}}}
		id, _ := q.conversation()
		a.keep(id, place{provider: "p", at: now})
	}
	known := 0
	for i := range a.shards {
		known += len(a.shards[i].places)
	}
	if known > most || known < most*99/100 {
		t.Errorf("conversations remembered = %d of %d, want all but a few of %d", known, 2*most, most)
	}
}

func TestAConversationIsForgottenAnHourAfterItsLastRequest(t *testing.T) {
	var a Affinity
	now := time.Now()
	a.keep(7, place{provider: "p", at: now})
	for _, tc := range []struct {
		after time.Duration
		known bool
	}{{0, true}, {affinityTTL - 1, true}, {affinityTTL, false}} {
		if _, known := a.find(7, now.Add(tc.after)); known != tc.known {
			t.Errorf("find after %v = %v, want %v", tc.after, known, tc.known)
		}
	}
}
