package caddymodule

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// badInput is a line of bad_inputs.jsonl: what a client or a file of the
// configuration may hold, and what has to come of it.
type badInput struct {
	ID, Protocol, Kind, Name, Layer, File, FS string

	Payload struct {
		Enc, Data string
		Segments  []struct {
			Lit, B64, Rep string
			N             int
		}
	}
	Headers         []string
	DropDefaultAuth bool `json:"drop_default_auth"`
	Expected        struct {
		Status        []int
		UpstreamCalls *int `json:"upstream_calls"`
		MaxMS         int  `json:"max_ms"`
		MaxRSSDeltaMB int  `json:"max_rss_delta_mb"`
		Repeat        int
	}
}

// badInputs are the cases of some kinds, for clients.
func badInputs(t *testing.T, kinds ...string) []badInput { return casesOf[badInput](t, kinds...) }

// casesOf are the cases of some kinds. Those of other kinds have members of other
// types.
func casesOf[T any](t *testing.T, kinds ...string) []T {
	t.Helper()
	data, err := os.ReadFile("../../shared/reliability/bad_inputs.jsonl")
	if err != nil {
		t.Skipf("the collection of bad inputs is not there: %v", err)
	}
	var cases []T
	for line := range bytes.Lines(data) {
		var kind struct{ Kind string }
		if err := json.Unmarshal(line, &kind); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(kinds, kind.Kind) {
			continue
		}
		var c T
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	if len(cases) == 0 {
		t.Fatalf("there are no cases of %v", kinds)
	}
	return cases
}

// segment is a text that repeats itself.
type segment struct {
	text string
	n    int
}

// segments are the payload. Responses calls the conversation input.
func (b *badInput) segments(t *testing.T, p translate.Protocol) (parts []segment, size int64) {
	t.Helper()
	renamed := func(text string) string {
		if p == translate.Responses {
			return strings.Replace(text, `"messages":`, `"input":`, 1)
		}
		return text
	}
	decoded := func(text string) string {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	switch b.Payload.Enc {
	case "utf8":
		parts = append(parts, segment{renamed(b.Payload.Data), 1})
	case "base64":
		parts = append(parts, segment{renamed(decoded(b.Payload.Data)), 1})
	default:
		for _, s := range b.Payload.Segments {
			switch {
			case s.Rep != "":
				parts = append(parts, segment{s.Rep, s.N})
			default:
				parts = append(parts, segment{renamed(s.Lit) + decoded(s.B64), 1})
			}
		}
	}
	for _, s := range parts {
		size += int64(len(s.text) * s.n)
	}
	return parts, size
}

// bodyOf reads segments without ever holding all of them.
func bodyOf(parts []segment) io.Reader {
	readers := make([]io.Reader, len(parts))
	for i, s := range parts {
		readers[i] = &repeating{text: s.text, left: len(s.text) * s.n}
	}
	return io.MultiReader(readers...)
}

// repeating reads a text again and again.
type repeating struct {
	text     string
	at, left int
}

// Read implements io.Reader.
func (r *repeating) Read(p []byte) (n int, err error) {
	for n < len(p) && r.left > 0 {
		c := copy(p[n:], r.text[r.at:min(len(r.text), r.at+r.left)])
		n, r.left, r.at = n+c, r.left-c, (r.at+c)%len(r.text)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// badInputStatus is what the gateway answers where a case leaves a choice:
// what has two meanings is refused; what has one, and only a model could judge,
// goes on to it as it is.
var badInputStatus = map[string]int{
	// Not JSON in UTF-8 by its own word.
	"form encoded":                           415,
	"declared gzip but plain":                415,
	"stacked Content-Encoding: gzip, gzip":   415,
	"charset=utf-16 declared, body is UTF-8": 415,
	// Readers differ in what they make of these.
	"0xFF 0xFE in content":                                  400,
	"CESU-8 surrogate bytes ED A0 80":                       400,
	"lone high surrogate escape (JS clients cut emoji)":     400,
	"high surrogate followed by \\u0041 (gjson eats the A)": 400,
	"duplicate model: forbidden first, allowed last":        400,
	"duplicate max_tokens small/huge (limit bypass)":        400,
	"metadata with 1,000 keys and nested objects":           400, // 999 of them have one name
	"balanced depth 9,000 inside tool schema":               400,
	"2,000,000 x '{\"a\":'":                                 400,
	"model empty string":                                    400,
	"stream is 1":                                           400,
	"responses previous_response_id of another client":      400,
	"escaped NUL in model":                                  400,
	"model = log line injection":                            400, // no name has control characters
	// All readers agree, so these pass untouched.
	"case variants model/MODEL (encoding/json struct takes MODEL)": 200,
	"__proto__ and constructor keys":                               200,
	"key named @pretty, @this, #, *, ?, |":                         200,
	"numeric keys":                                                 200,
	"100,000 messages":                                             200,
	"1 MB key name":                                                200,
	"escape-heavy 5 MB string of \\u0041":                          200,
	"messages empty array":                                         200,
	"unknown role":                                                 200,
	"max_tokens 1.5":                                               200,
	"n = 1000000 (cost multiplier)":                                200,
	"tool message without tool_call_id":                            200,
	"tool_result for unknown tool_use_id":                          200,
	"stream_options without stream":                                200,
	// Credentials.
	"two Authorization headers, bad then good":                          401,
	"Idempotency-Key from client (net/http replays POST automatically)": 200,
}

// statuses are those that may come, which is one unless Caddy decides by how the
// bytes arrive.
func (b *badInput) statuses(t *testing.T) []int {
	t.Helper()
	if len(b.Expected.Status) == 1 || strings.HasPrefix(b.Name, "21 KB key") {
		return b.Expected.Status
	}
	chosen, ok := badInputStatus[b.Name]
	if !ok && (b.Kind == "injection" || b.Kind == "ssrf") {
		// A name that leads to no model is a name like any other; what is inside of
		// the conversation is the provider's to judge.
		chosen, ok = 200, true
		if strings.HasPrefix(b.Name, "model = ") {
			chosen = 404
		}
	}
	if !ok || !slices.Contains(b.Expected.Status, chosen) {
		t.Fatalf("of %v, %d is chosen", b.Expected.Status, chosen)
	}
	return []int{chosen}
}

// badInputsKey is the client key of the cases, which they write out.
const badInputsKey = "GOOD-KEY"

// badInputsGateway knows the model and the key of the cases.
func badInputsGateway(t *testing.T, upstreamHandler http.Handler) (*gateway, *upstream) {
	t.Helper()
	up := serve(t, upstreamHandler)
	t.Setenv("UP_API_KEY", "UPSTREAM-KEY-0")
	t.Setenv("GOOD_KEY_OF_THE_TESTS", badInputsKey)
	return start(t, setup{
		providers: map[string]string{"up": provider("up", up.url, "")},
		models: map[string]string{
			"good-model":      model("good-model", "", "up/good-model"),
			"forbidden-model": model("forbidden-model", "", "up/forbidden-model"),
		},
		directive: "client_key good {env.GOOD_KEY_OF_THE_TESTS}",
		anonymous: true,
	}), up
}

func TestBadRequestsAreAnsweredAndHarmNobody(t *testing.T) {
	g, up := badInputsGateway(t, new(script))
	counts := map[string]int{}
	for _, b := range badInputs(t, "json-syntax", "json-types", "json-encoding", "json-ambiguity", "json-resource", "auth") {
		for _, at := range generators {
			// Each body goes to the endpoints whose protocol it is in.
			own := map[string]translate.Protocol{"openai_chat": translate.Chat, "anthropic_messages": translate.Messages, "openai_responses": translate.Responses}[b.Protocol]
			if own != "" && own != at.protocol || b.Expected.Repeat > 0 && at.protocol != translate.Chat {
				continue
			}
			counts[b.Kind]++
			t.Run(fmt.Sprintf("%s %s %s", b.ID, at.protocol, strings.ReplaceAll(b.Name, "/", "-")), func(t *testing.T) {
				up.reset()
				b.try(t, g, up, at.path, at.protocol)

				up.reset()
				good := asking(goodRequests[at.path], "good-model")
				if got := g.do(request{path: at.path, body: good, key: badInputsKey}); got.status != 200 || got.body != goodAnswers[at.path] {
					t.Errorf("afterwards a good request is answered %d: %s", got.status, got.body)
				}
			})
		}
	}
	t.Logf("bad requests sent, by kind: %v", counts)
}

// try sends the case and judges what comes of it.
func (b *badInput) try(t *testing.T, g *gateway, up *upstream, path string, p translate.Protocol) {
	parts, size := b.segments(t, p)
	var got response
	run := func() {
		up.reset()
		for i := range max(b.Expected.Repeat, 1) {
			got = b.send(t, g, path, parts, size, i)
			if want := b.statuses(t); !slices.Contains(want, got.status) {
				t.Fatalf("status %d, want %v: %.500s", got.status, want, got.body)
			}
		}
	}
	ms, mb := b.Expected.MaxMS, int64(b.Expected.MaxRSSDeltaMB)
	if mb > 0 {
		measured := memoryUse
		if b.Expected.Repeat > 0 {
			measured = memoryKept // it is about what stays
		}
		grown := measured(run)
		t.Logf("memory grew by %d MB, %d are allowed", grown, mb)
		if grown > mb {
			t.Errorf("memory grew by %d MB, want at most %d", grown, mb)
		}
	}
	if limit := time.Duration(ms) * time.Millisecond; ms > 0 {
		if took := quickest(3, limit, run); took > limit {
			t.Errorf("took %v, want at most %v", took, limit)
		}
	}
	if ms == 0 && mb == 0 {
		run()
	}
	calls := up.all()
	if n := b.Expected.UpstreamCalls; n != nil && len(calls) != *n {
		t.Errorf("upstream calls = %d, want %d", len(calls), *n)
	}
	for _, c := range calls {
		for _, own := range []string{"CLIENTSECRET", badInputsKey, "org-evil"} {
			if strings.Contains(fmt.Sprint(c.header, c.query), own) {
				t.Errorf("what is the client's own goes upstream: %v %s", c.header, c.query)
			}
		}
	}
	switch status := got.status; {
	case status == 200:
		want, err := io.ReadAll(bodyOf(parts))
		if err != nil || len(calls) != 1 || calls[0].body != string(want) {
			t.Errorf("upstream calls = %d, want one with the client's own bytes", len(calls))
		}
	case status == http.StatusRequestHeaderFieldsTooLarge:
		// net/http's own word, before any handler.
	default:
		if len(calls) != 0 {
			t.Errorf("upstream calls = %d, want none for a request that is refused", len(calls))
		}
		told := got.wantError(t, p, status, true)
		if want := map[int]string{400: "invalid_request_error", 413: "request_too_large", 415: "invalid_request_error"}[status]; p == translate.Messages && want != "" && told.kind != want {
			t.Errorf("type is %s, want %s", told.kind, want)
		}
		if len(got.body) > 1<<10 {
			t.Errorf("the error has %d bytes", len(got.body))
		}
	}
}

// send sends a case for the n-th time. A body that is larger than the limit is
// announced and not sent: it has to be refused before it comes.
func (b *badInput) send(t *testing.T, g *gateway, path string, parts []segment, size int64, n int) response {
	t.Helper()
	if size > 32<<20 {
		return g.rawAs(badInputsKey, path, fmt.Sprintf("Content-Length: %d\r\n\r\n", size), parts[0].text)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bodyOf(parts)), nil }
	body, _ := open()
	r, err := http.NewRequest(http.MethodPost, g.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength, r.GetBody = size, open
	if !b.DropDefaultAuth {
		r.Header.Set("Authorization", "Bearer "+badInputsKey)
	}
	typed := false
	for _, header := range b.Headers {
		name, value, _ := strings.Cut(header, ":")
		typed = typed || strings.EqualFold(name, "Content-Type")
		r.Header.Add(name, strings.ReplaceAll(strings.TrimSpace(value), "%d", fmt.Sprint(n)))
	}
	if !typed {
		r.Header.Set("Content-Type", "application/json")
	}
	return g.send(t, r)
}

func TestRefusedCredentialsLookAllTheSame(t *testing.T) {
	g, _ := badInputsGateway(t, new(script))
	bodies := map[string][]string{}
	for _, b := range badInputs(t, "auth") {
		if b.statuses(t)[0] != 401 || strings.HasPrefix(b.Name, "no cred") || strings.HasPrefix(b.Name, "Bearer without") || strings.HasPrefix(b.Name, "two ") {
			continue // those did not present a credential, which they know
		}
		parts, size := b.segments(t, translate.Chat)
		got := b.send(t, g, chatPath, parts, size, 0)
		bodies[got.body] = append(bodies[got.body], b.Name)
	}
	if len(bodies) != 1 {
		t.Errorf("answers differ: %q", bodies)
	}
}
