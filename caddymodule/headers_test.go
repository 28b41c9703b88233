package caddymodule

import (
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// flat is a header with one value for each name.
type flat map[string]string

func flattened(h http.Header) flat {
	f := make(flat, len(h))
	for name, values := range h {
		f[name] = strings.Join(values, " & ")
	}
	return f
}

// compare tells which names and values differ. The value "*" stands for any.
func (f flat) compare(want flat) (problems []string) {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		switch value, wanted := want[name]; {
		case !wanted:
			problems = append(problems, fmt.Sprintf("%s: %q is too much", name, f[name]))
		case value != "*" && value != f[name]:
			problems = append(problems, fmt.Sprintf("%s: %q, want %q", name, f[name], value))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, there := f[name]; !there {
			problems = append(problems, name+" is missing")
		}
	}
	return problems
}

// private are headers that no client's request may carry on to a provider.
var private = flat{
	"Accept-Encoding": "gzip, deflate, br, zstd",
	"Accept-Language": "*",
	"Anthropic-Dangerous-Direct-Browser-Access": "true",
	"Authorization":               "Bearer " + clientKey,
	"Cookie":                      "session=secret",
	"Forwarded":                   "for=10.0.0.1",
	"Idempotency-Key":             "stainless-node-retry-1",
	"Openai-Organization":         "org-of-the-client",
	"Openai-Project":              "project-of-the-client",
	"Origin":                      "https://app.example.com",
	"Referer":                     "https://app.example.com/secret",
	"Sec-Fetch-Mode":              "cors",
	"Via":                         "1.1 proxy",
	"X-App":                       "cli",
	"X-Client-Request-Id":         "00000000-0000-4000-8000-000000000001",
	"X-Forwarded-For":             "10.0.0.1",
	"X-Real-Ip":                   "10.0.0.1",
	"X-Stainless-Arch":            "x64",
	"X-Stainless-Retry-Count":     "0",
	"X-Stainless-Runtime-Version": "v26.12.1",
	"X-Stainless-Timeout":         "600",
}

func TestOnlyHeadersOfTheAllowListReachTheUpstream(t *testing.T) {
	up := serve(t, new(script))
	t.Setenv("OAI_API_KEY", "upstream-key")
	t.Setenv("ANT_API_KEY", "upstream-key")
	anthropicAuth := `"authentication": {"type": "api_key", "header_name": "x-api-key", "header_format": "{api_key}",
		"additional_headers": {"anthropic-version": "2023-01-01", "X-Gateway": "a value of the operator's"}}`
	ant := fullProvider("ant", up.url, "")
	ant = ant[:strings.Index(ant, `"authentication"`)] + anthropicAuth + "}"
	g := start(t, setup{
		providers: map[string]string{"oai": fullProvider("oai", up.url, ""), "ant": ant},
		models:    map[string]string{"m": model("m", "", "oai/up"), "claude": model("claude", "", "ant/up")},
	})
	const claude = `{"model":"claude","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`
	for _, tc := range []struct {
		name, path, body string
		key              string // "-": what sent has
		sent, want       flat
	}{
		{
			name: "like Claude Code", path: "/v1/messages?beta=true", body: streamed(claude), key: "-",
			sent: flat{
				"Accept":                   "application/json",
				"Anthropic-Beta":           "claude-code-20250219,interleaved-thinking-2025-05-14",
				"Anthropic-Version":        "2023-06-01",
				"User-Agent":               "claude-cli/2.1.330 (external, sdk-cli)",
				"X-Claude-Code-Session-Id": "00000000-0000-4000-8000-000000000001",
			},
			want: flat{
				"Accept":                   "text/event-stream",
				"Anthropic-Beta":           "claude-code-20250219,interleaved-thinking-2025-05-14",
				"Anthropic-Version":        "2023-06-01",
				"User-Agent":               "claude-cli/2.1.330 (external, sdk-cli)",
				"X-Api-Key":                "upstream-key",
				"X-Claude-Code-Session-Id": "00000000-0000-4000-8000-000000000001",
				"X-Gateway":                "a value of the operator's",
			},
		},
		{
			name: "like Codex", path: "/v1/responses", body: streamed(goodRequests["/v1/responses"]), key: "-",
			sent: flat{
				"Accept":                                 "text/event-stream",
				"Openai-Beta":                            "responses=experimental",
				"Originator":                             "codex_exec",
				"Session-Id":                             "00000000-0000-4000-8000-000000000001",
				"Thread-Id":                              "00000000-0000-4000-8000-000000000001",
				"User-Agent":                             "codex_exec/0.169.0",
				"X-Codex-Beta-Features":                  "remote_compaction_v2",
				"X-Codex-Turn-Metadata":                  `{"turn_id":"1"}`,
				"X-Codex-Window-Id":                      "1:0",
				"X-Openai-Internal-Codex-Responses-Lite": "true",
				"X-Openai-Internal-Something-We-Know-Not": "true",
			},
			want: flat{
				"Accept":                                 "text/event-stream",
				"Authorization":                          "Bearer upstream-key",
				"Openai-Beta":                            "responses=experimental",
				"Originator":                             "codex_exec",
				"Session-Id":                             "00000000-0000-4000-8000-000000000001",
				"Thread-Id":                              "00000000-0000-4000-8000-000000000001",
				"User-Agent":                             "codex_exec/0.169.0",
				"X-Codex-Beta-Features":                  "remote_compaction_v2",
				"X-Codex-Turn-Metadata":                  `{"turn_id":"1"}`,
				"X-Codex-Window-Id":                      "1:0",
				"X-Openai-Internal-Codex-Responses-Lite": "true",
			},
		},
		{
			name: "like an SDK", path: chatPath, body: chatRequest, key: "-",
			sent: flat{
				"Accept":      "application/json",
				"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
				"Tracestate":  "vendor=1",
				"User-Agent":  "OpenAI/JS 7.57.0",
			},
			want: flat{
				"Accept":        "application/json",
				"Authorization": "Bearer upstream-key",
				"Traceparent":   "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
				"Tracestate":    "vendor=1",
				"User-Agent":    "OpenAI/JS 7.57.0",
			},
		},
		{
			name: "the version of the provider's file, where the client sends none", path: "/v1/messages", body: claude,
			sent: flat{"User-Agent": "curl"},
			want: flat{
				"Accept": "application/json", "Anthropic-Version": "2023-01-01", "User-Agent": "curl",
				"X-Api-Key": "upstream-key", "X-Gateway": "a value of the operator's",
			},
		},
		{
			name: "a client's header cannot replace the operator's", path: "/v1/messages", body: claude,
			sent: flat{"User-Agent": "curl", "X-Gateway": "mine"},
			want: flat{
				"Accept": "application/json", "Anthropic-Version": "2023-01-01", "User-Agent": "curl",
				"X-Api-Key": "upstream-key", "X-Gateway": "a value of the operator's",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			up.reset()
			sent := maps.Clone(private)
			maps.Copy(sent, tc.sent)
			g.do(request{path: tc.path, body: tc.body, key: tc.key, header: sent}).want(t, 200)
			want := flat{
				// The transport's own: it takes gzip and undoes it.
				"Accept-Encoding": "gzip",
				"Content-Length":  "*",
				"Content-Type":    "application/json",
				"Llm-Proxy-Hop":   "1",
			}
			maps.Copy(want, tc.want)
			if problems := flattened(up.all()[0].header).compare(want); len(problems) > 0 {
				t.Errorf("at the upstream:\n%s", strings.Join(problems, "\n"))
			}
		})
	}
}

// fromProvider are headers as providers and what stands before them send.
var fromProvider = flat{
	"Access-Control-Allow-Origin":              "*",
	"Access-Control-Expose-Headers":            "X-Request-ID",
	"Alt-Svc":                                  `h3=":443"; ma=86400`,
	"Anthropic-Organization-Id":                "org-of-the-operator",
	"Anthropic-Ratelimit-Requests-Remaining":   "49",
	"Anthropic-Ratelimit-Input-Tokens-Reset":   "2026-01-01T00:00:00Z",
	"Cache-Control":                            "public, max-age=60",
	"Cf-Cache-Status":                          "DYNAMIC",
	"Cf-Ray":                                   "8",
	"Connection":                               "keep-alive",
	"Content-Disposition":                      "attachment",
	"Content-Security-Policy":                  "default-src 'none'",
	"Etag":                                     `"1"`,
	"Keep-Alive":                               "timeout=5",
	"Llm-Proxy-Provider":                       "forged",
	"Openai-Organization":                      "org-of-the-operator",
	"Openai-Processing-Ms":                     "12",
	"Openai-Project":                           "project-of-the-operator",
	"Openai-Version":                           "2020-10-01",
	"Request-Id":                               "req_1",
	"Server":                                   "cloudflare",
	"Set-Cookie":                               "__cf_bm=secret; HttpOnly",
	"Strict-Transport-Security":                "max-age=31536000",
	"Trailer":                                  "X-Checksum",
	"Via":                                      "1.1 google",
	"X-Content-Type-Options":                   "nosniff",
	"X-Envoy-Upstream-Service-Time":            "12",
	"X-Ratelimit-Limit-Requests":               "60",
	"X-Ratelimit-Limit-Tokens":                 "1000",
	"X-Ratelimit-Remaining-Requests":           "59",
	"X-Ratelimit-Remaining-Tokens":             "999",
	"X-Ratelimit-Reset-Requests":               "1s",
	"X-Ratelimit-Reset-Tokens":                 "6ms",
	"X-Request-Id":                             "req_1",
	"X-Should-Retry":                           "true",
	"X-Something-The-Gateway-Has-Never-Met-01": "1",
}

func TestOnlyHeadersOfTheAllowListReachTheClient(t *testing.T) {
	g, _, upstream := corpusGateway(t, "up/up")
	passed := flat{
		"Anthropic-Ratelimit-Requests-Remaining": "49",
		"Anthropic-Ratelimit-Input-Tokens-Reset": "2026-01-01T00:00:00Z",
		"Openai-Processing-Ms":                   "12",
		"Openai-Version":                         "2020-10-01",
		"Request-Id":                             "req_1",
		"X-Ratelimit-Limit-Requests":             "60",
		"X-Ratelimit-Limit-Tokens":               "1000",
		"X-Ratelimit-Remaining-Requests":         "59",
		"X-Ratelimit-Remaining-Tokens":           "999",
		"X-Ratelimit-Reset-Requests":             "1s",
		"X-Ratelimit-Reset-Tokens":               "6ms",
		"X-Should-Retry":                         "true",
	}
	own := flat{
		"Cache-Control":      "no-store",
		"Date":               "*",
		"Llm-Proxy-Attempts": "1",
		"Server":             "Caddy",
		"X-Request-Id":       "*",
	}
	answered := flat{"Llm-Proxy-Model": "up", "Llm-Proxy-Provider": "up"}
	for _, tc := range []struct {
		name, body string
		answer     *scripted
		want       []flat
	}{
		{"whole", chatRequest, &scripted{pieces: [][]byte{[]byte(chatAnswer)}}, []flat{own, answered, passed, {
			"Content-Length": fmt.Sprint(len(chatAnswer)), "Content-Type": "application/json",
		}}},
		{"stream", chatStreamed, &scripted{contentType: "text/event-stream; charset=utf-8", pieces: [][]byte{[]byte(chatStream)}}, []flat{own, answered, passed, {
			"Content-Type": "text/event-stream", "X-Accel-Buffering": "no",
		}}},
		{"the client's mistake", chatRequest, &scripted{status: 400, pieces: [][]byte{[]byte(`{"error":{"message":"no"}}`)}}, []flat{own, {
			"Content-Length": "*", "Content-Type": "application/json", "X-Should-Retry": "false",
		}}},
		{"no answer", chatRequest, &scripted{status: 500, pieces: [][]byte{[]byte(brokenBody)}}, []flat{own, {
			"Content-Length": "*", "Content-Type": "application/json", "Retry-After": "1",
		}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			upstream.says(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for name, value := range fromProvider {
					w.Header().Set(name, value)
				}
				tc.answer.ServeHTTP(w, r)
			}))
			got := g.post(chatPath, tc.body)
			want := make(flat)
			for _, part := range tc.want {
				maps.Copy(want, part)
			}
			if problems := flattened(got.header).compare(want); len(problems) > 0 {
				t.Errorf("at the client:\n%s", strings.Join(problems, "\n"))
			}
			if id := got.header.Get("X-Request-Id"); id == "req_1" || len(id) != 36 {
				t.Errorf("X-Request-Id = %q, want Caddy's", id)
			}
		})
	}
}

