//go:build unix

package main

import (
	"fmt"
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

// parseScenarios reads a list of names. Default: all.
func parseScenarios(names string) ([]string, error) {
	if names == "" {
		return allScenarios(), nil
	}
	chosen := strings.Split(names, ",")
	for _, name := range chosen {
		if !slices.Contains(allScenarios(), name) {
			return nil, fmt.Errorf("unknown scenario %q; there are %s", name, strings.Join(allScenarios(), ", "))
		}
	}
	return chosen, nil
}

// plays tells whether a client can play a scenario.
func plays(client, scenario string) bool {
	return slices.Contains(common, scenario) || slices.Contains(special[client], scenario)
}

// countRuns counts what there is to run.
func countRuns(o options) int {
	n := 0
	for _, client := range o.clients {
		for _, scenario := range o.scenarios {
			if plays(client, scenario) {
				n += len(o.upstreams)
			}
		}
	}
	return n
}
