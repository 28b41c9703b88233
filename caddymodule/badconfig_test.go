package caddymodule

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// badConfigOutcomes says, where a case leaves it open whether a file is
// refused, what we do. All others fail.
var badConfigOutcomes = map[string]string{
	"base_url with userinfo":                                    "fails",
	"timeout as string \"60\"":                                  "fails",
	"provider name with dot/star (metrics, JSON path)":          "fails",
	"file is a directory":                                       "warns",
	"symlink loop":                                              "warns",
	"FIFO instead of file (open blocks for ever)":               "warns",
	"logical names differ only in case":                         "warns",
	"api key with trailing newline":                             "loads", // it is trimmed
	"same api key twice":                                        "warns", // it is used once
	"base_url points to the gateway itself (loop)":              "loads", // the request ends, see below
	"fallback chain of 1000":                                    "loads", // the attempts are bounded, see below
	"file replaced in place in 7-byte writes while reload runs": "loads",
}

// nested brings a provider file of the cases, which are flat ({"name",
// "base_url", "protocol", "api_keys": [...]}), into our form, keeping what is
// wrong with it. Keys become environment variables. What is no JSON, or says a
// thing twice, stays as it is: that is what is wrong with it.
func (b *badInput) nested(t *testing.T, up string) string {
	t.Helper()
	parts, _ := b.segments(t, translate.Chat)
	var file strings.Builder
	for _, s := range parts {
		file.WriteString(strings.Repeat(s.text, s.n))
	}
	text := strings.NewReplacer("http://127.0.0.1:UP", up, "127.0.0.1:UP", strings.TrimPrefix(up, "http://"), "http://127.0.0.1:GATEWAY", siteURL).Replace(file.String())
	var flat map[string]json.RawMessage
	if !strings.HasPrefix(b.File, "providers/") || json.Unmarshal([]byte(text), &flat) != nil || strings.Count(text, `"api_keys"`) > 1 || flat["x"] != nil {
		return text
	}
	extra := ""
	var keys []string
	if json.Unmarshal(flat["api_keys"], &keys) != nil {
		extra += `,"api_keys":` + string(flat["api_keys"])
	}
	for i, key := range keys {
		t.Setenv(fmt.Sprintf("OPENAI_API_KEY_%d", i+1), key)
	}
	if timeout := flat["timeout_seconds"]; timeout != nil {
		extra += `,"request_config":{"timeout_seconds":` + string(timeout) + `}`
	}
	if cooldown := flat["cooldown_seconds"]; cooldown != nil {
		extra += `,"rate_limiting":{"cooldown_seconds":` + string(cooldown) + `}`
	}
	return fmt.Sprintf(`{"name":%s,"enabled":true,"endpoints":{"base_url":%s,"completions":"/chat/completions","compatible_format":"openai"},"authentication":{"type":"bearer"}%s}`,
		flat["name"], flat["base_url"], extra)
}

// At start and on reload alike: a bad file is named in one line that tells no
// secret, and what served before goes on serving.
func TestB5BadConfigurationIsRefusedAndTheOldOneServes(t *testing.T) {
	counts := map[string]int{}
	for _, b := range badInputs(t, "config") {
		t.Run(b.ID+" "+strings.ReplaceAll(b.Name, "/", "-"), func(t *testing.T) {
			counts[strings.SplitN(b.File, "/", 2)[0]]++
			switch b.File {
			case "Caddyfile", "caddy.json", "clients.json", "settings.json":
				b.tryCaddyfile(t)
			default:
				b.tryFile(t)
			}
		})
	}
	t.Logf("bad configurations, by file: %v", counts)
}

