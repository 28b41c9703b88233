package caddymodule

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// modelsAnswer is the body of GET /llm_proxy/models.
type modelsAnswer struct {
	// Handlers are the llm_proxy blocks, in the order of their numbers; with
	// ?model= those that know it.
	Handlers []handlerModels `json:"handlers"`
}

// handlerModels are the models of one llm_proxy block.
type handlerModels struct {
	// Handler is the block's number, as in a plan.
	Handler int `json:"handler"`
	// Directory is the absolute path of the block's model files.
	Directory string `json:"directory"`
	// Models are sorted by name.
	Models []modelReport `json:"models"`
}

// modelReport is one model that clients may ask for.
type modelReport struct {
	Model       string         `json:"model"` // the logical name
	DisplayName string         `json:"display_name,omitempty"`
	Aliases     []string       `json:"aliases"`
	Policy      routing.Policy `json:"policy"`
	// Answers says whether a request would be answered now, as far as the gateway
	// knows, by one of its own routes or a fallback model's.
	Answers bool `json:"answers"`
	// Routes are the model's own, in the order of the file.
	Routes []routeReport `json:"routes"`
	// Fallbacks are the models that are tried after the routes; the other two
	// after such a failure only. All are named as the file names them.
	Fallbacks        []string `json:"fallbacks"`
	ContextFallbacks []string `json:"context_window_fallbacks"`
	PolicyFallbacks  []string `json:"content_policy_fallbacks"`
}

// routeReport is one route of a model.
type routeReport struct {
	Provider string `json:"provider"`
	Model    string `json:"model"` // as the provider calls it; "*": as the client does
	// Protocol is the only one in which the route is asked; empty: the client's,
	// where the provider speaks it.
	Protocol translate.Protocol `json:"protocol,omitempty"`
	Weight   float64            `json:"weight"`
	// Verdict, Why, Detail and Until say what a request of an OpenAI client would
	// do with the route now, and Keys how many of its keys are usable; see
	// GET /llm_proxy/plan.
	Verdict routing.Verdict    `json:"verdict"`
	Why     routing.SkipReason `json:"why,omitempty"`
	Detail  string             `json:"detail,omitempty"`
	Until   *time.Time         `json:"until,omitempty"`
	Keys    int                `json:"keys"`
	// Prices are those of the route's answers, null where no file says them.
	Prices *priceReport `json:"prices"`
}

// priceReport are a model's prices in US dollars per million tokens, but for Request,
// which is per request; what a file does not say has its default. Where requests that
// read more than LongAbove tokens have others, LongContext holds those.
type priceReport struct {
	Input       float64      `json:"input"`
	CacheRead   float64      `json:"cache_read"`
	CacheWrite  float64      `json:"cache_write"`
	Output      float64      `json:"output"`
	Reasoning   float64      `json:"reasoning"`
	Request     float64      `json:"request,omitempty"`
	LongAbove   int          `json:"long_above,omitempty"`
	LongContext *priceReport `json:"long_context,omitempty"`
}

func reportPrices(p *routing.Prices) *priceReport {
	if p == nil {
		return nil
	}
	report := newPriceReport(p.RatesFor(translate.Usage{}))
	if long := p.LongContext; long != nil {
		report.LongAbove = long.Above
		report.LongContext = newPriceReport(p.RatesFor(translate.Usage{Input: int64(long.Above) + 1}))
	}
	return report
}

func newPriceReport(r routing.Rates) *priceReport {
	return &priceReport{Input: r.Input, CacheRead: r.CacheRead, CacheWrite: r.CacheWrite, Output: r.Output, Reasoning: r.Reasoning, Request: r.Request}
}

// showModels answers GET /llm_proxy/models.
func showModels(_ *http.Request, query url.Values) (any, error) {
	answer := modelsAnswer{Handlers: []handlerModels{}}
	only, now := query.Get("model"), time.Now()
	for number, h := range live.all() {
		router := h.current.Load().router
		models := router.Models()
		if only != "" {
			one, known := router.Resolve(only)
			if !known {
				continue
			}
			models = []*routing.Model{one}
		}
		reports := handlerModels{number, absolute(h.Models), []modelReport{}}
		for _, m := range models {
			reports.Models = append(reports.Models, reportModel(router, m, now))
		}
		answer.Handlers = append(answer.Handlers, reports)
	}
	if only != "" && len(answer.Handlers) == 0 {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("model %q is not known; GET /llm_proxy/models lists the models", only)}
	}
	return answer, nil
}

func reportModel(router *routing.Router, m *routing.Model, now time.Time) modelReport {
	report := modelReport{
		Model:            m.LogicalName,
		DisplayName:      m.DisplayName,
		Aliases:          orEmpty(m.Aliases),
		Policy:           cmp.Or(m.Policy, routing.PolicyPriority),
		Routes:           []routeReport{},
		Fallbacks:        orEmpty(m.FallbackModelRoutings),
		ContextFallbacks: orEmpty(m.ContextWindowFallbacks),
		PolicyFallbacks:  orEmpty(m.ContentPolicyFallbacks),
	}
	plan, _ := router.Plan(m.LogicalName, translate.Chat, false, now)
	report.Answers = slices.ContainsFunc(plan.Candidates, func(c routing.CandidateReport) bool {
		return c.Purpose == "" && c.Verdict != routing.VerdictSkipped
	})
	for i := range m.ModelRoutings {
		report.Routes = append(report.Routes, reportRoute(&m.ModelRoutings[i], m.LogicalName, plan.Candidates))
	}
	return report
}

// reportRoute adds to a route of the model of that name what a plan says about it.
func reportRoute(r *routing.Route, name string, plan []routing.CandidateReport) routeReport {
	report := routeReport{Provider: r.ProviderName, Model: r.Model, Protocol: r.WireProtocol, Weight: 1, Prices: reportPrices(r.PricesFor(r.UpstreamModel(name)))}
	if r.Weight != nil {
		report.Weight = *r.Weight
	}
	for i := range plan {
		if c := &plan[i]; c.Of(r) && c.Purpose == "" {
			report.Verdict, report.Why, report.Detail, report.Until, report.Keys = c.Verdict, c.Why, c.Detail, c.Until, c.Keys
			break
		}
	}
	return report
}
