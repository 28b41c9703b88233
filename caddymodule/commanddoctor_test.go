package caddymodule

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sound is a directory that setup has made, with a client key of its own.
func sound(t *testing.T) *gateway {
	t.Helper()
	g := newcomer(t)
	t.Setenv(portVariable, startPort)
	run(t, "", "setup", "--quick").want(t, 0)
	return g
}

// notes are the findings of doctor that are not good, as check and message.
func notes(t *testing.T, got ran) []string {
	t.Helper()
	var result diagnosis
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil {
		t.Fatalf("%v in\n%s%s", err, got.stdout, got.stderr)
	}
	if result.Healthy != (got.exit == 0) {
		t.Errorf("healthy = %v, exit code %d", result.Healthy, got.exit)
	}
	var found []string
	for _, f := range result.Findings {
		if f.State != healthOK {
			found = append(found, string(f.State)+" "+f.Check+": "+f.Message)
		}
	}
	return found
}

// changing are parts of doctor's output that differ from machine to machine, and
// from version to version.
var changing = regexp.MustCompile(`(?m)^ok       (versions|machine ) .*\n|, with schema version \d+`)

func TestDoctorFindsASoundInstallationSound(t *testing.T) {
	g := sound(t)
	got := run(t, "", "doctor", "--address", startAdmin).want(t, 0)
	if strings.Contains(got.stdout, clientKeyOf(t)) {
		t.Error("doctor prints the client key")
	}
	wantOutput(t, "doctor_sound.txt", changing.ReplaceAllString(got.stdout, ""), g.dir)
	startIn(t, g.dir, nil)
	got = run(t, "", "doctor", "--address", startAdmin).want(t, 0)
	wantOutput(t, "doctor_running.txt", changing.ReplaceAllString(got.stdout, ""), g.dir)
	// What the running one did not take is told too.
	g.write("config/models", "demo", "{")
	comesTrue(t, "doctor does not tell of the reload that was refused", func() bool {
		got := run(t, "", "doctor", "--address", startAdmin).want(t, 1)
		return strings.Contains(got.stdout, "is degraded") && strings.Contains(got.stdout, "a reload was refused: ")
	})
}

func TestDoctorTellsANewcomerWhatToDo(t *testing.T) {
	g := newcomer(t)
	t.Setenv(portVariable, startPort)
	got := run(t, "", "doctor", "--address", startAdmin).want(t, 1)
	wantOutput(t, "doctor_nothing.txt", strings.Replace(changing.ReplaceAllString(got.stdout, ""), startPort, "1234", 1), g.dir)
}

