package caddymodule

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// openAIModel is an entry of OpenAI's model list.
// https://platform.openai.com/docs/api-reference/models/object
type openAIModel struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

// anthropicModel is an entry of Anthropic's model list.
// https://docs.anthropic.com/en/api/models-list
type anthropicModel struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	CreatedAt   string `json:"created_at"`
}

type openAIList struct {
	Object string        `json:"object"`
	Data   []openAIModel `json:"data"`
}

type anthropicList struct {
	Data    []anthropicModel `json:"data"`
	HasMore bool             `json:"has_more"`
	FirstID *string          `json:"first_id"`
	LastID  *string          `json:"last_id"`
}

// Neither list has a time that means anything here; the start of the
// configuration is the same in every entry and every answer.
func (h *Handler) asOpenAI(m *routing.Model) openAIModel {
	owner := "unknown"
	if len(m.ModelRoutings) > 0 {
		owner = m.ModelRoutings[0].ProviderName
	}
	return openAIModel{ID: m.LogicalName, Object: "model", Created: h.created.Unix(), OwnedBy: owner}
}

func (h *Handler) asAnthropic(m *routing.Model) anthropicModel {
	name := m.DisplayName
	if name == "" {
		name = m.LogicalName
	}
	return anthropicModel{Type: "model", ID: m.LogicalName, DisplayName: name, CreatedAt: h.created.UTC().Format(time.RFC3339)}
}

// listModels answers GET /v1/models in the caller's shape.
func (x *exchange) listModels() {
	models := x.runtime.router.Models()
	if x.endpoint.protocol != translate.Messages {
		list := openAIList{Object: "list", Data: make([]openAIModel, 0, len(models))}
		for _, m := range models {
			list.Data = append(list.Data, x.handler.asOpenAI(m))
		}
		x.answerJSON(list)
		return
	}
	page, e := pageOf(models, x.r)
	if e != nil {
		x.fail(e, 0)
		return
	}
	list := anthropicList{Data: make([]anthropicModel, 0, len(page.models)), HasMore: page.more}
	for _, m := range page.models {
		list.Data = append(list.Data, x.handler.asAnthropic(m))
	}
	if n := len(list.Data); n > 0 {
		list.FirstID, list.LastID = &list.Data[0].ID, &list.Data[n-1].ID
	}
	x.answerJSON(list)
}

// page is a part of the model list.
type page struct {
	models []*routing.Model
	more   bool
}

// pageOf applies Anthropic's limit (1 to 1000, default 20), after_id and
// before_id.
func pageOf(models []*routing.Model, r *http.Request) (page, *translate.Error) {
	query := r.URL.Query()
	limit := 20
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return page{}, invalid("limit", "limit must be a number from 1 to 1000")
		}
		limit = n
	}
	index := func(id string) int {
		for i, m := range models {
			if m.LogicalName == id {
				return i
			}
		}
		return -1
	}
	if after := query.Get("after_id"); after != "" {
		i := index(after)
		if i < 0 {
			return page{}, invalid("after_id", "after_id names no model")
		}
		models = models[i+1:]
	}
	if before := query.Get("before_id"); before != "" {
		i := index(before)
		if i < 0 {
			return page{}, invalid("before_id", "before_id names no model")
		}
		start := max(i-limit, 0)
		return page{models: models[start:i], more: start > 0}, nil
	}
	if len(models) > limit {
		return page{models: models[:limit], more: true}, nil
	}
	return page{models: models}, nil
}

// showModel answers GET /v1/models/{id}; ids may contain slashes.
func (x *exchange) showModel() {
	name := strings.TrimPrefix(x.r.URL.Path, modelPath)
	m, known := x.runtime.router.Resolve(name)
	switch {
	case !known:
		x.fail(&routing.UnknownModel(name).Err, 0)
	case x.endpoint.protocol == translate.Messages:
		x.answerJSON(x.handler.asAnthropic(m))
	default:
		x.answerJSON(x.handler.asOpenAI(m))
	}
}

// answerJSON answers with one of our own types.
func (x *exchange) answerJSON(v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // none of our types fails
	}
	x.committed = true
	writeJSON(x.w, http.StatusOK, body)
}
