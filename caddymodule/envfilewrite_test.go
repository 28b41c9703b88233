package caddymodule

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// hardValues are values that a reader of variables may take for something else.
var hardValues = []string{
	"sk-plain_0.9:/@%+,=", "two words", " led", "trailed ", "\ttab", "it's", `say "so"`, `it's "so"`, `back\slash`, `'quoted'`, `"quoted"`,
	`ends\`, `'`, `"`, "$HOME", "`id`", "a;b&c|d", "${X}", "ключ", "a=b=", "x\u00a0", "-", "export A=1", `\n`, `\"`, `\'`, `a'b\`,
}

// Caddy itself reads them, in a process of its own.
func TestWrittenValuesAreReadBackByUsAndByCaddy(t *testing.T) {
	text, want := "# by hand\nexport A=1 # one\nB='two'\n", make(map[string]string)
	for i, value := range hardValues {
		name := fmt.Sprintf("LLM_TEST_%d", i)
		changed, err := setVariable(text, name, value, "of a test")
		if err != nil {
			// What cannot be written is refused, and nothing of it is told.
			if strings.Contains(err.Error(), value) && len(value) > 2 {
				t.Errorf("%q: the error repeats the value: %v", value, err)
			}
			continue
		}
		text, want[name] = changed, value
	}
	if len(want) < len(hardValues)-6 {
		t.Errorf("only %d of %d values can be written", len(want), len(hardValues))
	}
	own, err := parseEnv(text)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "variables")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, exit := runCommand(t, nil, "environ", "--envfile", path)
	if exit != 0 {
		t.Fatalf("caddy environ: exit %d, %s", exit, stderr)
	}
	for name, value := range want {
		if got := valueIn(own, name); got != value {
			t.Errorf("%q is read back as %q", value, got)
		}
		if !strings.Contains(stdout, "\n"+name+"="+value+"\n") {
			t.Errorf("Caddy does not read %q back from\n%s", value, text)
		}
	}
}

func TestValuesThatCannotBeWrittenAreRefused(t *testing.T) {
	for value, want := range map[string]string{
		"canary\nB=2": "line break", "canary\rx": "line break", "canary\x00": "line break",
		"canary#tail": "'#'", `canary'"#`: "'#'", strings.Repeat("canary", 20_000): "cannot be written",
	} {
		_, err := setVariable("A=1\n", "K", value, "")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("setVariable of %.20q: %v, want %s and nothing of the value", value, err, want)
		}
	}
}

func TestAVariableIsSetAndUnsetWithoutTouchingOthers(t *testing.T) {
	for _, tc := range []struct{ text, set, unset string }{
		{"", "# P\nK=new\n", ""},
		{"A=1\n", "A=1\n\n# P\nK=new\n", "A=1\n"},
		{"A=1", "A=1\n\n# P\nK=new\n", "A=1"},
		{"K=old\n", "K=new\n", ""},
		{"# mine\nexport K = 'old one' # kept\nB=2\n", "# mine\nexport K =new # kept\nB=2\n", "# mine\nB=2\n"},
		{"A=1\r\nK=old \r\nB=2\r\n", "A=1\r\nK=new \r\nB=2\r\n", "A=1\r\nB=2\r\n"},
		{"K=\nB=2\n", "K=new\nB=2\n", "B=2\n"},
		{"K=\"a\nb\"\nB=2\n", "K=new\nB=2\n", "B=2\n"},
		{"K=1\nB=2\nK=3\n", "K=1\nB=2\nK=new\n", "B=2\n"},
		{"KK=1\n#K=2\n", "KK=1\n#K=2\n\n# P\nK=new\n", "KK=1\n#K=2\n"},
		{"A=1\n\n# P\nK=old\n\n# Q\nL=1\n", "A=1\n\n# P\nK=new\n\n# Q\nL=1\n", "A=1\n\n# Q\nL=1\n"},
		{"# P\nK=old\nL=1\n", "# P\nK=new\nL=1\n", "# P\nL=1\n"},
		{"\uFEFFA=1\n", "\uFEFFA=1\n\n# P\nK=new\n", "\uFEFFA=1\n"},
	} {
		if strings.Contains(tc.text, "K =") {
			// Caddy takes the space before '=' for a mistake.
			if _, err := setVariable(tc.text, "K", "new", "P"); err == nil {
				t.Errorf("setVariable(%q) succeeds, though Caddy cannot read the file", tc.text)
			}
		} else if got, err := setVariable(tc.text, "K", "new", "P"); got != tc.set || err != nil {
			t.Errorf("setVariable(%q) = %q, %v, want %q", tc.text, got, err, tc.set)
		}
		if got, _, err := unsetVariable(tc.text, "K", "P"); got != tc.unset || err != nil {
			t.Errorf("unsetVariable(%q) = %q, %v, want %q", tc.text, got, err, tc.unset)
		}
	}
}

