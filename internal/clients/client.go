//go:build unix

package main

import "strings"

// family is clients that are one program to a reader.
type family struct {
	title  string
	prefix string // of the harness's names
}

// families are in the order of their rows. Each client is in one.
var families = []family{
	{"Claude Code", "claude-code"},
	{"Codex", "codex"},
	{"opencode", "opencode-"},
	{"`openai` for Node", "node-openai-"},
	{"`@anthropic-ai/sdk`", "node-anthropic"},
	{"AI SDK", "ai-"},
	{"openai-go", "go-openai-"},
	{"anthropic-sdk-go", "go-anthropic"},
}

func (f family) has(r result) bool { return strings.HasPrefix(r.Client, f.prefix) }

// playedBy is the harness's word for which requests of a client belong to the
// script: those with tools for an agent, which asks for titles and the like on
// the side, and any for a program around an SDK.
func playedBy(client string) string {
	for _, agent := range []string{"claude-code", "codex", "opencode-"} {
		if strings.HasPrefix(client, agent) {
			return "tools"
		}
	}
	return "any"
}

// speaks is the protocol of a client, as the upstream of that protocol.
func speaks(client string) upstream {
	switch {
	case strings.Contains(client, "chat"), strings.Contains(client, "compat"):
		return openai
	case strings.Contains(client, "anthropic"), strings.Contains(client, "claude"):
		return anthropic
	}
	return responses
}

// keepsThinking tells whether an upstream must get its reasoning back, whole and
// with its seal. Clients of Chat Completions have no place for a seal, and
// OpenAI's Chat Completions none for reasoning.
func (p pairing) keepsThinking() bool {
	return speaks(p.client) != openai && p.upstream != openai
}
