//go:build linux

package caddymodule

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// typing is a terminal at which somebody has typed something already, and what can
// be seen on it.
func typing(t *testing.T, typed string) (terminal, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there is no terminal: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	var locked, number int32
	for request, value := range map[uintptr]*int32{syscall.TIOCSPTLCK: &locked, syscall.TIOCGPTN: &number} {
		if _, _, code := syscall.Syscall(syscall.SYS_IOCTL, screen.Fd(), request, uintptr(unsafe.Pointer(value))); code != 0 {
			t.Skipf("there is no terminal: %v", code)
		}
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there is no terminal: %v", err)
	}
	t.Cleanup(func() { terminal.Close() })
	if _, err := screen.WriteString(typed); err != nil {
		t.Fatal(err)
	}
	return terminal, screen
}

func TestAPersonIsAskedBeforeAnythingIsRemoved(t *testing.T) {
	for typed, exit := range map[string]int{"y\n": 0, "Yes\n": 0, "n\n": 1, "\n": 1, "what?\n": 1} {
		for line, question := range map[string]string{
			"remove provider spare": "Remove provider spare (config/providers/spare.json)? [y/N] ",
			"remove model lone":     "Remove model lone (config/models/lone.json)? [y/N] ",
			"remove key P_API_KEY":  "Remove P_API_KEY from .env? [y/N] ",
		} {
			editable(t)
			before := snapshot(t)
			terminal, _ := typing(t, typed)
			got := runReading(t, terminal, words(line)...).want(t, exit, question)
			got.wantNoCanary(t)
			if exit != 0 {
				got.want(t, 1, "nothing is changed")
				wantChanged(t, before)
			}
		}
	}
}

func TestAKeyIsTypedUnseen(t *testing.T) {
	editable(t)
	terminal, _ := typing(t, "canary-key-new\n")
	got := runReading(t, terminal, "add", "key", "--provider", "p").want(t, 0, "Key of p: ")
	got.wantNoCanary(t)
	terminal, _ = typing(t, "canary-key-newer\n")
	runReading(t, terminal, "edit", "key", "P_API_KEY").want(t, 0, "New key: ").wantNoCanary(t)
	text, err := os.ReadFile(".env")
	if want := "# mine\nP_API_KEY=canary-key-newer\n\n# p\nP_API_KEY_1=canary-key-new\n"; err != nil || string(text) != want {
		t.Errorf("the file is %q, %v, want %q", text, err, want)
	}
}

func TestAFileIsEditedByHandUntilItLoads(t *testing.T) {
	const good, bad = `sed -i 's/"up"/"other"/' "$1"`, `printf '{' > "$1"`
	for _, tc := range []struct {
		name, editor, typed string
		exit                int
		said                string
		changed             bool
	}{
		{"a good change", good, "", 0, "", true},
		{"no change", "true", "", 0, "", false},
		{"a broken one, and no more", bad, "n\n", 1, "config/models/m.json:1: is not a JSON object", false},
		{"a broken one, and then none at all", bad, "\x04", 1, "Edit again? [Y/n] ", false},
		{"a good one at the second attempt", `if test -e again; then printf '{"logical_name": "m", "model_routings": [{"provider": "p", "model": "x"}]}' > "$1"; else touch again; ` + bad + `; fi`, "\n", 0, "Edit again? [Y/n] ", true},
		{"an editor that fails", good + "; exit 3", "", 1, "nothing is written: the editor sh: exit status 3", false},
		{"a file that somebody else changes", good + `; printf ' ' >> config/models/m.json`, "n\n", 1, "somebody else has changed the file meanwhile", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			editable(t)
			before, err := os.ReadFile("config/models/m.json")
			if err != nil {
				t.Fatal(err)
			}
			script := filepath.Join(t.TempDir(), "editor")
			if err := os.WriteFile(script, []byte(tc.editor+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("VISUAL", "")
			t.Setenv("EDITOR", "sh "+script)
			terminal, _ := typing(t, tc.typed)
			t.Setenv("TMPDIR", t.TempDir())
			got := runReading(t, terminal, "edit", "model", "m").want(t, tc.exit, tc.said)
			_, place, keeps := strings.Cut(strings.TrimSpace(got.stderr), "What you wrote is kept in ")
			if keeps != (tc.typed != "" && tc.exit == 1) {
				t.Errorf("stderr is %q, want what was written kept where it is not taken", got.stderr)
			}
			if copied, err := os.ReadFile(place); keeps && (err != nil || string(copied) == string(before)) {
				t.Errorf("kept is %q, %v, want what the editor wrote", copied, err)
			}
			after, err := os.ReadFile("config/models/m.json")
			if changed := strings.TrimSpace(string(after)) != strings.TrimSpace(string(before)); err != nil || changed != tc.changed {
				t.Errorf("the file is\n%s\n%v, want it changed: %v", after, err, tc.changed)
			}
		})
	}
	editable(t)
	t.Setenv("VISUAL", "")
	t.Setenv("EDITOR", "")
	terminal, _ := typing(t, "")
	runReading(t, terminal, "edit", "model", "m").want(t, 1, "no editor is known; set $EDITOR, or use --set and --unset")
}
