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
	var l Losses
	for i := range 10_000 {
		l.Add("x\r\n,;\"é"+strings.Repeat("y", 1000)+strconv.Itoa(i), Dropped, "")
		l.Add("x"+strconv.Itoa(i), Dropped, "")
	}
	header := string(l.AppendHeader(nil))
	if len(l) > maxLosses || len(header) > 16<<10 || strings.ContainsFunc(header, func(r rune) bool { return r < ' ' || r > '~' || r == '"' }) {
		t.Errorf("%d losses, header of %d bytes: %.100q", len(l), len(header), header)
	}
	if !strings.HasSuffix(header, "param=more;action=dropped") {
		t.Errorf("header ends with %q, want that there are more", header[len(header)-50:])
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
