package translate

import (
	"strconv"
	"strings"
	"testing"
)

func TestLossesAreListedOnce(t *testing.T) {
	var l Losses
	l.Add("seed", Dropped, "a")
	l.Add("temperature", Clamped, "b")
	l.Add("seed", Dropped, "c")
	l.Add("temperature", Changed, "d")
	const want = "param=seed;action=dropped, param=temperature;action=clamped, param=temperature;action=changed"
	if got := string(l.AppendHeader(nil)); got != want || l[0].Reason != "a" {
		t.Errorf("AppendHeader = %q, want %q", got, want)
	}
}

func TestLossesFitIntoAHeaderWhateverTheClientSends(t *testing.T) {
	for _, size := range []int{1, 10, 11, 12, 13, 30, 31, 1000} {
		for n := 1; n < 100; n++ {
			var l Losses
			for i := range n {
				l.Add(strconv.Itoa(i)+"\r\n,;=\"é"+strings.Repeat("y", size), Dropped, "")
			}
			header, ok := strings.CutPrefix(string(l.AppendHeader([]byte("before"))), "before")
			if !ok || len(header) > maxLossHeader || strings.ContainsFunc(header, func(r rune) bool { return r < ' ' || r > '~' || r == '"' }) {
				t.Fatalf("%d losses of size %d: header of %d bytes: %.100q", n, size, len(header), header)
			}
			told := strings.Split(header, ", ")
			for _, loss := range told {
				if strings.Count(loss, "=") != 2 || strings.Count(loss, ";") != 1 {
					t.Fatalf("the header tells %q, want one param and one action", loss)
				}
			}
			listed := len(told)
			more := told[listed-1] == "param=more;action=dropped"
			if more {
				listed--
			}
			if more != (listed < n) || strings.Count(header, "=more;") > 1 {
				t.Fatalf("of %d losses of size %d %d are listed, the last is %q", n, size, listed, told[len(told)-1])
			}
		}
	}
}

func TestLossesAreToldInTheClientsWords(t *testing.T) {
	for p, want := range map[Protocol]string{
		Chat:      "max_completion_tokens messages[3] messages[3].content[0]",
		Responses: "max_output_tokens input[3] input[3].content[0]",
		Messages:  "max_tokens messages[3] messages[3].content[0]",
	} {
		c := Conversation{Protocol: p}
		if got := c.Param(SettingMaxTokens) + " " + c.At(3, -1) + " " + c.At(3, 0); got != want {
			t.Errorf("%s says %q, want %q", p, got, want)
		}
		for s := SettingMaxTokens; s <= SettingSystem; s++ {
			if c.Param(s) == "" {
				t.Errorf("%s has no name for setting %d", p, s)
			}
		}
	}
}

func TestRefusalsNameTheParam(t *testing.T) {
	e := Refuse("messages[1]", "is not good")
	if e.Status != 400 || e.Param != "messages[1]" || !strings.Contains(e.Message, "messages[1]: is not good") {
		t.Errorf("Refuse = %+v", e)
	}
}
