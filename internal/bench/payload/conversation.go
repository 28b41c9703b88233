package payload

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// conversation is what a request asks, before it is put into a protocol.
type conversation struct {
	system    string
	tools     []tool
	turns     []turn
	maxTokens int
}

type tool struct {
	name, description string
	schema            json.RawMessage
}

// turn is what one side or both said: the user in words, or the assistant with
// a tool call and the result of it.
type turn struct {
	user      string
	assistant string
	call      call
	result    string
}

type call struct {
	id, tool string
	input    json.RawMessage
}

func smallConversation() conversation {
	return conversation{
		system:    "You are a terse assistant.",
		turns:     []turn{{user: "Name three things that a reverse proxy is good for."}},
		maxTokens: 256,
	}
}

// Sizes of the agent's conversation, as a coding agent has them after some
// minutes of work.
const (
	agentRounds      = 20
	agentSystemBytes = 14 << 10
	agentResultBytes = 2500
)

var agentTools = []string{
	"Bash", "Read", "Edit", "Write", "Glob", "Grep", "Task", "TodoWrite", "WebFetch", "WebSearch",
	"NotebookEdit", "BashOutput", "KillShell", "AskUserQuestion", "Skill", "ExitPlanMode",
}

// agentConversation is a session of a coding agent: a long system prompt, tools
// with schemas, many calls with their results. The last result is lengthened
// by padding bytes.
func agentConversation(padding int) conversation {
	w := writer{rand.New(rand.NewPCG(9, 26))}
	c := conversation{
		system:    "You are a coding agent that works in the user's repository.\n" + w.prose(agentSystemBytes),
		turns:     []turn{{user: "The retry loop gives up too early. " + w.prose(200)}},
		maxTokens: 32000,
	}
	for _, name := range agentTools {
		c.tools = append(c.tools, w.tool(name))
	}
	for i := range agentRounds {
		t := w.toolTurn(i, agentTools[i%6])
		if i == agentRounds-1 {
			t.result += strings.Repeat(".", padding)
		}
		c.turns = append(c.turns, t)
	}
	return c
}

// writer makes text that looks like an agent's traffic to a JSON scanner:
// letters, quotes and line breaks in their usual proportions.
type writer struct{ *rand.Rand }

var vocabulary = strings.Fields(`attempt answer buffer cancel client closed config context cursor deadline
	decode encode event failure header index journal ledger limit listener message model nothing offset
	parse pending pool prefix queue reader record request retry route schema session signal socket state
	stream target timeout token trace upstream value verify window worker writer`)

func (w writer) word() string { return vocabulary[w.IntN(len(vocabulary))] }

// prose is about n bytes of sentences.
func (w writer) prose(n int) string {
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "When the %s of a \"%s\" ends, %s its %s - see `%s.%s`.", w.word(), w.word(), w.word(), w.word(), w.word(), w.word())
		if w.IntN(4) == 0 {
			b.WriteString("\n\n")
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// listing is about n bytes of a source file with line numbers.
func (w writer) listing(n int) string {
	var b strings.Builder
	for line := 1; b.Len() < n; line++ {
		fmt.Fprintf(&b, "%6d\u2192", line)
		switch w.IntN(6) {
		case 0:
			fmt.Fprintf(&b, "func (%c *%s) %s(%s []byte) (int, error) {\n", w.word()[0], w.word(), w.word(), w.word())
		case 1:
			fmt.Fprintf(&b, "\t// %s\n", w.prose(40))
		case 2:
			fmt.Fprintf(&b, "\tif err := %s.%s(%q); err != nil {\n", w.word(), w.word(), w.word()+"\n")
		case 3:
			fmt.Fprintf(&b, "\t\treturn 0, fmt.Errorf(\"%s %s: %%w\", err)\n\t}\n", w.word(), w.word())
		case 4:
			fmt.Fprintf(&b, "\t%s := &%s{%s: \"%s\", %s: %d}\n", w.word(), w.word(), w.word(), w.word(), w.word(), w.IntN(9999))
		default:
			b.WriteString("}\n\n")
		}
	}
	return b.String()
}

func (w writer) tool(name string) tool {
	type property struct {
		Type        string   `json:"type"`
		Description string   `json:"description"`
		Enum        []string `json:"enum,omitempty"`
	}
	schema := struct {
		Schema     string              `json:"$schema"`
		Type       string              `json:"type"`
		Properties map[string]property `json:"properties"`
		Required   []string            `json:"required"`
		Additional bool                `json:"additionalProperties"`
	}{"https://json-schema.org/draft/2020-12/schema", "object", map[string]property{
		"path":    {Type: "string", Description: w.prose(120)},
		"command": {Type: "string", Description: w.prose(200)},
		"limit":   {Type: "number", Description: w.prose(60)},
		"output":  {Type: "string", Description: w.prose(60), Enum: []string{"content", "files", "count"}},
		"dry_run": {Type: "boolean", Description: w.prose(60)},
	}, []string{"path", "command"}, false}
	return tool{name: name, description: w.prose(1300), schema: encode(schema)}
}

func (w writer) toolTurn(i int, name string) turn {
	input := struct {
		Path    string `json:"path"`
		Command string `json:"command"`
	}{"internal/" + w.word() + "/" + w.word() + ".go", "grep -n \"" + w.word() + "\" | head -20"}
	return turn{
		assistant: w.prose(120),
		call:      call{id: fmt.Sprintf("toolu_bench%014d", i), tool: name, input: encode(input)},
		result:    w.listing(agentResultBytes),
	}
}