func TestDoctorFindsFaultsAndMendsThem(t *testing.T) {
	const idle = "warning gateway: no gateway runs: nobody answers at " + startAdmin
	for _, tc := range []struct {
		name   string
		damage func(t *testing.T, g *gateway)
		notes  []string // beside idle
		mended string   // what --fix does; empty: nothing
		left   []string // after it
	}{
		{".env for all to read", func(t *testing.T, _ *gateway) {
			if err := os.Chmod(".env", 0o644); err != nil {
				t.Fatal(err)
			}
		}, []string{"failure .env: .env has mode 0644, so others on this machine can read the keys"}, "took the permissions of others from .env", nil},
		{".env that git takes", func(t *testing.T, _ *gateway) {
			if err := os.Mkdir(".git", 0o755); err != nil {
				t.Fatal(err)
			}
			writeIn(t, ".", ".gitignore", "*.log")
		}, []string{"failure .env: git does not ignore .env, so the keys may be committed"}, "added .env to .gitignore", nil},
		{"a broken .env", func(t *testing.T, _ *gateway) {
			writeIn(t, ".", ".env", "CLIENT_API_KEY='"+canaries[0]+"\n")
		}, []string{
			"failure .env: .env:1: the value begins with a quote that has no end",
			"failure clients: CLIENT_API_KEY is not set, so every request is refused",
		}, "clients could not be mended: 1: the value begins with a quote that has no end", []string{
			"failure .env: .env:1: the value begins with a quote that has no end",
			"failure clients: CLIENT_API_KEY is not set, so every request is refused",
		}},
		{"no .env", func(t *testing.T, _ *gateway) {
			if err := os.Remove(".env"); err != nil {
				t.Fatal(err)
			}
		}, []string{"failure clients: CLIENT_API_KEY is not set, so every request is refused"}, "wrote a new CLIENT_API_KEY into .env", nil},
		{"a client key that is easy to guess", func(t *testing.T, _ *gateway) {
			writeIn(t, ".", ".env", "CLIENT_API_KEY=canary\n")
		}, []string{"warning clients: the key of default has 6 characters; 16 are the least"}, "", []string{"warning clients: the key of default has 6 characters; 16 are the least"}},
		{"no provider files", func(t *testing.T, _ *gateway) {
			if err := os.RemoveAll("config/providers"); err != nil {
				t.Fatal(err)
			}
		}, []string{
			"failure files: there is no directory config/providers",
		}, "made the directory config/providers", []string{
			`failure files: config/models/demo.json:6: model_routings[0].provider: there is no provider "demo"`,
			"failure files: config/providers: holds no .json file",
		}},
		{"a broken file", func(_ *testing.T, g *gateway) {
			g.write("config/models", "demo", "{\n\"logical_name\": 1}")
		}, []string{
			"failure files: config/models/demo.json:2: logical_name: must be a text, not a number",
			"failure files: config/models/demo.json:1: model_routings: is required",
		}, "", nil},
		{"a model without keys", func(_ *testing.T, g *gateway) {
			g.write("config/providers", "p", provider("p", "https://p.example", ""))
			g.write("config/models", "m", model("m", "", "p/up"))
		}, []string{"warning models: m has no route that could be tried"}, "", []string{"warning models: m has no route that could be tried"}},
		{"a provider without its other variable", func(t *testing.T, g *gateway) {
			g.write("config/providers", "p", provider("p", "https://${P_HOST}/v1", ""))
			t.Setenv("P_API_KEY", canaries[0])
		}, []string{
			"failure variables: p has a key, but not P_HOST, which is in its base_url",
			"warning files: config/providers/p.json:6: endpoints.base_url: environment variable P_HOST is not set; the provider cannot be used",
		}, "", nil},
		{"a broken Caddyfile", func(t *testing.T, _ *gateway) {
			writeIn(t, ".", "Caddyfile", "http://127.0.0.1:9087 {\n\tllm_proxy {\n\t\tbogus\n\t}\n}\n")
		}, []string{"failure Caddyfile: reading Caddyfile: parsing caddyfile tokens for 'llm_proxy': unrecognized subdirective 'bogus', at Caddyfile:3"}, "", nil},
		{"a log that others can read", func(t *testing.T, _ *gateway) {
			makeLog(t)
			if err := os.Chmod("llm.db", 0o644); err != nil {
				t.Fatal(err)
			}
		}, []string{"failure log: llm.db has mode 0644, so others can read who asked for what"}, "took the permissions of others from llm.db", nil},
		{"a damaged log", func(t *testing.T, _ *gateway) {
			writeIn(t, ".", "llm.db", strings.Repeat("no database ", 1000))
		}, []string{"failure log: llm.db is damaged: file is not a database (26)"}, "renamed the damaged llm.db to llm.db.corrupt-", nil},
		{"no directory for the log", func(t *testing.T, _ *gateway) {
			writeIn(t, ".", "Caddyfile", strings.Replace(read(t, "Caddyfile"), "llm.db", "data/llm.db", 1))
		}, []string{"failure log: the directory data of the request log is not there"}, "made the directory data", nil},
		{"a port in use", func(t *testing.T, _ *gateway) {
			busy, err := net.Listen("tcp", "127.0.0.1:"+startPort)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { busy.Close() })
		}, []string{"failure ports: 127.0.0.1:" + startPort + " is in use already"}, "", []string{"failure ports: 127.0.0.1:" + startPort + " is in use already"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := sound(t)
			tc.damage(t, g)
			got := run(t, "", "doctor", "--json", "--address", startAdmin)
			got.wantNoCanary(t)
			found := slices.DeleteFunc(notes(t, got), func(note string) bool { return note == idle })
			slices.Sort(found)
			slices.Sort(tc.notes)
			if !slices.Equal(found, tc.notes) {
				t.Errorf("doctor finds\n%s\nwant\n%s", strings.Join(found, "\n"), strings.Join(tc.notes, "\n"))
			}
			before := allFiles(t)
			got = run(t, "", "doctor", "--fix", "--address", startAdmin)
			if tc.mended == "" && strings.Contains(got.stdout, "mended") || !strings.Contains(got.stdout, tc.mended) {
				t.Errorf("doctor --fix says\n%s\nwant %q", got.stdout, tc.mended)
			}
			if tc.mended == "" && !slices.Equal(before, allFiles(t)) {
				t.Errorf("files were %q, and are %q", before, allFiles(t))
			}
			if tc.mended == "" && tc.left == nil {
				return // nothing has changed
			}
			found = slices.DeleteFunc(notes(t, run(t, "", "doctor", "--json", "--address", startAdmin)), func(note string) bool { return note == idle })
			slices.Sort(found)
			slices.Sort(tc.left)
			if !slices.Equal(found, tc.left) {
				t.Errorf("after --fix doctor finds\n%s\nwant\n%s", strings.Join(found, "\n"), strings.Join(tc.left, "\n"))
			}
		})
	}
}

