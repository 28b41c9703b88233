package simulated

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
)

func TestCountTokensAgreesWithTheUsageOfTheAnswer(t *testing.T) {
	server := httptest.NewServer(New(Config{}))
	defer server.Close()
	client := anthropicClient(server.URL)
	turns := []anthropic.MessageParam{
		anthropic.NewUserMessage(anthropic.NewTextBlock(prompt), anthropic.NewImageBlockBase64("image/png", strings.Repeat("A", 100_000))),
	}
	count, err := client.Messages.CountTokens(context.Background(), anthropic.MessageCountTokensParams{
		Model: "demo", Messages: turns,
		System: anthropic.MessageCountTokensParamsSystemUnion{OfTextBlockArray: []anthropic.TextBlockParam{{Text: "Be brief."}}},
		Tools: []anthropic.MessageCountTokensToolUnionParam{
			{OfTool: &anthropic.ToolParam{Name: "clock", InputSchema: anthropic.ToolInputSchemaParam{}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	message, err := client.Messages.New(context.Background(), anthropic.MessageNewParams{
		Model: "demo", Messages: turns, MaxTokens: 100,
		System: []anthropic.TextBlockParam{{Text: "Be brief."}},
		Tools: []anthropic.ToolUnionParam{
			{OfTool: &anthropic.ToolParam{Name: "clock", InputSchema: anthropic.ToolInputSchemaParam{}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if count.InputTokens != message.Usage.InputTokens {
		t.Errorf("count_tokens says %d, the answer says %d", count.InputTokens, message.Usage.InputTokens)
	}
	if n := count.InputTokens; n < mediaTokens || n > mediaTokens+200 {
		t.Errorf("a short text and a large image are %d tokens, want about %d", n, mediaTokens+50)
	}
}
