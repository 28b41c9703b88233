package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

func anthropicClient(g *gateway, options ...option.RequestOption) anthropic.Client {
	return anthropic.NewClient(append([]option.RequestOption{option.WithBaseURL(g.url), option.WithAPIKey(clientKey)}, options...)...)
}

func TestAnthropicsSDKReadsWhatTheUpstreamSaid(t *testing.T) {
	withoutSDKSettings(t)
	g, up, said := demoGateway(t)
	client := anthropicClient(g)
	for api, ask := range map[string]func(*testing.T, anthropic.Client, question) heard{"messages": askMessages, "beta": askBetaMessages} {
		for _, tc := range answersOfTheDemo {
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/stream=%v", api, tc.name, stream), func(t *testing.T) {
					up.reset()
					ask(t, client, question{model: tc.model, stream: stream}).check(t, tc.want, said, stream)
					calls := up.all()
					if len(calls) != 1 {
						t.Fatalf("upstream calls = %d, want 1", len(calls))
					}
					query, beta := "", ""
					if api == "beta" {
						query, beta = "beta=true", "interleaved-thinking-2025-05-14"
					}
					if c := calls[0]; c.query != query || c.header.Get("Anthropic-Beta") != beta || c.header.Get("Anthropic-Version") == "" {
						t.Errorf("the upstream saw %q and %v, want query %q and beta %q", c.query, c.header, query, beta)
					}
				})
			}
		}
	}
}

func messageParams(q question) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model:     anthropic.Model(q.model),
		MaxTokens: 1000,
		System:    []anthropic.TextBlockParam{{Text: "Be brief."}},
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(prompt))},
		Tools: []anthropic.ToolUnionParam{
			{OfTool: &anthropic.ToolParam{Name: "weather", InputSchema: anthropic.ToolInputSchemaParam{
				Properties: weatherSchema["properties"], Required: []string{"city", "days"},
			}}},
			{OfTool: &anthropic.ToolParam{Name: "clock", InputSchema: anthropic.ToolInputSchemaParam{}}},
		},
	}
}

