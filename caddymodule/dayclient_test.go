package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

// dayClients are the callers of the day; the key of each is its name and -key.
var dayClients = []string{"anna", "bob", "carl"}

// A day's request is of one of these kinds.
const (
	asksModel   = "asks a model"
	embeds      = "embeds"
	counts      = "counts tokens"
	sendsNoJSON = "sends no JSON"
	namesNobody = "names no model of ours"
	isWrong     = "is refused by the upstream"
	leavesEarly = "leaves before the answer"
	leavesLate  = "leaves amid the stream"
	hasNoKey    = "has a wrong key"
)

// dayRequest is what a client asks.
type dayRequest struct {
	number                    int
	kind, client, path, model string
	body                      string
	streamed, toldUsage       bool
	dialect                   dialect
}

// dayKinds are the rarer kinds, by the number's rest of a hundred.
var dayKinds = map[int]string{
	3: embeds, 23: embeds, 43: embeds, 5: counts, 25: counts, 45: counts, 11: sendsNoJSON, 31: namesNobody, 51: isWrong,
	71: leavesEarly, 13: leavesLate, 33: leavesLate, 53: leavesLate, 91: hasNoKey,
}

// newDayRequest is the request of a number: a third in each protocol, half of them
// for a stream, by one client or another.
func newDayRequest(number int) dayRequest {
	q := dayRequest{
		number: number, kind: dayKinds[number%100], client: dayClients[number/7%3],
		model: []string{"m", "chat", "messages"}[number/2%3],
	}
	q.dialect = dialects[number%3]
	q.streamed = number/3%2 == 0
	q.toldUsage = q.dialect.name != "chat" || number/6%2 == 0
	switch q.kind {
	case "":
		q.kind = asksModel
	case embeds:
		q.dialect, q.streamed, q.model, q.path = chatDialect, false, "m", "/v1/embeddings"
	case counts:
		q.dialect, q.streamed, q.path = messagesDialect, false, countPath
	case namesNobody:
		q.model = "nobody"
	case leavesEarly:
		q.model = fmt.Sprintf("left-%d", number)
	case leavesLate:
		q.dialect, q.streamed, q.model = chatDialect, true, fmt.Sprintf("left-%d", number)
	}
	q.fill(dayText(number, q.kind))
	return q
}

// dayText is what a request of a kind says.
func dayText(number int, kind string) string {
	text := fmt.Sprintf("number %d", number)
	switch kind {
	case isWrong:
		return text + ", " + mistaken
	case leavesEarly:
		return text + ", " + sayingNothing
	case leavesLate:
		return text + ", " + goingOn
	}
	return text
}

// fill writes the body.
func (q *dayRequest) fill(text string) {
	if q.path == "" {
		q.path = q.dialect.path
	}
	body := q.dialect.streamed
	switch {
	case q.kind == embeds, q.kind == counts:
		body = goodRequests[q.path]
	case !q.streamed:
		body = strings.Replace(body, `"stream":true,`, "", 1)
	case q.dialect.name == "chat" && q.toldUsage:
		body = strings.Replace(body, `"stream":true,`, `"stream":true,"stream_options":{"include_usage":true},`, 1)
	}
	q.body = strings.NewReplacer(`"hi"`, strconv.Quote(text), `"model":"m"`, `"model":`+strconv.Quote(q.model)).Replace(body)
	if q.kind == sendsNoJSON {
		q.body = q.body[:len(q.body)/2]
		q.model = ""
	}
}

// dayEntry is what a client knows of one of its requests.
type dayEntry struct {
	dayRequest
	id       string // empty: no answer came
	status   int
	outcome  string
	attempts string // as the header tells
	// provider and upstreamModel answered, as the headers tell.
	provider, upstreamModel string
	out                     int         // bytes
	told                    *tokensTold // nil: nothing was said
	err                     error
}

// tokensTold is what an answer tells its client of tokens.
type tokensTold struct{ read, cached, written int64 }

