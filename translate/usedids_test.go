package translate

import (
	"fmt"
	"testing"
)

func TestIDsAreNotUsedAgainInALaterTurn(t *testing.T) {
	c := asked(Chat)
	c.BeginTurn(Assistant, 0, false)
	for _, id := range []string{"call_0", "functions.f:0", "signed__sig_cy89"} {
		c.Add(Block{Kind: KindToolCall, ID: Text(id), Name: Text("f")})
	}
	remembered := c.Asked()
	remembered.Nonce = "N"
	c.Reset(Chat) // what the request said is gone before the answer comes
	for _, tc := range []struct{ id, want string }{
		{"call_0", "call_N0"},
		{"functions.f:0", "call_N0"},
		{"signed", "call_N0"},
		{"call_1", "call_1"},
	} {
		a := traced(remembered)
		a.Open(0, call(tc.id, "f"))
		if got, want := said(a), "start  0; open 0 call "+tc.want+" f"; got != want {
			t.Errorf("an answer with the id %s says %q, want %q", tc.id, got, want)
		}
	}
}

func TestTheLastIDsAreRemembered(t *testing.T) {
	c := asked(Chat)
	c.BeginTurn(Assistant, 0, false)
	for i := range 2 * maxUsedIDs {
		c.Add(Block{Kind: KindToolCall, ID: Text(fmt.Sprint(i))})
	}
	used := c.usedIDs()
	if len(used) != maxUsedIDs || !used.has(Text(fmt.Sprint(2*maxUsedIDs-1))) || used.has(Text("0")) {
		t.Errorf("%d ids are remembered, want the last %d", len(used), maxUsedIDs)
	}
}
