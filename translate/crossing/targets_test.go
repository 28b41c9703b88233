package crossing_test

import (
	"slices"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// permissive is a place that takes all that its protocol has.
func permissive(p translate.Protocol) *translate.Target {
	yes := true
	return &translate.Target{
		Protocol: p, Provider: "acme", Model: "m",
		Quirks: translate.Quirks{
			MaxTokensField:    "max_completion_tokens",
			DeveloperRole:     true,
			ReasoningField:    "reasoning_content",
			OpenAIParameters:  true,
			Parameters:        []string{"top_k"},
			CustomTools:       true,
			ToolImages:        true,
			ThoughtSignatures: true,
			CacheControl:      true,
			WebSearch:         true,
		},
		Capabilities: translate.Capabilities{
			MaxOutputTokens: 128000, Thinking: "both",
			Efforts: []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"},
			Prefill: &yes, SystemTurns: &yes,
		},
	}
}

// bare is a place of which nothing is known.
func bare(p translate.Protocol) *translate.Target {
	return &translate.Target{Protocol: p, Provider: "acme", Model: "m"}
}

// strict is a place that takes as little as any is known to.
func strict(p translate.Protocol) *translate.Target {
	no := false
	return &translate.Target{
		Protocol: p, Provider: "acme", Model: "m",
		Quirks: translate.Quirks{
			NoStreamOptions:    true,
			NoReasoningSummary: true,
			EmptyContent:       true,
			ShortCallIDs:       true,
			NoUserAfterTool:    true,
		},
		Capabilities: translate.Capabilities{
			Sampling: "never", ForcedTools: "never", JSONSchema: &no, SystemTurns: &no, Images: &no, Documents: &no, Stop: &no,
		},
	}
}

// place is where a request may go.
type place struct {
	name string
	of   func(p translate.Protocol) *translate.Target
}

// targets are the places that requests of the corpus are translated for.
var targets = []place{
	{"permissive", permissive},
	{"bare", bare},
}

// allTargets are those and one that takes less.
var allTargets = append(slices.Clip(targets), place{"strict", strict})
