package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/simulated"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// scenario is a way for upstreams to fail, and what routing promises then.
type scenario struct {
	name, about string
	stream      bool          // whatever the command asks for
	requests    int           // one after the other; 0 is 1
	words       []string      // that its faults may have
	failing     []drillTarget // what faults are asked for
	// faults are those for the candidates of a plan.
	faults func(plan []routing.CandidateReport) []drillFault
	// judge finds what did not end as promised, and what to do about it.
	judge func(d *driller, catalog *routing.Catalog, report *scenarioReport) []string
}

// drillTarget is what a fault is asked for: a provider, and its key of this number;
// 0: all.
type drillTarget struct {
	provider string
	key      int
}

// hits reports whether a call is for the target.
func (t drillTarget) hits(call *drillCall) bool {
	return call.provider == t.provider && (t.key == 0 || call.key == madeUpKey(t.provider, t.key))
}

// tour are the scenarios that are drilled where no fault is asked for. Their names
// are those of the service that this project replaces.
var tour = []*scenario{
	{
		name: "basic_success", about: "nothing fails",
		faults: func([]routing.CandidateReport) []drillFault { return nil },
		judge:  judgeSuccess,
	},
	{
		name: "api_key_fallback", about: "the first key that is asked is refused (401)", words: []string{"401"},
		faults: func([]routing.CandidateReport) []drillFault {
			return []drillFault{{"401", func(call, first *drillCall) bool { return call.provider == first.provider && call.key == first.key }}}
		},
		judge: judgeOtherKey,
	},
	{
		name: "provider_fallback", about: "the provider that is asked first is down (500)", words: []string{"500"}, requests: 3,
		faults: func([]routing.CandidateReport) []drillFault {
			return []drillFault{{"500", func(call, first *drillCall) bool { return call.provider == first.provider }}}
		},
		judge: judgeOtherProvider,
	},
	{
		name: "logical_model_fallback", about: "all routes of the model itself are down (500)", words: []string{"500"},
		faults: func(plan []routing.CandidateReport) []drillFault {
			return []drillFault{{"500", func(call, _ *drillCall) bool {
				return slices.ContainsFunc(plan, func(c routing.CandidateReport) bool {
					return c.Via == "" && c.Purpose == "" && c.Provider == call.provider && c.Model == call.model
				})
			}}}
		},
		judge: judgeFallbackModel,
	},
	{
		name: "timeout_fallback", about: "the route that is asked first says nothing, streamed", stream: true, words: []string{"hang"},
		faults: func([]routing.CandidateReport) []drillFault {
			return []drillFault{{"hang", func(call, first *drillCall) bool { return call.provider == first.provider && call.model == first.model }}}
		},
		judge: judgeTimeout,
	},
	{
		name: "all_fail", about: "everything is down (500)", words: []string{"500"},
		faults: func([]routing.CandidateReport) []drillFault {
			return []drillFault{{"500", func(*drillCall, *drillCall) bool { return true }}}
		},
		judge: judgeNothing,
	},
}

// last is the request by which a scenario is judged.
func (s *scenarioReport) last() *drilled { return s.Requests[len(s.Requests)-1] }

// told is what a client got that should have got an answer.
func (d *drilled) told() string {
	text := fmt.Sprintf("the client got status %d", d.Status)
	if d.Error != "" {
		text += fmt.Sprintf(" (%s)", d.Error)
	}
	return text
}

func judgeSuccess(_ *driller, _ *routing.Catalog, report *scenarioReport) []string {
	switch got := report.last(); {
	case got.Outcome != logging.OutcomeOK:
		return []string{got.told() + "; " + report.unasked()}
	case len(got.Tried) != 1:
		return []string{fmt.Sprintf("it took %d attempts", len(got.Tried))}
	}
	return nil
}

