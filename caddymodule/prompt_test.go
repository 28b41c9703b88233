package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a person types at a terminal.
const (
	enter = "\r"
	down  = "\x1b[B"
	ctrlC = "\x03"
)

var threeChoices = []choice{{"a", "first"}, {"b", "second"}, {"c", "third"}}

func TestFormsTakeWhatIsTyped(t *testing.T) {
	for _, tc := range []struct {
		name, typed string
		ask         func(prompter) (any, error)
		want        any
	}{
		{"what is marked", enter, func(p prompter) (any, error) {
			some, err := p.pickSome("title", threeChoices, []string{"b"}, func([]string) error { return nil })
			return strings.Join(some, " "), err
		}, "b"},
		{"one more", down + "x" + enter, func(p prompter) (any, error) {
			some, err := p.pickSome("title", threeChoices, []string{"b"}, func([]string) error { return nil })
			return strings.Join(some, " "), err
		}, "b c"},
		{"the one that is marked", enter, func(p prompter) (any, error) { return p.pickOne("title", threeChoices, "b") }, "b"},
		{"the next one", down + enter, func(p prompter) (any, error) { return p.pickOne("title", threeChoices, "b") }, "c"},
		{"a text", "llm.db" + enter, func(p prompter) (any, error) { return p.ask("title", "", false, noCheck) }, "llm.db"},
		{"a preset", enter, func(p prompter) (any, error) { return p.ask("title", "9876", false, noCheck) }, "9876"},
		{"a secret", canaries[0] + enter, func(p prompter) (any, error) { return p.ask("title", "", true, noCheck) }, canaries[0]},
		{"yes", enter, func(p prompter) (any, error) { return p.confirm("title", true) }, true},
		{"no", "n", func(p prompter) (any, error) { return p.confirm("title", true) }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var shown bytes.Buffer
			got, err := tc.ask(&forms{ctx: ctx, in: strings.NewReader(tc.typed), out: &shown})
			if err != nil || got != tc.want {
				t.Errorf("%q is taken for %v, %v; want %v", tc.typed, got, err, tc.want)
			}
			if strings.Contains(shown.String(), "canary") {
				t.Error("a secret is shown")
			}
			_, err = tc.ask(&forms{ctx: ctx, in: strings.NewReader(ctrlC), out: &shown})
			if !errors.Is(err, errCancelled) {
				t.Errorf("Ctrl+C gives %v, want errCancelled", err)
			}
		})
	}
}

func noCheck(string) error { return nil }

func TestLinesAskAgainUntilTheAnswerIsGood(t *testing.T) {
	var shown bytes.Buffer
	script := "4\nc, fourth\n1,c\nmaybe\nYES\n0\nsecond\nno\nyes\n"
	l := newLines(t.Context(), strings.NewReader(script), &shown)
	some, err := l.pickSome("title", threeChoices, nil, func(some []string) error { return nil })
	if err != nil || !slices.Equal(some, []string{"a", "c"}) {
		t.Errorf("pickSome = %q, %v", some, err)
	}
	yes, err := l.confirm("title", false)
	if err != nil || !yes {
		t.Errorf("confirm = %v, %v", yes, err)
	}
	one, err := l.pickOne("title", threeChoices, "a")
	if err != nil || one != "b" {
		t.Errorf("pickOne = %q, %v", one, err)
	}
	text, err := l.ask("title", "", true, func(text string) error {
		if text != "yes" {
			return errors.New("no")
		}
		return nil
	})
	if err != nil || text != "yes" {
		t.Errorf("ask = %q, %v", text, err)
	}
	if _, err := l.confirm("title", true); !errors.Is(err, errCancelled) {
		t.Errorf("the end of the input gives %v, want errCancelled", err)
	}
	for _, want := range []string{`there is no choice "4"; write numbers from 1 to 3`, `there is no choice "fourth"`, "write yes or no"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("shown is\n%s\nwant %q in it", shown.String(), want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newLines(ctx, strings.NewReader("y\n"), &shown).confirm("title", true); !errors.Is(err, errCancelled) {
		t.Errorf("a signal gives %v, want errCancelled", err)
	}
}
