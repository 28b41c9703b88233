package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func init() {
	caddy.RegisterModule(new(adminAPI))
}

// adminAPI is what Caddy's administration endpoint tells about the gateways of
// the process, and lets the operator do:
//
//	GET  /llm_proxy/health
//	GET  /llm_proxy/models?model=
//	GET  /llm_proxy/keys?provider=
//	GET  /llm_proxy/plan?model=&protocol=&stream=&handler=
//	POST /llm_proxy/keys/reset?provider=&key=
//	GET  /llm_proxy/requests?client=&asked=&model=&provider=&class=&outcome=&status=&trouble=&since=&until=&order=&before=&after=&limit=
//	GET  /llm_proxy/requests/{id}
//	GET  /llm_proxy/usage?by=&since=&until=
//	GET  /llm_proxy/db
//	POST /llm_proxy/db/reset
//	POST /llm_proxy/reload
//
// Answers are JSON and hold no secret; errors are {"error": "..."} as everywhere
// in Caddy's API. Caddy makes one before the handlers of a configuration and
// never ends it, so it holds nothing and asks the live handlers.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (*adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.llm_proxy",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

// Routes implements caddy.AdminRouter.
func (*adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/llm_proxy/health", Handler: adminEndpoint(http.MethodGet, showHealth)},
		{Pattern: "/llm_proxy/models", Handler: adminEndpoint(http.MethodGet, showModels, "model")},
		{Pattern: "/llm_proxy/keys", Handler: adminEndpoint(http.MethodGet, showKeys, "provider")},
		{Pattern: "/llm_proxy/plan", Handler: adminEndpoint(http.MethodGet, showPlan, "model", "protocol", "stream", "handler")},
		{Pattern: "/llm_proxy/requests", Handler: adminEndpoint(http.MethodGet, showRequests, requestParameters...)},
		{Pattern: "/llm_proxy/requests/", Handler: adminEndpoint(http.MethodGet, showRequest)},
		{Pattern: "/llm_proxy/usage", Handler: adminEndpoint(http.MethodGet, showUsage, "by", "since", "until")},
		{Pattern: "/llm_proxy/db", Handler: adminEndpoint(http.MethodGet, showDatabase)},
		{Pattern: "/llm_proxy/db/reset", Handler: adminEndpoint(http.MethodPost, resetDatabase)},
		{Pattern: "/llm_proxy/keys/reset", Handler: adminEndpoint(http.MethodPost, resetKeys, "provider", "key")},
		{Pattern: "/llm_proxy/reload", Handler: adminEndpoint(http.MethodPost, reloadFiles)},
	}
}

// keysAnswer is the body of GET /llm_proxy/keys.
type keysAnswer struct {
	// Providers are those of all handlers, sorted by name, each directory of
	// provider files for itself.
	Providers []providerReport `json:"providers"`
}

// planAnswer is the body of GET /llm_proxy/plan.
type planAnswer struct {
	// Plans are those of the handlers that know the model.
	Plans []handlerPlan `json:"plans"`
}

// handlerPlan is what one llm_proxy block would try.
type handlerPlan struct {
	// Handler is the block's number, from 0, in the order in which Caddy
	// loaded them, which is by chance where they are on different ports.
	Handler int `json:"handler"`
	// Directory is the absolute path of the block's model files.
	Directory string `json:"directory"`
	routing.PlanReport
}

// resetRequest is the body of POST /llm_proxy/keys/reset, which may be left out
// or say what the query does not.
type resetRequest struct {
	// Provider is the one whose keys are meant; empty: all.
	Provider string `json:"provider"`
	// Key is the public name of the only key that is meant; empty: all.
	Key string `json:"key"`
}

// resetAnswer is the body of the answer to it.
type resetAnswer struct {
	// Reset is how many keys were meant, whether they rested or not.
	Reset int `json:"reset"`
}

// showKeys answers GET /llm_proxy/keys.
func showKeys(_ *http.Request, query url.Values) (any, error) {
	reports := live.reports(time.Now())
	if provider := query.Get("provider"); provider != "" {
		reports = slices.DeleteFunc(reports, func(p providerReport) bool { return p.Provider != provider })
		if len(reports) == 0 {
			return nil, unknownProvider(provider)
		}
	}
	return keysAnswer{reports}, nil
}

