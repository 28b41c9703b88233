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

// classList is the list of routing/README.md: one rule a paragraph, since a row of
// a table would be as long as its longest cell.
func classList() string {
	var b strings.Builder
	item := func(n int, text string) {
		const width, indent = 120, "    "
		line := fmt.Sprintf("%2d. ", n)
		for i, word := range strings.Split(text, " ") {
			if i > 0 && len(line)+len(word) >= width {
				b.WriteString(strings.TrimRight(line, " ") + "\n")
				line = indent
			}
			line += strings.ReplaceAll(word, unbroken, " ") + " "
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	for i, rule := range classRules {
		var at, when []string
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
		if rule.answer {
			when = append(when, "the message says that `max_tokens` is too large")
		}
		if len(rule.words) > 0 {
			when = append(when, "code or type is "+quotedList(rule.words))
		}
		if len(rule.phrases) > 0 {
			when = append(when, "the message has "+quotedList(rule.phrases))
		}
		text := "`" + string(rule.class) + "`: " + strings.Join(at, ", ")
		if len(when) > 0 {
			text += ", where " + strings.Join(when, ", or ")
		}
		item(i+1, text)
	}
	item(len(classRules)+1, "`"+string(Broken)+"`: any other")
	return b.String()
}

// unbroken stands for a space at which no line may end.
const unbroken = "\x00"

func quotedList(texts []string) string {
	var quoted []string
	for _, text := range texts {
		fence := "`"
		if strings.Contains(text, fence) {
			fence = "``"
		}
		quoted = append(quoted, fence+strings.ReplaceAll(text, " ", unbroken)+fence)
	}
	return strings.Join(quoted, ", ")
}

func TestTheManualShowsTheRulesThatDecide(t *testing.T) {
	const path, from, to = "README.md", "<!-- class rules -->\n", "<!-- end of class rules -->\n"
	readme, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(readme), from)
	shown, after, ended := strings.Cut(rest, to)
	if !found || !ended {
		t.Fatalf("routing/README.md has no %q and %q", from, to)
	}
	want := "\n" + classList() + "\n"
	if *updateConfigGolden {
		if err := os.WriteFile(path, []byte(before+from+want+to+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if shown != want {
		t.Errorf("routing/README.md shows other rules; run with -update-config and look at the difference. Want:%s", want)
	}
}
