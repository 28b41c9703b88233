package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench"
)

// binary is a file that may be taken for Caddy.
func binary(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "caddy")
	if err := os.WriteFile(file, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWithoutFlagsEverythingIsMeasuredThoroughly(t *testing.T) {
	caddy := binary(t)
	o, lines, err := options([]string{"-caddy", caddy})
	if err != nil {
		t.Fatal(err)
	}
	if o.Caddy != caddy || !slices.Equal(o.Targets, bench.Targets()) || !o.Only.MatchString("any") || o.Rounds != 5 ||
		o.Duration != 2*time.Second || o.Quick || o.Full || o.Profiles != "" || lines != "" || len(o.Upstream) != 3 {
		t.Errorf("options() = %+v, %q", o, lines)
	}
}

func TestFlagsChangeWhatIsMeasured(t *testing.T) {
	profiles := filepath.Join(t.TempDir(), "a", "b")
	o, lines, err := options([]string{
		"-caddy", binary(t), "-rounds", "2", "-d", "300ms", "-only", "c=1$", "-targets", "llm_proxy,direct", "-pprof", profiles, "-json", "runs", "-full",
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.Rounds != 2 || o.Duration != 300*time.Millisecond || o.Only.MatchString("c=16") || !slices.Equal(o.Targets, []string{"direct", "llm_proxy"}) || lines != "runs" || !o.Full {
		t.Errorf("options() = %+v, %q", o, lines)
	}
	if info, err := os.Stat(profiles); err != nil || !info.IsDir() {
		t.Errorf("the directory for profiles: %v", err)
	}
	if o, _, err = options([]string{"-caddy", binary(t), "-quick"}); err != nil || o.Rounds != 1 || o.Duration >= time.Second || !o.Quick {
		t.Errorf("options(-quick) = %+v, %v", o, err)
	}
}

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	caddy := binary(t)
	for _, args := range [][]string{
		{"-caddy", filepath.Join(t.TempDir(), "missing")},
		{"-caddy", caddy, "-rounds", "0"},
		{"-caddy", caddy, "-d", "-1s"},
		{"-caddy", caddy, "-only", "("},
		{"-caddy", caddy, "-targets", "nginx"},
		{"-caddy", caddy, "small"},
	} {
		if _, _, err := options(args); err == nil {
			t.Errorf("options(%q) has no error", args)
		}
	}
}