// showPlan answers GET /llm_proxy/plan.
func showPlan(_ *http.Request, query url.Values) (any, error) {
	model := query.Get("model")
	if model == "" {
		return nil, badRequest(errors.New("the parameter model is missing; write ?model= and the name that clients ask for"))
	}
	protocol := cmp.Or(translate.Protocol(query.Get("protocol")), translate.Chat)
	if !slices.Contains(clientProtocols, protocol) {
		return nil, badRequest(fmt.Errorf("protocol: %q is none of %v", protocol, clientProtocols))
	}
	stream, err := strconv.ParseBool(cmp.Or(query.Get("stream"), "false"))
	if err != nil {
		return nil, badRequest(fmt.Errorf("stream: %q is neither true nor false", query.Get("stream")))
	}
	answer := planAnswer{Plans: []handlerPlan{}}
	now, only := time.Now(), query.Get("handler")
	for i, h := range live.all() {
		if only != "" && only != strconv.Itoa(i) {
			continue
		}
		if plan, known := h.current.Load().router.Plan(model, protocol, stream, now); known {
			answer.Plans = append(answer.Plans, handlerPlan{i, absolute(h.Models), plan})
		}
	}
	if len(answer.Plans) == 0 {
		at := ""
		if only != "" {
			at = fmt.Sprintf(" to handler %q", only)
		}
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("model %q is not known%s; GET /v1/models of the site lists the models", model, at)}
	}
	return answer, nil
}

// clientProtocols are the protocols in which clients ask, by the words of the
// configuration files.
var clientProtocols = []translate.Protocol{translate.Chat, translate.Responses, translate.Messages}

// resetKeys answers POST /llm_proxy/keys/reset.
func resetKeys(r *http.Request, query url.Values) (any, error) {
	what, err := readReset(r, query)
	if err != nil {
		return nil, badRequest(err)
	}
	var answer resetAnswer
	provider := false
	for _, p := range live.reports(time.Now()) {
		if what.Provider != "" && what.Provider != p.Provider {
			continue
		}
		provider = true
		for _, key := range p.Keys {
			if what.Key == "" || what.Key == key.ID {
				answer.Reset++
			}
		}
	}
	switch {
	case !provider && what.Provider != "":
		return nil, unknownProvider(what.Provider)
	case answer.Reset == 0 && what.Key != "":
		return nil, unknownKey(what)
	}
	// Handlers of the same directory have the same memory, and to reset it
	// twice does no harm.
	for _, h := range live.all() {
		h.current.Load().router.ResetKeys(what.Provider, what.Key)
	}
	return answer, nil
}

// maxAdminBody bounds the body of a reset.
const maxAdminBody = 64 << 10

// readReset reads what is to be reset from the query and, where that says
// nothing, from the body. Nobody shall reset more than was meant because of a
// mistake in writing.
func readReset(r *http.Request, query url.Values) (resetRequest, error) {
	var said resetRequest
	body := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxAdminBody))
	body.DisallowUnknownFields()
	if err := body.Decode(&said); err != nil && err != io.EOF {
		return said, fmt.Errorf("reading the body: %w", err)
	} else if err == nil && body.Decode(new(json.RawMessage)) != io.EOF {
		return said, errors.New("reading the body: something stands behind the object")
	}
	for _, field := range []struct {
		name string
		said *string
	}{{"provider", &said.Provider}, {"key", &said.Key}} {
		asked := query.Get(field.name)
		if asked != "" && *field.said != "" && asked != *field.said {
			return said, fmt.Errorf("the query and the body name two different %ss", field.name)
		}
		*field.said = cmp.Or(*field.said, asked)
	}
	return said, nil
}

// adminEndpoint is a handler for one method, whose query may have some
// parameters, each at most once.
func adminEndpoint(method string, answer func(*http.Request, url.Values) (any, error), parameters ...string) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != method {
			w.Header().Set("Allow", method)
			return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("method not allowed; this takes %s", method)}
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return badRequest(fmt.Errorf("reading the query: %w", err))
		}
		for name, values := range query {
			if !slices.Contains(parameters, name) || len(values) > 1 {
				return badRequest(fmt.Errorf("parameter %q: this endpoint takes each of %v once", name, parameters))
			}
		}
		body, err := answer(r, query)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if refusal, is := body.(*reloadRefusal); is {
			w.WriteHeader(refusal.status())
		}
		return json.NewEncoder(w).Encode(body)
	}
}

func badRequest(err error) error {
	return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
}

func unknownProvider(name string) error {
	return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("provider %q is not known; GET /llm_proxy/keys lists them", name)}
}

// unknownKey names the key only where it looks like a public name: the mistake
// may be that somebody sent the secret, and Caddy logs this error.
func unknownKey(what resetRequest) error {
	named := "with that id"
	if _, err := strconv.ParseUint(what.Key, 16, 32); err == nil {
		named = strconv.Quote(what.Key)
	}
	of := ""
	if what.Provider != "" {
		of = fmt.Sprintf(" of provider %q", what.Provider)
	}
	return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("no key %s%s is known; GET /llm_proxy/keys lists them", named, of)}
}

// Interface guards
var (
	_ caddy.Module      = (*adminAPI)(nil)
	_ caddy.AdminRouter = (*adminAPI)(nil)
)
