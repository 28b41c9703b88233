package responses

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// echoOf returns what a request's answer repeats, as an object.
func echoOf(t *testing.T, body string) string {
	t.Helper()
	return "{" + string(decoded(t, body).Echo) + `"usage":null}`
}

func TestEchoHasEveryMemberOnce(t *testing.T) {
	for _, body := range []string{
		`{"input":"a"}`,
		`{"input":"a","temperature":0.2,"tools":[{"type":"function","name":"f"}],"instructions":"be kind","metadata":{"a":"b"},"store":true,"top_p":null}`,
	} {
		echo := echoOf(t, body)
		if !gjson.Valid(echo) {
			t.Fatalf("the echo of %s is no JSON: %s", body, echo)
		}
		seen := map[string]int{}
		gjson.Parse(echo).ForEach(func(key, _ gjson.Result) bool {
			seen[key.Str]++
			return true
		})
		for _, member := range echoed {
			if seen[member.name] != 1 {
				t.Errorf("the echo of %s has %q %d times, want once", body, member.name, seen[member.name])
			}
		}
	}
}

func TestEchoTellsTheRequestOrTheDefault(t *testing.T) {
	const body = `{"input":"a","temperature":0.2,"tool_choice":{"type":"function","name":"f"},"tools":[{"type":"function","name":"f"}],"reasoning":{"effort":"low"},"store":true,"max_output_tokens":50,"top_p":null}`
	echo := echoOf(t, body)
	for _, tc := range []struct{ member, want string }{
		{"temperature", "0.2"},
		{"tool_choice", `{"type":"function","name":"f"}`},
		{"tools", `[{"type":"function","name":"f"}]`},
		{"reasoning", `{"effort":"low"}`},
		{"max_output_tokens", "50"},
		{"top_p", "1"},
		{"parallel_tool_calls", "true"},
		{"text", `{"format":{"type":"text"},"verbosity":"medium"}`},
		{"instructions", "null"},
		{"truncation", `"disabled"`},
		{"store", "false"}, // nothing is kept, whatever was asked for
		{"previous_response_id", "null"},
	} {
		if got := gjson.Get(echo, tc.member).Raw; got != tc.want {
			t.Errorf("%s = %s, want %s", tc.member, got, tc.want)
		}
	}
}

func TestEchoHoldsNoMegabytes(t *testing.T) {
	half := strings.Repeat("x", maxEcho/2)
	tools := `[{"type":"function","name":"f","description":"` + half + `"}]`
	echo := echoOf(t, `{"input":"a","instructions":"`+half+`","tools":`+tools+`}`)
	if got := gjson.Get(echo, "instructions").Raw + gjson.Get(echo, "tools").Raw; got != "null[]" {
		t.Errorf("instructions and tools of more than %d bytes are told as %.40s, want null and []", maxEcho, got)
	}
	echo = echoOf(t, `{"input":"a","instructions":"`+half+`","tools":[]}`)
	if got := gjson.Get(echo, "instructions").Str; got != half {
		t.Errorf("instructions of %d bytes are told as %.40q, want as they are", len(half), got)
	}
	echo = echoOf(t, `{"input":"a","prompt_cache_key":"`+half+half+`"}`)
	if got := gjson.Get(echo, "prompt_cache_key").Raw; got != "null" {
		t.Errorf("a key of %d bytes is told as %.40s, want null", 2*len(half), got)
	}
}

func TestEchoIsOneLine(t *testing.T) {
	c := decoded(t, "{\"input\":\"a\",\n\"tools\":[\n  {\"type\": \"function\",\r\n \"name\": \"f\", \"description\": \"a  b\"}\n]}")
	if strings.ContainsAny(string(c.Echo), "\r\n") || !strings.Contains(string(c.Echo), `{"type":"function","name":"f","description":"a  b"}`) {
		t.Errorf("Echo = %q, want one line, and texts as they were", c.Echo)
	}
	var asked translate.Asked
	if got := new(echo).append(nil); len(asked.Echo) != 0 || len(got) == 0 {
		t.Errorf("the echo of nothing is %q", got)
	}
}