// providerWith is a provider that looks for keys by patterns.
func providerWith(t *testing.T, id, patterns string) *routing.Provider {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"providers", "models"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	extra := ""
	if patterns != "" {
		extra = `"api_keys": {"env_var_patterns": [` + patterns + `]},`
	}
	for path, text := range map[string]string{"providers/" + id: provider(id, "http://127.0.0.1:9", extra), "models/m": model("m", "", id+"/up")} {
		if err := os.WriteFile(filepath.Join(dir, path+".json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	catalog, _, err := routing.Load(routing.LoadOptions{ProvidersDir: filepath.Join(dir, "providers"), ModelsDir: filepath.Join(dir, "models")})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := catalog.Provider(id)
	return p
}

func TestAKeyTakesTheFirstFreeVariable(t *testing.T) {
	for _, tc := range []struct {
		name, patterns, file string
		environ              []string
		want                 string
	}{
		{"nothing is set", "", "", nil, "P_API_KEY_1"},
		{"the file sets one", "", "P_API_KEY_1=a\n", nil, "P_API_KEY_2"},
		{"the environment sets one", "", "", []string{"P_API_KEY_1=a"}, "P_API_KEY_2"},
		{"both set some", "", "P_API_KEY_2=b\n", []string{"P_API_KEY_1=a", "P_API_KEY_3=c"}, "P_API_KEY_4"},
		{"a gap", "", "P_API_KEY_1=a\nP_API_KEY_3=c\n", nil, "P_API_KEY_2"},
		{"set to nothing in the environment", "", "", []string{"P_API_KEY_1="}, "P_API_KEY_2"},
		{"set to nothing in the file", "", "P_API_KEY_1=\n", nil, "P_API_KEY_1"},
		{"more than nine", "", "P_API_KEY_1=1\nP_API_KEY_2=2\nP_API_KEY_3=3\nP_API_KEY_4=4\nP_API_KEY_5=5\nP_API_KEY_6=6\nP_API_KEY_7=7\nP_API_KEY_8=8\nP_API_KEY_9=9\n", nil, "P_API_KEY_10"},
		{"the index in the middle", `"X_{INDEX}_API_KEY"`, "X_1_API_KEY=a\n", nil, "X_2_API_KEY"},
		{"no index", `"HF_TOKEN", "HF_KEY"`, "HF_TOKEN=a\n", nil, "HF_KEY"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), ".env")
			if err := os.WriteFile(path, []byte(tc.file), 0o644); err != nil {
				t.Fatal(err)
			}
			change, err := addKey(path, providerWith(t, "p", tc.patterns), " new-key\n", "", tc.environ)
			if err != nil || change.Variable != tc.want {
				t.Fatalf("addKey: %+v, %v, want %s", change, err, tc.want)
			}
			text, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(text), tc.want+"=new-key\n") {
				t.Errorf("the file is\n%s%v", text, err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the file has the mode %v, %v, want 0600", info.Mode(), err)
			}
		})
	}
}

func TestKeysThatAreAddedAtOnceAreAllKept(t *testing.T) {
	const n = 24
	p, path := providerWith(t, "p", ""), filepath.Join(t.TempDir(), ".env")
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if _, err := addKey(path, p, fmt.Sprint("key-number-", i), "", nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found, err := parseEnv(string(text))
	if err != nil || len(found) != n {
		t.Fatalf("%d variables, %v, want %d", len(found), err, n)
	}
	for i := range n {
		if valueIn(found, fmt.Sprint("P_API_KEY_", i+1)) == "" {
			t.Errorf("P_API_KEY_%d is not set", i+1)
		}
	}
}

func TestALinkToAFileOfVariablesStaysOne(t *testing.T) {
	p, dir := providerWith(t, "p", ""), t.TempDir()
	target, link := filepath.Join(dir, "secrets", "variables"), filepath.Join(dir, ".env")
	if err := os.Mkdir(filepath.Dir(target), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("secrets/variables", link); err != nil {
		t.Skipf("this system cannot make links: %v", err)
	}
	if _, err := addKey(link, p, "a-new-key", "", nil); err == nil || !strings.Contains(err.Error(), "leads nowhere") {
		t.Errorf("addKey through a link that leads nowhere: %v", err)
	}
	if err := os.WriteFile(target, []byte("A=1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := addKey(link, p, "a-new-key", "", nil); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); err != nil || to != "secrets/variables" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	text, err := os.ReadFile(target)
	if want := "A=1\n\n# p\nP_API_KEY_1=a-new-key\n"; err != nil || string(text) != want {
		t.Errorf("the file is %q, %v, want %q", text, err, want)
	}
	left, err := filepath.Glob(filepath.Join(dir, "secrets", ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}
