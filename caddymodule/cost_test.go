package caddymodule

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/simulated"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// pricedGateway keeps a request log in front of a simulated provider on tape, which
// is asked in one protocol, or in the client's where that is empty.
func pricedGateway(t *testing.T, wire translate.Protocol, up http.Handler, prices string) (*gateway, *tape) {
	t.Helper()
	recorded := &tape{next: up}
	server := serve(t, recorded)
	t.Setenv("UP_API_KEY", "upstream-key")
	extra := `"aliases": ["demo-*", "m"],`
	if prices != "" {
		extra += `"prices": ` + prices + ","
	}
	text := model("demo", extra, "up/*")
	if wire != "" {
		text = wired("demo", extra, "up", wire)
	}
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", server.url, "")},
		models:    map[string]string{"demo": text},
		directive: "cooldown 0\n log sqlite " + filepath.Join(t.TempDir(), "requests.db"),
	})
	return g, recorded
}

// toldUsage is the usage of an upstream's answer by its own words, the last that it said.
func toldUsage(t *testing.T, wire translate.Protocol, answer string) (u tokenCount) {
	t.Helper()
	number := func(path string) int64 {
		last := int64(0)
		for line := range strings.Lines(answer) {
			data := strings.TrimPrefix(strings.TrimSpace(line), "data: ")
			for _, above := range []string{"usage.", "message.usage.", "response.usage."} {
				if v := gjson.Get(data, above+path); v.Exists() {
					last = v.Int()
				}
			}
		}
		return last
	}
	switch wire {
	case translate.Messages:
		u = tokenCount{Input: number("input_tokens"), CacheRead: number("cache_read_input_tokens"), CacheWrite: number("cache_creation_input_tokens")}
		u.Reasoning = number("output_tokens_details.thinking_tokens")
		u.Output = number("output_tokens") - u.Reasoning
		return u
	case translate.Responses:
		u = tokenCount{CacheRead: number("input_tokens_details.cached_tokens"), CacheWrite: number("input_tokens_details.cache_write_tokens")}
		u.Reasoning = number("output_tokens_details.reasoning_tokens")
		u.Input, u.Output = number("input_tokens"), number("output_tokens")
	default:
		u = tokenCount{CacheRead: number("prompt_tokens_details.cached_tokens"), CacheWrite: number("prompt_tokens_details.cache_write_tokens")}
		u.Reasoning = number("completion_tokens_details.reasoning_tokens")
		u.Input, u.Output = number("prompt_tokens"), number("completion_tokens")
	}
	u.Input -= u.CacheRead + u.CacheWrite
	u.Output -= u.Reasoning
	return u
}

func TestTheRowHasTheTokensThatTheUpstreamToldAndWhatTheyCost(t *testing.T) {
	const prices = `{"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75, "reasoning": 20}`
	for _, wire := range wires {
		g, up := pricedGateway(t, wire, simulated.New(simulated.Config{}), prices)
		for client, path := range pathOf {
			for _, asked := range []string{"demo", "demo-thinking+cache-50-25", "demo-long-40+cache-30-0"} {
				for _, stream := range []bool{false, true} {
					request := asking(goodRequests[path], asked)
					request = strings.Replace(request, `"hi"`, `"`+strings.Repeat("some words to be cached ", 40)+`"`, 1)
					request = strings.Replace(request, `"max_tokens":5`, `"max_tokens":500`, 1)
					if stream {
						request = strings.Replace(streamed(request), "{", `{"stream_options":{"include_usage":true},`, 1)
						if client != translate.Chat {
							request = strings.Replace(request, `"stream_options":{"include_usage":true},`, "", 1)
						}
					}
					name := fmt.Sprintf("%s to %s, %s, stream=%v", client, wire, asked, stream)
					if got := g.post(path, request); got.status != 200 {
						t.Fatalf("%s: %d %s", name, got.status, got.body)
					}
					want := toldUsage(t, wire, up.last())
					row := firstRow(t, "?limit=1")
					if row.Tokens != want || want.Input == 0 || want.Output == 0 {
						t.Errorf("%s: the row has %+v, the upstream told %+v", name, row.Tokens, want)
					}
					if strings.Contains(asked, "cache") && want.CacheRead == 0 || strings.Contains(asked, "thinking") && want.Reasoning == 0 {
						t.Errorf("%s: the upstream told %+v, which tests nothing", name, want)
					}
					cost := (float64(want.Input)*3 + float64(want.Output)*15 + float64(want.CacheRead)*0.3 + float64(want.CacheWrite)*3.75 + float64(want.Reasoning)*20) / 1e6
					if row.Cost == nil || math.Abs(*row.Cost-cost) > 1e-12 {
						t.Errorf("%s: cost = %v, want %v", name, row.Cost, cost)
					}
				}
			}
		}
	}
}