func judgeOtherKey(d *driller, catalog *routing.Catalog, report *scenarioReport) []string {
	if report.first == nil {
		return []string{report.last().told() + "; " + report.unasked()}
	}
	got, first := report.last(), report.first.provider
	if got.Outcome == logging.OutcomeOK && got.Provider == first {
		return nil
	}
	p, _ := catalog.Provider(first)
	switch usable := report.keysOf(report.first); {
	case p.Keyless():
		return []string{first + " takes no key, so there is no other one; a route of another provider stands in for it (provider_fallback)"}
	case usable > 1:
		return []string{got.told() + fmt.Sprintf(", although %s has %d keys", first, usable)}
	case d.setup.ofRoute[report.first.key]:
		return []string{fmt.Sprintf("the route of %s has one key; name another variable in its api_key_env", first)}
	}
	if spare := d.setup.spareVariable(p); spare != "" {
		return []string{fmt.Sprintf("%s has one key; set %s to another one of it", first, spare)}
	}
	return []string{fmt.Sprintf("%s has one key, and %s names no other variable; add one to api_keys.env_var_patterns", first, p.File)}
}

// keysOf is how many keys there are for what a call was for.
func (s *scenarioReport) keysOf(call *drillCall) int {
	for i := range s.plan {
		if c := &s.plan[i]; c.Provider == call.provider && c.Model == call.model {
			return c.Keys
		}
	}
	return 0
}

func judgeOtherProvider(_ *driller, catalog *routing.Catalog, report *scenarioReport) []string {
	if report.first == nil {
		return []string{report.last().told() + "; " + report.unasked()}
	}
	first := report.first.provider
	for _, got := range report.Requests {
		if got.Outcome == logging.OutcomeOK && got.Via == "" {
			continue
		}
		own := slices.DeleteFunc(report.usable(), func(c routing.CandidateReport) bool { return c.Via != "" || c.Provider == first })
		why := "no other provider has a route of this model; add one to model_routings of " + report.file(catalog)
		if len(own) > 0 {
			why = "the route of " + own[0].Provider + " was not asked: " + got.whyNot(&own[0])
		}
		if got.Outcome == logging.OutcomeOK {
			return []string{fmt.Sprintf("only the fallback model %s answered; %s", got.Via, why)}
		}
		return []string{got.told() + "; " + why}
	}
	return nil
}

func judgeFallbackModel(_ *driller, catalog *routing.Catalog, report *scenarioReport) []string {
	got := report.last()
	if got.Outcome == logging.OutcomeOK && got.Via != "" {
		return nil
	}
	fallbacks := slices.DeleteFunc(report.usable(), func(c routing.CandidateReport) bool { return c.Via == "" })
	if len(fallbacks) > 0 {
		return []string{got.told() + "; the fallback model " + fallbacks[0].Via + " was not asked: " + got.whyNot(&fallbacks[0])}
	}
	why := "the model has no fallback model that can be asked; add one to fallback_model_routings of " + report.file(catalog)
	for i := range report.plan {
		if c := &report.plan[i]; c.Via != "" && c.Purpose == "" {
			why = "the fallback model " + c.Via + " cannot be asked: " + c.Detail
			break
		}
	}
	return []string{got.told() + "; " + why}
}

func judgeTimeout(_ *driller, catalog *routing.Catalog, report *scenarioReport) []string {
	got := report.last()
	if got.Outcome == logging.OutcomeOK {
		return nil
	}
	if report.first != nil {
		for i, c := range report.usable() {
			if c.Provider != report.first.provider || c.Model != report.first.model {
				return []string{got.told() + "; the route of " + c.Provider + " was not asked: " + got.whyNot(&report.usable()[i])}
			}
		}
	}
	return []string{got.told() + "; the model has one route and no fallback model; add one to " + report.file(catalog)}
}

func judgeNothing(d *driller, _ *routing.Catalog, report *scenarioReport) []string {
	var findings []string
	got := report.last()
	if len(got.Tried) == 0 {
		return []string{got.told() + "; " + report.unasked()}
	}
	if got.Outcome == logging.OutcomeOK || got.Status < http.StatusInternalServerError {
		findings = append(findings, fmt.Sprintf("the client got status %d, although everything was down", got.Status))
	}
	if !got.inShape {
		findings = append(findings, fmt.Sprintf("the error is none that a client of %s understands", d.protocol))
	}
	if got.Headers["Retry-After"] == "" {
		findings = append(findings, "the client was not told when to try again")
	}
	return findings
}

