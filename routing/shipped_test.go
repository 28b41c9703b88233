package routing

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func loadShipped(t *testing.T, environ []string) (*Catalog, string) {
	t.Helper()
	t.Chdir("..")
	c, warnings, err := Load(LoadOptions{ProvidersDir: "config/providers", ModelsDir: "config/models", Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	return c, strings.Join(append(problemTexts(warnings), ""), "\n")
}

func TestShippedFilesLoadWithoutAnyVariable(t *testing.T) {
	c, warnings := loadShipped(t, nil)
	t.Chdir("routing")
	compareGolden(t, "testdata/shipped.golden", warnings)
	for _, p := range c.Providers() {
		if p.Name != p.ID {
			t.Errorf("%s has the name %q", p.File, p.Name)
		}
	}
}

func TestShippedFilesLoadWithAllKeys(t *testing.T) {
	c, _ := loadShipped(t, nil)
	t.Chdir("routing")
	var environ []string
	for _, p := range c.Providers() {
		for _, pattern := range p.KeyPatterns() {
			name := strings.ReplaceAll(pattern, "{PROVIDER}", strings.ToUpper(p.ID))
			environ = append(environ, strings.ReplaceAll(name, "{INDEX}", "1")+"=key-of-"+p.ID)
		}
	}
	_, warnings := loadShipped(t, environ)
	t.Chdir("routing")
	// No shipped model leads to a provider that needs a variable, so a key for
	// one that was set for another purpose does no harm.
	compareGolden(t, "testdata/shipped.golden", warnings)

	for _, name := range []string{"AZURE_OPENAI_RESOURCE", "CHUTES_USERNAME", "CHUTES_CHUTE_NAME", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_ACCESS_CLIENT_ID"} {
		environ = append(environ, name+"="+strings.ToLower(name[:5]))
	}
	c, warnings = loadShipped(t, environ)
	if warnings != "" {
		t.Errorf("warnings with everything set:\n%s", warnings)
	}
	for id, want := range map[string]string{
		"azure":      "https://azure.openai.azure.com/openai/v1",
		"chutes":     "https://chute-chute.chutes.ai/v1",
		"cloudflare": "https://api.cloudflare.com/client/v4/accounts/cloud/ai/v1",
	} {
		if p, _ := c.Provider(id); p.BaseURL != want || p.Unusable != "" {
			t.Errorf("%s: %q %q, want %q", id, p.BaseURL, p.Unusable, want)
		}
	}
	if p, _ := c.Provider("cloudflare"); len(p.headers) != 1 || p.headers[0] != (fixedHeader{"Cf-Access-Client-Id", "cloud"}) {
		t.Errorf("cloudflare's headers = %v, want the one that is set", p.headers)
	}
}

// inherited are the providers of the service that came before, as its
// configuration described them.
var inherited = []struct {
	id, url, header, patterns string
	main                      translate.Protocol
	// 0 where the inherited file had 60 seconds. Streams get that by default;
	// in a file it would also bound answers that are not streamed, which take
	// minutes.
	timeout, cooldown int
	rules             string
}{
	{"openai", "https://api.openai.com/v1/chat/completions", "Authorization: Bearer {api_key}", "{PROVIDER}_API_KEY {PROVIDER}_API_KEY_{INDEX}", "openai", 0, 180, ""},
	{"anthropic", "https://api.anthropic.com/v1/messages", "x-api-key: {api_key}", "{PROVIDER}_API_KEY {PROVIDER}_API_KEY_{INDEX}", "anthropic", 0, 180, ""},
	{"openrouter", "https://openrouter.ai/api/v1/chat/completions", "Authorization: Bearer {api_key}", "{PROVIDER}_API_KEY {PROVIDER}_API_KEY_{INDEX}", "openai", 180, 600, "400 500"},
	{"groq", "https://api.groq.com/openai/v1/chat/completions", "Authorization: Bearer {api_key}", "GROQ_API_KEY GROQ_API_KEY_{INDEX}", "openai", 0, 180, ""},
	{"cerebras", "https://api.cerebras.ai/v1/chat/completions", "Authorization: Bearer {api_key}", "CEREBRAS_API_KEY CEREBRAS_API_KEY_{INDEX}", "openai", 180, 600, "400 500 422"},
	{"nahcrof", "https://ai.nahcrof.com/v2/chat/completions", "Authorization: Bearer {api_key}", "NAHCROF_API_KEY NAHCROF_API_KEY_{INDEX}", "openai", 180, 600, "400 500"},
	{"gemini", "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", "Authorization: Bearer {api_key}", "GEMINI_API_KEY GEMINI_API_KEY_{INDEX}", "openai", 0, 600, "400 500"},
	{"mistral", "https://api.mistral.ai/v1/chat/completions", "Authorization: Bearer {api_key}", "MISTRAL_API_KEY MISTRAL_API_KEY_{INDEX}", "openai", 0, 180, ""},
	{"llama", "https://api.llama.com/compat/v1/chat/completions", "Authorization: Bearer {api_key}", "LLAMA_API_KEY LLAMA_API_KEY_{INDEX}", "openai", 0, 180, ""},
	{"longcat", "https://api.longcat.chat/openai/v1/chat/completions", "Authorization: Bearer {api_key}", "LONGCAT_API_KEY LONGCAT_API_KEY_{INDEX}", "openai", 0, 180, ""},
	{"chutes", "https://u-c.chutes.ai/v1/chat/completions", "Authorization: Bearer {api_key}", "CHUTES_API_KEY CHUTES_API_KEY_{INDEX}", "openai", 0, 180, ""},
	{"cloudflare", "https://api.cloudflare.com/client/v4/accounts/a/ai/v1/chat/completions", "Authorization: Bearer {api_key}", "CLOUDFLARE_API_KEY CLOUDFLARE_API_KEY_{INDEX}", "openai", 0, 180, ""},
	{"github", "https://models.github.ai/inference/chat/completions", "Authorization: Bearer {api_key}", "GITHUB_TOKEN GITHUB_API_KEY_{INDEX}", "openai", 0, 180, ""},
}

func TestShippedProvidersAreThoseOfBefore(t *testing.T) {
	c, _ := loadShipped(t, []string{"CHUTES_USERNAME=u", "CHUTES_CHUTE_NAME=c", "CLOUDFLARE_ACCOUNT_ID=a"})
	for _, tc := range inherited {
		p, ok := c.Provider(tc.id)
		if !ok {
			t.Errorf("provider %q is missing", tc.id)
			continue
		}
		u, err := EndpointURL(p.BaseURL, p.Path(tc.main, true), "m")
		if err != nil || u.String() != tc.url || p.MainProtocol != tc.main {
			t.Errorf("%s: %v %v in %q, want %v in %q", tc.id, u, err, p.MainProtocol, tc.url, tc.main)
		}
		if got := p.Authentication.HeaderName + ": " + p.Authentication.HeaderFormat; got != tc.header {
			t.Errorf("%s: header %q, want %q", tc.id, got, tc.header)
		}
		if got := strings.Join(p.KeyPatterns(), " "); got != tc.patterns {
			t.Errorf("%s: patterns %q, want %q", tc.id, got, tc.patterns)
		}
		if got, want := p.RequestConfig.Timeout, time.Duration(tc.timeout)*time.Second; got != want {
			t.Errorf("%s: timeout %v, want %v", tc.id, got, want)
		}
		if got, want := p.RateLimiting.Cooldown, time.Duration(tc.cooldown)*time.Second; got != want {
			t.Errorf("%s: cooldown %v, want %v", tc.id, got, want)
		}
		want := map[int]Action{401: ActionGlobalKeyFailure, 403: ActionGlobalKeyFailure, 429: ActionModelKeyFailure}
		for _, status := range []int{400, 500} {
			if strings.Contains(tc.rules, fmt.Sprint(status)) {
				want[status] = ActionFallbackNoCooldown
			}
		}
		if strings.Contains(tc.rules, "422") {
			want[422] = ActionAutoFixToolResponses
		}
		got := make(map[int]Action)
		for status, rule := range p.ErrorHandling {
			got[status] = rule.Action
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: rules %v, want %v", tc.id, got, want)
		}
	}
	if p, _ := c.Provider("anthropic"); p.headers[0] != (fixedHeader{"Anthropic-Version", "2023-06-01"}) {
		t.Errorf("anthropic's headers = %v", p.headers)
	}
}

func TestShippedModelsPassNamesOn(t *testing.T) {
	c, _ := loadShipped(t, nil)
	for _, tc := range []struct{ asked, provider, upstream string }{
		{"gpt-6.1-sol", "openai", "gpt-6.1-sol"},
		{"gpt-5.5", "openai", "gpt-5.5"},
		{"o3-mini", "openai", "o3-mini"},
		{"text-embedding-3-large", "openai", "text-embedding-3-large"},
		{"claude-haiku-5-5", "anthropic", "claude-haiku-5-5"},
		{"gpt-oss-120b", "cerebras", "gpt-oss-120b"},
		{"deepseek-flash", "deepseek", "deepseek-flash"},
		{"local", "ollama", "gpt-oss:20b"},
		{"demo", "demo", "demo"},
		{"demo-tools", "demo", "demo-tools"},
	} {
		m, ok := c.Resolve(tc.asked)
		if !ok || len(m.Routes) == 0 {
			t.Errorf("Resolve(%q) = %v, %v", tc.asked, m, ok)
			continue
		}
		if r := m.Routes[0]; r.Provider.ID != tc.provider || r.UpstreamModel(tc.asked) != tc.upstream {
			t.Errorf("%q goes to %s as %q, want %s as %q", tc.asked, r.Provider.ID, r.UpstreamModel(tc.asked), tc.provider, tc.upstream)
		}
	}
	if m, ok := c.Resolve("unheard-of"); ok {
		t.Errorf("Resolve(unheard-of) = %v", m.LogicalName)
	}
}

// TestTheModelFileOfTheOldREADMELoads takes a model file as people brought it
// along: its name is not the file's, one of its providers is not set up, and
// its fallback does not exist.
func TestTheModelFileOfTheOldREADMELoads(t *testing.T) {
	shipped, err := filepath.Abs("../config/providers")
	if err != nil {
		t.Fatal(err)
	}
	inEmptyDir(t)
	if err := os.Remove("providers"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(shipped, "providers"); err != nil {
		t.Skipf("this system cannot make links: %v", err)
	}
	writeConfig(t, "models/gpt-5-2.json", `{
  "logical_name": "gpt-5.2",
  "timeout_seconds": 60,
  "model_routings": [
    {
      "provider": "openai",
      "model": "gpt-5.2"
    },
    {
      "provider": "azure",
      "model": "gpt-5.2"
    }
  ],
  "fallback_model_routings": ["gpt-5.1"]
}`)
	c, warnings, err := Load(LoadOptions{ProvidersDir: "providers", ModelsDir: "models", Environ: []string{"OPENAI_API_KEY=k"}})
	if err != nil {
		t.Fatal(err)
	}
	var about []string
	for _, w := range warnings {
		if strings.HasPrefix(w.File, "models") || strings.Contains(w.File, "azure") {
			about = append(about, w.String())
		}
	}
	compareProblems(t, about, `models/gpt-5-2.json:2: logical_name: "gpt-5.2" is not the file's name; clients ask for "gpt-5.2"`+
		`|models/gpt-5-2.json:14: fallback_model_routings[0]: no model answers to "gpt-5.1"; skipped`+
		`|providers/azure.json:9: endpoints.base_url: environment variable AZURE_OPENAI_RESOURCE is not set; the provider cannot be used`)
	m, ok := c.Model("gpt-5.2")
	if !ok || len(m.Routes) != 1 || m.Routes[0].Provider.ID != "openai" || m.Timeout != time.Minute {
		t.Errorf("model = %+v", m)
	}
}

// A price that is not known must not be taken from an elder model of the name.
func TestShippedPricesAreThoseOfTheModelsThatTheyName(t *testing.T) {
	c, _ := loadShipped(t, nil)
	for _, tc := range []struct {
		provider, upstream string
		used               translate.Usage
		want               float64 // -1: not known
	}{
		{"anthropic", "claude-opus-5-5", translate.Usage{Input: 1_000_000, CacheRead: 1_000_000, CacheWrite: 1_000_000, Output: 1_000_000}, 4 + 0.2 + 5 + 20},
		{"anthropic", "claude-opus-5", translate.Usage{Input: 1_000_000, Reasoning: 1_000_000}, 5 + 25},
		{"anthropic", "claude-opus-5-6", translate.Usage{}, -1},
		{"anthropic", "claude-opus-4-1-20250805", translate.Usage{Output: 1_000_000}, 75},
		{"anthropic", "claude-opus-4-9", translate.Usage{}, -1},
		{"anthropic", "claude-sonnet-4-20250514", translate.Usage{CacheWrite: 1_000_000}, 3.75},
		{"anthropic", "claude-haiku-5-5", translate.Usage{Input: 100_000}, 0.01},
		{"anthropic", "claude-haiku-5-5", translate.Usage{Input: 100_001, Output: 1_000_000}, 0.0500005 + 2.5},
		{"openai", "gpt-6.1-sol", translate.Usage{Input: 272_000}, 0.544},
		{"openai", "gpt-6.1-sol", translate.Usage{Input: 272_000, CacheRead: 1_000_000}, 1.088 + 0.2},
		{"openai", "gpt-6", translate.Usage{}, -1},
		{"openai", "text-embedding-3-small", translate.Usage{Input: 1_000_000}, 0.02},
		{"ollama", "whatever", translate.Usage{Input: 1_000_000, Output: 1}, 0},
		{"demo", "demo-tools", translate.Usage{Output: 1}, 0},
		{"groq", "openai/gpt-oss-120b", translate.Usage{}, -1},
	} {
		p, _ := c.Provider(tc.provider)
		got := -1.0
		if prices := p.pricesOf(tc.upstream); prices.known() {
			got = prices.RatesFor(tc.used).Cost(tc.used)
		}
		if !usd(got, tc.want) {
			t.Errorf("%s %s: %+v costs %v, want %v", tc.provider, tc.upstream, tc.used, got, tc.want)
		}
	}
}
