package crossing_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// conversations returns the recorded requests that reach a translation: what
// strictjson and CheckRequest refuse does not, and neither do requests for
// anything but an answer.
func conversations(t *testing.T) []fixture {
	var all []fixture
	var o strictjson.Object
	for _, f := range fixtures(t, "request") {
		err := o.Parse(f.body)
		if err != nil {
			t.Logf("%s is refused before: %v", f.file, err)
			continue
		}
		if e := translate.CheckRequest(f.protocol, translate.Generate, &o); e != nil {
			t.Logf("%s is refused before: %v", f.file, e)
			continue
		}
		all = append(all, f)
	}
	return all
}

// TestRequestsCrossOrAreRefusedByName translates every recorded request to both
// other protocols, for a place that takes everything and for one that takes only
// what all do. It becomes a request that the vendor's own types can read, or an
// error that names what could not cross. testdata/refused.golden lists these.
func TestRequestsCrossOrAreRefusedByName(t *testing.T) {
	counts := tally{}
	var refused []string
	for _, f := range conversations(t) {
		for _, p := range []pair{{f.protocol, others(f.protocol)[0]}, {f.protocol, others(f.protocol)[1]}} {
			for _, target := range targets {
				r, e := crossing.Translate(nil, p.from, f.body, target.of(p.to))
				if e != nil {
					counts.add(p, "refused, "+target.name)
					refused = append(refused, fmt.Sprintf("%s -> %s (%s): %s", f.file, apiName(p.to), target.name, e.Param))
					if e.Param == "" || e.Status != 400 {
						t.Errorf("%s for %s: the error names no field: %v", f.file, apiName(p.to), e)
					}
					continue
				}
				counts.add(p, "crossed, "+target.name)
				for _, problem := range requestProblems(p.to, r.Body) {
					t.Errorf("%s for %s (%s): %s", f.file, apiName(p.to), target.name, problem)
				}
			}
		}
	}
	slices.Sort(refused)
	golden(t, "refused.golden", refused)
	counts.report(t, "crossed, permissive", "refused, permissive", "crossed, bare", "refused, bare")
}

// illFormed says what is wrong with a request whoever wrote its texts.
func illFormed(p translate.Protocol, body []byte) []string {
	var o strictjson.Object
	if err := o.Parse(body); err != nil {
		return []string{fmt.Sprintf("it is no good JSON: %v: %.300s", err, body)}
	}
	var problems []string
	if e := translate.CheckRequest(p, translate.Generate, &o); e != nil {
		problems = append(problems, e.Error())
	}
	return append(problems, brokenLaws(p, body)...)
}

// requestProblems says what is wrong with a request, read alone.
func requestProblems(p translate.Protocol, body []byte) []string {
	problems := illFormed(p, body)
	lost, err := sdkLeftovers(p, body)
	if err != nil {
		problems = append(problems, err.Error())
	}
	for _, path := range lost {
		if !slices.Contains(unknownToSDK[p], path) {
			problems = append(problems, "the SDK's types do not know "+path)
		}
	}
	return problems
}

// unknownToSDK lists what the SDKs' types for parameters lose though the vendor,
// or another one of that protocol, takes it.
var unknownToSDK = map[translate.Protocol][]string{
	translate.Chat: {
		".stream",                                      // the SDK sets it by the method that is called
		".tool_choice.function", ".tool_choice.custom", // lost by reading alone: a union
		".top_k", ".messages[].reasoning_content", ".messages[].content[].cache_control", ".messages[].content[].image_url", ".messages[].tool_calls[].extra_content", // vendors
	},
	translate.Responses: {".stream", ".tool_choice.name"},
	translate.Messages:  {".stream"},
}

// TestRequestsKeepTheConversation reads every recorded request as it came, as it
// crossed, and as it is when it crosses back, with readers that share nothing
// with the codecs. What is said, called, returned and shown must be the same each
// time, and so must the tools.
func TestRequestsKeepTheConversation(t *testing.T) {
	counts := tally{}
	for _, f := range conversations(t) {
		for _, to := range others(f.protocol) {
			p := pair{f.protocol, to}
			target := permissive(p.to)
			there, e := crossing.Translate(nil, p.from, f.body, target)
			if e != nil {
				counts.add(p, "refused")
				continue
			}
			came := readRequest(p.from, f.body)
			outcome := "kept"
			if !sameConversation(t, f.file+" "+p.String(), p, target, came, readRequest(p.to, there.Body), there.Losses) {
				outcome = "failed"
			}
			back, e := crossing.Translate(nil, p.to, there.Body, permissive(p.from))
			switch {
			case e != nil:
				outcome = "failed"
				t.Errorf("%s %s: it does not cross back: %v", f.file, p, e)
			case !sameConversation(t, f.file+" "+p.String()+" and back", p, target, came, readRequest(p.from, back.Body), append(there.Losses, back.Losses...)):
				outcome = "failed"
			}
			counts.add(p, outcome)
		}
	}
	counts.report(t, "kept", "refused", "failed")
}

