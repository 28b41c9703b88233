package simulated

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// oracleSource is a program that reads an answer strictly, by the letter of its
// protocol and with the official SDKs. It is not part of this repository.
const oracleSource = "../../../shared/wire/oracle"

func buildOracle(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("building the oracle takes a while")
	}
	source, err := filepath.Abs(oracleSource)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(source); err != nil {
		t.Skipf("the oracle's source is missing: %v", err)
	}
	oracle := filepath.Join(t.TempDir(), "oracle")
	build := exec.Command("go", "build", "-o", oracle, ".")
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("the oracle cannot be built: %v\n%s", err, out)
	}
	return oracle
}

// rich are requests with everything that an answer can depend on.
var rich = []struct{ api, path, body string }{
	{"chat", "/chat/completions", `{"model":"%s","stream":%v,"stream_options":{"include_usage":true},"max_tokens":%d,
		"messages":[{"role":"user","content":[{"type":"text","text":"Hi \"you\" <b>& 日本 😀"}]}],
		"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}},
			{"type":"custom","custom":{"name":"patch"}}],
		"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"a":{"enum":[1,2]}},"required":["a"]}}}}`},
	{"responses", "/responses", `{"model":"%s","stream":%v,"include":["reasoning.encrypted_content"],"max_output_tokens":%d,"metadata":{"k":"v"},
		"input":[{"role":"developer","content":"x"},{"role":"user","content":[{"type":"input_text","text":"Hi \"you\" <b>& 日本 😀"}]}],
		"tools":[{"type":"namespace","name":"ns","tools":[{"type":"function","name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}]},
			{"type":"custom","name":"patch"}],
		"text":{"format":{"type":"json_schema","name":"x","schema":{"type":"object","properties":{"a":{"enum":[1,2]}},"required":["a"]}}}}`},
	{"messages", "/messages", `{"model":"%s","stream":%v,"max_tokens":%d,"system":[{"type":"text","text":"x"}],
		"messages":[{"role":"user","content":[{"type":"text","text":"Hi \"you\" <b>& 日本 😀"}]}],
		"tools":[{"name":"weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}},
			{"type":"web_search_20250305","name":"web_search"},{"name":"patch","input_schema":{"type":"object"}}],
		"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"a":{"enum":[1,2]}},"required":["a"]}}}}`},
}

func TestTheOracleFindsNothingWrong(t *testing.T) {
	oracle := buildOracle(t)
	p := New(Config{})
	dir := t.TempDir()
	for _, api := range rich {
		for _, model := range []string{
			"demo", "demo-tools", "demo-tools+parallel", "demo-thinking", "demo-thinking+tools+text+parallel", "demo-hidden+tools+cache", "demo-json", "demo-long-300",
		} {
			for _, limit := range []int{100_000, 30, 15, 3, 1} {
				files := make([]string, 2)
				for i, stream := range []bool{false, true} {
					w := httptest.NewRecorder()
					body := fmt.Sprintf(api.body, model, stream, limit)
					p.ServeHTTP(w, httptest.NewRequest(http.MethodPost, api.path, strings.NewReader(body)))
					files[i] = filepath.Join(dir, fmt.Sprintf("answer%d", i))
					if err := os.WriteFile(files[i], w.Body.Bytes(), 0o600); err != nil {
						t.Fatal(err)
					}
					judge := exec.Command(oracle, "-strict", api.api)
					judge.Stdin = w.Body
					if out, err := judge.CombinedOutput(); err != nil {
						t.Errorf("%s %s, limit %d, stream %v: %v\n%s", api.api, model, limit, stream, err, out)
					}
				}
				if limit < 30 && api.api == "messages" && strings.Contains(model, "tools") {
					continue // a whole message has no place for the half call that the stream shows
				}
				compare := exec.Command(oracle, "-strict", "compare", api.api, files[0], api.api, files[1])
				if out, err := compare.CombinedOutput(); err != nil {
					t.Errorf("%s %s, limit %d: the stream says something else: %v\n%s", api.api, model, limit, err, out)
				}
			}
		}
	}
}
