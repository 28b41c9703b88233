package routing

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// checkWord makes sure that a field, if it is there, holds one of the words that
// it may hold.
func checkWord(d *document, field, value string, known ...string) {
	if d.has(field) && !slices.Contains(known, value) {
		d.failAt(field, "unknown value"+printable(value), didYouMean(value, known))
	}
}

// checkUnique makes sure that a list has nothing empty and nothing twice.
func checkUnique(d *document, field string, list []string) {
	for i, value := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case !d.has(at):
		case value == "":
			d.failAt(at, "must not be empty", "")
		case slices.Contains(list[:i], value):
			d.failAt(at, "is there twice", "leave one out")
		}
	}
}

func (p *Provider) checkQuirks(d *document) {
	q := &p.Quirks
	checkWord(d, "quirks.max_tokens_field", q.MaxTokensField, "max_tokens", "max_completion_tokens")
	checkWord(d, "quirks.reasoning_field", q.ReasoningField, "reasoning_content", "reasoning", "reasoning_details")
	checkUnique(d, "quirks.parameters", q.Parameters)
	for i, name := range q.Parameters {
		switch name {
		case "model", "messages", "input", "stream":
			d.failAt(fmt.Sprintf("quirks.parameters[%d]", i), fmt.Sprintf("%q is written by every translation itself", name), "leave it out")
		}
	}
}

// checkModelCapabilities validates what a provider says of its models.
func (p *Provider) checkModelCapabilities(d *document) {
	taken := make(map[string]string)
	for i := range p.Capabilities {
		entry, field := &p.Capabilities[i], fmt.Sprintf("capabilities[%d]", i)
		checkCapabilities(d, field, &entry.Capabilities)
		checkModelPatterns(d, field, entry.Models, taken)
		p.modelPatterns = append(p.modelPatterns, newModelPatterns(entry.Models, &entry.Capabilities)...)
	}
	slices.SortFunc(p.modelPatterns, longestFirst)
}

// checkModelPatterns validates the patterns of one entry of a list; taken are those
// of the entries before, with where they stand.
func checkModelPatterns(d *document, field string, models []string, taken map[string]string) {
	if d.has(field+".models") && len(models) == 0 {
		d.failAt(field+".models", "is empty", modelsFix)
	}
	for i, pattern := range models {
		at := fmt.Sprintf("%s.models[%d]", field, i)
		checkModelName(d, at, pattern)
		if other, twice := taken[pattern]; twice && pattern != "" {
			d.failAt(at, fmt.Sprintf("%q is in %s too", pattern, other), "a name can be matched by one entry only")
		}
		taken[pattern] = field
		if pattern != anyModel && strings.Contains(pattern, "*") {
			d.failAt(at, "must not have '*', unless it is just that", "write the part of the name that the models share, e.g. \"claude-opus-4-7\"; it is found anywhere in a name")
		}
	}
}

// modelsFix tells how models are written in a provider's capabilities and prices.
const modelsFix = `write "models": "*" for all, or parts of the models' names: ["claude-opus-4-7"]`

// checkCapabilities validates what is said of a model, at whichever place.
func checkCapabilities(d *document, field string, c *translate.Capabilities) {
	for key, limit := range map[string]int{"max_output_tokens": c.MaxOutputTokens, "max_tools": c.MaxTools} {
		if at := join(field, key); d.has(at) && limit == 0 {
			d.failAt(at, "must be above 0", "leave it out where there is no bound")
		}
	}
	checkWord(d, join(field, "thinking"), c.Thinking, "none", "budget", "adaptive", "both")
	checkWord(d, join(field, "sampling"), c.Sampling, "always", "one", "not_reasoning", "never")
	checkWord(d, join(field, "forced_tools"), c.ForcedTools, "always", "not_thinking", "never")
	efforts := join(field, "efforts")
	checkUnique(d, efforts, c.Efforts)
	for i, word := range c.Efforts {
		if word != "" {
			checkWord(d, fmt.Sprintf("%s[%d]", efforts, i), word, effortNames...)
		}
	}
}

// effortNames are the efforts that a file may name.
var effortNames = func() (names []string) {
	for e := translate.EffortNone; e <= translate.EffortMax; e++ {
		names = append(names, e.String())
	}
	return names
}()
