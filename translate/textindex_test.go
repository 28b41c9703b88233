package translate

import (
	"strconv"
	"testing"
)

func TestTextsAreFoundWithTheFirstNumberThatTheyGot(t *testing.T) {
	var x TextIndex
	if got := x.Find(Text("a")); got != -1 {
		t.Errorf("Find in an empty index = %d, want -1", got)
	}
	for range 2 { // the memory is used again
		for i := range 1000 {
			text := Text(strconv.Itoa(i))
			if got := x.Find(text); got != -1 {
				t.Fatalf("Find(%q) before it was added = %d, want -1", text, got)
			}
			if got := x.Add(text, i+7); got != i+7 {
				t.Fatalf("Add(%q) = %d, want %d", text, got, i+7)
			}
		}
		for i := range 1000 {
			text := Text(strconv.Itoa(i))
			if found, added := x.Find(text), x.Add(text, 0); found != i+7 || added != i+7 {
				t.Fatalf("%q is found as %d and added as %d, want %d", text, found, added, i+7)
			}
		}
		if x.Len() != 1000 {
			t.Errorf("Len = %d, want 1000", x.Len())
		}
		x.Reset()
		if x.Len() != 0 || x.Find(Text("1")) != -1 {
			t.Error("texts are left after Reset")
		}
	}
}

func TestAnEmptyTextIsAText(t *testing.T) {
	var x TextIndex
	x.Add(nil, 3)
	if got := x.Find(Text("")); got != 3 {
		t.Errorf("Find of the empty text = %d, want 3", got)
	}
}