func (b *badInput) tryFile(t *testing.T) {
	said := new(script)
	up := serve(t, said)
	t.Setenv("SPARE_API_KEY", "UPSTREAM-KEY-0")
	t.Setenv("OPENAI_API_KEY_1", "UPSTREAM-KEY-1")
	log := logFile(t)
	good := setup{
		providers: map[string]string{"openai": provider("openai", up.url, ""), "spare": provider("spare", up.url, "")},
		models:    map[string]string{"m": model("m", "", "spare/x"), "m1": model("m1", "", "openai/m1")},
		global:    log.option,
	}
	if b.FS != "" && b.FS != "slow-inplace-write" {
		delete(good.models, "m1") // what is no file describes no provider
	}
	g := start(t, good)
	serves := func() {
		t.Helper()
		if got := g.post(chatPath, chatRequest); got.status != 200 || got.body != chatAnswer {
			t.Errorf("a good request is answered %d: %s", got.status, got.body)
		}
	}
	path := filepath.Join(g.dir, b.File)
	restore := func() {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		g.writeAll("providers", good.providers)
		g.writeAll("models", good.models)
	}
	text := b.nested(t, up.url)
	b.put(t, path, text)

	want := badConfigOutcomes[b.Name]
	if want == "" {
		want = "fails"
	}
	if want == "fails" {
		b.wantRefused(t, g.reload(), b.File)
		serves()
		b.wantRefused(t, validate(g.config), b.File)
		loadNothing(t) // and now as the first configuration
		b.wantRefused(t, g.reload(), b.File)
		restore()
		g.wantReload(t, "")
		serves()
		return
	}
	if b.FS == "slow-inplace-write" {
		for end := 7; end < len(text); end += 7 {
			b.put(t, path, text[:end])
			b.wantRefused(t, g.reload(), b.File)
			serves()
		}
		b.put(t, path, text)
	}
	g.wantReload(t, "")
	serves()
	if want == "warns" {
		if line := log.line(t, `"msg":"configuration file"`); !strings.Contains(line, b.File) || !strings.Contains(line, `"level":"warn"`) {
			t.Errorf("the warning does not name %s: %s", b.File, line)
		}
	}
	b.tryModel(t, g, up, said)
	for _, secret := range []string{"UPSTREAM-KEY", "SECRETPW", "OTHER"} {
		if strings.Contains(log.text(t), secret) {
			t.Errorf("the log tells %s", secret)
		}
	}
}