func askMessages(t *testing.T, client anthropic.Client, q question) heard {
	t.Helper()
	var h heard
	var message anthropic.Message
	if q.stream {
		stream := client.Messages.NewStreaming(soon(t), messageParams(q))
		for stream.Next() {
			event := stream.Current()
			h.raw = append(h.raw, event.RawJSON())
			if err := message.Accumulate(event); err != nil {
				t.Fatal(err)
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
	} else {
		got, err := client.Messages.New(soon(t), messageParams(q))
		if err != nil {
			t.Fatal(err)
		}
		message = *got
		h.raw = []string{got.RawJSON()}
	}
	for _, block := range message.Content {
		switch block := block.AsAny().(type) {
		case anthropic.TextBlock:
			h.text += block.Text
		case anthropic.ThinkingBlock:
			h.thinking += block.Thinking
			if block.Signature == "" {
				t.Error("thinking came without its signature")
			}
		case anthropic.ToolUseBlock:
			h.calls = append(h.calls, block.Name+" "+string(block.Input))
		}
	}
	h.stop = map[anthropic.StopReason]string{"end_turn": "end", "tool_use": "calls"}[message.StopReason]
	h.input, h.output = message.Usage.InputTokens, message.Usage.OutputTokens
	return h
}

func askBetaMessages(t *testing.T, client anthropic.Client, q question) heard {
	t.Helper()
	params := anthropic.BetaMessageNewParams{
		Model:     anthropic.Model(q.model),
		MaxTokens: 1000,
		Messages:  []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock(prompt))},
		Tools: []anthropic.BetaToolUnionParam{
			{OfTool: &anthropic.BetaToolParam{Name: "weather", InputSchema: anthropic.BetaToolInputSchemaParam{
				Properties: weatherSchema["properties"], Required: []string{"city", "days"},
			}}},
			{OfTool: &anthropic.BetaToolParam{Name: "clock", InputSchema: anthropic.BetaToolInputSchemaParam{}}},
		},
		Betas: []anthropic.AnthropicBeta{"interleaved-thinking-2025-05-14"},
	}
	var h heard
	var message anthropic.BetaMessage
	if q.stream {
		stream := client.Beta.Messages.NewStreaming(soon(t), params)
		for stream.Next() {
			event := stream.Current()
			h.raw = append(h.raw, event.RawJSON())
			if err := message.Accumulate(event); err != nil {
				t.Fatal(err)
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
	} else {
		got, err := client.Beta.Messages.New(soon(t), params)
		if err != nil {
			t.Fatal(err)
		}
		message = *got
		h.raw = []string{got.RawJSON()}
	}
	for _, block := range message.Content {
		switch block.Type {
		case "text":
			h.text += block.Text
		case "thinking":
			h.thinking += block.Thinking
		case "tool_use":
			h.calls = append(h.calls, block.Name+" "+string(block.AsToolUse().JSON.Input.Raw()))
		}
	}
	h.stop = map[anthropic.BetaStopReason]string{"end_turn": "end", "tool_use": "calls"}[message.StopReason]
	h.input, h.output = message.Usage.InputTokens, message.Usage.OutputTokens
	return h
}

func TestAnthropicsSDKMayPresentItsKeyEitherWay(t *testing.T) {
	withoutSDKSettings(t)
	g, up, _ := demoGateway(t)
	for name, key := range map[string]option.RequestOption{"x-api-key": option.WithAPIKey(clientKey), "bearer": option.WithAuthToken(clientKey)} {
		up.reset()
		client := anthropic.NewClient(option.WithBaseURL(g.url), key)
		if _, err := client.Messages.New(soon(t), messageParams(question{model: "demo"})); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		h := up.all()[0].header
		if h.Get("Authorization") != "Bearer upstream-key" || h.Get("X-Api-Key") != "" {
			t.Errorf("%s: the upstream got Authorization %q and X-Api-Key %q", name, h.Get("Authorization"), h.Get("X-Api-Key"))
		}
	}
}

func TestAnthropicsSDKCountsTokens(t *testing.T) {
	withoutSDKSettings(t)
	g, up, said := demoGateway(t)
	client := anthropicClient(g)
	params := anthropic.MessageCountTokensParams{Model: "demo", Messages: messageParams(question{}).Messages}
	got, err := client.Messages.CountTokens(soon(t), params)
	if err != nil || got.InputTokens == 0 {
		t.Fatalf("CountTokens = %v, %v", got, err)
	}
	heard{raw: []string{got.RawJSON()}}.checkRaw(t, said, false)

	up.reset()
	beta, err := client.Beta.Messages.CountTokens(soon(t), anthropic.BetaMessageCountTokensParams{
		Model:    "demo",
		Messages: []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock(prompt))},
	})
	if err != nil || beta.InputTokens != got.InputTokens {
		t.Fatalf("the beta client counts %v, %v; want %d", beta, err, got.InputTokens)
	}
	heard{raw: []string{beta.RawJSON()}}.checkRaw(t, said, false)
	if c := up.all()[0]; c.path != "/v1/messages/count_tokens" || c.query != "beta=true" {
		t.Errorf("the upstream was asked at %s?%s", c.path, c.query)
	}
}

func TestAnthropicsSDKListsTheModelsOfTheGateway(t *testing.T) {
	withoutSDKSettings(t)
	g, up, _ := demoGateway(t)
	client := anthropicClient(g)
	want := []string{"demo", "other", "vendor/m", "yet-another", "zeta"}
	for _, limit := range []int64{1, 2, 5, 1000} {
		var names []string
		list := client.Models.ListAutoPaging(soon(t), anthropic.ModelListParams{Limit: anthropic.Int(limit)})
		for list.Next() {
			m := list.Current()
			if m.Type != "model" || m.CreatedAt.IsZero() || m.DisplayName == "" {
				t.Errorf("entry = %s", m.RawJSON())
			}
			names = append(names, m.ID)
		}
		if list.Err() != nil || !slices.Equal(names, want) {
			t.Errorf("in pages of %d: %q, %v; want %q", limit, names, list.Err(), want)
		}
	}
	m, err := client.Models.Get(soon(t), "vendor/m", anthropic.ModelGetParams{})
	if err != nil || m.ID != "vendor/m" || m.DisplayName != "The model" {
		t.Errorf("Get = %v, %v; want The model", m, err)
	}
	var e *anthropic.Error
	if _, err := client.Models.Get(soon(t), "nobody/knows", anthropic.ModelGetParams{}); !errors.As(err, &e) || e.StatusCode != 404 || e.Type() != "not_found_error" {
		t.Errorf("Get of an unknown model = %v, want a not_found_error", err)
	}
	if n := len(up.all()); n != 0 {
		t.Errorf("upstream calls = %d, want 0: the list is the gateway's", n)
	}
}

