package simulated

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	openairesponses "github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

// asked is a question that the official SDKs can put in every protocol.
type asked struct {
	model  string
	tools  bool // declare weather and clock
	schema bool // ask for weatherSchema
	result bool // weather was called and has answered "rain"
	stream bool
}

// said is what an SDK understood.
type said struct {
	text, thinking string
	sealed         bool // reasoning came with its secret part
	calls          []string
	stop           string
	reasons        bool // usage counts reasoning
}

const prompt = `Hello "you", is it 12 °C or <warmer> & 日本?`

var weatherSchema = map[string]any{
	"type":                 "object",
	"properties":           map[string]any{"city": map[string]any{"type": "string"}, "days": map[string]any{"type": "integer", "minimum": 2}},
	"required":             []string{"city", "days"},
	"additionalProperties": false,
}

// sdks put a question through the official SDKs.
var sdks = map[string]func(t *testing.T, url string, a asked) said{
	"chat":      askChat,
	"responses": askResponses,
	"messages":  askMessages,
}

func openAI(url string) openai.Client {
	return openai.NewClient(option.WithBaseURL(url+"/any/prefix/v1/"), option.WithAPIKey("k"), option.WithMaxRetries(0))
}

func anthropicClient(url string) anthropic.Client {
	return anthropic.NewClient(anthropicoption.WithBaseURL(url), anthropicoption.WithAPIKey("k"), anthropicoption.WithMaxRetries(0))
}

func TestTheOfficialSDKsUnderstandEveryAnswer(t *testing.T) {
	server := httptest.NewServer(New(Config{}))
	defer server.Close()
	weather := `weather {"city":"Paris","days":2}`
	for _, tc := range []struct {
		name string
		asked
		want said
	}{
		{"text", asked{model: "demo", tools: true}, said{
			text: `You said: "` + prompt + `". I am the demo model of caddy-llm-proxy: no provider and no key are behind me. ` +
				"Try demo-tools, demo-thinking, demo-slow, demo-429 or demo-cut.", stop: "end",
		}},
		{"tools", asked{model: "demo-tools", tools: true}, said{calls: []string{weather}, stop: "calls"}},
		{"parallel tools", asked{model: "demo-tools+parallel+text", tools: true}, said{
			text: "I will call weather.", calls: []string{weather, "clock {}"}, stop: "calls",
		}},
		{"tool result", asked{model: "demo-tools", tools: true, result: true}, said{text: `The tool answered: "rain".`, stop: "end"}},
		{"thinking", asked{model: "demo-thinking", tools: true, result: true}, said{
			thinking: `The tools have answered. What they said is enough to reply to "` + prompt + `".`,
			sealed:   true, reasons: true, text: `The tool answered: "rain".`, stop: "end",
		}},
		{"schema", asked{model: "demo", schema: true}, said{text: `{"city":"Paris","days":2}`, stop: "end"}},
		{"long", asked{model: "demo-long-3"}, said{text: "1 2 3", stop: "end"}},
		{"bench", asked{model: "demo-bench-3"}, said{text: "qz qz qz", stop: "end"}},
	} {
		for api, ask := range sdks {
			for _, tc.stream = range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/stream=%v", tc.name, api, tc.stream), func(t *testing.T) {
					want := tc.want
					if api == "chat" {
						want.sealed = false // Chat Completions has no place for it
					}
					if got := ask(t, server.URL, tc.asked); !reflect.DeepEqual(got, want) {
						t.Errorf("got  %+v\nwant %+v", got, want)
					}
				})
			}
		}
	}
}