func TestWhatNothingIsKnownOfIsNotFree(t *testing.T) {
	for _, tc := range []struct {
		name, prices string
		up           http.Handler
		want         float64 // -1: not known
	}{
		{"no price", "", answers(200, chatAnswer), -1},
		{"a price of 0", `{"input": 0, "output": 0}`, answers(200, chatAnswer), 0},
		{"a price of requests", `{"input": 0, "output": 0, "request": 0.02}`, answers(200, chatAnswer), 0.02},
		{"no answer", `{"input": 1, "output": 1, "request": 1}`, answers(500, brokenBody), -1},
	} {
		g, _ := pricedGateway(t, translate.Chat, tc.up, tc.prices)
		g.post(chatPath, chatRequest)
		got := -1.0
		if cost := firstRow(t, "").Cost; cost != nil {
			got = *cost
		}
		if got != tc.want {
			t.Errorf("%s: cost = %v, want %v", tc.name, got, tc.want)
		}
		var usage usageAnswer
		if err := json.Unmarshal([]byte(admin(t, http.MethodGet, "/llm_proxy/usage", "").want(t, 200).body), &usage); err != nil {
			t.Fatal(err)
		}
		unknown := int64(0)
		if tc.prices == "" {
			unknown = 1
		}
		if row := usage.Rows[0]; row.Cost != max(tc.want, 0) || row.CostUnknown != unknown {
			t.Errorf("%s: usage = %+v, want %v and %d unknown", tc.name, row, tc.want, unknown)
		}
	}
}

// A token has about four letters, so the estimates of these are what they are worth.
func TestWhatAnUpstreamDoesNotTellIsEstimated(t *testing.T) {
	const (
		text   = "one two three four five six seven eight" // 39 bytes: 10 tokens
		chunk  = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"content":"` + text + `"},"finish_reason":null}]}` + "\n\n"
		finish = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]%s}` + "\n\ndata: [DONE]\n\n"
		start  = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":77,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\n" +
			"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
		delta  = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"" + text + "\"}}\n\n"
		silent = `{"id":"c","object":"chat.completion","created":1,"model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"` + text + `"},"finish_reason":"stop"}]%s}`
	)
	asked := translate.EstimateTokens(translate.Chat, []byte(chatRequest))
	events := func(body string) http.Handler { return answers(200, body, "Content-Type", "text/event-stream") }
	for _, tc := range []struct {
		name    string
		wire    translate.Protocol
		up      http.Handler
		stream  bool
		want    tokenCount
		outcome string
	}{
		{"a stream without usage", translate.Chat, events(chunk + fmt.Sprintf(finish, "")), true, tokenCount{Input: asked, Output: 10, Estimated: true}, "ok"},
		{"a stream of usage 0", translate.Chat, events(chunk + fmt.Sprintf(finish, `,"usage":{"prompt_tokens":0,"completion_tokens":0}`)), true, tokenCount{Input: asked, Output: 10, Estimated: true}, "ok"},
		{"a stream that is cut", translate.Chat, events(chunk + chunk), true, tokenCount{Input: asked, Output: 20, Estimated: true}, "partial"},
		{"a stream that told its input before it was cut", translate.Messages, events(start + delta + delta), true, tokenCount{Input: 77, CacheRead: 5, Output: 20, Estimated: true}, "partial"},
		{"an answer without usage", translate.Chat, answers(200, fmt.Sprintf(silent, "")), false, tokenCount{Input: asked, Output: 10, Estimated: true}, "ok"},
		{"an answer without output", translate.Chat, answers(200, fmt.Sprintf(silent, `,"usage":{"prompt_tokens":7}`)), false, tokenCount{Input: 7, Output: 10, Estimated: true}, "ok"},
		{"a stream of one answer without usage", translate.Chat, answers(200, fmt.Sprintf(silent, "")), true, tokenCount{Input: asked, Output: 10, Estimated: true}, "ok"},
		{"an answer that tells", translate.Chat, answers(200, fmt.Sprintf(silent, `,"usage":{"prompt_tokens":7,"completion_tokens":3}`)), false, tokenCount{Input: 7, Output: 3}, "ok"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, _ := pricedGateway(t, tc.wire, tc.up, `{"input": 2, "output": 4}`)
			request := chatRequest
			if tc.stream {
				request = chatStreamed
			}
			g.post(chatPath, request)
			row := firstRow(t, "")
			want := tc.want
			if want.Estimated && want.Input == asked {
				want.Input = translate.EstimateTokens(translate.Chat, []byte(request))
			}
			if row.Tokens != want || row.Outcome != tc.outcome {
				t.Errorf("row = %+v, %s; want %+v, %s", row.Tokens, row.Outcome, want, tc.outcome)
			}
			cost := float64((want.Input+want.CacheRead)*2+want.Output*4) / 1e6
			if row.Cost == nil || math.Abs(*row.Cost-cost) > 1e-12 {
				t.Errorf("cost = %v, want %v", row.Cost, cost)
			}
		})
	}
}

