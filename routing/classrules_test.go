package routing

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// decidedBy is the rule that decides the class of an error answer, the number of
// rules where none does.
func decidedBy(status int, e translate.Error) int {
	for i, rule := range classRules {
		if rule.at.contain(status) && rule.fits(&e) {
			return i
		}
	}
	return len(classRules)
}

// A rule that another one hides, or a word in capitals, would be a promise of the
// README that nothing keeps.
func TestEveryRuleAndEveryWordOfItDecidesSomething(t *testing.T) {
	decides := func(i int, e translate.Error) bool {
		for _, span := range classRules[i].at {
			for status := span[0]; status <= span[1]; status++ {
				if decidedBy(status, e) == i {
					if got := Classify(status, e); got != classRules[i].class && status >= 300 {
						t.Errorf("Classify(%d, %+v) = %s, want %s of rule %d", status, e, got, classRules[i].class, i)
					}
					return true
				}
			}
		}
		return false
	}
	seen := make(map[Class]bool)
	for i, rule := range classRules {
		seen[rule.class] = true
		var errors []translate.Error
		for _, word := range rule.words {
			errors = append(errors, translate.Error{Code: word}, translate.Error{Type: word})
		}
		for _, phrase := range rule.phrases {
			errors = append(errors, translate.Error{Message: "it says: " + phrase + "."})
		}
		switch {
		case rule.answer:
			errors = append(errors, translate.Error{Message: "max_tokens is too large: 9. This model supports at most 8"})
		case errors == nil:
			errors = append(errors, translate.Error{})
		}
		for _, e := range errors {
			if !decides(i, e) {
				t.Errorf("rule %d (%s) never decides about %+v", i, rule.class, e)
			}
		}
		for _, text := range slices.Concat(rule.words, rule.phrases) {
			if text != strings.ToLower(text) || text != strings.TrimSpace(text) || text == "" {
				t.Errorf("rule %d has %q, want lower case without spaces around it", i, text)
			}
		}
	}
	for _, class := range []Class{InvalidRequest, ContextTooLong, ContentPolicy, KeyDead, RateLimited, ModelUnknown, Broken} {
		if !seen[class] {
			t.Errorf("no rule leads to %s", class)
		}
	}
}

func TestAPageIsKnownByTheWordsOfTheErrorReader(t *testing.T) {
	for _, page := range []string{"<html></html>", "<!DOCTYPE html><title>403 Forbidden</title>"} {
		if e, ok := translate.ParseError([]byte(page)); ok || !strings.HasPrefix(e.Message, webPage) {
			t.Errorf("ParseError(%q) = %q, want it to begin with %q", page, e.Message, webPage)
		}
	}
}

// classTable is the table of the README.
func classTable() string {
	var b strings.Builder
	b.WriteString("| status | code or type is | or the message has | class |\n|---|---|---|---|\n")
	quoted := func(texts []string) string {
		var quoted []string
		for _, text := range texts {
			fence := "`"
			if strings.Contains(text, fence) {
				fence = "``"
			}
			quoted = append(quoted, fence+text+fence)
		}
		return strings.Join(quoted, ", ")
	}
	for _, rule := range classRules {
		var at []string
		for _, span := range rule.at {
			switch {
			case span[0] == 0:
				at = append(at, "below "+strconv.Itoa(span[1]+1))
			case span[0] == span[1]:
				at = append(at, strconv.Itoa(span[0]))
			default:
				at = append(at, fmt.Sprintf("%d-%d", span[0], span[1]))
			}
		}
		phrases := quoted(rule.phrases)
		if rule.answer {
			phrases = "that `max_tokens` is too large"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | `%s` |\n", strings.Join(at, ", "), quoted(rule.words), phrases, rule.class)
	}
	fmt.Fprintf(&b, "| any other | | | `%s` |\n", Broken)
	return b.String()
}

func TestTheREADMEShowsTheRulesThatDecide(t *testing.T) {
	const path, from, to = "../README.md", "<!-- class rules -->\n", "<!-- end of class rules -->\n"
	readme, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(readme), from)
	shown, after, ended := strings.Cut(rest, to)
	if !found || !ended {
		t.Fatalf("README has no %q and %q", from, to)
	}
	want := "\n" + classTable() + "\n"
	if *updateConfigGolden {
		if err := os.WriteFile(path, []byte(before+from+want+to+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if shown != want {
		t.Errorf("README shows other rules; run with -update-config and look at the difference. Want:%s", want)
	}
}