// put makes the bad file.
func (b *badInput) put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	var err error
	switch b.FS {
	case "directory":
		err = os.Mkdir(path, 0o755)
	case "symlink-loop":
		err = os.Symlink(filepath.Base(path), path)
	case "fifo":
		err = exec.Command("mkfifo", path).Run()
	default:
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := 2; b.Name == "fallback chain of 1000" && i <= 1000; i++ {
		extra := fmt.Sprintf(`"fallback_model_routings": ["m%d"],`, i+1)
		if i == 1000 {
			extra = ""
		}
		name := "m" + strconv.Itoa(i)
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name+".json"), []byte(model(name, extra, "openai/x")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// place is where a message says that something is wrong.
var place = regexp.MustCompile(`\.json:([0-9]+:)? `)

// wantRefused wants one line that names the file and the place, and no secret.
func (b *badInput) wantRefused(t *testing.T, err error, file string) {
	t.Helper()
	if err == nil {
		t.Fatal("it loads")
	}
	said := err.Error()
	if !strings.Contains(said, file) || !place.MatchString(said) || strings.Contains(said, "\n") {
		t.Errorf("the message does not name %s and the place on one line: %s", file, said)
	}
	for _, secret := range []string{"UPSTREAM-KEY", "SECRETPW", "OTHER", badInputsKey} {
		if strings.Contains(said, secret) {
			t.Errorf("the message tells a secret: %s", said)
		}
	}
}

// tryModel asks the model that the case is about, where it loads.
func (b *badInput) tryModel(t *testing.T, g *gateway, up *upstream, said *script) {
	t.Helper()
	up.reset()
	switch b.Name {
	case "api key with trailing newline", "same api key twice":
		for range 2 {
			g.post(chatPath, asking(chatRequest, "m1")).want(t, 200)
		}
		for _, key := range up.keysUsed() {
			if key != "UPSTREAM-KEY-1" {
				t.Errorf("key %q is sent", key)
			}
		}
		got := g.do(request{method: "GET", path: "/health/detailed"})
		if n := got.get(t, "components", "providers", "openai", "keys_available"); n != 1. {
			t.Errorf("keys = %v, want 1", n)
		}
	case "base_url points to the gateway itself (loop)":
		t.Setenv("OPENAI_API_KEY_1", clientKey)
		g.wantReload(t, "")
		began := time.Now()
		got := g.post(chatPath, asking(chatRequest, "m1"))
		if got.status != 508 && got.status != 502 || time.Since(began) > 20*time.Second {
			t.Errorf("a loop is answered %d after %v: %s", got.status, time.Since(began), got.body)
		}
	case "fallback chain of 1000":
		said.says(answers(500, brokenBody))
		got := g.post(chatPath, asking(chatRequest, "m1")).want(t, 502)
		if n, attempts := len(up.all()), got.header.Get("Llm-Proxy-Attempts"); n != 8 || attempts != "8" {
			t.Errorf("upstream calls = %d, attempts = %s, want 8: the default of max_attempts", n, attempts)
		}
	}
}

// tryCaddyfile is for the cases about what stands in Caddy's own configuration
// here: clients are lines of the Caddyfile. Limits of a client do not exist yet,
// so that whoever writes them is told so.
func (b *badInput) tryCaddyfile(t *testing.T) {
	t.Setenv("GOOD_KEY_OF_THE_TESTS", badInputsKey)
	g, _ := plainGateway(t, setup{})
	lines := map[string]struct{ block, want string }{
		"client limits negative / zero / null": {"client_key a {env.GOOD_KEY_OF_THE_TESTS} {\nrequests_per_minute -1\n}", "Caddyfile:12"},
		"client key empty string":              {`client_key a ""`, `adding client "a": key is empty`},
		"SQLite path in a missing directory":   {"log sqlite /nonexistent/dir/x.db", "log: opening the request log /nonexistent/dir/x.db: the directory of the file does not exist"},
		"Caddyfile: unknown subdirective":      {"warp 9", "unrecognized subdirective 'warp', at Caddyfile:12"},
	}
	config := g.config
	var err error
	want := `unknown field "confg_dir"`
	if b.File == "caddy.json" {
		err = caddy.Load([]byte(strings.Replace(withHandler(b.Payload.Data), `{"disabled":true}`, `{"listen":"localhost:2999"}`, 1)), true)
	} else {
		line, known := lines[b.Name]
		if !known {
			t.Fatal("the test does not know this case")
		}
		want = line.want
		g.config = strings.Replace(config, "llm_proxy {", "llm_proxy {\n"+line.block, 1)
		err = g.reload()
	}
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), badInputsKey) {
		t.Errorf("error is %v, want one line with %q", err, want)
	}
	g.post(chatPath, chatRequest).want(t, 200)
	g.do(request{method: "GET", path: "/v1/models", key: "-", header: map[string]string{"Authorization": "Bearer"}}).want(t, 401)
}

func TestB5CaddyDoesNotStartWithABadFile(t *testing.T) {
	dir := t.TempDir()
	g := &gateway{t: t, dir: dir}
	g.write("providers", "p", provider("p", "http://127.0.0.1:1", `"timeout": 5,`))
	g.write("models", "m", model("m", "", "p/x"))
	site := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(site, fmt.Appendf(nil, "{\n\tadmin off\n}\nhttp://127.0.0.1:9084 {\n\tllm_proxy {\n\t\tproviders %s/providers\n\t\tmodels %s/models\n\t}\n}\n", dir, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"validate", "run"} {
		_, stderr, exit := runCommand(t, []string{"P_API_KEY=UPSTREAM-KEY-1"}, command, "--config", site, "--adapter", "caddyfile")
		if exit == 0 || !strings.Contains(stderr, dir+"/providers/p.json:2: unknown key") || strings.Contains(stderr, "UPSTREAM-KEY") {
			t.Errorf("caddy %s: exit code %d\n%s", command, exit, stderr)
		}
	}
}
