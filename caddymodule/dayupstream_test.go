package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
)

// dayCall is one call that an upstream counted.
type dayCall struct {
	provider, model, key string
	tokens               tokenCount // of its answer
	tells                bool       // the answer has them
}

// attempt is the call as the request log names it.
func (c dayCall) attempt() string {
	return c.provider + " " + c.model + " " + keys.NewKey(c.provider, "", c.key).ID
}

// dayLedger is what the upstreams of the day counted, by the number of the request.
type dayLedger struct {
	mu    sync.Mutex
	calls map[int][]dayCall
	// silent are the requests that wait for a word of the upstream, closed when
	// they have reached it.
	silent map[int]chan struct{}
}

// of are the calls of a request.
func (l *dayLedger) of(number int) []dayCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls[number])
}

// awaits is closed when a request has reached its upstream, which says nothing.
func (l *dayLedger) awaits(number int) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	come := l.silent[number]
	if come == nil {
		come = make(chan struct{})
		l.silent[number] = come
	}
	return come
}

// dayUpstream is one provider of the day. What it does with a request is decided
// by the request's text, its number, the key and the model, and by nothing else.
type dayUpstream struct {
	ledger *dayLedger
	name   string
	index  int
}

// The words of a request by which it asks its upstream for something.
const (
	sayingNothing = "be silent" // until the client leaves
	goingOn       = "go on"     // never end the stream
	mistaken      = "be wrong"  // refuse the request
)

// dayFaults are the models that always do the same. All others do what befits the
// number of the request.
var dayFaults = map[string]stormFault{"fine": good, "broken": serverError, "limited": limitedKey, "refused": refusedKey, "overloaded": overloaded, "cut": cutLate}

// ServeHTTP implements http.Handler.
func (u *dayUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	found := stormNumber.FindSubmatch(body)
	if err != nil || found == nil {
		return // the test finds that the call is missing
	}
	number, _ := strconv.Atoi(string(found[1]))
	var asked struct {
		Model   string
		Stream  bool
		Options struct {
			Usage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	if json.Unmarshal(body, &asked) != nil {
		return
	}
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	tells := r.URL.Path != chatPath || !asked.Stream || asked.Options.Usage
	call := dayCall{u.name, asked.Model, key, dayTokens(r.URL.Path, number, u.index), tells}
	u.ledger.mu.Lock()
	u.ledger.calls[number] = append(u.ledger.calls[number], call)
	u.ledger.mu.Unlock()

	text, beginning := dayAnswer(r.URL.Path, number, asked.Stream, tells, call.tokens)
	switch fault := u.fault(number, asked.Model, key, asked.Stream); {
	case strings.Contains(string(body), mistaken):
		answers(400, `{"error":{"message":"temperature: must be at most 2","type":"invalid_request_error"}}`)(w, r)
	case strings.Contains(string(body), sayingNothing):
		close(u.ledger.awaits(number))
		<-r.Context().Done()
	case strings.Contains(string(body), goingOn):
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, text[:strings.LastIndex(text, "is answered")+len(`is answered"}}]}`)])
		_, _ = io.WriteString(w, "\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	default:
		fault.do(text, beginning, asked.Stream, w, r)
	}
}

// fault is what the provider does with a request. The first key of a is limited for
// a while, and the second one of b refused from some time on.
func (u *dayUpstream) fault(number int, model, key string, streamed bool) stormFault {
	if f, always := dayFaults[model]; always {
		return f
	}
	switch {
	case key == "a-key-1" && number/100%7 == 3:
		return limitedKey
	case key == "b-key-2" && number > 400:
		return refusedKey
	}
	f := faultOf(number, u.index, streamed)
	if f == stall && number%11 != 0 {
		return good // each costs the whole patience for a first content
	}
	return f
}

// dayTokens is what an answer costs: different for each request and provider, and
// of as many kinds as its protocol tells apart.
func dayTokens(path string, number, provider int) tokenCount {
	n := int64(number)
	t := tokenCount{Input: 100 + n%37 + int64(provider), CacheRead: n % 5 * 10, Output: 10 + n%11}
	switch {
	case strings.HasSuffix(path, "/count_tokens"):
		return tokenCount{}
	case strings.HasSuffix(path, "/embeddings"):
		return tokenCount{Input: t.Input}
	case strings.HasSuffix(path, "/messages"):
		t.CacheWrite = n % 3 * 7
	default:
		t.Reasoning = n % 4
	}
	return t
}

var usageObject = regexp.MustCompile(`"usage":\{[^}]*\}`)

// dayAnswer is an upstream's answer with its usage, and how much of it is before
// any content.
func dayAnswer(path string, number int, streamed, tells bool, t tokenCount) (text string, beginning int) {
	switch {
	case strings.HasSuffix(path, "/count_tokens"):
		return fmt.Sprintf(`{"input_tokens":%d, "note":"is answered"}`, 100+number), 1
	case strings.HasSuffix(path, "/embeddings"):
		return fmt.Sprintf(`{"object":"list","model":"up","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"note":"is answered","usage":{"prompt_tokens":%d,"total_tokens":%d}}`, t.Input, t.Input), 1
	}
	text, beginning = stormAnswer(path, number, streamed)
	if !tells {
		at := strings.Index(text, `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[],"usage"`)
		return text[:at] + "data: [DONE]\n\n", beginning
	}
	usages := []string{usageText(path, t)}
	if streamed && path == "/v1/messages" {
		first := t
		first.Output = 1
		usages = []string{usageText(path, first), usageText(path, t)}
	}
	said := 0
	head := len(usageObject.ReplaceAllStringFunc(text[:beginning], func(string) string { return usages[0] }))
	text = usageObject.ReplaceAllStringFunc(text, func(string) string {
		said++
		return usages[said-1]
	})
	return text, head
}

// usageText is a usage object in the protocol of a path.
func usageText(path string, t tokenCount) string {
	switch path {
	case chatPath:
		return fmt.Sprintf(`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d},"completion_tokens_details":{"reasoning_tokens":%d}}`,
			t.read(), t.written(), t.read()+t.written(), t.CacheRead, t.Reasoning)
	case "/v1/responses":
		return fmt.Sprintf(`"usage":{"input_tokens":%d,"output_tokens":%d,"total_tokens":%d,"input_tokens_details":{"cached_tokens":%d},"output_tokens_details":{"reasoning_tokens":%d}}`,
			t.read(), t.written(), t.read()+t.written(), t.CacheRead, t.Reasoning)
	}
	return fmt.Sprintf(`"usage":{"input_tokens":%d,"cache_read_input_tokens":%d,"cache_creation_input_tokens":%d,"output_tokens":%d}`,
		t.Input, t.CacheRead, t.CacheWrite, t.Output)
}
