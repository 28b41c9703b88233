package crossing_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// The oracle reads a stream or an answer once as strictly as the protocol is
// written and once with the official SDK, and tells what the model said in one
// neutral form. It is a program of its own, built once for all tests.
const oracleDir = sharedDir + "/wire/oracle"

var oracle struct {
	once sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if oracle.path != "" {
		os.RemoveAll(filepath.Dir(oracle.path))
	}
	os.Exit(code)
}

// oraclePath builds the oracle, or skips the test where it cannot be built.
func oraclePath(tb testing.TB) string {
	tb.Helper()
	if _, err := os.Stat(oracleDir); err != nil {
		tb.Skipf("the oracle is not at hand: %v", err)
	}
	oracle.once.Do(func() {
		dir, err := os.MkdirTemp("", "oracle")
		if err != nil {
			oracle.err = err
			return
		}
		oracle.path = filepath.Join(dir, "oracle")
		build := exec.Command("go", "build", "-o", oracle.path, ".")
		build.Dir = oracleDir
		if out, err := build.CombinedOutput(); err != nil {
			oracle.err = fmt.Errorf("building the oracle: %w\n%s", err, out)
		}
	})
	if oracle.err != nil {
		tb.Skip(oracle.err)
	}
	return oracle.path
}

// verdict is what the oracle says of two forms of one answer.
type verdict struct {
	Differences []string
	Violations  []struct{ Code, Msg string } `json:"b_violations"`
	SDKError    string                       `json:"b_sdk_error"`
}

// faults lists what is wrong with the second form alone.
func (v verdict) faults() []string {
	var faults []string
	for _, violation := range v.Violations {
		faults = append(faults, violation.Code+": "+violation.Msg)
	}
	if v.SDKError != "" {
		faults = append(faults, "the SDK says: "+v.SDKError)
	}
	return faults
}

// compare asks the oracle about an answer as it came and as it was translated.
func compare(tb testing.TB, from translate.Protocol, came string, to translate.Protocol, became []byte) verdict {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "translated")
	if err := os.WriteFile(path, became, 0o600); err != nil {
		tb.Fatal(err)
	}
	out, err := exec.Command(oraclePath(tb), "-strict", "compare", apiName(from), came, apiName(to), path).Output()
	var failed *exec.ExitError
	if err != nil && (!errors.As(err, &failed) || failed.ExitCode() != 1) {
		tb.Fatalf("asking the oracle: %v", err)
	}
	var v verdict
	if err := json.Unmarshal(out, &v); err != nil {
		tb.Fatalf("reading the oracle's verdict: %v", err)
	}
	return v
}

// dirty tells, by file, what the oracle finds wrong with the fixtures themselves,
// without being strict: real vendors have habits.
func dirty(tb testing.TB) map[string]string {
	tb.Helper()
	dir, err := filepath.Abs(fixturesDir)
	if err != nil {
		tb.Fatal(err)
	}
	out, err := exec.Command(oraclePath(tb), "batch", dir).Output()
	if err != nil {
		tb.Fatalf("asking the oracle: %v", err)
	}
	faults := map[string]string{}
	for _, line := range strings.Split(string(out), "\n") {
		if columns := strings.Split(line, "\t"); columns[0] == "DIRTY" && len(columns) == 4 {
			file, err := filepath.Rel(dir, columns[1])
			if err != nil {
				tb.Fatal(err)
			}
			faults[filepath.ToSlash(file)] = columns[3]
		}
	}
	return faults
}

// reading is an answer in the oracle's neutral form, as far as the tests look.
type reading struct {
	Clean      bool
	SDKError   string `json:"sdk_error"`
	Violations []struct{ Code, Msg string }
	Text       string
	Thinking   string
	Opaque     int `json:"opaque_reasoning"`
	Refusal    string
	Tools      []struct {
		ID, Kind, Name string
		Args           json.RawMessage
	} `json:"tool_calls"`
	Order []string
	Stop  string
	Usage *struct {
		Input      int64 `json:"input_total"`
		Cached     int64 `json:"cached_read"`
		CacheWrite int64 `json:"cache_write"`
		Output     int64
		Reasoning  int64
	}
	Error *struct{ Type, Code, Message string }
}

// read asks the oracle what an answer says.
func read(tb testing.TB, p translate.Protocol, body []byte) reading {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "answer")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		tb.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	ask := exec.Command(oraclePath(tb), "-strict", apiName(p))
	ask.Stdin = file
	out, err := ask.Output()
	var failed *exec.ExitError
	if err != nil && (!errors.As(err, &failed) || failed.ExitCode() != 1) {
		tb.Fatalf("asking the oracle: %v", err)
	}
	var r reading
	if err := json.Unmarshal(out, &r); err != nil {
		tb.Fatalf("reading the oracle's answer: %v", err)
	}
	return r
}

func decimal(n int) string { return strconv.Itoa(n) }