// send sends the request and notes what comes of it.
func (q dayRequest) send(t *testing.T, g *gateway, ledger *dayLedger) dayEntry {
	e := dayEntry{dayRequest: q}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if q.kind == leavesEarly {
		come := ledger.awaits(q.number)
		go func() {
			select {
			case <-come:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	key := q.client + "-key"
	if q.kind == hasNoKey {
		key = "key-of-a-stranger"
	}
	got, err := g.open(ctx, request{path: q.path, body: q.body, key: key})
	if err != nil {
		if e.outcome = logging.OutcomeClientClosed; q.kind != leavesEarly || !errors.Is(err, context.Canceled) {
			e.err = err
		}
		return e
	}
	defer got.Body.Close()
	e.id, e.status, e.attempts = got.Header.Get("X-Request-Id"), got.StatusCode, got.Header.Get("Llm-Proxy-Attempts")
	e.provider, e.upstreamModel = got.Header.Get("Llm-Proxy-Provider"), got.Header.Get("Llm-Proxy-Model")
	if q.kind == leavesLate && got.StatusCode == http.StatusOK {
		e.outcome = logging.OutcomeClientClosed
		e.err = readUpTo(got.Body, "is answered")
		return e
	}
	text, err := io.ReadAll(got.Body)
	e.out, e.err = len(text), err
	e.judge(string(text))
	return e
}

// readUpTo reads until a text has come.
func readUpTo(r io.Reader, text string) error {
	var all strings.Builder
	piece := make([]byte, 512)
	for !strings.Contains(all.String(), text) {
		n, err := r.Read(piece)
		all.Write(piece[:n])
		if err != nil {
			return fmt.Errorf("the stream ended after %q: %w", all.String(), err)
		}
	}
	return nil
}

// judge tells from an answer how the request ended.
func (e *dayEntry) judge(body string) {
	e.outcome = logging.OutcomeError
	if e.status != http.StatusOK {
		return
	}
	e.outcome = logging.OutcomeOK
	if !e.streamed {
		e.told = toldIn(body)
		return
	}
	seen := e.dialect.view(body)
	if !seen.finished || seen.failed {
		e.outcome = logging.OutcomePartial
		return
	}
	for line := range strings.Lines(body) {
		if data, ok := strings.CutPrefix(line, "data: "); ok && strings.Contains(data, `"usage"`) {
			if told := toldIn(data); told != nil {
				e.told = told // the last one has all
			}
		}
	}
}

// toldIn reads the usage of an answer, or of an event, in the words of any
// protocol. The cached tokens of Messages come on top of those that it calls input.
func toldIn(text string) *tokensTold {
	type counters struct {
		Prompt        *int64 `json:"prompt_tokens"`
		Completion    int64  `json:"completion_tokens"`
		Input         *int64 `json:"input_tokens"`
		Output        int64  `json:"output_tokens"`
		CacheRead     int64  `json:"cache_read_input_tokens"`
		CacheWrite    int64  `json:"cache_creation_input_tokens"`
		PromptDetails struct {
			Cached int64 `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
		InputDetails *struct {
			Cached int64 `json:"cached_tokens"`
		} `json:"input_tokens_details"`
	}
	var object struct {
		Usage    *counters
		Response struct{ Usage *counters }
	}
	if json.Unmarshal([]byte(text), &object) != nil {
		return nil
	}
	u := object.Usage
	if u == nil {
		u = object.Response.Usage
	}
	switch {
	case u == nil:
		return nil
	case u.Prompt != nil:
		return &tokensTold{*u.Prompt, u.PromptDetails.Cached, u.Completion}
	case u.Input == nil:
		return nil
	case u.InputDetails != nil:
		return &tokensTold{*u.Input, u.InputDetails.Cached, u.Output}
	}
	return &tokensTold{*u.Input + u.CacheRead + u.CacheWrite, u.CacheRead, u.Output}
}
