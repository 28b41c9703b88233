package translate

import "testing"

func TestABrokenAnswerSaysNothingMoreUntilItFails(t *testing.T) {
	fault, later := &Error{Status: 502, Message: "nonsense"}, &Error{Status: 502, Message: "more nonsense"}
	for _, tc := range []struct {
		name string
		ends func(a *Assembler)
		want string
	}{
		{"failed", func(a *Assembler) { a.Fail(&Error{Message: "gone"}) }, "failed gone"},
		{"ended", func(a *Assembler) { a.End(Usage{Output: 1}, true) }, "failed nonsense"},
	} {
		a := traced(&Asked{})
		a.Open(0, Head{Kind: KindText})
		a.Delta(0, Text("x"))
		a.Open(1, call("1", ""))
		if e := a.Broken(); e != nil {
			t.Errorf("%s: Broken = %v before it is", tc.name, e)
		}
		a.Break(fault)
		a.Break(later)
		a.Delta(0, Text("y"))
		a.Close(0)
		a.Rename(1, nil, Text("f"))
		a.Open(2, Head{Kind: KindThinking})
		a.Cite(0, Citation{URL: Text("u")})
		if got, want := said(a), "start  0; open 0 text; delta 0 x"; got != want || a.Broken() != fault {
			t.Errorf("%s: said %q, Broken = %v, want %q and the first fault", tc.name, got, a.Broken(), want)
		}
		tc.ends(a)
		tc.ends(a)
		if got := said(a); got != tc.want {
			t.Errorf("%s: ends with %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestAnAnswerThatIsOverCannotBreak(t *testing.T) {
	a := traced(&Asked{})
	a.End(Usage{}, false)
	a.Break(&Error{Message: "late"})
	if e := a.Broken(); e != nil {
		t.Errorf("Broken = %v, want nil", e)
	}
}

func TestAnAnswerHasOnlySoManyBlocks(t *testing.T) {
	for name, closes := range map[string]bool{"one behind the other": true, "at once": false} {
		a := NewAssembler(&Asked{}, silent{})
		for i := range maxBlocks {
			a.Open(i, call("", "f"))
			if closes {
				a.Close(i)
			}
		}
		if e := a.Broken(); e != nil || !a.Room(maxBlocks-1) {
			t.Fatalf("%s: Broken = %v with %d blocks, want nil", name, e, maxBlocks)
		}
		a.Open(maxBlocks, call("", "f"))
		if e := a.Broken(); e == nil || e.Status != 502 || a.Room(0) {
			t.Errorf("%s: Broken = %v with one more, want a 502", name, e)
		}
	}
}
