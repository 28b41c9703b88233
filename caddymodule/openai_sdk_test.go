package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

func openAIClient(g *gateway, options ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{option.WithBaseURL(g.url + "/v1/"), option.WithAPIKey(clientKey)}, options...)...)
}

// soon is a context for one call of an SDK.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestOpenAIsSDKReadsWhatTheUpstreamSaid(t *testing.T) {
	withoutSDKSettings(t)
	g, up, said := demoGateway(t)
	client := openAIClient(g)
	for api, ask := range map[string]func(*testing.T, openai.Client, question) heard{"chat": askChat, "responses": askResponses} {
		for _, tc := range answersOfTheDemo {
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/stream=%v", api, tc.name, stream), func(t *testing.T) {
					up.reset()
					ask(t, client, question{model: tc.model, stream: stream}).check(t, tc.want, said, stream)
					if calls := up.all(); len(calls) != 1 {
						t.Errorf("upstream calls = %d, want 1", len(calls))
					}
				})
			}
		}
	}
}

func TestAChatStreamHasUsageOnlyWhereTheClientAskedForIt(t *testing.T) {
	withoutSDKSettings(t)
	g, _, said := demoGateway(t)
	got := askChat(t, openAIClient(g), question{model: "demo", stream: true, noUsage: true})
	if got.checkRaw(t, said, true); got.input != 0 || strings.Contains(strings.Join(got.raw, ""), `"usage":{`) {
		t.Errorf("usage = %d, want none: nobody asked", got.input)
	}
}

func chatParams(q question) openai.ChatCompletionNewParams {
	p := openai.ChatCompletionNewParams{
		Model:    q.model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be brief."), openai.UserMessage(prompt)},
		Tools: []openai.ChatCompletionToolUnionParam{
			openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "weather", Parameters: weatherSchema}),
			openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "clock"}),
		},
	}
	if q.stream && !q.noUsage {
		p.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
	}
	return p
}

