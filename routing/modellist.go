package routing

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// maxModelPages bounds how often a provider is asked to go on with its list.
const maxModelPages = 50

// Models asks the provider with a key for its list of models. The names are sorted,
// and none is there twice. Where there are none, the opinion says why. ctx bounds
// all of it.
func (t *KeyTest) Models(ctx context.Context, key *keys.Key) ([]string, KeyOpinion) {
	path := t.Provider.Endpoints.Models
	if path == "" {
		return nil, KeyOpinion{Verdict: KeyUnclear, Reason: "its file names no list of models; add endpoints.models"}
	}
	var names []string
	next := path
	for range maxModelPages {
		opinion, answer := t.exchange(ctx, askedModels, http.MethodGet, next, "", key)
		if opinion.Verdict != KeyOK {
			return nil, opinion
		}
		names = append(names, modelNames(answer)...)
		// Only Anthropic divides the list: docs.claude.com, "List Models".
		page := gjson.GetManyBytes(answer, "has_more", "last_id")
		if t.Provider.MainProtocol != translate.Messages || !page[0].Bool() || page[1].Str == "" {
			break
		}
		between := "?"
		if strings.Contains(path, "?") {
			between = "&"
		}
		next = path + between + "after_id=" + url.QueryEscape(page[1].Str)
	}
	// What repeats the key is no model.
	names = slices.DeleteFunc(names, func(name string) bool { return harmless(name, key, "") != name })
	if len(names) == 0 {
		return nil, KeyOpinion{Verdict: KeyUnclear, Asked: askedModels, Reason: "it answers with no list of models"}
	}
	slices.Sort(names)
	return slices.Compact(names), KeyOpinion{Verdict: KeyOK, Asked: askedModels}
}

// modelNames are the names in a list of models: {"data": [{"id": ...}]} as OpenAI
// and Anthropic have it, {"models": [{"name": ...}]}, or just a list. What cannot be
// a name in a model file is left out.
func modelNames(answer []byte) []string {
	list := gjson.ParseBytes(answer)
	for _, key := range []string{"data", "models"} {
		if inner := list.Get(key); list.IsObject() && inner.IsArray() {
			list = inner
		}
	}
	if !list.IsArray() {
		return nil
	}
	var names []string
	for _, item := range list.Array() {
		name := item.Get("id").Str
		if name == "" {
			name = item.Get("name").Str
		}
		name = strings.TrimPrefix(name, "models/") // as Google writes them
		if name != "" && len(name) <= maxModelName && strings.TrimSpace(name) == name && !strings.ContainsFunc(name, isControl) {
			names = append(names, name)
		}
	}
	return names
}
