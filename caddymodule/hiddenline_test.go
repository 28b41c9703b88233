//go:build linux

package caddymodule

import (
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/term"
)

// A person who breaks off a command that asks for a key sees again what they type.
func TestATerminalIsNotLeftBlind(t *testing.T) {
	for _, tc := range []struct {
		line, typed, question, said string
	}{
		{"add key --provider p", "", "Key of p: ", "nothing is written"},
		{"setup", "\n\n\n\n\n", "Key that your clients shall use", "nothing was written"},
	} {
		t.Run(tc.line, func(t *testing.T) {
			g := newcomer(t)
			g.write("config/providers", "p", provider("p", "https://p.example/v1", ""))
			g.write("config/models", "m", model("m", "", "p/up"))
			terminal, screen := typing(t, tc.typed)
			before, err := term.GetState(int(terminal.Fd()))
			if err != nil {
				t.Skipf("the terminal has no state: %v", err)
			}
			blind := func() bool {
				now, err := term.GetState(int(terminal.Fd()))
				return err != nil || !reflect.DeepEqual(before, now)
			}
			var seen screenText
			go seen.watch(screen)
			cmd := command(t, append([]string{"llm-proxy"}, words(tc.line)...)...)
			cmd.Dir = g.dir
			cmd.Env = append(cmd.Env, "TERM=dumb", "ACCESSIBLE=1", "CLIENT_API_KEY=")
			cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			comesTrue(t, "the key is not asked for unseen", func() bool { return strings.Contains(seen.String(), tc.question) && blind() })
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // the exit code is looked at
			if exit := cmd.ProcessState.ExitCode(); exit != 1 || blind() {
				t.Errorf("exit code %d, want 1; the terminal is left blind: %v", exit, blind())
			}
			comesTrue(t, "it does not say "+tc.said, func() bool { return strings.Contains(seen.String(), tc.said) })
		})
	}
}