// makeLog makes a request log as the gateway does.
func makeLog(t *testing.T) {
	t.Helper()
	config, err := findConfiguration("")
	if err != nil {
		t.Fatal(err)
	}
	rt := new(runtime)
	if err := rt.openLog(config.blocks[0]); err != nil {
		t.Fatal(err)
	}
	for _, end := range rt.closers {
		end()
	}
}

func TestDoctorAsksProvidersOnlyWhenItMay(t *testing.T) {
	g := sound(t)
	up := serve(t, answers(401, `{"error":{"message":"no"}}`))
	g.write("config/providers", "mine", strings.Replace(provider("mine", up.url, ""), `"completions"`, `"models": "/models", "completions"`, 1))
	t.Setenv("MINE_API_KEY", canaries[0])
	run(t, "", "doctor", "--address", startAdmin).want(t, 0)
	if n := len(up.all()); n > 0 {
		t.Errorf("%d calls to a provider without --network", n)
	}
	got := run(t, "", "doctor", "--network", "--address", startAdmin).want(t, 1)
	got.wantNoCanary(t)
	if want := "(MINE_API_KEY) is dead: the provider refuses it with status 401"; !strings.Contains(got.stdout, want) {
		t.Errorf("doctor says\n%s\nwant %q", got.stdout, want)
	}
}

func TestDoctorTellsAnotherCaddyFromItsGateway(t *testing.T) {
	sound(t)
	other := serve(t, answers(404, `{"error":"unknown"}`))
	got := run(t, "", "doctor", "--address", strings.TrimPrefix(other.url, "http://")).want(t, 1)
	if !strings.Contains(got.stdout, "has no llm_proxy") {
		t.Errorf("doctor says\n%s", got.stdout)
	}
	// Who takes a question and says nothing must not keep it waiting.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	got = run(t, "", "doctor", "--address", silent.Addr().String()).want(t, 1)
	if !strings.Contains(got.stdout, "who listens at "+silent.Addr().String()+" does not answer") {
		t.Errorf("doctor says\n%s", got.stdout)
	}
	run(t, "", "doctor", "--env-file", "missing").want(t, 2, "missing")
	t.Chdir(filepath.Join(t.TempDir()))
	run(t, "", "doctor", "--config", "missing", "--address", startAdmin).want(t, 1)
}