// Nothing is made up for requests that no upstream answered: they cost nothing.
func TestFailuresAreNotEstimated(t *testing.T) {
	early := "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"},\"finish_reason\":null}]}\n\n"
	for name, up := range map[string]http.Handler{
		"an error":                     answers(500, brokenBody),
		"a stream cut without content": answers(200, early, "Content-Type", "text/event-stream"),
	} {
		g, _ := pricedGateway(t, translate.Chat, up, `{"input": 2, "output": 4}`)
		for _, request := range []string{chatRequest, chatStreamed} {
			g.post(chatPath, request)
			if row := firstRow(t, "?limit=1"); row.Tokens != (tokenCount{}) || row.Cost != nil {
				t.Errorf("%s: row = %+v, want no tokens", name, row)
			}
		}
	}
}

func TestTheClientThatLeftPaysForWhatItRead(t *testing.T) {
	s := &slowly{first: chatStream[:len(chatStream)/2], goOn: make(chan struct{})}
	g, _ := pricedGateway(t, translate.Chat, s, `{"input": 1000, "output": 1000}`)
	conn, reader := g.dial(request{path: chatPath, body: chatStreamed})
	readUntil(t, reader, "hel")
	conn.Close()
	comesTrue(t, "no row of the client that left", func() bool {
		all := rows(t, "")
		return len(all) == 1 && all[0].Outcome == "client_closed" && all[0].Tokens.Estimated &&
			all[0].Tokens.Input == translate.EstimateTokens(translate.Chat, []byte(chatStreamed)) && all[0].Tokens.Output == 1 && all[0].Cost != nil
	})
}

func TestEmbeddingsCostTheirInput(t *testing.T) {
	g, up := pricedGateway(t, "", simulated.New(simulated.Config{}), `{"input": 2, "output": 0}`)
	g.post("/v1/embeddings", `{"model":"demo","input":["some words","and more of them"]}`).want(t, 200)
	row, want := firstRow(t, ""), gjson.Get(up.last(), "usage.prompt_tokens").Int()
	if row.Tokens != (tokenCount{Input: want}) || want == 0 || row.Cost == nil || math.Abs(*row.Cost-float64(want)*2/1e6) > 1e-12 {
		t.Errorf("row = %+v, want %d tokens", row, want)
	}
}

func TestCountingTokensUsesNone(t *testing.T) {
	g, _ := pricedGateway(t, "", simulated.New(simulated.Config{}), `{"input": 2, "output": 2, "request": 1}`)
	g.post("/v1/messages/count_tokens", `{"model":"demo","messages":[{"role":"user","content":"hi"}]}`).want(t, 200)
	if row := firstRow(t, ""); row.Tokens != (tokenCount{}) || row.Cost != nil || row.Outcome != "ok" {
		t.Errorf("row = %+v, want no tokens and no cost", row)
	}
}

// Where too many bodies wait for the end of their streams, the estimate is made at once,
// and it is the same. None waits for longer than its stream.
func TestAnEstimateDoesNotDependOnHowManyStreamsAreOpen(t *testing.T) {
	up := answers(200, strings.ReplaceAll(countedStream, `,"usage":{"prompt_tokens":6,"completion_tokens":3,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":4}}`, ""), "Content-Type", "text/event-stream")
	g, _ := pricedGateway(t, translate.Chat, up, "")
	want := tokenCount{Input: translate.EstimateTokens(translate.Chat, []byte(chatStreamed)), Output: 2, Estimated: true}
	for _, others := range []int64{0, maxHeldBodies} {
		heldBodies.Store(others)
		g.post(chatPath, chatStreamed).want(t, 200)
		if row := firstRow(t, "?limit=1"); row.Tokens != want {
			t.Errorf("beside %d bytes: row = %+v, want %+v", others, row.Tokens, want)
		}
		if now := heldBodies.Swap(0); now != others {
			t.Errorf("%d bytes are held after the stream, want %d", now, others)
		}
	}
}

// What the request spent before its first upstream is asked is its time in the
// queue.
func TestTheRowTellsHowLongARequestWaited(t *testing.T) {
	g, _ := pricedGateway(t, translate.Chat, answers(200, chatAnswer), "")
	g.post(chatPath, chatRequest).want(t, 200)
	if row := firstRow(t, ""); row.QueueMS <= 0 || row.QueueMS > row.TotalMS {
		t.Errorf("queue = %v ms of %v ms", row.QueueMS, row.TotalMS)
	}
}
