package routing

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// badInput is a line of bad_inputs.jsonl, as far as it is about files.
type badInput struct {
	ID, Kind, Name, File, FS string
	Payload                  struct {
		Enc, Data string
		Segments  []struct {
			Lit, Rep string
			N        int
		}
	}
	Expected struct{ Startup, Note string }
}

func (b *badInput) text(t *testing.T) string {
	t.Helper()
	switch b.Payload.Enc {
	case "base64":
		text, err := base64.StdEncoding.DecodeString(b.Payload.Data)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	case "segments":
		var text strings.Builder
		for _, s := range b.Payload.Segments {
			text.WriteString(s.Lit + strings.Repeat(s.Rep, s.N))
		}
		return text.String()
	}
	return strings.NewReplacer("127.0.0.1:UP", "127.0.0.1:1", "127.0.0.1:GATEWAY", "127.0.0.1:2").Replace(b.Payload.Data)
}

// rewritten brings a provider file of the flat form that the cases have
// ({"name", "base_url", "protocol", "api_keys": [...]}) into ours, keeping what
// is wrong with it. Keys become environment variables. What is no JSON, or
// says a thing twice, stays as it is: that is what is wrong with it.
func rewritten(t *testing.T, text string) (file string, environ []string) {
	t.Helper()
	var flat map[string]json.RawMessage
	decoder := json.NewDecoder(strings.NewReader(text))
	if decoder.Decode(&flat) != nil || strings.Count(text, `"api_keys"`) > 1 || flat["x"] != nil {
		return text, nil
	}
	var protocol string
	if err := json.Unmarshal(flat["protocol"], &protocol); err != nil {
		t.Fatal(err)
	}
	if protocol != "openai" {
		protocol = "openai" // the case is about the name
	}
	file = fmt.Sprintf(`{"name":%s,"enabled":true,"endpoints":{"base_url":%s,"completions":"/chat/completions","compatible_format":%q},"authentication":{"type":"bearer"}`,
		flat["name"], flat["base_url"], protocol)
	var keys []string
	if json.Unmarshal(flat["api_keys"], &keys) != nil {
		file += `,"api_keys":` + string(flat["api_keys"])
	}
	for i, key := range keys {
		environ = append(environ, fmt.Sprintf("OPENAI_API_KEY_%d=%s", i+1, key))
	}
	if timeout := flat["timeout_seconds"]; timeout != nil {
		file += `,"request_config":{"timeout_seconds":` + string(timeout) + `}`
	}
	if cooldown := flat["cooldown_seconds"]; cooldown != nil {
		file += `,"rate_limiting":{"cooldown_seconds":` + string(cooldown) + `}`
	}
	return file + "}", environ
}

// badInputOutcomes says, where a case leaves it open whether a file is refused,
// what we do.
var badInputOutcomes = map[string]string{
	"base_url with userinfo":                                    "fails",
	"timeout as string \"60\"":                                  "fails",
	"provider name with dot/star (metrics, JSON path)":          "fails",
	"file is a directory":                                       "warns",
	"symlink loop":                                              "warns",
	"FIFO instead of file (open blocks for ever)":               "warns",
	"logical names differ only in case":                         "warns",
	"api key with trailing newline":                             "loads", // package keys trims or refuses it
	"same api key twice":                                        "loads", // package keys uses it once
	"base_url points to the gateway itself (loop)":              "loads",
	"fallback chain of 1000":                                    "loads",
	"file replaced in place in 7-byte writes while reload runs": "loads", // see below
}

func TestBadConfigurationFiles(t *testing.T) {
	data, err := os.ReadFile("../../shared/reliability/bad_inputs.jsonl")
	if err != nil {
		t.Skipf("the collection of bad inputs is not there: %v", err)
	}
	for line := range bytes.Lines(data) {
		var b badInput
		if err := json.Unmarshal(line, &b); err != nil {
			t.Fatal(err)
		}
		// The others are about clients, settings and Caddy's own file.
		if b.Kind == "config" && (strings.HasPrefix(b.File, "providers/") || strings.HasPrefix(b.File, "models/")) {
			t.Run(b.ID+" "+strings.ReplaceAll(b.Name, "/", "-"), func(t *testing.T) { tryBadInput(t, &b) })
		}
	}
}

func tryBadInput(t *testing.T, b *badInput) {
	inEmptyDir(t)
	environ := []string{"SPARE_API_KEY=UPSTREAM-KEY-0"}
	for _, name := range []string{"openai", "spare"} {
		writeConfig(t, "providers/"+name+".json", strings.Replace(plainProvider, `"up"`, `"`+name+`"`, 1))
	}
	writeConfig(t, "models/m2.json", `{"logical_name":"m2","model_routings":[{"provider":"spare","model":"x"}]}`)
	if b.Name == "logical names differ only in case" {
		writeConfig(t, "models/m1.json", `{"logical_name":"m1","model_routings":[{"provider":"spare","model":"x"}]}`)
	}
	var written string
	switch b.FS {
	case "", "slow-inplace-write":
		text := b.text(t)
		if strings.HasPrefix(b.File, "providers/") {
			var more []string
			text, more = rewritten(t, text)
			environ = append(environ, more...)
		}
		written = text
		writeConfig(t, b.File, text)
	default:
		makeSpecial(t, b)
	}

	o := LoadOptions{ProvidersDir: "providers", ModelsDir: "models", Environ: environ}
	c, warnings, err := Load(o)
	said := strings.Join(problemTexts(warnings), "\n")
	got := "loads"
	switch {
	case err != nil:
		got, said = "fails", err.Error()
	case len(warnings) > 0:
		got = "warns"
	}
	want := badInputOutcomes[b.Name]
	if want == "" {
		want = "fails"
	}
	if got != want {
		t.Fatalf("%s, want %s: %s", got, want, said)
	}
	for _, secret := range []string{"UPSTREAM-KEY", "SECRETPW", "OTHER"} {
		if strings.Contains(said, secret) {
			t.Errorf("the message tells a secret: %s", said)
		}
	}
	if got != "loads" && (!strings.Contains(said, b.File) || strings.Contains(said, "\n")) {
		t.Errorf("the message does not name %s on one line: %s", b.File, said)
	}
	if c != nil {
		if m, ok := c.Model("m2"); !ok || len(m.Routes) != 1 {
			t.Error("the good model is not there")
		}
	}
	if b.FS == "slow-inplace-write" {
		// Whatever part of the file a reload sees, it is refused.
		for i := range len(written) {
			writeConfig(t, b.File, written[:i])
			if _, _, err := Load(o); err == nil {
				t.Errorf("the first %d bytes of the file load", i)
			}
		}
	}
}

// makeSpecial puts something that is no file in a file's place.
func makeSpecial(t *testing.T, b *badInput) {
	t.Helper()
	if err := os.Remove(b.File); err != nil {
		t.Fatal(err)
	}
	var err error
	switch b.FS {
	case "directory":
		err = os.Mkdir(b.File, 0o755)
	case "symlink-loop":
		err = os.Symlink(filepath.Base(b.File), b.File)
	case "fifo":
		err = makeFIFO(b.File)
	default:
		t.Fatalf("unknown kind of file %q", b.FS)
	}
	if err != nil {
		t.Skipf("this system cannot make the file: %v", err)
	}
}
