package translate

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// paired is a conversation of calls ("+a") and results ("-a"), each of which is a
// turn.
func paired(blocks string) *Conversation {
	c := new(Conversation)
	c.Reset(Chat)
	for i, b := range strings.Fields(blocks) {
		id := Text(b[1:])
		if b[0] == '+' {
			c.BeginTurn(Assistant, i, false)
			c.Add(Block{Kind: KindToolCall, ID: id, Name: Text("n" + strconv.Itoa(i)), Custom: i == 0})
		} else {
			c.BeginTurn(User, i, false)
			c.Add(Block{Kind: KindToolResult, ID: id})
		}
	}
	return c
}

func TestEachResultIsPairedWithTheFirstOpenCallOfItsID(t *testing.T) {
	for _, tc := range []struct{ blocks, want string }{
		{"", "[]"},
		{"+a -a", "[1 0]"},
		{"+a +b -b -a", "[3 2 1 0]"},
		{"+a -a +a -a", "[1 0 3 2]"},
		{"+a +a -a -a", "[2 3 0 1]"},
		{"+a +b +a -a -b -a +a -a", "[3 4 5 0 1 2 7 6]"},
	} {
		c := paired(tc.blocks)
		for range 2 { // the memory is used again
			if e := c.Pair(); e != nil {
				t.Fatalf("Pair of %q = %v, want no error", tc.blocks, e)
			}
		}
		partners := []int{}
		for i := range c.Blocks {
			partners = append(partners, c.Partner(i))
		}
		if got := fmt.Sprint(partners); got != tc.want {
			t.Errorf("partners of %q = %s, want %s", tc.blocks, got, tc.want)
		}
	}
}

func TestCallsWithoutAnIDGetTheirOwn(t *testing.T) {
	c := paired("+ +a - + -a -")
	if e := c.Pair(); e != nil {
		t.Fatal(e)
	}
	var ids []string
	for i := range c.Blocks {
		ids = append(ids, string(c.Blocks[i].ID))
	}
	if got, want := strings.Join(ids, " "), "call_n0 a call_n0 call_n3 a call_n3"; got != want {
		t.Errorf("ids = %s, want %s", got, want)
	}
}

func TestCallsOfOneIDAreCounted(t *testing.T) {
	c := paired("+a +b +a -a -b -a +a -a")
	if e := c.Pair(); e != nil {
		t.Fatal(e)
	}
	repeats := []int{}
	for i := range c.Blocks {
		repeats = append(repeats, c.Repeats(i))
	}
	if got, want := fmt.Sprint(repeats), "[0 0 1 0 0 1 2 2]"; got != want {
		t.Errorf("the calls repeat %s, want %s", got, want)
	}
}

func TestResultLearnsWhatItsCallWas(t *testing.T) {
	c := paired("+a +b -b -a")
	if e := c.Pair(); e != nil {
		t.Fatal(e)
	}
	for i, want := range map[int]string{2: "n1 false", 3: "n0 true"} {
		if got := fmt.Sprintf("%s %v", c.Blocks[i].Name, c.Blocks[i].Custom); got != want {
			t.Errorf("result %d is of %s, want %s", i, got, want)
		}
	}
}

func TestCallsAndResultsWithoutAPartnerAreRefusedByMessage(t *testing.T) {
	for _, tc := range []struct{ blocks, param string }{
		{"-a", "messages[0]"},
		{"+a -a -a", "messages[2]"},
		{"+a -b", "messages[1]"},
		{"+a +b -a", "messages[1]"},
	} {
		if e := paired(tc.blocks).Pair(); e == nil || e.Param != tc.param {
			t.Errorf("Pair of %q = %v, want an error about %s", tc.blocks, e, tc.param)
		}
	}
}

// BenchmarkPair measures hostile ids: all the same, so that each result has as
// many calls to choose from as there are.
func BenchmarkPair(b *testing.B) {
	const n = 10_000
	c := paired(strings.Repeat("+a ", n) + strings.Repeat("-a ", n))
	for b.Loop() {
		if e := c.Pair(); e != nil {
			b.Fatal(e)
		}
	}
}
