package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// knock asks for the model list with headers that may be there more than once.
func (g *gateway) knock(t *testing.T, pairs ...string) response {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, g.url+"/v1/models", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Add(pairs[i], pairs[i+1])
	}
	return g.send(t, r)
}

// send sends a request that a test has made and reads the response.
func (g *gateway) send(t *testing.T, r *http.Request) response {
	t.Helper()
	got, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	return response{got.StatusCode, got.Header, string(body), err}
}

func TestAClientIsKnownByItsKey(t *testing.T) {
	g, _ := plainGateway(t, setup{})
	const key = clientKey
	swapped := strings.ToUpper(key[:1]) + key[1:]
	for _, tc := range []struct {
		headers []string
		status  int
		message string
	}{
		{[]string{"Authorization", "Bearer " + key}, 200, ""},
		{[]string{"Authorization", key}, 200, ""},
		{[]string{"Authorization", "bearer " + key}, 200, ""},
		{[]string{"Authorization", "BEARER   " + key + "  "}, 200, ""},
		{[]string{"Authorization", "Bearer\t" + key}, 200, ""},
		{[]string{"Authorization", "Bearer Bearer " + key}, 200, ""},
		{[]string{"X-Api-Key", key}, 200, ""},
		{[]string{"X-Api-Key", " " + key + " "}, 200, ""},
		{[]string{"Authorization", "", "X-Api-Key", key}, 200, ""},
		{[]string{"Authorization", "Bearer", "X-Api-Key", key}, 200, ""},
		{[]string{"Authorization", "Bearer " + key, "X-Api-Key", "wrong"}, 200, ""}, // Authorization goes first

		{nil, 401, "missing"},
		{[]string{"Authorization", ""}, 401, "missing"},
		{[]string{"Authorization", "Bearer "}, 401, "missing"},
		{[]string{"Authorization", "Bearer bearer"}, 401, "missing"},
		{[]string{"X-Api-Key", ""}, 401, "missing"},
		{[]string{"X-Goog-Api-Key", key}, 401, "missing"},
		{[]string{"Cookie", "key=" + key}, 401, "missing"},
		{[]string{"Authorization", "Bearer wrong", "X-Api-Key", key}, 401, "invalid"},
		{[]string{"Authorization", "Bearer " + swapped}, 401, "invalid"},
		{[]string{"Authorization", "Bearer " + key[:len(key)-1]}, 401, "invalid"},
		{[]string{"Authorization", "Bearer " + key + "x"}, 401, "invalid"},
		{[]string{"Authorization", "Bearer " + key + " " + key}, 401, "invalid"},
		{[]string{"Authorization", "Bearer" + key}, 401, "invalid"},
		{[]string{"Authorization", "Basic " + key}, 401, "invalid"},
		{[]string{"X-Api-Key", "Bearer " + key}, 401, "invalid"},
		{[]string{"Authorization", "Bearer " + key, "Authorization", "Bearer " + key}, 401, "several"},
		{[]string{"X-Api-Key", key, "X-Api-Key", "wrong"}, 401, "several"},
	} {
		got := g.knock(t, tc.headers...)
		if got.status != tc.status {
			t.Errorf("%q: status %d, want %d", tc.headers, got.status, tc.status)
			continue
		}
		if tc.status == 401 {
			if told := got.wantError(t, translate.Chat, 401, true); !strings.HasPrefix(told.message, tc.message) {
				t.Errorf("%q: %q, want it to begin with %q", tc.headers, told.message, tc.message)
			}
		}
	}
	// The query is no place for a key.
	g.do(request{method: "GET", path: "/v1/models?key=" + key, key: "-"}).want(t, 401)
}

func TestWithoutAnyClientKeyEveryRequestIsRefusedAndTheLogSaysWhy(t *testing.T) {
	t.Setenv("CLIENT_API_KEY", "")
	t.Setenv("REQUIRE_CLIENT_API_KEY", "")
	log := logFile(t)
	g, up := plainGateway(t, setup{anonymous: true, global: log.option})
	for _, e := range served {
		for _, key := range []string{"-", "anything", "null", "undefined"} {
			r := goodRequest(e.method, e.path)
			r.key = key
			got := g.do(r)
			if strings.HasPrefix(e.path, "/health") {
				got.want(t, 200)
				continue
			}
			got.wantError(t, e.protocol, 401, true)
		}
	}
	if n := len(up.all()); n != 0 {
		t.Errorf("upstream calls = %d, want 0", n)
	}
	for _, want := range []string{`"level":"warn"`, "no client key is configured", "CLIENT_API_KEY", "client_key", "allow_anonymous"} {
		if !strings.Contains(log.line(t, "no client key is configured"), want) {
			t.Errorf("the log does not say %q:\n%s", want, log.text(t))
		}
	}
}

func TestAnonymousCallersAreAnsweredWhereThatIsWritten(t *testing.T) {
	t.Setenv("CLIENT_API_KEY", "")
	for _, tc := range []struct {
		name      string
		setup     setup
		with      map[string]int // status by key
		ambiguous int
	}{
		{"without keys any will do", setup{anonymous: true, directive: "allow_anonymous"}, map[string]int{"-": 200, "sk-anything": 200}, 200},
		{"beside keys a wrong one is refused", setup{directive: "allow_anonymous"}, map[string]int{"-": 200, clientKey: 200, "wrong": 401}, 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, _ := plainGateway(t, tc.setup)
			for key, want := range tc.with {
				for _, e := range served {
					if e.path != "/health" && e.path != "/health/detailed" {
						r := goodRequest(e.method, e.path)
						r.key = key
						g.do(r).want(t, want)
					}
				}
			}
			if got := g.knock(t, "Authorization", "Bearer a", "Authorization", "Bearer b"); got.status != tc.ambiguous {
				t.Errorf("with two keys: status %d, want %d", got.status, tc.ambiguous)
			}
		})
	}
}