func askChat(t *testing.T, client openai.Client, q question) heard {
	t.Helper()
	var h heard
	var completion openai.ChatCompletion
	if q.stream {
		var whole openai.ChatCompletionAccumulator
		stream := client.Chat.Completions.NewStreaming(soon(t), chatParams(q))
		for stream.Next() {
			chunk := stream.Current()
			h.raw = append(h.raw, chunk.RawJSON())
			if !whole.AddChunk(chunk) {
				t.Fatalf("the accumulator refuses %s", chunk.RawJSON())
			}
			if len(chunk.Choices) > 0 {
				h.thinking += unquoted(t, chunk.Choices[0].Delta.JSON.ExtraFields["reasoning_content"].Raw())
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		completion = whole.ChatCompletion
	} else {
		got, err := client.Chat.Completions.New(soon(t), chatParams(q))
		if err != nil {
			t.Fatal(err)
		}
		completion = *got
		h.raw = []string{got.RawJSON()}
		h.thinking = unquoted(t, got.Choices[0].Message.JSON.ExtraFields["reasoning_content"].Raw())
	}
	choice := completion.Choices[0]
	h.text = choice.Message.Content
	for _, call := range choice.Message.ToolCalls {
		h.calls = append(h.calls, call.Function.Name+" "+call.Function.Arguments)
	}
	h.stop = map[string]string{"stop": "end", "tool_calls": "calls"}[choice.FinishReason]
	h.input, h.output = completion.Usage.PromptTokens, completion.Usage.CompletionTokens
	return h
}

func responseParams(q question) responses.ResponseNewParams {
	return responses.ResponseNewParams{
		Model:        q.model,
		Instructions: openai.String("Be brief."),
		Input:        responses.ResponseNewParamsInputUnion{OfString: openai.String(prompt)},
		Tools: []responses.ToolUnionParam{
			{OfFunction: &responses.FunctionToolParam{Name: "weather", Parameters: weatherSchema, Strict: openai.Bool(false)}},
			{OfFunction: &responses.FunctionToolParam{Name: "clock", Parameters: map[string]any{}, Strict: openai.Bool(false)}},
		},
	}
}

func askResponses(t *testing.T, client openai.Client, q question) heard {
	t.Helper()
	var h heard
	var response responses.Response
	if q.stream {
		stream := client.Responses.NewStreaming(soon(t), responseParams(q))
		for stream.Next() {
			event := stream.Current()
			h.raw = append(h.raw, event.RawJSON())
			if completed, ok := event.AsAny().(responses.ResponseCompletedEvent); ok {
				response = completed.Response
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
	} else {
		got, err := client.Responses.New(soon(t), responseParams(q))
		if err != nil {
			t.Fatal(err)
		}
		response = *got
		h.raw = []string{got.RawJSON()}
	}
	h.text, h.stop = response.OutputText(), "end"
	for _, item := range response.Output {
		switch item := item.AsAny().(type) {
		case responses.ResponseReasoningItem:
			for _, summary := range item.Summary {
				h.thinking += summary.Text
			}
		case responses.ResponseFunctionToolCall:
			h.calls = append(h.calls, item.Name+" "+item.Arguments)
			h.stop = "calls"
		}
	}
	h.input, h.output = response.Usage.InputTokens, response.Usage.OutputTokens
	return h
}

func TestOpenAIsSDKGetsEmbeddings(t *testing.T) {
	withoutSDKSettings(t)
	g, up, said := demoGateway(t)
	client := openAIClient(g)
	for _, format := range []openai.EmbeddingNewParamsEncodingFormat{"float", ""} {
		got, err := client.Embeddings.New(soon(t), openai.EmbeddingNewParams{
			Model: "vendor/m", Dimensions: openai.Int(16), EncodingFormat: format,
			Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{prompt, "two"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Data) != 2 || len(got.Data[1].Embedding) != 16 || got.Usage.PromptTokens == 0 {
			t.Errorf("got %s", got.RawJSON())
		}
		heard{raw: []string{got.RawJSON()}}.checkRaw(t, said, false)
	}
	if c := up.all()[0]; c.path != "/v1/embeddings" || !strings.Contains(c.body, `"model":"demo"`) {
		t.Errorf("the upstream was asked at %s for %s", c.path, c.body)
	}
}

func TestOpenAIsSDKListsTheModelsOfTheGateway(t *testing.T) {
	withoutSDKSettings(t)
	g, up, _ := demoGateway(t)
	client := openAIClient(g)
	var names []string
	list := client.Models.ListAutoPaging(soon(t))
	for list.Next() {
		m := list.Current()
		if m.Object != "model" || m.OwnedBy != "up" || m.Created == 0 {
			t.Errorf("entry = %s", m.RawJSON())
		}
		names = append(names, m.ID)
	}
	if want := []string{"demo", "other", "vendor/m", "yet-another", "zeta"}; list.Err() != nil || !slices.Equal(names, want) {
		t.Errorf("models = %q, %v; want %q", names, list.Err(), want)
	}
	if m, err := client.Models.Get(soon(t), "vendor/m"); err != nil || m.ID != "vendor/m" {
		t.Errorf("Get = %v, %v; want vendor/m", m, err)
	}
	if _, err := client.Models.Get(soon(t), "nobody/knows"); status(err) != 404 {
		t.Errorf("Get of an unknown model = %v, want 404", err)
	}
	if n := len(up.all()); n != 0 {
		t.Errorf("upstream calls = %d, want 0: the list is the gateway's", n)
	}
}

// status is the HTTP status of an SDK's error.
func status(err error) int {
	var e *openai.Error
	if errors.As(err, &e) {
		return e.StatusCode
	}
	return 0
}

func TestOpenAIsSDKGetsTypedErrors(t *testing.T) {
	withoutSDKSettings(t)
	g, up, said := demoGateway(t)
	t.Run("chat", func(t *testing.T) {
		for _, stream := range []bool{false, true} {
			checkOpenAIErrors(t, g, up, said, func(client openai.Client, model string) error {
				if !stream {
					_, err := client.Chat.Completions.New(soon(t), chatParams(question{model: model}))
					return err
				}
				s := client.Chat.Completions.NewStreaming(soon(t), chatParams(question{model: model, stream: true}))
				defer s.Close()
				for s.Next() {
				}
				return s.Err()
			})
		}
	})
	t.Run("responses", func(t *testing.T) {
		for _, stream := range []bool{false, true} {
			checkOpenAIErrors(t, g, up, said, func(client openai.Client, model string) error {
				if !stream {
					_, err := client.Responses.New(soon(t), responseParams(question{model: model}))
					return err
				}
				s := client.Responses.NewStreaming(soon(t), responseParams(question{model: model}))
				defer s.Close()
				for s.Next() {
				}
				return s.Err()
			})
		}
	})
}

func checkOpenAIErrors(t *testing.T, g *gateway, up *upstream, said *tape, ask func(client openai.Client, model string) error) {
	t.Helper()
	for _, tc := range []struct {
		name, model, key string
		status           int
		code             string
		verbatim         bool // the upstream's own body
		retryAfter       string
		calls            int // to the upstream
		retries          int
	}{
		// The SDK would try these again were it not told that it is no use.
		{name: "unknown model", model: "nobody/knows", status: 404, code: "model_not_found", retries: 2},
		{name: "wrong client key", model: "demo", key: "wrong", status: 401, code: "invalid_api_key", retries: 2},
		{name: "client's mistake", model: "demo-400", status: 400, code: "invalid_value", verbatim: true, calls: 1, retries: 2},
		{name: "too long", model: "demo-context", status: 400, code: "context_length_exceeded", verbatim: true, calls: 1, retries: 2},

		{name: "rate limit", model: "demo-429-7", status: 429, code: "rate_limit_exceeded", retryAfter: "7", calls: 1},
		{name: "the gateway's own key is refused", model: "demo-401", status: 502, calls: 1},
		{name: "upstream trouble", model: "demo-500", status: 502, retryAfter: "1", calls: 1},
		{name: "overload", model: "demo-503-9", status: 503, retryAfter: "9", calls: 1},
	} {
		up.reset()
		options := []option.RequestOption{option.WithMaxRetries(tc.retries)}
		if tc.key != "" {
			options = append(options, option.WithAPIKey(tc.key))
		}
		err := ask(openAIClient(g, options...), tc.model)
		var e *openai.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error = %v, want a typed one", tc.name, err)
			continue
		}
		if e.StatusCode != tc.status || tc.code != "" && e.Code != tc.code || e.Type == "" || e.Message == "" {
			t.Errorf("%s: %d %q %q %q, want %d %q", tc.name, e.StatusCode, e.Code, e.Type, e.Message, tc.status, tc.code)
		}
		if got := e.Response.Header.Get("Retry-After"); got != tc.retryAfter {
			t.Errorf("%s: Retry-After = %q, want %q", tc.name, got, tc.retryAfter)
		}
		if e.Response.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: no X-Request-Id", tc.name)
		}
		if tc.verbatim && !strings.Contains(said.last(), e.RawJSON()) {
			t.Errorf("%s: the SDK read %s, the upstream wrote %s", tc.name, e.RawJSON(), said.last())
		}
		if n := len(up.all()); n != tc.calls {
			t.Errorf("%s: upstream calls = %d, want %d", tc.name, n, tc.calls)
		}
	}
}

// A break that shows in the same read as the first content is an error of its
// own, as long as nothing was passed on; else it ends the stream.
func TestABrokenStreamIsAnErrorToOpenAIsSDK(t *testing.T) {
	withoutSDKSettings(t)
	g, _, _ := demoGateway(t)
	client := openAIClient(g, option.WithMaxRetries(0))
	for _, fault := range []string{"cut", "eof", "badjson", "error-late", "error-event"} {
		model := "demo-long-20+" + fault
		chat := client.Chat.Completions.NewStreaming(soon(t), chatParams(question{model: model, stream: true}))
		for chat.Next() {
			if choices := chat.Current().Choices; len(choices) > 0 && choices[0].FinishReason != "" {
				t.Errorf("chat, %s: the stream ended like a whole one", fault)
			}
		}
		if chat.Err() == nil {
			t.Errorf("chat, %s: no error", fault)
		}

		stream := client.Responses.NewStreaming(soon(t), responseParams(question{model: model}))
		failed := false
		for stream.Next() {
			switch event := stream.Current().AsAny().(type) {
			case responses.ResponseFailedEvent:
				failed = event.Response.Error.Message != "" && event.Response.Error.Code != ""
			case responses.ResponseErrorEvent:
				failed = event.Message != ""
			case responses.ResponseCompletedEvent:
				t.Errorf("responses, %s: the stream ended like a whole one", fault)
			}
		}
		if !failed && stream.Err() == nil {
			t.Errorf("responses, %s: no error", fault)
		}
	}
}