// A provider that compresses is read as it should be, and the client gets what
// it can read.
func TestACompressedAnswerIsUndone(t *testing.T) {
	g, _, upstream := corpusGateway(t, "up/up")
	for body, answer := range map[string]string{chatRequest: chatAnswer, chatStreamed: chatStream} {
		upstream.says(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "gzip" {
				http.Error(w, "the transport does not ask for gzip", 400)
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "application/json")
			if body == chatStreamed {
				w.Header().Set("Content-Type", "text/event-stream")
			}
			compressed := gzip.NewWriter(w)
			_, _ = io.WriteString(compressed, answer)
			_ = compressed.Close()
		}))
		got := g.do(request{path: chatPath, body: body, header: map[string]string{"Accept-Encoding": "br"}}).want(t, 200)
		if got.body != answer || got.header.Get("Content-Encoding") != "" {
			t.Errorf("Content-Encoding %q; %s", got.header.Get("Content-Encoding"), difference(got.body, answer))
		}
	}
}

// Headers about limits come with every answer; only beside a 429 do they say
// for how long a key has to rest.
func TestLimitsThatABrokenServerTellsDoNotRestTheKey(t *testing.T) {
	limits := []string{"X-Ratelimit-Remaining-Tokens", "0", "X-Ratelimit-Reset-Tokens", "6m0s"}
	g, _, _ := twoProviders(t, answers(500, brokenBody, limits...), answers(429, rateLimited, limits...))
	got := g.post(chatPath, chatRequest).want(t, 502)
	if after := got.header.Get("Retry-After"); after != "1" {
		t.Errorf("Retry-After = %q, want 1: one server is merely broken", after)
	}
}
