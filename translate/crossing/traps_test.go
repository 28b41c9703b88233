package crossing_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
)

// trap is one of the places where translations of these protocols are known to
// go wrong. The numbers are those of the list that the project keeps of them.
type trap struct {
	number int
	name   string
	// requests are translated.
	requests []requestCase
	// test is run.
	test func(t *testing.T)
	// elsewhere are tests of other packages, as folder.TestName, where the
	// trap is one that the translation of bytes does not meet.
	elsewhere []string
}

// requestCase is a request and what must become of it.
type requestCase struct {
	from    translate.Protocol
	request string
	to      *translate.Target
	// want are paths of the result and what stands there, as JSON; "-": nothing.
	want map[string]string
	// losses are params and actions, in order; nil: not looked at.
	losses []string
	// refused is the param of the error, where there must be one.
	refused string
}

// traps are all of them, in order.
func traps() []trap {
	return slices.Concat(messagesTraps, openAITraps, answerTraps, streamTraps, errorTraps)
}

func TestTraps(t *testing.T) {
	for _, trap := range traps() {
		t.Run(fmt.Sprintf("trap %d: %s", trap.number, trap.name), func(t *testing.T) {
			for i, c := range trap.requests {
				t.Run(fmt.Sprintf("%d: %s to %s", i, apiName(c.from), apiName(c.to.Protocol)), c.run)
			}
			if trap.test != nil {
				trap.test(t)
			}
			for _, name := range trap.elsewhere {
				if !testExists(t, name) {
					t.Errorf("there is no test %s", name)
				}
			}
		})
	}
}

func TestEveryTrapHasATest(t *testing.T) {
	const known = 105
	seen := map[int]bool{}
	for _, trap := range traps() {
		if seen[trap.number] {
			t.Errorf("trap %d is listed twice", trap.number)
		}
		seen[trap.number] = true
		if len(trap.requests) == 0 && trap.test == nil && len(trap.elsewhere) == 0 {
			t.Errorf("trap %d has no test", trap.number)
		}
	}
	for n := 1; n <= known; n++ {
		if !seen[n] {
			t.Errorf("trap %d is not listed", n)
		}
	}
}

func (c requestCase) run(t *testing.T) {
	r, e := crossing.Translate(nil, c.from, []byte(c.request), c.to)
	if c.refused != "" {
		if e == nil {
			t.Fatalf("it became %s, want an error about %s", r.Body, c.refused)
		}
		if e.Param != c.refused || e.Status != 400 {
			t.Errorf("the error is %v about %q, want one about %q", e, e.Param, c.refused)
		}
		return
	}
	if e != nil {
		t.Fatal(e)
	}
	for _, problem := range requestProblems(c.to.Protocol, r.Body) {
		t.Errorf("%s: %s", problem, r.Body)
	}
	for path, want := range c.want {
		wantAt(t, r.Body, path, want)
	}
	if c.losses != nil {
		var got []string
		for _, loss := range r.Losses {
			got = append(got, loss.Param+" "+string(loss.Action))
		}
		if !slices.Equal(got, c.losses) {
			t.Errorf("losses = %q, want %q", got, c.losses)
		}
	}
}

// wantAt checks what stands at a path of a document.
func wantAt(t *testing.T, doc []byte, path, want string) {
	t.Helper()
	got := gjson.GetBytes(doc, path)
	switch {
	case want == "-" && got.Exists():
		t.Errorf("%s = %s, want nothing in %s", path, got.Raw, doc)
	case want != "-" && canonical(got.Raw) != canonical(want):
		t.Errorf("%s = %s, want %s in %s", path, got.Raw, want, doc)
	}
}

// testExists reports whether a package, named by its folder below the module's
// root, has a test.
func testExists(t *testing.T, name string) bool {
	t.Helper()
	folder, test, ok := strings.Cut(name, ".")
	if !ok {
		t.Fatalf("%q does not name a folder and a test", name)
	}
	files, err := filepath.Glob(filepath.Join("..", "..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	declaration := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(test) + `\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if declaration.Match(text) {
			return true
		}
	}
	return false
}

// to is a bare target with what a case needs of it.
func to(p translate.Protocol, change func(t *translate.Target)) *translate.Target {
	t := bare(p)
	if change != nil {
		change(t)
	}
	return t
}

// no is a flag that is off.
func no() *bool { return new(bool) }

// yes is a flag that is on.
func yes() *bool { on := true; return &on }