func TestTheEnvironmentsClientKeyIsForSitesThatNameNone(t *testing.T) {
	t.Setenv("CLIENT_API_KEY", "key-of-the-environment")
	t.Run("none named", func(t *testing.T) {
		t.Setenv("REQUIRE_CLIENT_API_KEY", "true")
		g, _ := plainGateway(t, setup{anonymous: true})
		g.knock(t, "Authorization", "Bearer key-of-the-environment").want(t, 200)
		g.knock(t, "Authorization", "Bearer "+clientKey).want(t, 401)
		g.knock(t).want(t, 401)
	})
	t.Run("one named", func(t *testing.T) {
		g, _ := plainGateway(t, setup{})
		g.knock(t, "Authorization", "Bearer key-of-the-environment").want(t, 401)
		g.knock(t, "Authorization", "Bearer "+clientKey).want(t, 200)
	})
}

func TestARequiredClientKeyThatIsMissingIsALoadError(t *testing.T) {
	t.Setenv("CLIENT_API_KEY", "")
	g, _ := plainGateway(t, setup{})
	named := g.config
	without := strings.Replace(named, "client_key tests {env.CLIENT_KEY_OF_THE_TESTS}", "", 1)
	for _, required := range []string{"true", "True", "TRUE"} {
		t.Setenv("REQUIRE_CLIENT_API_KEY", required)
		g.config = without
		g.wantReload(t, "CLIENT_API_KEY")
		g.wantReload(t, "client_key")
		g.config = named
		g.wantReload(t, "")
	}
	g.config = strings.Replace(without, "llm_proxy {", "llm_proxy {\nallow_anonymous", 1)
	g.wantReload(t, "")
	t.Setenv("REQUIRE_CLIENT_API_KEY", "false")
	g.config = without
	g.wantReload(t, "")
}

func TestAClientKeyThatCannotBeIsALoadError(t *testing.T) {
	t.Setenv("SECRET_1", "canary-secret")
	t.Setenv("SECRET_2", "canary-secret")
	t.Setenv("EMPTY", "")
	t.Setenv("BLANK", "  ")
	t.Setenv("BEARER", "Bearer canary-secret")
	t.Setenv("BELL", "canary-secret\a")
	g, _ := plainGateway(t, setup{})
	config := g.config
	secret := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(secret, []byte("key-in-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ lines, want string }{
		{"client_key a {env.NOT_SET_BY_THE_TESTS}", "client_key a: evaluated placeholder {env.NOT_SET_BY_THE_TESTS} is empty"},
		{"client_key a {env.EMPTY}", "client_key a: "},
		{"client_key a {file." + secret + ".missing}", "client_key a: "},
		{"client_key a {env.BLANK}", `"a": key is empty`},
		{`client_key a ""`, `"a": key is empty`},
		{`client_key "" {env.SECRET_1}`, "name is empty"},
		{"client_key a {env.SECRET_1}\nclient_key a {env.SECRET_2}", `"a": name is already taken`},
		{"client_key a {env.SECRET_1}\nclient_key b {env.SECRET_2}", `"b": key is already that of client "a"`},
		{"client_key a {env.BEARER}", `"a": key begins with "Bearer"`},
		{"client_key a {env.BELL}", `"a": key contains a control character`},
	} {
		g.config = strings.Replace(config, "llm_proxy {", "llm_proxy {\n"+tc.lines, 1)
		err := g.reload()
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "canary-secret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error is %v, want one line with %q and no key", tc.lines, err, tc.want)
		}
		g.knock(t, "Authorization", "Bearer "+clientKey).want(t, 200)
	}
	// A file's last line break belongs to the file.
	g.config = strings.Replace(config, "llm_proxy {", "llm_proxy {\nclient_key a {file."+secret+"}", 1)
	g.wantReload(t, "")
	g.knock(t, "Authorization", "Bearer key-in-a-file").want(t, 200)
}

func TestEachClientHasItsKey(t *testing.T) {
	t.Setenv("KEY_OF_ANNA", "key-of-anna")
	log := logFile(t)
	g, _ := plainGateway(t, setup{directive: "client_key anna {env.KEY_OF_ANNA}", global: log.option})
	for _, key := range []string{clientKey, "key-of-anna"} {
		g.do(request{path: chatPath, body: chatRequest, key: key}).want(t, 200)
	}
	if line := log.line(t, "gateway is configured"); !strings.Contains(line, `"clients":["anna","tests"]`) {
		t.Errorf("the log does not name the clients: %s", line)
	}
	// One that is taken out of the configuration is out at once.
	g.config = strings.Replace(g.config, "client_key anna {env.KEY_OF_ANNA}", "", 1)
	g.wantReload(t, "")
	g.do(request{path: chatPath, body: chatRequest, key: "key-of-anna"}).want(t, 401)
	g.do(request{path: chatPath, body: chatRequest}).want(t, 200)
}

// logged is a file to which Caddy logs during a test.
type logged struct{ path, option string }

// logFile is a log with everything in it. option is to be set as a global one.
func logFile(t *testing.T) logged {
	t.Helper()
	path := filepath.Join(t.TempDir(), "caddy.log")
	return logged{path, fmt.Sprintf("log {\noutput file %s\nformat json\nlevel DEBUG\n}", path)}
}

func (l logged) text(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(l.path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// line waits for a line that says something.
func (l logged) line(t *testing.T, says string) (line string) {
	t.Helper()
	comesTrue(t, "the log does not say "+says, func() bool {
		for line = range strings.Lines(l.text(t)) {
			if strings.Contains(line, says) {
				return true
			}
		}
		return false
	})
	return line
}
