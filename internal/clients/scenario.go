//go:build unix

package main

import (
	"slices"
	"strings"
)

// common are the scenarios that every client can play, by the harness's names.
var common = []string{"hello", "tool_loop", "parallel_thinking", "retry_429", "long_2000", "unicode"}

// special are scenarios about a client's own tools.
var special = map[string][]string{
	"claude-code": {"claude_toolsearch", "claude_websearch"},
	"codex":       {"codex_viewimage"},
}

func allScenarios() []string {
	all := slices.Clone(common)
	for _, own := range special {
		all = append(all, own...)
	}
	slices.Sort(all[len(common):])
	return all
}

// plays tells whether a client can play a scenario.
func plays(client, scenario string) bool {
	return slices.Contains(common, scenario) || slices.Contains(special[client], scenario)
}

// countRuns counts what there is to run.
func countRuns(clients, scenarios []string) int {
	n := 0
	for _, client := range clients {
		for _, scenario := range scenarios {
			if plays(client, scenario) {
				n++
			}
		}
	}
	return n
}

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
