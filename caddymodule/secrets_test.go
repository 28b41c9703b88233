package caddymodule

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// received is everything that a test run got back, to be searched for secrets.
type received struct {
	// strict searches for secrets in pieces, and for their last four characters,
	// too. Those of the canaries are no words, and in nothing that is by chance.
	strict bool

	mu    sync.Mutex
	parts map[string][]byte // some come in thousands of pieces
}

func (r *received) add(what, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parts == nil {
		r.parts = make(map[string][]byte)
	}
	r.parts[what] = append(r.parts[what], text...)
}

// addResponse takes the head, too.
func (r *received) addResponse(what string, got response) {
	var head bytes.Buffer
	_ = got.header.Write(&head)
	r.add(what, head.String()+got.body)
}

// addRun takes all that a command prints.
func (r *received) addRun(what string, got ran) { r.add(what, got.stdout+got.stderr) }

// wantNone fails the test where a secret shows: as it is, in a usual coding, in
// pieces, or in part.
func (r *received) wantNone(t *testing.T, secrets ...string) {
	t.Helper()
	for what, text := range r.parts {
		plain := unescaped(string(text))
		whole := ""
		if r.strict {
			whole = squeezed(plain)
		}
		for _, secret := range secrets {
			end := 6
			if r.strict {
				end = 4
			}
			for _, coded := range codings(secret, end) {
				if i := strings.Index(plain, coded); i >= 0 {
					t.Errorf("%s holds %q: ...%s...", what, coded, plain[max(i-200, 0):min(i+200, len(plain))])
				}
			}
			if i := strings.Index(whole, squeezed(secret)); i >= 0 && r.strict {
				t.Errorf("%s holds %q in pieces: ...%s...", what, secret, whole[max(i-200, 0):min(i+200, len(whole))])
			}
		}
	}
}

// codings are the forms in which something may show a secret. Masks that show an end
// tell keys apart, and attackers a part.
func codings(secret string, end int) []string {
	all := []string{
		secret, secret[len(secret)-end:], url.QueryEscape(secret),
		fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret),
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		// What stands before the secret decides where its triples begin.
		for before := range 3 {
			coded := encoding.EncodeToString([]byte(strings.Repeat("x", before) + secret))
			all = append(all, coded[4:len(coded)-4])
		}
	}
	return all
}

// unescaped is a text with the characters that JSON, or a URL, may write as numbers.
func unescaped(text string) string {
	return numbered(numbered(text, `\u00`, 0), "%", ' ')
}

// numbered is a text in which the ASCII characters, from the first one on, that are
// written as a mark and two hexadecimal digits are themselves. Tests search hundreds of
// megabytes, and a regular expression would take minutes for them under -race.
func numbered(text, mark string, first uint64) string {
	if !strings.Contains(text, mark) {
		return text
	}
	var plain strings.Builder
	plain.Grow(len(text))
	for {
		before, after, found := strings.Cut(text, mark)
		plain.WriteString(before)
		if !found {
			return plain.String()
		}
		text = after
		n, err := strconv.ParseUint(after[:min(2, len(after))], 16, 7)
		if err != nil || len(after) < 2 || n < first {
			plain.WriteString(mark)
			continue
		}
		plain.WriteByte(byte(n))
		text = after[2:]
	}
}

// squeezed is a text without what may stand between the pieces of a secret.
func squeezed(text string) string {
	whole := make([]byte, 0, len(text))
	for i := range len(text) {
		switch c := text[i]; {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
			whole = append(whole, c)
		}
	}
	return string(whole)
}

// tattling is an upstream that repeats what it was sent, its key above all, wherever
// it can.
func tattling(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	body, _ := io.ReadAll(r.Body)
	model := ""
	if _, rest, found := strings.Cut(string(body), `"model":"`); found {
		model, _, _ = strings.Cut(rest, `"`)
	}
	w.Header().Set("X-Echo", key)
	w.Header().Set("Set-Cookie", "key="+key)
	status, stream := 200, ""
	said := fmt.Sprintf(`{"error":{"message":"Incorrect API key provided: %s. See https://example.com/?key=%s","type":"invalid_request_error","param":"%s","code":"%s"}}`, key, key, key, key)
	switch model {
	case "401", "400", "429", "500", "404":
		_, _ = fmt.Sscan(model, &status)
	case "422": // as servers do that check requests by a schema
		message, _ := json.Marshal("1 error with key " + key + ": [{'type': 'missing', 'input': " + string(body) + "}]")
		status, said = 422, `{"error":{"message":`+string(message)+`}}`
	case "page":
		said = "<html><title>" + key + "</title>" + key + "</html>"
	case "text":
		status, said = 500, "upstream says "+key
	case "redirect":
		w.Header().Set("Location", "http://127.0.0.1:1/?key="+key)
		status, said = 307, ""
	case "early":
		stream = "data: " + said + "\n\n"
	case "late":
		first, _, _ := strings.Cut(chatStream, `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{},"finish`)
		stream = first + "data: " + said + "\n\n"
	case "reset":
		panic(http.ErrAbortHandler)
	}
	if stream != "" {
		w.Header().Set("Content-Type", "text/event-stream")
		said = stream
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, said)
}

