package caddymodule

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// RELIABILITY B5: a panic in a goroutine of ours must not take the process with it.
func TestB5PanicInABranchOfAHedge(t *testing.T) {
	t.Setenv("P_API_KEY", "upstream-secret")
	t.Setenv("Q_API_KEY", "upstream-secret")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", "http://localhost:1", ""), "q": provider("q", "http://localhost:2", "")},
		models:    map[string]string{"m": model("m", `"hedge_after": "10ms",`, "p/up", "q/up")},
		directive: "transport faulty",
	})
	for _, way := range []string{"panics", "panics beside"} {
		for range 3 {
			got := g.do(request{path: chatPath, body: chatRequest, header: map[string]string{"Session-Id": way}}).want(t, 500)
			if strings.Contains(got.body, "secret") {
				t.Errorf("%s: %s tells what the panic held", way, got.body)
			}
		}
	}
	g.post(chatPath, chatRequest).want(t, 200)
	if said := admin(t, http.MethodGet, "/llm_proxy/keys", "").want(t, 200).body; inFlight.MatchString(said) {
		t.Errorf("something is in flight: %s", said)
	}
}

// goroutines are the functions of the gateway that start one, and why a panic in
// it cannot take the process with it.
var goroutines = map[string]string{
	"caddymodule/bodies.go newBodyKeeper":     "keep recovers",
	"caddymodule/commandadmin.go callAdmin":   "is in a process of its own, a command's",
	"caddymodule/commandkeystest.go runTests": "the same",
	"caddymodule/endings.go run":              "recovers",
	"caddymodule/events.go start":             "emit recovers",
	"caddymodule/prompt.go newLines":          "the same",
	"caddymodule/hiddenline.go readHidden":    "is in a process of its own, a command's",
	"caddymodule/keepalive.go pings":          "silence recovers",
	"caddymodule/shutdown.go Handle":          "runs nothing but cancellations, in a process that ends",
	"caddymodule/statefile.go newSaver":       "run recovers",
	"caddymodule/watch.go watch":              "look recovers",
	"logging/log.go openLog":                  "run guards all that it does",
	"logging/log.go openServer":               "so do both that it runs",
	"logging/store.go close":                  "recovers",
	"logging/store.go query":                  "runs nothing but a cancellation",
	"logging/upkeep.go opened":                "recovers",
	"routing/deadline.go look":                "runs nothing but our own list and cancellations",
	"routing/deadline.go watch":               "the same",
	"routing/hedge.go fork":                   "recovers; join raises it in the request's own goroutine",

	"caddymodule/drillnetwork.go newDrillNetwork": "is in a process of its own, a command's",
}

// RELIABILITY B5: whoever adds a goroutine to the gateway has to say here what
// becomes of a panic in it.
func TestB5EveryGoroutineIsKnown(t *testing.T) {
	var found []string
	for _, dir := range []string{"caddymodule", "keys", "logging", "routing", "translate", "internal/simulated"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, declaration := range file.Decls {
				name := "a variable"
				if f, is := declaration.(*ast.FuncDecl); is {
					name = f.Name.Name
				}
				ast.Inspect(declaration, func(n ast.Node) bool {
					if startsGoroutine(n) {
						found = append(found, strings.TrimPrefix(filepath.ToSlash(path), "../")+" "+name)
					}
					return true
				})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(found)
	for _, where := range slices.Compact(found) {
		if goroutines[where] == "" {
			t.Errorf("%s starts a goroutine; say in the list what becomes of a panic in it", where)
		}
	}
	for where := range goroutines {
		if !slices.Contains(found, where) {
			t.Errorf("%s starts no goroutine any more; take it off the list", where)
		}
	}
}

// startsGoroutine reports whether a node is a go statement, or a call of what
// runs a function in a goroutine: AfterFunc and the Go of a group.
func startsGoroutine(n ast.Node) bool {
	if _, is := n.(*ast.GoStmt); is {
		return true
	}
	call, is := n.(*ast.CallExpr)
	if !is {
		return false
	}
	selector, is := call.Fun.(*ast.SelectorExpr)
	return is && (selector.Sel.Name == "AfterFunc" || selector.Sel.Name == "Go")
}