func askChat(t *testing.T, url string, a asked) said {
	t.Helper()
	params := openai.ChatCompletionNewParams{
		Model:         a.model,
		Messages:      []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be brief."), openai.UserMessage(prompt)},
		StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
	}
	if a.tools {
		params.Tools = []openai.ChatCompletionToolUnionParam{
			openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "weather", Parameters: weatherSchema}),
			openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "clock"}),
		}
	}
	if a.result {
		params.Messages = append(params.Messages,
			openai.ChatCompletionMessageParamUnion{OfAssistant: &openai.ChatCompletionAssistantMessageParam{
				ToolCalls: []openai.ChatCompletionMessageToolCallUnionParam{{OfFunction: &openai.ChatCompletionMessageFunctionToolCallParam{
					ID: "call_1", Function: openai.ChatCompletionMessageFunctionToolCallFunctionParam{Name: "weather", Arguments: "{}"},
				}}},
			}},
			openai.ToolMessage("rain", "call_1"))
	}
	if a.schema {
		params.ResponseFormat = openai.ChatCompletionNewParamsResponseFormatUnion{OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "weather", Schema: weatherSchema},
		}}
	}
	client := openAI(url)
	var out said
	var completion openai.ChatCompletion
	if a.stream {
		var acc openai.ChatCompletionAccumulator
		stream := client.Chat.Completions.NewStreaming(context.Background(), params)
		for stream.Next() {
			chunk := stream.Current()
			if !acc.AddChunk(chunk) {
				t.Fatalf("the accumulator refuses %s", chunk.RawJSON())
			}
			if len(chunk.Choices) > 0 {
				out.thinking += extra(t, chunk.Choices[0].Delta.JSON.ExtraFields["reasoning_content"].Raw())
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		completion = acc.ChatCompletion
	} else {
		params.StreamOptions = openai.ChatCompletionStreamOptionsParam{}
		got, err := client.Chat.Completions.New(context.Background(), params)
		if err != nil {
			t.Fatal(err)
		}
		completion = *got
		out.thinking = extra(t, got.Choices[0].Message.JSON.ExtraFields["reasoning_content"].Raw())
	}
	choice := completion.Choices[0]
	out.text = choice.Message.Content
	for _, c := range choice.Message.ToolCalls {
		out.calls = append(out.calls, c.Function.Name+" "+c.Function.Arguments)
	}
	out.stop = map[string]string{"stop": "end", "tool_calls": "calls"}[choice.FinishReason]
	checkUsage(t, completion.Usage.PromptTokens, completion.Usage.CompletionTokens)
	out.reasons = completion.Usage.CompletionTokensDetails.ReasoningTokens > 0
	return out
}

// extra decodes a member that the SDK does not know.
func extra(t *testing.T, raw string) (s string) {
	t.Helper()
	if raw == "" {
		return ""
	}
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func checkUsage(t *testing.T, input, output int64) {
	t.Helper()
	if input < 2 || output < 1 {
		t.Errorf("usage is %d in, %d out", input, output)
	}
}

func askResponses(t *testing.T, url string, a asked) said {
	t.Helper()
	input := openairesponses.ResponseInputParam{openairesponses.ResponseInputItemParamOfMessage(prompt, openairesponses.EasyInputMessageRoleUser)}
	if a.result {
		input = append(input,
			openairesponses.ResponseInputItemParamOfFunctionCall("{}", "call_1", "weather"),
			openairesponses.ResponseInputItemUnionParam{OfFunctionCallOutput: &openairesponses.ResponseInputItemFunctionCallOutputParam{
				CallID: openai.String("call_1"),
				Output: openairesponses.ResponseInputItemFunctionCallOutputOutputUnionParam{OfString: openai.String("rain")},
			}})
	}
	params := openairesponses.ResponseNewParams{
		Model:        a.model,
		Instructions: openai.String("Be brief."),
		Input:        openairesponses.ResponseNewParamsInputUnion{OfInputItemList: input},
		Include:      []openairesponses.ResponseIncludable{openairesponses.ResponseIncludableReasoningEncryptedContent},
	}
	if a.tools {
		params.Tools = []openairesponses.ToolUnionParam{
			{OfFunction: &openairesponses.FunctionToolParam{Name: "weather", Parameters: weatherSchema, Strict: openai.Bool(false)}},
			{OfFunction: &openairesponses.FunctionToolParam{Name: "clock", Parameters: map[string]any{}, Strict: openai.Bool(false)}},
		}
	}
	if a.schema {
		params.Text = openairesponses.ResponseTextConfigParam{Format: openairesponses.ResponseFormatTextConfigUnionParam{
			OfJSONSchema: &openairesponses.ResponseFormatTextJSONSchemaConfigParam{Name: "weather", Schema: weatherSchema},
		}}
	}
	client := openAI(url)
	var response openairesponses.Response
	if a.stream {
		response = streamResponse(t, client, params)
	} else {
		got, err := client.Responses.New(context.Background(), params)
		if err != nil {
			t.Fatal(err)
		}
		response = *got
	}
	var out said
	out.text = response.OutputText()
	for _, item := range response.Output {
		switch item.Type {
		case "reasoning":
			for _, s := range item.AsReasoning().Summary {
				out.thinking += s.Text
			}
			out.sealed = item.AsReasoning().EncryptedContent == seal(out.thinking)
		case "function_call":
			out.calls = append(out.calls, item.AsFunctionCall().Name+" "+item.AsFunctionCall().Arguments)
		}
	}
	out.stop = map[bool]string{true: "calls", false: "end"}[len(out.calls) > 0]
	if response.Status != "completed" {
		t.Errorf("status is %q", response.Status)
	}
	if response.Instructions.OfString != "Be brief." {
		t.Errorf("the response does not echo the instructions: %q", response.Instructions.OfString)
	}
	checkUsage(t, response.Usage.InputTokens, response.Usage.OutputTokens)
	out.reasons = response.Usage.OutputTokensDetails.ReasoningTokens > 0
	return out
}

func streamResponse(t *testing.T, client openai.Client, params openairesponses.ResponseNewParams) (final openairesponses.Response) {
	t.Helper()
	stream := client.Responses.NewStreaming(context.Background(), params)
	var text strings.Builder
	next := int64(0)
	for stream.Next() {
		event := stream.Current()
		if event.SequenceNumber != next {
			t.Errorf("%s has sequence_number %d, want %d", event.Type, event.SequenceNumber, next)
		}
		next++
		switch event.Type {
		case "response.output_text.delta":
			text.WriteString(event.Delta)
		case "response.completed":
			final = event.Response
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if final.OutputText() != text.String() {
		t.Errorf("response.completed says %q, the deltas say %q", final.OutputText(), text.String())
	}
	return final
}

func askMessages(t *testing.T, url string, a asked) said {
	t.Helper()
	params := anthropic.MessageNewParams{
		Model:     anthropic.Model(a.model),
		MaxTokens: 1000,
		System:    []anthropic.TextBlockParam{{Text: "Be brief."}},
		Messages:  []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(prompt))},
	}
	if a.tools {
		params.Tools = []anthropic.ToolUnionParam{
			{OfTool: &anthropic.ToolParam{Name: "weather", InputSchema: anthropic.ToolInputSchemaParam{
				Properties: weatherSchema["properties"], Required: []string{"city", "days"},
			}}},
			{OfTool: &anthropic.ToolParam{Name: "clock", InputSchema: anthropic.ToolInputSchemaParam{}}},
		}
	}
	if a.result {
		params.Messages = append(params.Messages,
			anthropic.NewAssistantMessage(anthropic.NewToolUseBlock("toolu_1", map[string]any{}, "weather")),
			anthropic.NewUserMessage(anthropic.NewToolResultBlock("toolu_1", "rain", false)))
	}
	if a.schema {
		params.OutputConfig = anthropic.OutputConfigParam{Format: anthropic.JSONOutputFormatParam{Schema: weatherSchema}}
	}
	client := anthropicClient(url)
	var message anthropic.Message
	if a.stream {
		stream := client.Messages.NewStreaming(context.Background(), params)
		for stream.Next() {
			if err := message.Accumulate(stream.Current()); err != nil {
				t.Fatal(err)
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
	} else {
		got, err := client.Messages.New(context.Background(), params)
		if err != nil {
			t.Fatal(err)
		}
		message = *got
	}
	var out said
	for _, block := range message.Content {
		switch block := block.AsAny().(type) {
		case anthropic.TextBlock:
			out.text += block.Text
		case anthropic.ThinkingBlock:
			out.thinking += block.Thinking
			out.sealed = block.Signature == seal(block.Thinking)
		case anthropic.ToolUseBlock:
			out.calls = append(out.calls, block.Name+" "+string(block.Input))
		}
	}
	out.stop = map[anthropic.StopReason]string{"end_turn": "end", "tool_use": "calls"}[message.StopReason]
	checkUsage(t, message.Usage.InputTokens, message.Usage.OutputTokens)
	out.reasons = message.Usage.OutputTokensDetails.ThinkingTokens > 0
	return out
}
