package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

var updateAdapt = flag.Bool("update-adapt", false, "rewrite the JSON of testdata/adapt")

const adaptSeparator = "----------\n"

// Each file holds a Caddyfile and the JSON that it stands for.
func TestCaddyfilesAdaptToTheirJSON(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			site, want, found := strings.Cut(string(text), adaptSeparator)
			if !found {
				t.Fatal("the file has no separator")
			}
			config, err := adapt(site)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, config, "", "\t"); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
			if *updateAdapt {
				if err := os.WriteFile(file, []byte(site+adaptSeparator+got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got.String() != want {
				t.Errorf("JSON differs; run with -update-adapt and look at the difference. Got:\n%s", got.String())
			}
		})
	}
}

func TestCaddyfileMistakesAreNamedWithTheirLine(t *testing.T) {
	const canary = "sk-canary-qzxw"
	for _, tc := range []struct{ block, want string }{
		{"llm_proxy surplus", "wrong argument count or unexpected line ending after 'surplus'"},
		{"warp 9", "unrecognized subdirective 'warp'"},
		{"provider config", "unrecognized subdirective 'provider'"},
		{"providers", "after 'providers'"},
		{"providers a b", "after 'a'"},
		{"providers a {\n\tb\n}", "unrecognized subdirective '{'"},
		{"models", "after 'models'"},
		{"models a b", "after 'a'"},
		{"watch on", "after 'on'"},
		{"client_key", "client_key takes a name and a key"},
		{"client_key " + canary, "client_key takes a name and a key"},
		{"client_key a b " + canary, "client_key takes a name and a key"},
		{"client_key a " + canary + " {\n\tbudget 5\n}", "'{'"},
		{"allow_anonymous yes", "after 'yes'"},
		{"cooldown", "after 'cooldown'"},
		{"cooldown 5m 6m", "after '6m'"},
		{"cooldown soon", "cooldown: 'soon' is no duration; write e.g. 30s or 5m"},
		{"cooldown -5", "cooldown: '-5' is no duration"},
		{"cooldown -5s", "cooldown: must not be negative"},
		{"cooldown 99999999999", "cooldown: '99999999999' is no duration"},
		{"max_attempts", "after 'max_attempts'"},
		{"max_attempts many", "max_attempts: 'many' is no number above 0"},
		{"max_attempts 0", "max_attempts: '0' is no number above 0"},
		{"max_attempts -1", "max_attempts: '-1' is no number above 0"},
		{"max_attempts 1.5", "max_attempts: '1.5' is no number above 0"},
		{"max_attempts 1 2", "after '1'"},
		{"breaker", "breaker is written with a block of settings, or as 'breaker off'"},
		{"breaker on", "breaker is written with a block of settings, or as 'breaker off'"},
		{"breaker off 5", "breaker is written with a block of settings, or as 'breaker off'"},
		{"breaker {\n\tfailures\n}", "after 'failures'"},
		{"breaker {\n\tfailures -1\n}", "failures: '-1' is no whole number from 0 on"},
		{"breaker {\n\tfailures 99999999999\n}", "failures: '99999999999' is no whole number from 0 on"},
		{"breaker {\n\trequests 0\n}", "requests: '0' is no whole number from 1 on"},
		{"breaker {\n\tratio half\n}", "ratio: 'half' is no share; write e.g. 0.5 or 50%"},
		{"breaker {\n\tratio NaN\n}", "ratio: 'NaN' is no share"},
		{"breaker {\n\tratio -10%\n}", "ratio: '-10%' is no share"},
		{"breaker {\n\twindow 5\n}", "window: '5' is no duration"},
		{"breaker {\n\topen 5s 6s\n}", "after '5s'"},
		{"breaker {\n\tcooldown 5s\n}", "unrecognized breaker setting 'cooldown'; the settings are failures, ratio, requests, window, open and max_open"},
		{"breaker {\n\topen 5m\n\tmax_open 1m\n}", "breaker: max_open must not be shorter than open"},
		{"breaker {\n\topen 0\n}", "open: must be from 1s to 24h; to have no breaker write 'breaker off'"},
		{"breaker {\n\twindow 10ms\n}", "breaker: window must be from 1s to 24h; to have none write off"},
		{"retry_budget", "after 'retry_budget'"},
		{"retry_budget off 5", "after '5'"},
		{"retry_budget 1 2 3", "after '3'"},
		{"retry_budget some", "retry_budget: 'some' is no share; write e.g. 0.2 or 20%, or off"},
		{"retry_budget -1", "retry_budget: '-1' is no share"},
		{"retry_budget 20", "retry_budget: '20' is no share; write e.g. 0.2 or 20%, or off"},
		{"retry_budget 10001%", "retry_budget: '10001%' is no share"},
		{"retry_budget 20% ten", "retry_budget: 'ten' is no number of attempts per second; write e.g. 10"},
		{"retry_budget 20% -1", "retry_budget: the number per second must be from 0 to 1000000"},
		{"retry_budget 20% NaN", "retry_budget: the number per second must be from 0 to 1000000"},
		{"retry_budget 0 0", "retry_budget: 0 and 0 would allow no retry; write max_attempts 1 for that, or off to have no bound"},
		{"wait", "after 'wait'"},
		{"wait long", "wait: 'long' is no duration"},
		{"wait -1s", "wait: must not be negative"},
		{"affinity", "after 'affinity'"},
		{"affinity yes", "affinity: 'yes' is neither on nor off"},
		{"model_override", "after 'model_override'"},
		{"model_override a b", "after 'a'"},
		{"state", "state is written as 'state memory' or 'state file <path>'"},
		{"state file", "state is written as"},
		{"state file \"\"", "state is written as"},
		{"state disk /x", "state is written as"},
		{"state memory /x", "state is written as"},
		{"max_body", "after 'max_body'"},
		{"max_body big", "max_body: 'big' is no size; write e.g. 32MiB"},
		{"max_body 0", "max_body: '0' is no size"},
		{"max_body -1MiB", "max_body: '-1MiB' is no size"},
		{"max_body 9999PB", "max_body: '9999PB' is no size"},
		{"on_lossy", "after 'on_lossy'"},
		{"on_lossy warn reject", "after 'warn'"},
		{"on_lossy maybe", "on_lossy: 'maybe' is none of [warn reject ignore]"},
		{"on_lossy Warn", "on_lossy: 'Warn' is none of [warn reject ignore]"},
		{"model_echo", "after 'model_echo'"},
		{"model_echo alias", "model_echo: 'alias' is none of [upstream requested]"},
		{"timeouts 5s", "after '5s'"},
		{"timeouts {\n\tread 5s\n}", "unrecognized timeout 'read'; the timeouts are connect, first_content, idle and total"},
		{"timeouts {\n\tidle\n}", "after 'idle'"},
		{"timeouts {\n\tidle 5s 6s\n}", "after '5s'"},
		{"timeouts {\n\tidle 5\n}", "idle: '5' is no duration"},
		{"timeouts {\n\ttotal -5s\n}", "total: must not be negative"},
		{"timeouts {\n\tconnect 0\n}", "a timeout of 0 would fail every request"},
		{"transport", "after 'transport'"},
		{"transport http\ntransport http", "transport is written twice"},
		{"transport carrier_pigeon", "module not registered: http.reverse_proxy.transport.carrier_pigeon"},
		{"transport http {\n\twings 2\n}", "unrecognized subdirective wings"},
		{"transport http {\n\tdial_timeout soon\n}", "bad timeout value"},
	} {
		site := ":8080 {\n\tllm_proxy {\n" + tc.block + "\n}\n}\n"
		line := 3 + strings.Count(strings.TrimSuffix(tc.block, "\n}"), "\n")
		if strings.HasPrefix(tc.block, "llm_proxy") {
			site, line = ":8080 {\n\t"+tc.block+"\n}\n", 2
		}
		if strings.HasPrefix(tc.want, "breaker: ") {
			line++ // where the block ends
		}
		if strings.HasSuffix(tc.want, "'{'") {
			line = 3 // where the block opens
		}
		_, err := adapt(site)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), fmt.Sprintf("Caddyfile:%d", line)) {
			t.Errorf("%q: error is %v, want %q at Caddyfile:%d", tc.block, err, tc.want, line)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%q: the error tells the key: %v", tc.block, err)
		}
	}
}