// sameConversation compares a request with what has become of it. What the list
// of losses explains may differ.
func sameConversation(t *testing.T, name string, p pair, target *translate.Target, came, became *neutral, losses translate.Losses) bool {
	t.Helper()
	became = became.withoutInventions(came)
	inChat := p.from == translate.Chat || p.to == translate.Chat
	ok := sameLines(t, name+": what is said", came.flat(inChat), became.flat(inChat))
	ok = sameLines(t, name+": the tools", came.toolLines(), became.toolLines()) && ok
	if target.Quirks.CacheControl && p.from != translate.Responses && p.to != translate.Responses {
		ok = sameLines(t, name+": the marks for the cache", came.cacheMarks(), became.cacheMarks()) && ok
	}
	if p.from != translate.Messages && p.to != translate.Messages && target.Quirks.OpenAIParameters {
		for _, setting := range settingsOfOpenAI {
			if had, has := came.settings[setting], became.settings[setting]; had != "" && had != has {
				ok = false
				t.Errorf("%s: %s was %s and became %q", name, setting, had, has)
			}
		}
	}
	for _, setting := range settingsThatCross {
		had, has := came.settings[setting.name], became.settings[setting.name]
		if had != "" && had != has && !lost(losses, setting.params...) {
			ok = false
			t.Errorf("%s: %s was %s and became %q, losses %v", name, setting.name, had, has, losses)
		}
	}
	return ok
}

// settingsOfOpenAI are those that only OpenAI's two protocols have.
var settingsOfOpenAI = []string{
	"verbosity", "prompt_cache_key", "safety_identifier", "user", "service_tier", "format.name", "format.description",
}

// settingsThatCross are those that all protocols have, and how a list of losses
// names them.
var settingsThatCross = []struct {
	name   string
	params []string
}{
	{"max_tokens", []string{"max_"}},
	{"temperature", []string{"temperature"}},
	{"top_p", []string{"top_p"}},
	{"top_k", []string{"top_k"}},
	{"stop", []string{"stop"}},
	{"effort", []string{"reasoning", "thinking", "output_config.effort"}},
	{"tool_choice", []string{"tool_choice"}},
	{"parallel", []string{"parallel_tool_calls", "tool_choice"}},
	{"format", []string{"response_format", "text.format", "output_config.format"}},
}

// withoutInventions is the request without what a protocol requires and another
// one does not: something of the user's to begin with, definitions of the tools
// that were called before, the word JSON.
func (n *neutral) withoutInventions(came *neutral) *neutral {
	less := &neutral{settings: n.settings}
	for _, s := range n.said {
		invented := s.role == "user" && s.text == "." && !slices.Contains(came.said, s) ||
			s.role == "system" && came.settings["format"] == "json" && strings.HasPrefix(s.text, "Answer ") && strings.Contains(s.text, "JSON")
		if !invented {
			less.said = append(less.said, s)
		}
	}
	for _, tool := range n.tools {
		called := func(s saying) bool { return s.kind == "call" && s.name == tool.name }
		if len(came.tools) > 0 || !slices.ContainsFunc(came.said, called) {
			less.tools = append(less.tools, tool)
		}
	}
	return less
}

// sameLines compares two lists, and reports the first difference.
func sameLines(t *testing.T, name string, came, became []string) bool {
	t.Helper()
	for i := range max(len(came), len(became)) {
		had, has := "nothing", "nothing"
		if i < len(came) {
			had = came[i]
		}
		if i < len(became) {
			has = became[i]
		}
		if had != has {
			t.Errorf("%s: number %d of %d was\n\t%s\nand became\n\t%s", name, i, len(came), had, has)
			return false
		}
	}
	return true
}

// lost reports whether one of the losses begins with one of the params.
func lost(losses translate.Losses, params ...string) bool {
	for _, loss := range losses {
		for _, param := range params {
			if strings.HasPrefix(loss.Param, param) {
				return true
			}
		}
	}
	return false
}
