package caddymodule

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// leaves are the commands that do something, by their words. A command that somebody
// adds is tried as well.
func leaves(cmd *cobra.Command, words ...string) map[string]*cobra.Command {
	found := make(map[string]*cobra.Command)
	for _, below := range cmd.Commands() {
		words := append(slices.Clone(words), below.Name())
		if !below.HasSubCommands() {
			found[strings.Join(words, " ")] = below
		}
		for name, leaf := range leaves(below, words...) {
			found[name] = leaf
		}
	}
	return found
}

// hostileArgument would move a cursor, end a line or a text, or be expanded.
const hostileArgument = "x\x1b[2J\r\nforged\u009b2J\u202e\x00{env.CANARY_SECRET}$(id)/../../etc/passwd"

// wantHarmless wants an error on a line or a few, which a terminal does not obey.
func (r ran) wantHarmless(t *testing.T, exits ...int) {
	t.Helper()
	if !slices.Contains(exits, r.exit) {
		t.Errorf("exit code %d, want one of %v\nstdout: %s\nstderr: %s", r.exit, exits, r.stdout, r.stderr)
	}
	for _, said := range []string{r.stdout, r.stderr} {
		if strings.ContainsFunc(strings.NewReplacer("\n", "", "\t", "").Replace(said), dangerous) {
			t.Errorf("it prints what a terminal may obey: %q", said)
		}
		if strings.Contains(said, "goroutine") || strings.Contains(said, "\nforged") || strings.Contains(said, injectionCanary) || strings.Contains(said, "root:x:") {
			t.Errorf("it prints %q", said)
		}
	}
	if r.exit != 0 && !strings.Contains(r.stderr, "Error: ") && r.stdout == "" {
		t.Error("it does not say what is wrong")
	}
}

func TestNoCommandIsConfusedByWhatItIsCalledWith(t *testing.T) {
	t.Setenv("CANARY_SECRET", injectionCanary)
	t.Setenv("EDITOR", "false")
	ours := &cobra.Command{Use: "llm-proxy"}
	fillCommand(ours)
	all := leaves(ours)
	if len(all) < 15 {
		t.Fatalf("there are %d commands", len(all))
	}
	for name, leaf := range all {
		words := strings.Fields(name)
		t.Run(name, func(t *testing.T) {
			goodFiles(t)
			call := func(arguments ...string) ran {
				t.Helper()
				arguments = append(slices.Clone(words), arguments...)
				if leaf.Flags().Lookup("address") != nil {
					arguments = append(arguments, "--address=127.0.0.1:1")
				}
				return run(t, "", arguments...)
			}
			got := call("--bogus\x1b[2J")
			got.wantHarmless(t, exitUsage)
			if strings.Count(got.stderr, "\n") != 1 || got.stdout != "" {
				t.Errorf("an unknown flag: stdout %q, stderr %q; want one line of error", got.stdout, got.stderr)
			}
			surplus := slices.Repeat([]string{hostileArgument}, 6)
			call(surplus...).wantHarmless(t, exitUsage)
			if words[0] == "start" {
				return // it would serve
			}
			exits := []int{exitFailed, exitUsage}
			if words[0] == "chat" {
				exits = append(exits, 0) // where nothing is said
			}
			call(hostileArgument).wantHarmless(t, exits...)
			leaf.Flags().VisitAll(func(flag *pflag.Flag) {
				switch flag.Value.Type() {
				case "bool":
					call("--"+flag.Name+"=perhaps").wantHarmless(t, exitUsage)
				case "int", "duration":
					for _, value := range []string{"", "x", "1e9", "99999999999999999999", hostileArgument} {
						call("--"+flag.Name+"="+value).wantHarmless(t, exitUsage)
					}
				default:
					call("--"+flag.Name+"="+hostileArgument).wantHarmless(t, 0, exitFailed, exitUsage)
				}
			})
		})
	}
}