// usable are the candidates that a request would be sent to, were others down.
func (s *scenarioReport) usable() []routing.CandidateReport {
	return slices.DeleteFunc(slices.Clone(s.plan), func(c routing.CandidateReport) bool {
		return c.Verdict == routing.VerdictSkipped || c.Purpose != ""
	})
}

// unasked is why no upstream was asked at all.
func (s *scenarioReport) unasked() string {
	for i := range s.plan {
		if c := &s.plan[i]; c.Verdict == routing.VerdictSkipped {
			return fmt.Sprintf("%s cannot be asked: %s", c.Provider, c.Detail)
		}
	}
	return "the model has no route"
}

// whyNot is why a candidate was not asked that could have been.
func (d *drilled) whyNot(c *routing.CandidateReport) string {
	for _, s := range d.Skipped {
		if s.Provider != c.Provider || s.Model != c.Model {
			continue
		}
		why := strings.ReplaceAll(s.Why, "_", " ")
		if s.Reason != "" {
			why += ": " + s.Reason
		}
		return why
	}
	for _, a := range d.Tried {
		if a.Provider == c.Provider && a.Model == c.Model {
			return "it was, and failed: " + a.Reason
		}
	}
	return fmt.Sprintf("%d attempts are as many as max_attempts lets one request make", len(d.Tried))
}

// file is the file of the model.
func (s *scenarioReport) file(catalog *routing.Catalog) string {
	if m, known := catalog.Resolve(s.model); known && !s.builtIn {
		return m.File
	}
	return "its file"
}

// askedFor is the scenario of the faults that a command line asks for, each
// provider[#key]=words: an upstream for which none is meant is well.
func askedFor(requests int, faults []string) (*scenario, error) {
	s := &scenario{name: "asked_for", about: strings.Join(faults, ", "), requests: requests, judge: judgeAskedFor}
	var all []drillFault
	for _, text := range faults {
		who, words, ok := strings.Cut(text, "=")
		provider, number, one := strings.Cut(who, "#")
		n, err := strconv.Atoi(number)
		if !ok || provider == "" || words == "" || one && (err != nil || n < 1) {
			return nil, usageError{fmt.Sprintf("--fail takes <provider>=<fault> or <provider>#<number of a key>=<fault>, not %q", text)}
		}
		if err := simulated.Check(words); err != nil && words != unreachable {
			return nil, usageError{fmt.Sprintf("--fail %s: %v; a fault is a status such as 500 or 429-7 (Retry-After: 7), hang, slow-2000, cut, empty, html, error-first, unreachable ...", text, err)}
		}
		target := drillTarget{provider, n}
		all = append(all, drillFault{words, func(call, _ *drillCall) bool { return target.hits(call) }})
		s.failing, s.words = append(s.failing, target), append(s.words, words)
	}
	s.faults = func([]routing.CandidateReport) []drillFault { return all }
	return s, nil
}

// judgeAskedFor wants that nobody is left without an answer whom an upstream could
// have answered that is well, but where the request itself was refused.
func judgeAskedFor(_ *driller, _ *routing.Catalog, report *scenarioReport) []string {
	got := report.last()
	if got.Outcome == logging.OutcomeOK || got.answered {
		return nil // a stream that breaks off after its first content is not begun anew
	}
	switch got.class {
	case routing.InvalidRequest, routing.ContextTooLong, routing.ContentPolicy:
		return nil // another upstream would not do better
	}
	for i, c := range report.usable() {
		if !slices.ContainsFunc(report.failing, func(t drillTarget) bool { return t.provider == c.Provider }) {
			return []string{got.told() + "; " + c.Provider + " is well, but was not asked: " + got.whyNot(&report.usable()[i])}
		}
	}
	return nil
}