// withHandler is a Caddy configuration of one site with one handler.
func withHandler(handler string) string {
	return `{"admin":{"disabled":true},"apps":{"http":{"servers":{"s":{"listen":["127.0.0.1:9083"],"routes":[{"handle":[` + handler + `]}]}}}}}`
}

func TestJSONMistakesAreErrorsThatNameTheField(t *testing.T) {
	t.Setenv("CLIENT_API_KEY", "")
	t.Setenv("REQUIRE_CLIENT_API_KEY", "")
	dir := t.TempDir()
	g := &gateway{t: t, dir: dir}
	g.write("providers", "p", provider("p", "http://127.0.0.1:1", ""))
	g.write("models", "m", model("m", "", "p/x"))
	handler := func(members string) string {
		return fmt.Sprintf(`{"handler":"llm_proxy","providers":%q,"models":%q%s}`, filepath.Join(dir, "providers"), filepath.Join(dir, "models"), members)
	}
	load := func(handler string) error {
		var config caddy.Config
		if err := caddy.StrictUnmarshalJSON([]byte(withHandler(handler)), &config); err != nil {
			return err
		}
		return caddy.Validate(&config)
	}
	for _, good := range []string{
		`,"breaker":{}`, `,"breaker":{"failures":0,"ratio":0}`, `,"breaker":{"open":"5m"}`, `,"retry_budget":{"off":true,"ratio":-1}`,
		`,"retry_budget":{"ratio":0}`, `,"wait":"5s"`, `,"affinity":false`, `,"state":{}`, `,"state":{"file":"llm.json"}`, `,"model_override":"x"`,
		"", `,"cooldown":0`, `,"cooldown":"5m"`, `,"max_body":"1MiB"`, `,"max_body":1000`, `,"timeouts":{"idle":"30s"}`, `,"max_attempts":1`,
		`,"log":{}`, `,"log":{"bodies":{"mode":"off"}}`,
		`,"on_lossy":"ignore"`, `,"model_echo":"requested"`,
		`,"transport":{"protocol":"http","dial_timeout":"1s"}`,
	} {
		if err := load(handler(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, tc := range []struct{ members, want string }{
		{`,"confg_dir":"x"`, `unknown field "confg_dir"`},
		{`,"timeouts":{"read":"5s"}`, `unknown field "read"`},
		{`,"client_keys":[{"nam":"x"}]`, `unknown field "nam"`},
		{`,"cooldown":-1`, "cooldown: must not be negative"},
		{`,"max_attempts":-1`, "max_attempts: must be at least 1"},
		{`,"breaker":{"failures":-1}`, "breaker: failures must not be negative; 0 never counts them"},
		{`,"breaker":{"ratio":50}`, "breaker: ratio must be from 0 to 1; 0 never counts it"},
		{`,"breaker":{"ratio":-0.1}`, "breaker: ratio must be from 0 to 1"},
		{`,"breaker":{"requests":-1}`, "breaker: requests must be at least 1"},
		{`,"breaker":{"window":-1}`, "breaker: window must be from 1s to 24h; to have none write off"},
		{`,"breaker":{"open":"500ms"}`, "breaker: open must be from 1s to 24h"},
		{`,"breaker":{"max_open":"25h"}`, "breaker: max_open must be from 1s to 24h"},
		{`,"breaker":{"open":"1m","max_open":"30s"}`, "breaker: max_open must not be shorter than open"},
		{`,"breaker":false`, "breaker"},
		{`,"breaker":{"off":true}`, `unknown field "off"`},
		{`,"retry_budget":{"ratio":-1}`, "retry_budget: the ratio must be from 0 to 100"},
		{`,"retry_budget":{"per_second":-1}`, "retry_budget: the number per second must be from 0 to 1000000"},
		{`,"retry_budget":{"ratio":0,"per_second":0}`, "retry_budget: 0 and 0 would allow no retry"},
		{`,"wait":-1`, "wait: must not be negative; 0 answers at once"},
		{`,"affinity":"on"`, "affinity"},
		{`,"state":{"file":"{env.LLM_UNHEARD_OF}/x"}`, "state: "},
		{`,"log":{"bodies":{"mode":"full"}}`, "log: retain, max_size and bodies need a database"},
		{`,"log":{"sqlite":"x.db","bodies":{"mode":"some"}}`, "log: bodies: 'some' is none of [off redacted full]"},
		{`,"log":{"sqlite":"x.db","bodies":{"mode":"full","sample":1.5}}`, "log: bodies: sample must be above 0 and at most 1"},
		{`,"log":{"sqlite":"x.db","bodies":{"mode":"full","sample":-1}}`, "log: bodies: sample must be above 0 and at most 1"},
		{`,"log":{"sqlite":"x.db","bodies":{"mode":"full","max_size":"9MiB"}}`, "log: bodies: max_size must be at most 8.0 MiB"},
		{`,"log":{"sqlite":"x.db","bodies":{"mode":"full","retain":"1s"}}`, "log: bodies: retain must be at least 1m"},
		{`,"log":{"sqlite":"x.db","bodies":{"prompts":true}}`, `unknown field "prompts"`},
		{`,"log":{"sqlite":"x.db","bodies":"full"}`, "log"},
		{`,"state":{"path":"x"}`, `unknown field "path"`},
		{`,"on_lossy":"maybe"`, "on_lossy: 'maybe' is none of [warn reject ignore]"},
		{`,"on_lossy":true`, "on_lossy"},
		{`,"model_echo":"alias"`, "model_echo: 'alias' is none of [upstream requested]"},
		{`,"timeouts":{"idle":-1}`, "timeouts: idle must not be negative"},
		{`,"max_body":"big"`, "big is no size"},
		{`,"max_body":-1`, "-1 is no size"},
		{`,"max_body":null`, "null is no size"},
		{`,"client_keys":[{"name":"x"}]`, `"x": key is empty`},
		{`,"client_keys":[{"key":"x"}]`, "name is empty"},
		{`,"transport":{"protocol":"pigeon"}`, "http.reverse_proxy.transport.pigeon"},
		{`,"transport":{}`, "http.reverse_proxy.transport."},
		{`,"transport":{"protocol":"http","wings":2}`, `unknown field "wings"`},
	} {
		if err := load(handler(tc.members)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error is %v, want %q", tc.members, err, tc.want)
		}
	}
	t.Setenv("KEY_COOLDOWN_SECONDS", "soon")
	if err := load(handler("")); err == nil || !strings.Contains(err.Error(), `KEY_COOLDOWN_SECONDS: "soon" is not a whole number of seconds`) {
		t.Errorf("KEY_COOLDOWN_SECONDS=soon: error is %v", err)
	}
	for _, seconds := range []string{"0", "-1", "60"} {
		t.Setenv("KEY_COOLDOWN_SECONDS", seconds)
		if err := load(handler("")); err != nil {
			t.Errorf("KEY_COOLDOWN_SECONDS=%s: %v", seconds, err)
		}
	}
	t.Setenv("KEY_COOLDOWN_SECONDS", "soon")
	if err := load(handler(`,"cooldown":"5m"`)); err != nil {
		t.Errorf("the environment counts where the configuration has a cooldown: %v", err)
	}
}

func TestDefaultsAreThoseOfTheManual(t *testing.T) {
	t.Setenv("KEY_COOLDOWN_SECONDS", "")
	h := new(Handler)
	if err := h.setDefaults(); err != nil {
		t.Fatal(err)
	}
	if h.Providers != "config/providers" || h.Models != "config/models" || time.Duration(*h.Cooldown) != 5*time.Minute || h.MaxAttempts != 8 || h.MaxBody != 32<<20 ||
		h.OnLossy != routing.LossyWarn || h.ModelEcho != routing.EchoUpstream {
		t.Errorf("defaults are %+v", h)
	}
	options := h.routerOptions()
	if want := (keys.Breaker{Failures: 3, Ratio: 0.5, Requests: 10, Window: 30 * time.Second, Open: 10 * time.Second, MaxOpen: 2 * time.Minute}); options.Breaker != want {
		t.Errorf("breaker is %+v, want %+v", options.Breaker, want)
	}
	if want := (routing.Retries{Ratio: 0.2, PerSecond: 10}); options.Retries != want {
		t.Errorf("retry budget is %+v, want %+v", options.Retries, want)
	}
	if options.Wait != 0 || !*h.Affinity || h.State.File != "" || h.ModelOverride != "" {
		t.Errorf("wait = %v, affinity = %v, state = %+v, model_override = %q", options.Wait, *h.Affinity, h.State, h.ModelOverride)
	}
	want := Timeouts{Connect: caddy.Duration(5 * time.Second), FirstContent: caddy.Duration(time.Minute), Idle: caddy.Duration(time.Minute), Total: caddy.Duration(10 * time.Minute)}
	if *h.Timeouts != want {
		t.Errorf("timeouts are %+v, want %+v", *h.Timeouts, want)
	}
}

func TestWhatIsOffIsOff(t *testing.T) {
	h := &Handler{Breaker: &Breaker{Failures: new(0), Ratio: new(0.0)}, RetryBudget: &RetryBudget{Off: true}, Affinity: new(false)}
	if err := h.setDefaults(); err != nil {
		t.Fatal(err)
	}
	options := h.routerOptions()
	if options.Breaker.Failures != 0 || options.Breaker.Ratio != 0 || options.Retries != (routing.Retries{}) || *h.Affinity {
		t.Errorf("breaker = %+v, retry budget = %+v, affinity = %v", options.Breaker, options.Retries, *h.Affinity)
	}
}

// FuzzCaddyfile wants every block to be read or refused with a place.
func FuzzCaddyfile(f *testing.F) {
	for _, block := range []string{
		"llm_proxy {\n\tcooldown 5\n}", "llm_proxy {\n\tcooldown\n}", "llm_proxy {\n\ttimeouts {\n\t\tidle 5s\n\t}\n}", "llm_proxy x {\n}",
		"llm_proxy {\n\tclient_key a {$B\n}", "llm_proxy {\n\tcooldown a b c\n\tmax_body 1MiB\n}",
		"llm_proxy {\n\tbreaker {\n\t\tfailures 5\n\t\tratio 50%\n\t\topen 5m\n\t}\n\tretry_budget NaN 5\n\tbreaker off\n}",
		"llm_proxy {\n\tstate file x\n\taffinity off\n\twait 5s\n\tmodel_override {x}\n\tretry_budget 1e300% 1e300\n}",
	} {
		f.Add(block)
	}
	f.Fuzz(func(t *testing.T, block string) {
		tokens, err := caddyfile.Tokenize([]byte(block), "Caddyfile")
		if err != nil || len(tokens) == 0 {
			return
		}
		h := new(Handler)
		if err := h.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil && !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%q: %v has no place", block, err)
		}
		if _, err := json.Marshal(h); err != nil {
			t.Errorf("%q: %v", block, err)
		}
	})
}
