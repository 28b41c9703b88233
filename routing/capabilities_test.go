package routing

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// capabilityText is what a model takes, on one line: the fields that are set.
func capabilityText(t *testing.T, c translate.Capabilities) string {
	t.Helper()
	v := reflect.ValueOf(c)
	var set []string
	for i := range v.NumField() {
		field := v.Field(i)
		if field.IsZero() {
			continue
		}
		text, err := json.Marshal(field.Interface())
		if err != nil {
			t.Fatal(err)
		}
		name := v.Type().Field(i).Tag.Get("json")
		set = append(set, name+"="+strings.NewReplacer(`"`, "", ",", " ").Replace(string(text)))
	}
	return strings.Join(set, " ")
}

func TestTheLongestPartOfAModelsNameDecidesAlone(t *testing.T) {
	c, problems, warnings := configFiles{"providers/up.json": with(t, plainProvider, "capabilities", `[
		{"models": "*", "sampling": "one", "max_output_tokens": 1},
		{"models": ["opus-4", "sonnet"], "thinking": "budget"},
		{"models": "opus-4-7", "thinking": "adaptive"},
		{"models": ["opus-4-7-fast"]},
		{"models": ["bb", "aa"], "max_output_tokens": 2},
		{"models": "ab", "max_output_tokens": 3}
	]`)}.load(t, LoadOptions{})
	if len(problems)+len(warnings) > 0 {
		t.Fatal(problems, warnings)
	}
	r := c.Models()[0].Routes[0]
	for _, tc := range []struct{ upstream, want string }{
		{"opus-4", "thinking=budget"},
		{"claude-opus-4-20250514", "thinking=budget"},
		{"claude-opus-4-7", "thinking=adaptive"},
		{"us.anthropic.claude-opus-4-7-v1:0", "thinking=adaptive"},
		{"anthropic/claude-opus-4-7@20260416", "thinking=adaptive"},
		{"claude-opus-4-7-fast", ""},
		{"sonnet-opus-4-7", "thinking=adaptive"},
		{"sonnet", "thinking=budget"},
		{"Sonnet", "max_output_tokens=1 sampling=one"},
		{"haiku", "max_output_tokens=1 sampling=one"},
		{"", "max_output_tokens=1 sampling=one"},
		{"bbaa", "max_output_tokens=2"}, // "aa" is the first by the alphabet
		{"bbab", "max_output_tokens=3"},
	} {
		if got := capabilityText(t, r.CapabilitiesFor(tc.upstream)); got != tc.want {
			t.Errorf("CapabilitiesFor(%q) = %q, want %q", tc.upstream, got, tc.want)
		}
	}
}

func TestEachCapabilityComesFromTheMostSpecificPlace(t *testing.T) {
	c, problems, warnings := configFiles{
		"providers/up.json": with(t, plainProvider, "capabilities", `[{"models": "x", "max_output_tokens": 1, "thinking": "budget", "efforts": ["low"], "prefill": true, "stop": false}]`),
		"models/m.json": with(t, plainModel,
			"capabilities", `{"max_output_tokens": 2, "thinking": "both", "efforts": []}`,
			"model_routings.0.capabilities", `{"max_output_tokens": 3, "prefill": false}`,
			"model_routings.1", `{"provider": "up", "model": "x"}`,
			"model_routings.2", `{"provider": "up", "model": "other"}`),
	}.load(t, LoadOptions{})
	if len(problems)+len(warnings) > 0 {
		t.Fatal(problems, warnings)
	}
	m := c.Models()[0]
	for i, want := range []string{
		"max_output_tokens=3 thinking=both efforts=[] prefill=false stop=false",
		"max_output_tokens=2 thinking=both efforts=[] prefill=true stop=false",
		"max_output_tokens=2 thinking=both efforts=[]",
	} {
		r := m.Routes[i]
		if got := capabilityText(t, r.CapabilitiesFor(r.Model)); got != want {
			t.Errorf("route %d: %q, want %q", i, got, want)
		}
	}
}

