package messages

import (
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

func TestSettingsAreWritten(t *testing.T) {
	schema := translate.Value(`{"type":"object","properties":{},"additionalProperties":false}`)
	for _, tc := range []struct {
		name, want, losses string
		settings           translate.Settings
	}{
		{name: "nothing", want: `"max_tokens":0`},
		{name: "a bound", settings: translate.Settings{MaxTokens: 100, Stream: true}, want: `"max_tokens":100,"stream":true`},
		{
			name: "numbers", settings: translate.Settings{Temperature: translate.Value("0.50"), TopP: translate.Value("1e-1"), TopK: translate.Value("3")},
			want: `"max_tokens":0,"temperature":0.50,"top_p":1e-1,"top_k":3`,
		},
		{name: "stop", settings: translate.Settings{Stop: translate.Value(`["a", "b\n"]`)}, want: `"max_tokens":0,"stop_sequences":["a","b\n"]`},
		{
			name: "stop at white space", settings: translate.Settings{Stop: translate.Value(`["\n\n", "b", " "]`)},
			want: `"max_tokens":0,"stop_sequences":["b"]`, losses: "stop",
		},
		{name: "stop at nothing else", settings: translate.Settings{Stop: translate.Value(`["\n"]`)}, want: `"max_tokens":0`, losses: "stop"},
		{
			name: "thinking off", settings: translate.Settings{Thinking: translate.Thinking{Mode: translate.ThinkingOff, Show: translate.On}},
			want: `"max_tokens":0,"thinking":{"type":"disabled"}`,
		},
		{
			name: "budget", settings: translate.Settings{Thinking: translate.Thinking{Mode: translate.ThinkingBudget, Budget: 2048, Show: translate.On}},
			want: `"max_tokens":0,"thinking":{"type":"enabled","budget_tokens":2048,"display":"summarized"}`,
		},
		{
			name: "adaptive", settings: translate.Settings{Thinking: translate.Thinking{Mode: translate.ThinkingAdaptive, Show: translate.Off}, Effort: translate.EffortXHigh},
			want: `"max_tokens":0,"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"xhigh"}`,
		},
		{
			name: "schema", settings: translate.Settings{Format: translate.Format{Kind: translate.FormatSchema, Schema: schema, Name: translate.Text("n")}},
			want: `"max_tokens":0,"output_config":{"format":{"type":"json_schema","schema":` + string(schema) + `}}`,
		},
		{
			name: "effort and schema", settings: translate.Settings{Effort: translate.EffortLow, Format: translate.Format{Kind: translate.FormatSchema, Schema: schema}},
			want: `"max_tokens":0,"output_config":{"effort":"low","format":{"type":"json_schema","schema":` + string(schema) + `}}`,
		},
		{
			name: "any JSON", settings: translate.Settings{Format: translate.Format{Kind: translate.FormatJSON}}, losses: "response_format",
			want: `"max_tokens":0,"system":[{"type":"text","text":"` + jsonInstruction + `"}]`,
		},
		{name: "cache", settings: translate.Settings{Cache: translate.Cache1h}, want: `"max_tokens":0,"cache_control":{"type":"ephemeral","ttl":"1h"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := conversation(t, hi)
			c.Settings = tc.settings
			checkMembers(t, encoded(t, c, target), tc.want)
			if got := params(c.Losses); got != tc.losses {
				t.Errorf("losses = %q, want %q", got, tc.losses)
			}
		})
	}
}

// checkMembers compares the members of a request but model and messages.
func checkMembers(t *testing.T, request rawjson.Value, want string) {
	t.Helper()
	var got []byte
	for m := request.Members(); m.Next(); {
		if name := string(m.Name); name != "model" && name != "messages" {
			got = append(got, `,"`+name+`":`+string(m.Value)...)
		}
	}
	if string(got) != ","+want {
		t.Errorf("members = %s, want ,%s", got, want)
	}
}

func TestAStreamCanBeAskedForByTheTarget(t *testing.T) {
	to := target
	to.ForceStream = true
	checkMembers(t, encoded(t, conversation(t, hi), to), `"max_tokens":0,"stream":true`)
}

func TestProvidersWithoutBetasAreNotToldHowToShowThinking(t *testing.T) {
	c, to := conversation(t, hi), target
	to.Quirks.DropBetas = true
	c.Thinking = translate.Thinking{Mode: translate.ThinkingAdaptive, Show: translate.On}
	checkMembers(t, encoded(t, c, to), `"max_tokens":0,"thinking":{"type":"adaptive"}`)
}

func TestFurtherMembersAreWrittenOrJudged(t *testing.T) {
	for _, tc := range []struct{ name, value, want, losses string }{
		{"user", `"u-1"`, `"metadata":{"user_id":"u-1"}`, ""},
		{"safety_identifier", `"a\"b"`, `"metadata":{"user_id":"a\"b"}`, ""},
		{"service_tier", `"auto"`, `"service_tier":"auto"`, ""},
		{"service_tier", `"default"`, `"service_tier":"standard_only"`, ""},
		{"service_tier", `"priority"`, `"service_tier":"auto"`, ""},
		{"service_tier", `"flex"`, `"service_tier":"auto"`, "service_tier"},
		{"seed", `1`, "", "seed"},
		{"presence_penalty", `0`, "", ""},
		{"presence_penalty", `0.1`, "", "presence_penalty"},
		{"frequency_penalty", `0.0`, "", ""},
		{"logit_bias", `{}`, "", ""},
		{"logit_bias", `{"1":2}`, "", "logit_bias"},
		{"logprobs", `false`, "", ""},
		{"logprobs", `true`, "", "logprobs"},
		{"top_logprobs", `0`, "", ""},
		{"store", `false`, "", ""},
		{"store", `true`, "", "store"},
		{"truncation", `"disabled"`, "", ""},
		{"truncation", `"auto"`, "", "truncation"},
		{"metadata", `{"a":"b"}`, "", ""},
		{"prompt_cache_key", `"k"`, "", ""},
		{"verbosity", `"low"`, "", ""},
		{"text.verbosity", `"low"`, "", ""},
		{"prediction", `{}`, "", ""},
		{"max_tool_calls", `3`, "", "max_tool_calls"},
		{"reasoning.context", `"all_turns"`, "", "reasoning.context"},
		{"min_p", `0.1`, "", "min_p"},
	} {
		c := conversation(t, hi)
		c.Fields = append(c.Fields, translate.Field{Name: tc.name, Value: translate.Value(tc.value)})
		want := `"max_tokens":0`
		if tc.want != "" {
			want += "," + tc.want
		}
		checkMembers(t, encoded(t, c, target), want)
		if got := params(c.Losses); got != tc.losses {
			t.Errorf("losses of %s %s = %q, want %q", tc.name, tc.value, got, tc.losses)
		}
	}
}

func TestUsersAreToldByNothingPersonal(t *testing.T) {
	for _, tc := range []struct {
		id     string
		hashed bool
	}{
		{"user-123", false},
		{"a1b2", false},
		{"12345", false},
		{"@handle", false},
		{"a@b", false},
		{"{\\\"device_id\\\":\\\"0\\\"}", false},
		{"jo@example.org", true},
		{"jo.doe+x@mail.example.org", true},
		{"+49 731 123456", true},
		{"(0731) 12-34-56", true},
		{"5551234567", true},
	} {
		got := string(appendUser(nil, translate.Text(tc.id)))
		if hashed := got != tc.id; hashed != tc.hashed || hashed && len(got) != 64 {
			t.Errorf("appendUser(%q) = %q, want it hashed: %v", tc.id, got, tc.hashed)
		}
	}
	long := make(translate.Text, maxUser+1)
	for i := range long {
		long[i] = 'x'
	}
	if got := appendUser(nil, long); len(got) != 64 {
		t.Errorf("appendUser of %d characters = %q, want a hash", len(long), got)
	}
}

func TestSafetyIdentifierWinsOverUser(t *testing.T) {
	c := conversation(t, hi)
	c.Fields = append(c.Fields, translate.Field{Name: "safety_identifier", Value: translate.Value(`"s"`)}, translate.Field{Name: "user", Value: translate.Value(`"u"`)})
	checkMembers(t, encoded(t, c, target), `"max_tokens":0,"metadata":{"user_id":"s"}`)
}
