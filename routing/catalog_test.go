package routing

import (
	"strings"
	"testing"
	"time"
)

func TestGlobs(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"claude-*", "claude-opus-5-5", true},
		{"claude-*", "claude-", true},
		{"claude-*", "claude", false},
		{"claude-*", "Claude-opus", false},
		{"claude-*", "xclaude-opus", false},
		{"*", "", true},
		{"*", "any/thing at all", true},
		{"*-latest", "gpt-latest", true},
		{"*-latest", "gpt-latest-2", false},
		{"a*c", "abc", true},
		{"a*c", "ac", true},
		{"a*c", "a", false},
		{"aba*aba", "aba", false},
		{"aba*aba", "abaaba", true},
		{"a*b*c", "a-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"a*b*b", "ab", false},
		{"a*b*b", "abb", true},
		{"**", "x", true},
		{"a**b", "ab", true},
		{"org/*", "org/team/model", true},
		{"a.c*", "abc", false},
	} {
		g := newGlob(tc.pattern, nil)
		if got := g.match(tc.name); got != tc.want {
			t.Errorf("glob %q matches %q = %v, want %v", tc.pattern, tc.name, got, tc.want)
		}
	}
}

func TestAGlobIsFastOnAHostileName(t *testing.T) {
	g := newGlob("*a*a*a*a*a*a*a*a*b", nil)
	name := strings.Repeat("a", 1<<20)
	start := time.Now()
	if g.match(name) {
		t.Error("a name without b matches *b")
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("a glob took %v on a name of 1 MiB", took)
	}
}

func catalogOf(models ...*Model) *Catalog {
	c := newCatalog()
	for _, m := range models {
		c.addModel(m)
	}
	c.sort()
	return c
}

func TestExactBeatsAliasBeatsLongerGlobBeatsShorter(t *testing.T) {
	c := catalogOf(
		&Model{LogicalName: "all", Aliases: []string{"*"}},
		&Model{LogicalName: "claude", Aliases: []string{"claude-*"}},
		&Model{LogicalName: "opus", Aliases: []string{"claude-opus-*", "big"}},
		&Model{LogicalName: "named", Aliases: []string{"claude-opus-4", "claude"}},
		&Model{LogicalName: "x-first", Aliases: []string{"a*yz"}},
		&Model{LogicalName: "x-second", Aliases: []string{"ax*z"}},
	)
	for _, tc := range []struct{ name, want string }{
		{"claude", "claude"},        // a logical name, although also an alias
		{"claude-opus-4", "named"},  // an alias without '*'
		{"claude-opus-5", "opus"},   // the longer of two globs
		{"claude-sonnet", "claude"}, // the only one
		{"big", "opus"},
		{"gpt", "all"},
		{"", "all"},
		{"axyz", "x-first"}, // of equal length: by the alphabet
	} {
		m, ok := c.Resolve(tc.name)
		if !ok || m.LogicalName != tc.want {
			t.Errorf("Resolve(%q) = %v, %v, want %v", tc.name, m, ok, tc.want)
		}
	}
}

func TestAnUnknownNameResolvesToNothing(t *testing.T) {
	c := catalogOf(&Model{LogicalName: "claude", Aliases: []string{"claude-*", "c"}})
	for _, name := range []string{"", "gpt", "Claude", "../providers/openai", "claude\x00", "*", strings.Repeat("x", 1<<16)} {
		if m, ok := c.Resolve(name); ok {
			t.Errorf("Resolve(%.20q) = %v, want nothing", name, m.LogicalName)
		}
	}
	if _, ok := c.Model("c"); ok {
		t.Error("Model found an alias")
	}
}

func TestResolveAllocatesNothing(t *testing.T) {
	c := catalogOf(&Model{LogicalName: "exact", Aliases: []string{"alias", "glob-*", "*-latest"}})
	for _, name := range []string{"exact", "alias", "glob-5", "x-latest", "nothing"} {
		if n := testing.AllocsPerRun(100, func() { c.Resolve(name) }); n > 0 {
			t.Errorf("Resolve(%q) allocates %v times", name, n)
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	c := newCatalog()
	for i := range 200 {
		c.addModel(&Model{LogicalName: "model-" + strings.Repeat("x", i), Aliases: []string{"glob-" + strings.Repeat("x", i) + "*"}})
	}
	c.sort()
	for _, name := range []string{"model-xxx", "glob-xxx", "nothing"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Resolve(name)
			}
		})
	}
}
