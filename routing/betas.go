package routing

import (
	"slices"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// betaFields are the top-level members of a Messages request that belong to
// Anthropic's betas: a server that does not know them refuses the request.
var betaFields = []string{"context_management", "container", "mcp_servers", "speed", "fallbacks", "diagnostics"}

// loseBetas notes which members of betas stay here, of a request that goes to a
// provider without them in its own protocol. Without some of them the answer
// would be another one.
func (t *turn) loseBetas(q *Request) *failure {
	if !t.candidate.route.Provider.Quirks.DropBetas || q.Protocol != translate.Messages || q.Operation != translate.Generate {
		return nil
	}
	var losses translate.Losses
	for _, name := range betaFields {
		raw, _, sent := q.Object.Get(name)
		if value := translate.Value(raw); !sent || value.IsEmpty() {
			continue
		}
		const reason = "the provider does not have Anthropic's betas"
		if name == "mcp_servers" || name == "container" {
			return &failure{class: InvalidRequest, err: *translate.Refuse(name, reason)}
		}
		losses.Add(name, translate.Dropped, reason)
	}
	return t.lose(losses)
}

// withoutBetas adds the edits that take the members of betas out of a Messages
// request. The header that announces them stays here too.
func (q *Request) withoutBetas(edits []edit) []edit {
	document := q.Body.Bytes()
	kept := false // a member stands before this one that stays
	for _, m := range q.Object.Members {
		if !slices.Contains(betaFields, string(document[m.KeyStart:m.KeyEnd])) {
			kept = true
			continue
		}
		start, end := m.KeyStart-1, m.End // with the name's first quote
		if kept {
			// The comma before it goes along.
			for start--; document[start] != ','; start-- {
			}
		} else {
			// "model" follows somewhere, so a comma follows at once.
			for ; document[end] != ','; end++ {
			}
			end++
		}
		edits = append(edits, edit{start, end, nil})
	}
	return edits
}
