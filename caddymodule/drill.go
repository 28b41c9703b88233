package caddymodule

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// drillReport is the output of drill.
type drillReport struct {
	Model string `json:"model"`
	// BuiltIn says that the files are those of the program.
	BuiltIn bool `json:"built_in"`
	// Keys are how many keys were made up, by provider.
	Keys      map[string]int    `json:"keys"`
	Scenarios []*scenarioReport `json:"scenarios"`
	OK        bool              `json:"ok"`
}

// scenarioReport is what came of one scenario.
type scenarioReport struct {
	Name  string `json:"name"`
	About string `json:"about"`
	// OK says that it ended as routing promises, and Findings why not.
	OK       bool           `json:"ok"`
	Findings []string       `json:"findings"`
	Requests []*drilled     `json:"requests"`
	Rests    []drillRest    `json:"rests"`
	Breakers []drillBreaker `json:"breakers"`

	model   string
	builtIn bool
	plan    []routing.CandidateReport
	first   *drillCall    // whom the first call was for
	failing []drillTarget // what faults were asked for
}

// drilled is one request of a scenario.
type drilled struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Outcome string            `json:"outcome"` // as in the request log
	// Error is what the client was told, empty for an answer.
	Error string `json:"error,omitempty"`
	// Provider and Model answered, and Via is the fallback model that led there.
	Provider string          `json:"provider,omitempty"`
	Model    string          `json:"model,omitempty"`
	Via      string          `json:"via,omitempty"`
	TookMS   float64         `json:"took_ms"`
	Tried    []attemptReport `json:"tried"`
	Skipped  []skipReport    `json:"skipped"`

	class    routing.Class
	inShape  bool // of the client's protocol, for an error
	answered bool
}

// drillRest is something that keeps a key out of use at the end of a scenario.
type drillRest struct {
	Provider string      `json:"provider"`
	KeyID    string      `json:"key_id"`
	Variable string      `json:"variable"`
	Scope    keys.Scope  `json:"scope"`
	Model    string      `json:"model,omitempty"`
	Seconds  float64     `json:"seconds"`
	Why      keys.Reason `json:"why"`
}

// drillBreaker is a breaker that is open at the end of a scenario.
type drillBreaker struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
	// Seconds is for how long it is asked last.
	Seconds float64 `json:"seconds"`
}

// driller runs scenarios.
type driller struct {
	setup    *drillSetup
	builtIn  bool
	model    string
	protocol translate.Protocol
	stream   bool
}

// run runs one scenario with a gateway of its own, which knows nothing of those
// before.
func (d *driller) run(ctx context.Context, s *scenario) (*scenarioReport, error) {
	report := &scenarioReport{
		Name: s.name, About: s.about, Findings: []string{}, Rests: []drillRest{}, Breakers: []drillBreaker{},
		model: d.model, builtIn: d.builtIn, failing: s.failing,
	}
	network := newDrillNetwork(d.setup, s.words...)
	defer network.close()
	h, rt, err := d.setup.gateway(network)
	if err != nil {
		return nil, err
	}
	defer rt.release()
	stream := d.stream || s.stream
	plan, known := rt.router.Plan(d.model, d.protocol, stream, time.Now())
	if !known {
		return nil, fmt.Errorf("no model answers to %q; config list shows those that there are", d.model)
	}
	report.plan = plan.Candidates
	if err := d.check(s.failing, plan.Candidates); err != nil {
		return nil, err
	}
	network.faults = s.faults(plan.Candidates)
	for range max(s.requests, 1) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		report.Requests = append(report.Requests, d.ask(ctx, h, rt, plan.Candidates, stream))
	}
	report.first = network.firstCall()
	now := time.Now()
	after, _ := rt.router.Plan(d.model, d.protocol, stream, now)
	report.note(rt.router.Report(now), after.Candidates, now)
	report.Findings = append(report.Findings, s.judge(d, rt.catalog, report)...)
	report.OK = len(report.Findings) == 0
	return report, nil
}

// check makes sure that what faults are asked for may be asked at all.
func (d *driller) check(failing []drillTarget, plan []routing.CandidateReport) error {
	for _, target := range failing {
		if !slices.ContainsFunc(plan, func(c routing.CandidateReport) bool { return c.Provider == target.provider }) {
			return fmt.Errorf("--fail: no route of model %s, nor of its fallbacks, leads to provider %q; plan %s shows those that do", d.model, target.provider, d.model)
		}
		if n := len(d.setup.sources[target.provider]); target.key > n {
			return fmt.Errorf("--fail: provider %s has %d keys, and so none of number %d", target.provider, n, target.key)
		}
	}
	return nil
}

// drillPaths are where clients ask in each protocol, and drillBodies what.
var (
	drillPaths = map[translate.Protocol]string{
		translate.Chat: "/v1/chat/completions", translate.Responses: "/v1/responses", translate.Messages: "/v1/messages",
	}
	drillBodies = map[translate.Protocol]string{
		translate.Chat:      `{"messages":[{"role":"user","content":"Hello!"}]}`,
		translate.Responses: `{"input":"Hello!"}`,
		translate.Messages:  `{"max_tokens":256,"messages":[{"role":"user","content":"Hello!"}]}`,
	}
)