func TestAnthropicsSDKGetsTypedErrors(t *testing.T) {
	withoutSDKSettings(t)
	g, up, said := demoGateway(t)
	for _, tc := range []struct {
		name, model, key string
		status           int
		kind             anthropic.ErrorType
		verbatim         bool // the upstream's own body
		retryAfter       string
		calls            int // to the upstream
		retries          int
	}{
		// The SDK would try these again were it not told that it is no use.
		{name: "unknown model", model: "nobody/knows", status: 404, kind: "not_found_error", retries: 2},
		{name: "wrong client key", model: "demo", key: "wrong", status: 401, kind: "authentication_error", retries: 2},
		{name: "client's mistake", model: "demo-400", status: 400, kind: "invalid_request_error", verbatim: true, calls: 1, retries: 2},
		{name: "too long", model: "demo-context", status: 400, kind: "invalid_request_error", verbatim: true, calls: 1, retries: 2},

		{name: "rate limit", model: "demo-429-7", status: 429, kind: "rate_limit_error", retryAfter: "7", calls: 1},
		{name: "the gateway's own key is refused", model: "demo-401", status: 502, kind: "api_error", calls: 1},
		{name: "upstream trouble", model: "demo-500", status: 502, kind: "api_error", retryAfter: "1", calls: 1},
		{name: "overload", model: "demo-529-9", status: 529, kind: "overloaded_error", retryAfter: "9", calls: 1},
	} {
		for _, stream := range []bool{false, true} {
			up.reset()
			options := []option.RequestOption{option.WithMaxRetries(tc.retries)}
			if tc.key != "" {
				options = append(options, option.WithAPIKey(tc.key))
			}
			client := anthropicClient(g, options...)
			var err error
			if stream {
				s := client.Messages.NewStreaming(soon(t), messageParams(question{model: tc.model}))
				for s.Next() {
				}
				err = s.Err()
				s.Close()
			} else {
				_, err = client.Messages.New(soon(t), messageParams(question{model: tc.model}))
			}
			var e *anthropic.Error
			if !errors.As(err, &e) {
				t.Errorf("%s: error = %v, want a typed one", tc.name, err)
				continue
			}
			if e.StatusCode != tc.status || e.Type() != tc.kind {
				t.Errorf("%s: %d %q, want %d %q; %s", tc.name, e.StatusCode, e.Type(), tc.status, tc.kind, e.RawJSON())
			}
			if got := e.Response.Header.Get("Retry-After"); got != tc.retryAfter {
				t.Errorf("%s: Retry-After = %q, want %q", tc.name, got, tc.retryAfter)
			}
			if e.Response.Header.Get("X-Request-Id") == "" {
				t.Errorf("%s: no X-Request-Id", tc.name)
			}
			if tc.verbatim && e.RawJSON() != strings.TrimSpace(said.last()) {
				t.Errorf("%s: the SDK read %s, the upstream wrote %s", tc.name, e.RawJSON(), said.last())
			}
			if n := len(up.all()); n != tc.calls {
				t.Errorf("%s: upstream calls = %d, want %d", tc.name, n, tc.calls)
			}
		}
	}
}

// A break that shows in the same read as the first content is an error of its
// own, as long as nothing was passed on; else it ends the stream.
func TestABrokenStreamIsAnErrorToAnthropicsSDK(t *testing.T) {
	withoutSDKSettings(t)
	g, _, _ := demoGateway(t)
	client := anthropicClient(g, option.WithMaxRetries(0))
	for _, fault := range []string{"cut", "eof", "badjson", "error-late", "error-late+529", "error-event+529"} {
		stream := client.Messages.NewStreaming(soon(t), messageParams(question{model: "demo-long-20+" + fault}))
		for stream.Next() {
			if stream.Current().Type == "message_stop" {
				t.Errorf("%s: the stream ended like a whole one", fault)
			}
		}
		if stream.Err() == nil {
			t.Errorf("%s: no error", fault)
		}
		var e *anthropic.Error
		if strings.HasSuffix(fault, "+529") && (!errors.As(stream.Err(), &e) || e.Type() != "overloaded_error") {
			t.Errorf("%s: %v, want the upstream's overloaded_error", fault, stream.Err())
		}
	}
}
