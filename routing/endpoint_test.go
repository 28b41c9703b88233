package routing

import (
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func TestBaseAndPathAreJoinedByExactlyOneSlash(t *testing.T) {
	for _, tc := range []struct{ base, path, model, want string }{
		{"https://api.example.com/v1", "/chat/completions", "m", "https://api.example.com/v1/chat/completions"},
		{"https://api.example.com/v1/", "/chat/completions", "m", "https://api.example.com/v1/chat/completions"},
		{"https://api.example.com/v1", "chat/completions", "m", "https://api.example.com/v1/chat/completions"},
		{"https://api.example.com/v1/", "chat/completions", "m", "https://api.example.com/v1/chat/completions"},
		{"http://127.0.0.1:1", "/v2/chat", "m", "http://127.0.0.1:1/v2/chat"},
		{"http://[::1]:1/a%2Fb", "/c", "m", "http://[::1]:1/a%2Fb/c"},
		{"https://h/v1", "/chat?api-version=2024-02-15-preview", "m", "https://h/v1/chat?api-version=2024-02-15-preview"},
		{"https://h", "/deployments/{model}/chat?v=1", "gpt-5.1", "https://h/deployments/gpt-5.1/chat?v=1"},
		{"https://h", "/models/{model}", "a/b c?d#e%", "https://h/models/a%2Fb%20c%3Fd%23e%25"},
		{"https://h", "/models/{model}/x", "../../admin", "https://h/models/..%2F..%2Fadmin/x"},
	} {
		u, err := EndpointURL(tc.base, tc.path, tc.model)
		if err != nil || u.String() != tc.want {
			t.Errorf("EndpointURL(%q, %q, %q) = %v, %v, want %v", tc.base, tc.path, tc.model, u, err, tc.want)
		}
	}
}

func TestAModelNameCannotLeadToAnotherPath(t *testing.T) {
	for _, model := range []string{"", ".", ".."} {
		if u, err := EndpointURL("https://h", "/deployments/{model}/chat", model); err == nil {
			t.Errorf("EndpointURL with model %q = %v, want an error", model, u)
		}
	}
}

func TestTheStreamingPathIsTheMainProtocols(t *testing.T) {
	p := &Provider{
		MainProtocol: translate.Messages,
		Endpoints:    Endpoints{Completions: "/chat", Messages: "/messages", Streaming: "/messages-stream"},
	}
	for _, tc := range []struct {
		protocol translate.Protocol
		stream   bool
		want     string
	}{
		{translate.Messages, false, "/messages"},
		{translate.Messages, true, "/messages-stream"},
		{translate.Chat, false, "/chat"},
		{translate.Chat, true, "/chat"},
		{translate.Responses, false, ""},
		{translate.Responses, true, ""},
		{"gemini", true, ""},
	} {
		if got := p.Path(tc.protocol, tc.stream); got != tc.want {
			t.Errorf("Path(%q, %v) = %q, want %q", tc.protocol, tc.stream, got, tc.want)
		}
		if got, want := p.Speaks(tc.protocol), tc.want != ""; got != want {
			t.Errorf("Speaks(%q) = %v, want %v", tc.protocol, got, want)
		}
	}
}

func TestABaseURLIsCheckedWithoutRepeatingPasswords(t *testing.T) {
	const scheme, user, query = "must start with http:// or https:// ", "must not have a user or password in it", "must not have a query or fragment (the paths may have a query)"
	for _, tc := range []struct{ url, want string }{
		{"http://127.0.0.1:1", ""},
		{"https://api.example.com/v1/", ""},
		{"HTTPS://api.example.com", ""},
		{"http://[::1]:8080/v1", ""},
		{"https://example.com/@scope/v1", ""},
		{"127.0.0.1:80", scheme + `(got "127.0.0.1:80")`},
		{"api.example.com/v1", scheme + `(got "api.example.com/v1")`},
		{"ftp://example.com", scheme + `(got "ftp://example.com")`},
		{"", scheme + `(got "")`},
		{"http://", `is not a URL (got "http://")`},
		{"http:///v1", `is not a URL (got "http:///v1")`},
		{"http://:80", `is not a URL (got "http://:80")`},
		{"http://127.0.0.1:port", `is not a URL (got "http://127.0.0.1:port")`},
		{"http://u:SECRET@127.0.0.1/v1", user},
		{"http://SECRET@127.0.0.1/v1", user},
		{"u:SECRET@127.0.0.1", user},
		{"SECRET@127.0.0.1", user},
		{"http://u:SECRET@127.0.0.1:port", user},
		{"http://127.0.0.1/v1?key=SECRET", query},
		{"http://127.0.0.1/v1#SECRET", query},
		{"http://127.0.0.1 /v1", "must not have spaces or control characters"},
		{"http://127.0.0.1/v1\n", "must not have spaces or control characters"},
	} {
		got := ""
		if err := checkURL(tc.url, tc.url); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("checkURL(%q) = %q, want %q", tc.url, got, tc.want)
		}
	}
}