// ask sends one request through the gateway, as its handler does for a client.
func (d *driller) ask(ctx context.Context, h *Handler, rt *runtime, plan []routing.CandidateReport, stream bool) *drilled {
	body, err := sjson.Set(drillBodies[d.protocol], "model", d.model)
	if err == nil && stream {
		body, err = sjson.Set(body, "stream", true)
	}
	if err != nil {
		panic(err) // the text is ours
	}
	path := drillPaths[d.protocol]
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://gateway"+path, strings.NewReader(body))
	if err != nil {
		panic(err) // the URL is ours
	}
	r.Header.Set("Content-Type", "application/json")
	e, _ := endpointFor(path)
	client := &drillClient{header: make(http.Header)}
	x := &exchange{handler: h, runtime: rt, endpoint: e, w: client, r: r}
	x.trace.began = time.Now()
	serveDrill(x)
	return d.outcome(x, client, plan)
}

// serveDrill lets the handler answer. An answer that is broken off ends in a panic
// that net/http understands.
func serveDrill(x *exchange) {
	defer func() {
		if fault := recover(); fault != nil && fault != http.ErrAbortHandler {
			panic(fault)
		}
	}()
	defer x.recover()
	x.serve()
}

// outcome is what the client saw, and why.
func (d *driller) outcome(x *exchange, client *drillClient, plan []routing.CandidateReport) *drilled {
	a := &x.account
	got := &drilled{
		Status: client.status, Headers: client.told(), Outcome: x.outcome(), TookMS: milliseconds(time.Since(x.trace.began)),
		Tried: []attemptReport{}, Skipped: []skipReport{}, class: a.class, answered: a.answered,
	}
	for i := range a.attempts {
		at := &a.attempts[i]
		class := string(at.Class)
		if class == "" {
			class = classAnswered
		}
		got.Tried = append(got.Tried, attemptReport{
			Provider: at.Provider, Model: at.Model, KeyID: at.KeyID, Began: at.Start.UTC(), TookMS: milliseconds(at.Duration),
			Status: at.Status, Class: class, Reason: at.Reason, KeyRests: at.Cooled.Seconds(),
		})
	}
	for i := range x.trace.skipped {
		s := &x.trace.skipped[i]
		got.Skipped = append(got.Skipped, skipReport{Provider: s.Provider, Model: s.Model, Why: string(s.Why), Reason: s.Reason})
	}
	if a.answered {
		last := a.last()
		got.Provider, got.Model = last.Provider, last.Model
		for i := range plan {
			if plan[i].Provider == last.Provider && plan[i].Model == last.Model {
				got.Via = plan[i].Via
				break
			}
		}
	}
	if got.Outcome != logging.OutcomeOK {
		got.Error = client.errorText()
	}
	got.inShape = translate.SpeaksError(d.protocol, client.body.Bytes())
	return got
}

// note keeps what the gateway remembers at the end.
func (s *scenarioReport) note(reports []routing.ProviderReport, plan []routing.CandidateReport, now time.Time) {
	for _, p := range reports {
		for _, key := range p.Keys {
			for _, c := range key.Cooling {
				if !c.HalfOpen {
					s.Rests = append(s.Rests, drillRest{p.Provider, key.ID, key.Source, c.Scope, c.Model, c.Until.Sub(now).Seconds(), c.Why})
				}
			}
		}
	}
	for i := range plan {
		if c := &plan[i]; c.Why == routing.SkippedBreaker && c.Until != nil {
			s.Breakers = append(s.Breakers, drillBreaker{c.Provider, c.Model, c.Until.Sub(now).Seconds()})
		}
	}
}

// firstCall is whom the first call was for, nil if there was none.
func (n *drillNetwork) firstCall() *drillCall {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.first
}

// drillClient is a client in memory.
type drillClient struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (c *drillClient) Header() http.Header { return c.header }

// WriteHeader implements http.ResponseWriter.
func (c *drillClient) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
}

// Write implements http.ResponseWriter.
func (c *drillClient) Write(p []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	return c.body.Write(p)
}

// Flush implements http.Flusher: streams want one.
func (c *drillClient) Flush() { c.WriteHeader(http.StatusOK) }

// told are the headers by which clients decide what to do next.
func (c *drillClient) told() map[string]string {
	told := make(map[string]string)
	for name := range c.header {
		if strings.HasPrefix(name, "Llm-Proxy-") || name == "Retry-After" || name == "X-Should-Retry" || name == "Content-Type" {
			told[name] = c.header.Get(name)
		}
	}
	return told
}

// errorText is what an error answer, or the last event of a stream, says.
func (c *drillClient) errorText() string {
	text := c.body.Bytes()
	if e, ok := translate.ParseError(text); ok {
		return e.Message
	}
	for line := range strings.Lines(string(text)) {
		if data, ok := strings.CutPrefix(line, "data:"); ok {
			for _, path := range []string{"error.message", "response.error.message"} {
				if said := gjson.Get(data, path); said.Type == gjson.String {
					return said.String()
				}
			}
		}
	}
	return "the answer broke off"
}

// drill runs scenarios, one after the other.
func (d *driller) drill(ctx context.Context, scenarios []*scenario) (*drillReport, error) {
	report := &drillReport{Model: d.model, BuiltIn: d.builtIn, Keys: make(map[string]int), Scenarios: []*scenarioReport{}, OK: true}
	for provider, sources := range d.setup.sources {
		report.Keys[provider] = len(sources)
	}
	used := make(map[string]bool)
	for _, s := range scenarios {
		one, err := d.run(ctx, s)
		if err != nil {
			return nil, err
		}
		report.Scenarios = append(report.Scenarios, one)
		report.OK = report.OK && one.OK
		for i := range one.plan {
			used[one.plan[i].Provider] = true
		}
	}
	maps.DeleteFunc(report.Keys, func(provider string, _ int) bool { return !used[provider] })
	return report, nil
}
