package caddymodule

import (
	"fmt"
	"strings"
	"testing"
)

// RELIABILITY B5: a file that is being written while configurations are loaded is
// taken whole or not at all.
func TestB5APartialWriteIsNeverTaken(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/old", "p/older")},
	})
	text := model("m", "", "p/new", "p/newer")
	taken := 0
	for end := 0; end <= len(text); end += 5 {
		g.write("models", "m", text[:min(end, len(text))])
		if err := g.reload(); err == nil {
			taken++
		} else if !strings.Contains(err.Error(), "models/m.json:1: ") {
			t.Errorf("with %d of %d bytes: %v, want the file and the line", end, len(text), err)
		}
		g.post(chatPath, chatRequest).want(t, 200)
	}
	g.write("models", "m", text)
	g.wantReload(t, "")
	g.post(chatPath, chatRequest).want(t, 200)
	for _, c := range up.all()[:len(up.all())-1] {
		if taken == 0 && !strings.Contains(c.body, `"model":"old"`) {
			t.Errorf("with a part of the file: %s, want the old configuration", c.body)
		}
	}
	if last := up.all()[len(up.all())-1]; taken > 1 || !strings.Contains(last.body, `"model":"new"`) {
		t.Errorf("%d parts of the file were taken; with the whole: %s, want the new configuration", taken, last.body)
	}
}

// RELIABILITY B5: so do rests, see TestB5CooldownsSurviveAReload.
func TestB5BreakersAndAffinitySurviveAReload(t *testing.T) {
	a := serve(t, answers(500, brokenBody))
	b := serve(t, answers(200, chatAnswer))
	t.Setenv("A_API_KEY", "a-key")
	for i := range 3 {
		t.Setenv(fmt.Sprintf("B_API_KEY_%d", i+1), fmt.Sprintf("b-%d", i+1))
	}
	g := start(t, setup{
		providers: map[string]string{"a": provider("a", a.url, ""), "b": provider("b", b.url, "")},
		models:    map[string]string{"m": model("m", "", "a/up", "b/up")},
		directive: "max_attempts 5",
	})
	for range 3 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	session := request{path: chatPath, body: chatRequest, header: map[string]string{"Session-Id": "one"}}
	g.do(session).want(t, 200)
	kept := b.keysUsed()[3]
	for _, change := range []func(){
		func() {},
		func() { g.config = strings.Replace(g.config, "max_attempts 5", "max_attempts 6", 1) },
		func() { g.write("models", "m", model("m", `"display_name": "M",`, "a/up", "b/up")) },
	} {
		change()
		g.wantReload(t, "")
		a.reset()
		b.reset()
		g.post(chatPath, chatRequest).want(t, 200)
		g.do(session).want(t, 200)
		if n := len(a.all()); n != 0 {
			t.Errorf("calls to the provider whose breaker is open = %d, want 0", n)
		}
		if used := b.keysUsed()[1]; used != kept {
			t.Errorf("the conversation goes on with key %s, want %s", used, kept)
		}
	}
}