// Whatever fields the translation gets, files can write them: the decoder has a
// case for the kind of each.
func TestEveryQuirkAndCapabilityCanBeWritten(t *testing.T) {
	value := func(field reflect.StructField) string {
		kind := field.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		known := map[string]string{
			"max_tokens_field": `"max_completion_tokens"`, "reasoning_field": `"reasoning"`, "parameters": `["top_k"]`,
			"thinking": `"both"`, "efforts": `["low"]`, "sampling": `"one"`, "forced_tools": `"never"`,
		}
		switch kind.Kind() {
		case reflect.Bool:
			return "true"
		case reflect.Int:
			return "7"
		}
		text, ok := known[field.Tag.Get("json")]
		if !ok {
			t.Fatalf("%s is no boolean and no number: decide in checkcapabilities.go what it may hold, and write an example here", field.Name)
		}
		return text
	}
	object := func(t reflect.Type) string {
		var members []string
		for i := range t.NumField() {
			members = append(members, fmt.Sprintf("%q:%s", t.Field(i).Tag.Get("json"), value(t.Field(i))))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	quirks, capabilities := object(reflect.TypeFor[translate.Quirks]()), object(reflect.TypeFor[translate.Capabilities]())
	c, problems, warnings := configFiles{
		"providers/up.json": with(t, plainProvider, "quirks", quirks, "capabilities", "["+with(t, capabilities, "models", `"x"`)+"]"),
		"models/m.json":     with(t, plainModel, "capabilities", capabilities, "model_routings.0.capabilities", capabilities),
	}.load(t, LoadOptions{})
	if len(problems)+len(warnings) > 0 {
		t.Fatal(problems, warnings)
	}
	p, _ := c.Provider("up")
	for _, v := range []any{p.Quirks, p.Capabilities[0].Capabilities, c.Models()[0].Capabilities, c.Models()[0].Routes[0].Capabilities} {
		for i := range reflect.TypeOf(v).NumField() {
			if reflect.ValueOf(v).Field(i).IsZero() {
				t.Errorf("%T: %s is not read", v, reflect.TypeOf(v).Field(i).Name)
			}
		}
	}
}

func TestTheManualTellsEveryQuirkAndCapability(t *testing.T) {
	manual, err := os.ReadFile("../config/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, fields := range []reflect.Type{reflect.TypeFor[translate.Quirks](), reflect.TypeFor[translate.Capabilities]()} {
		for i := range fields.NumField() {
			if name := fields.Field(i).Tag.Get("json"); !strings.Contains(string(manual), "`"+name+"`") {
				t.Errorf("config/README.md does not tell about %s", name)
			}
		}
	}
}

func TestWhatASmallFileSaysNothingAboutHasTheDefaults(t *testing.T) {
	c, _, _ := configFiles{}.load(t, LoadOptions{})
	m := c.Models()[0]
	if got := capabilityText(t, m.Routes[0].CapabilitiesFor("x")); got != "" {
		t.Errorf("capabilities are %q, want none", got)
	}
	if m.OnLossy != "" || m.HostedTools != "" {
		t.Errorf("on_lossy = %q, hosted_tools = %q, want neither", m.OnLossy, m.HostedTools)
	}
	if got := m.Routes[0].Provider.Endpoints.TranslateTo; got != translate.Chat {
		t.Errorf("translate_to = %q, want %q", got, translate.Chat)
	}
}

func TestTheProtocolOfARoute(t *testing.T) {
	chat, responses, messages := translate.Chat, translate.Responses, translate.Messages
	for _, tc := range []struct {
		name, endpoints, wire string
		want                  [3]translate.Protocol // for clients of chat, responses, messages
	}{
		{"one endpoint", `"completions":"/c"`, "", [3]translate.Protocol{chat, chat, chat}},
		{"Messages only", `"completions":"/m","compatible_format":"anthropic"`, "", [3]translate.Protocol{messages, messages, messages}},
		{"the client's own where there is one", `"completions":"/c","responses":"/r","messages":"/m"`, "", [3]translate.Protocol{chat, responses, messages}},
		{"the main one for others", `"completions":"/c","responses":"/r"`, "", [3]translate.Protocol{chat, responses, chat}},
		{"another one for others", `"completions":"/c","responses":"/r","translate_to":" Responses "`, "", [3]translate.Protocol{chat, responses, responses}},
		{"translate_to for nobody", `"completions":"/c","responses":"/r","messages":"/m","translate_to":"anthropic"`, "", [3]translate.Protocol{chat, responses, messages}},
		{"the route's", `"completions":"/c","responses":"/r","messages":"/m","translate_to":"anthropic"`, "responses", [3]translate.Protocol{responses, responses, responses}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, problems, warnings := configFiles{
				"providers/up.json": `{"name":"up","enabled":true,"endpoints":{"base_url":"http://h",` + tc.endpoints + `},"authentication":{"type":"none"}}`,
				"models/m.json":     with(t, plainModel, "model_routings.0.wire_protocol", fmt.Sprintf("%q", tc.wire)),
			}.load(t, LoadOptions{})
			if len(problems)+len(warnings) > 0 {
				t.Fatal(problems, warnings)
			}
			r := c.Models()[0].Routes[0]
			for i, client := range []translate.Protocol{chat, responses, messages} {
				if got := r.ProtocolFor(client); got != tc.want[i] {
					t.Errorf("ProtocolFor(%q) = %q, want %q", client, got, tc.want[i])
				}
				if !r.Provider.Speaks(r.ProtocolFor(client)) {
					t.Errorf("ProtocolFor(%q) is none that the provider speaks", client)
				}
			}
		})
	}
}

// shippedCapabilities are the models whose capabilities testdata keeps.
var shippedCapabilities = []struct{ provider, models string }{
	{"anthropic", "claude-3-haiku-20240307 claude-opus-4-20250514 claude-sonnet-4-20250514 claude-opus-4-1-20250805 " +
		"claude-sonnet-4-5-20250929 claude-haiku-4-5 claude-opus-4-5-20251101 claude-opus-4-6 claude-sonnet-4-6 claude-opus-4-7 " +
		"claude-opus-4-8 claude-sonnet-5 claude-sonnet-5-5 claude-opus-5 claude-opus-5-5 claude-fable-5 claude-fable-5-1 claude-mythos-5 " +
		"claude-haiku-5-5 claude-unheard-of us.anthropic.claude-opus-4-7-v1:0"},
	{"openai", "gpt-3.5-turbo gpt-4.1 gpt-4o-mini chatgpt-4o-latest ft:gpt-4o-mini-2024-07-18:acme::o3o1 o1 o3-mini o4-mini-deep-research gpt-5 gpt-5-mini gpt-5-pro " +
		"gpt-5-codex gpt-5-chat-latest gpt-5.1 gpt-5.1-codex-max gpt-5.1-chat-latest gpt-5.2 gpt-5.2-pro gpt-5.3-codex gpt-5.3-chat-latest gpt-5.4-nano gpt-5.4-pro " +
		"gpt-5.5-2026-04-23 gpt-5.5-pro gpt-5.6-luna gpt-6-sol gpt-6.1-sol gpt-7 computer-use-preview"},
	{"azure", "gpt-35-turbo gpt-5.6-luna my-deployment"},
	{"openrouter", "anthropic/claude-haiku-4.5 anthropic/claude-opus-4.7 anthropic/claude-opus-5.5 openai/gpt-5.4-nano openai/gpt-oss-20b openai/o3 z-ai/glm-4.6"},
	{"groq", "openai/gpt-oss-120b llama-3.3-70b-versatile qwen/qwen3-32b"},
	{"cerebras", "gpt-oss-120b"},
	{"deepseek", "deepseek-v4-flash"},
	{"mistral", "mistral-large-latest"},
	{"together", "Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8 openai/gpt-oss-20b"},
	{"demo", "demo-tools"},
}

func TestShippedFilesKnowTheModels(t *testing.T) {
	c, _ := loadShipped(t, nil)
	t.Chdir("routing")
	var table strings.Builder
	for _, tc := range shippedCapabilities {
		p, ok := c.Provider(tc.provider)
		if !ok {
			t.Fatalf("provider %q is missing", tc.provider)
		}
		r := &Route{Provider: p, Owner: &Model{}}
		for upstream := range strings.FieldsSeq(tc.models) {
			fmt.Fprintf(&table, "%s %s: %s\n", tc.provider, upstream, capabilityText(t, r.CapabilitiesFor(upstream)))
		}
	}
	compareGolden(t, "testdata/capabilities.golden", table.String())
}

// OpenRouter writes 4.7 where Anthropic writes 4-7; what is said must be the same.
func TestOneModelTakesTheSameWhereverItIsServed(t *testing.T) {
	c, _ := loadShipped(t, nil)
	at := func(provider, upstream string) string {
		p, _ := c.Provider(provider)
		return capabilityText(t, *p.capabilitiesOf(upstream))
	}
	openRouter, _ := c.Provider("openrouter")
	for _, provider := range []string{"anthropic", "openai"} {
		p, _ := c.Provider(provider)
		for _, pattern := range p.modelPatterns {
			name := pattern.part
			if name == "" || provider == "anthropic" && !strings.HasPrefix(name, "claude-") {
				continue
			}
			want := at(provider, name)
			if provider == "anthropic" && len(name) > 4 && name[len(name)-2] == '-' && name[len(name)-4] == '-' {
				name = name[:len(name)-2] + "." + name[len(name)-1:]
			}
			if got := at(openRouter.ID, provider+"/"+name); got != want {
				t.Errorf("%s/%s at openrouter: %q, want %q", provider, name, got, want)
			}
		}
	}
	azure, _ := c.Provider("azure")
	for _, pattern := range azure.modelPatterns {
		if name := pattern.part; name != "gpt-35" && at("azure", name) != at("openai", name) {
			t.Errorf("%s at azure: %q, want %q", name, at("azure", name), at("openai", name))
		}
	}
}

// The reasoning models of OpenAI refuse tools with an effort in Chat
// Completions, so what is translated for it goes to the Responses API.
func TestOpenAIIsAskedInResponsesByClientsOfOthers(t *testing.T) {
	c, _ := loadShipped(t, nil)
	for _, tc := range []struct {
		provider     string
		client, want translate.Protocol
	}{
		{"openai", translate.Messages, translate.Responses},
		{"openai", translate.Chat, translate.Chat},
		{"openai", translate.Responses, translate.Responses},
		{"azure", translate.Messages, translate.Responses},
		{"azure", translate.Chat, translate.Chat},
		{"anthropic", translate.Chat, translate.Messages},
		{"anthropic", translate.Responses, translate.Messages},
		{"groq", translate.Messages, translate.Chat},
		{"gemini", translate.Responses, translate.Chat},
		{"perplexity", translate.Chat, translate.Responses},
		{"deepseek", translate.Messages, translate.Messages},
	} {
		p, _ := c.Provider(tc.provider)
		if got := (&Route{Provider: p}).ProtocolFor(tc.client); got != tc.want {
			t.Errorf("%s is asked in %q by clients of %q, want %q", tc.provider, got, tc.client, tc.want)
		}
	}
}

func TestCapabilitiesAreFoundWithoutAllocating(t *testing.T) {
	c, _ := loadShipped(t, nil)
	m, _ := c.Resolve("claude-opus-4-7")
	var found translate.Capabilities
	if n := testing.AllocsPerRun(100, func() { found = m.Routes[0].CapabilitiesFor("claude-opus-4-7") }); n > 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	if found.Thinking != "adaptive" {
		t.Errorf("found %+v", found)
	}
}

func BenchmarkCapabilitiesFor(b *testing.B) {
	b.Chdir("..")
	c, _, err := Load(LoadOptions{ProvidersDir: "config/providers", ModelsDir: "config/models"})
	if err != nil {
		b.Fatal(err)
	}
	m, _ := c.Resolve("gpt-6.1-sol")
	b.ReportAllocs()
	for b.Loop() {
		m.Routes[0].CapabilitiesFor("gpt-6.1-sol")
	}
}