// canaries are secrets that nothing may show.
const (
	upstreamCanary  = "sk-canary-upstream-zqxwvj"
	upstreamCanary2 = "sk-canary-upstream-jvkqyx"
	clientCanary    = "sk-canary-client-xqzjkw"
	strangerCanary  = "sk-canary-stranger-wzqjxv"
	urlCanary       = "canary-in-url-qjwxzk"
	headerCanary    = "canary-in-header-vxqzwj"
)

func TestNoKeyEverShows(t *testing.T) {
	up := serve(t, http.HandlerFunc(tattling))
	t.Setenv("UP_API_KEY_1", upstreamCanary)
	t.Setenv("UP_API_KEY_2", upstreamCanary2)
	t.Setenv("GONE_API_KEY", upstreamCanary)
	t.Setenv("URL_SECRET", urlCanary)
	t.Setenv("HEADER_SECRET", headerCanary)
	t.Setenv("CLIENT_CANARY", clientCanary)
	log := logFile(t)
	names := []string{"401", "400", "429", "500", "404", "422", "page", "text", "redirect", "early", "late", "reset"}
	models := map[string]string{"gone": model("gone", "", "gone/x")}
	for _, name := range names {
		models[name] = model(name, "", "up/"+name)
	}
	withHeader := strings.Replace(provider("up", up.url, ""), `"header_format"`, `"additional_headers": {"X-Account": "${HEADER_SECRET}"}, "header_format"`, 1)
	g := start(t, setup{
		providers: map[string]string{"up": withHeader, "gone": provider("gone", "http://127.0.0.1:1/${URL_SECRET}", "")},
		models:    models,
		directive: "client_key canary {env.CLIENT_CANARY}\nmax_attempts 2\ncooldown 0",
		global:    log.option,
		site:      "log",
		anonymous: true,
	})

	var all received
	for _, name := range append(names, "gone", "nobody") {
		for _, at := range generators {
			for _, body := range []string{goodRequests[at.path], streamed(goodRequests[at.path])} {
				all.addResponse("the answer about "+name, g.do(request{path: at.path, body: asking(body, name), key: clientCanary}))
			}
		}
	}
	for _, e := range served {
		for _, key := range []string{clientCanary, strangerCanary} {
			r := goodRequest(e.method, e.path)
			r.key = key
			all.addResponse("the answer of "+e.path, g.do(r))
		}
	}
	keysSeen := strings.Join(up.keysUsed(), " ")
	for _, canary := range []string{upstreamCanary, upstreamCanary2} {
		if !strings.Contains(keysSeen, canary) {
			t.Errorf("%s was never sent, so the test shows nothing", canary)
		}
	}

	// A load that fails tells why, but no more.
	config := g.config
	g.config = strings.Replace(config, "llm_proxy {", "llm_proxy {\nclient_key twice {env.CLIENT_CANARY}", 1)
	if err := g.reload(); err == nil {
		t.Error("a key of two clients loads")
	} else {
		all.add("the load error", err.Error())
	}
	g.config = config
	g.wantReload(t, "")

	for _, path := range []string{"/config/", "/metrics", "/debug/vars", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2"} {
		got, err := http.Get("http://localhost:2999" + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(got.Body)
		got.Body.Close()
		if err != nil || got.StatusCode != 200 {
			t.Fatalf("%s: status %d, %v", path, got.StatusCode, err)
		}
		all.add("the admin endpoint "+path, string(body))
	}
	log.line(t, "upstream attempt")
	log.line(t, "handled request")
	all.add("the log", log.text(t))
	all.wantNone(t, upstreamCanary, upstreamCanary2, clientCanary, strangerCanary, urlCanary, headerCanary)
}
