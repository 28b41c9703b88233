package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// placeholders are all that the module has.
var placeholders = []string{
	"client", "protocol", "model", "provider", "upstream_model", "upstream_protocol",
	"attempts", "class", "outcome", "streamed", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
	"reasoning_tokens", "tokens_estimated", "cost",
}

// countedStream is a whole stream that tells its usage.
const countedStream = `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":6,"completion_tokens":3,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":4}}}

data: [DONE]

`

func TestPlaceholdersAndTheAccessLogTellWhatBecameOfARequest(t *testing.T) {
	var header, fields strings.Builder
	for _, name := range placeholders {
		fmt.Fprintf(&header, "%s={http.llm_proxy.%s};", name, name)
		fmt.Fprintf(&fields, "log_append p_%s {http.llm_proxy.%s}\n", name, name)
	}
	fields.WriteString("log_append p_first {http.llm_proxy.first_content_ms}\n")
	file := filepath.Join(t.TempDir(), "access.log")
	t.Setenv("P_API_KEY_1", "good")
	t.Setenv("P_API_KEY_2", "bad")
	up := serve(t, byKey(map[string]http.Handler{"good": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("User-Agent") {
		case "stream":
			answers(200, countedStream, "Content-Type", "text/event-stream")(w, r)
		case "cut":
			first, _, _ := strings.Cut(countedStream, "\n\n")
			answers(200, first+"\n\n", "Content-Type", "text/event-stream")(w, r)
		case "broken":
			answers(500, brokenBody)(w, r)
		default:
			answers(200, chatAnswer)(w, r)
		}
	})}))
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", `"prices": {"input": 2, "output": 10, "cache_read": 0.5},`, "p/up")},
		site: fmt.Sprintf("log {\n output file %s\n format json\n}\n%s header >X-Described \"%s\"\n",
			file, fields.String(), header.String()),
	})
	lines := 0
	for _, tc := range []struct {
		name    string
		request request
		early   string // as the header has it
		late    string // as log_append has it, where that is more
		logged  string
	}{
		{
			name:    "a whole answer",
			request: request{body: chatRequest},
			early:   "client=tests;protocol=openai;model=m;provider=p;upstream_model=up;upstream_protocol=openai;attempts=1;class=;outcome=;streamed=false;input_tokens=5;output_tokens=2;cache_read_tokens=;cache_write_tokens=;reasoning_tokens=;tokens_estimated=;cost=;",
			late:    "client=tests;protocol=openai;model=m;provider=p;upstream_model=up;upstream_protocol=openai;attempts=1;class=;outcome=ok;streamed=false;input_tokens=5;output_tokens=2;cache_read_tokens=;cache_write_tokens=;reasoning_tokens=;tokens_estimated=false;cost=0.00003;",
			logged:  `{"client":"tests","protocol":"openai","model":"m","provider":"p","upstream_model":"up","key_id":"?","upstream_protocol":"openai","attempts":1,"outcome":"ok","streamed":false,"first_content_ms":"?","input_tokens":5,"output_tokens":2,"cost":0.00003}`,
		},
		{
			name:    "a stream, after a dead key",
			request: request{body: chatStreamed, header: map[string]string{"User-Agent": "stream"}},
			early:   "client=tests;protocol=openai;model=m;provider=p;upstream_model=up;upstream_protocol=openai;attempts=2;class=;outcome=;streamed=true;",
			late:    "client=tests;protocol=openai;model=m;provider=p;upstream_model=up;upstream_protocol=openai;attempts=2;class=;outcome=ok;streamed=true;input_tokens=6;output_tokens=3;cache_read_tokens=4;cache_write_tokens=;reasoning_tokens=;tokens_estimated=false;cost=0.000036;",
			logged:  `{"client":"tests","protocol":"openai","model":"m","provider":"p","upstream_model":"up","key_id":"?","upstream_protocol":"openai","attempts":2,"outcome":"ok","streamed":true,"first_content_ms":"?","input_tokens":6,"output_tokens":3,"cache_read_tokens":4,"cost":0.000036}`,
		},
		{
			name:    "a stream that breaks",
			request: request{body: chatStreamed, header: map[string]string{"User-Agent": "cut"}},
			early:   "client=tests;protocol=openai;model=m;provider=p;upstream_model=up;upstream_protocol=openai;attempts=1;class=;outcome=;streamed=true;",
			late:    "client=tests;protocol=openai;model=m;provider=p;upstream_model=up;upstream_protocol=openai;attempts=1;class=broken;outcome=partial;streamed=true;input_tokens=10;output_tokens=2;cache_read_tokens=;cache_write_tokens=;reasoning_tokens=;tokens_estimated=true;cost=0.00004;",
			logged:  `{"client":"tests","protocol":"openai","model":"m","provider":"p","upstream_model":"up","key_id":"?","upstream_protocol":"openai","attempts":1,"outcome":"partial","class":"broken","streamed":true,"first_content_ms":"?","input_tokens":10,"output_tokens":2,"tokens_estimated":true,"cost":0.00004}`,
		},
		{
			name:    "a failure",
			request: request{body: chatRequest, header: map[string]string{"User-Agent": "broken"}},
			early:   "client=tests;protocol=openai;model=m;provider=p;upstream_model=up;upstream_protocol=;attempts=1;class=broken;outcome=;streamed=;input_tokens=;output_tokens=;cache_read_tokens=;cache_write_tokens=;reasoning_tokens=;tokens_estimated=;cost=;",
			late:    "client=tests;protocol=openai;model=m;provider=p;upstream_model=up;upstream_protocol=;attempts=1;class=broken;outcome=error;streamed=;input_tokens=;output_tokens=;cache_read_tokens=;cache_write_tokens=;reasoning_tokens=;tokens_estimated=;cost=;",
			logged:  `{"client":"tests","protocol":"openai","model":"m","provider":"p","upstream_model":"up","key_id":"?","attempts":1,"outcome":"error","class":"broken"}`,
		},
		{
			name:    "a model that does not exist",
			request: request{body: `{"model":"{env.HOME}","messages":[]}`},
			early:   "client=tests;protocol=openai;model={env.HOME};provider=;upstream_model=;upstream_protocol=;attempts=0;class=model_unknown;outcome=;streamed=;input_tokens=;output_tokens=;cache_read_tokens=;cache_write_tokens=;reasoning_tokens=;tokens_estimated=;cost=;",
			late:    "client=tests;protocol=openai;model={env.HOME};provider=;upstream_model=;upstream_protocol=;attempts=0;class=model_unknown;outcome=error;streamed=;input_tokens=;output_tokens=;cache_read_tokens=;cache_write_tokens=;reasoning_tokens=;tokens_estimated=;cost=;",
			logged:  `{"client":"tests","protocol":"openai","model":"{env.HOME}","attempts":0,"outcome":"error","class":"model_unknown"}`,
		},
		{
			name:    "a caller that is refused",
			request: request{body: chatRequest, key: "wrong"},
			early:   "client=;protocol=openai;model=;provider=;upstream_model=;upstream_protocol=;attempts=;class=;outcome=;streamed=;input_tokens=;output_tokens=;cache_read_tokens=;cache_write_tokens=;reasoning_tokens=;tokens_estimated=;cost=;",
			logged:  "null",
		},
	} {
		tc.request.path = chatPath
		got := g.do(tc.request)
		described := got.header.Get("X-Described")
		if strings.Contains(described, "streamed=true") {
			// A stream as short as ours may have been read to its end by then.
			described, _, _ = strings.Cut(described, "input_tokens=")
		}
		if described != tc.early {
			t.Errorf("%s: header\n%s\nwant\n%s", tc.name, described, tc.early)
		}
		lines++
		line := nthLine(t, file, lines)
		if tc.late == "" {
			tc.late = tc.early
		}
		var late strings.Builder
		for _, name := range placeholders {
			fmt.Fprintf(&late, "%s=%s;", name, caddy.ToString(line["p_"+name]))
		}
		if late.String() != tc.late {
			t.Errorf("%s: log_append\n%s\nwant\n%s", tc.name, late.String(), tc.late)
		}
		first, err := strconv.ParseFloat(caddy.ToString(line["p_first"]), 64)
		if answered := strings.Contains(tc.late, "streamed=true") || strings.Contains(tc.late, "streamed=false"); answered != (err == nil && first > 0) {
			t.Errorf("%s: first_content_ms = %v, answered: %t", tc.name, line["p_first"], answered)
		}
		if field, _ := json.Marshal(line["llm_proxy"]); sameJSON(t, string(field)) != sameJSON(t, tc.logged) {
			t.Errorf("%s: access log\n%s\nwant\n%s", tc.name, field, tc.logged)
		}
	}
}

// nthLine waits for the n-th line of a log.
func nthLine(t *testing.T, file string, n int) (line map[string]any) {
	t.Helper()
	comesTrue(t, "a line of the log is missing", func() bool {
		text, err := os.ReadFile(file)
		lines := strings.SplitAfter(string(text), "\n")
		return err == nil && len(lines) > n && json.Unmarshal([]byte(lines[n-1]), &line) == nil
	})
	return line
}

// sameJSON is a text in one way of writing, with "?" for a key's public name
// and for times.
func sameJSON(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	if object, ok := v.(map[string]any); ok {
		if id, ok := object["key_id"].(string); ok && (len(id) == 8 || id == "?") {
			object["key_id"] = "?"
		}
		if ms, ok := object["first_content_ms"].(float64); ok && ms > 0 && ms < 60_000 {
			object["first_content_ms"] = "?"
		}
	}
	same, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(same)
}
