package crossing_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
)

// cycle are pairs in which each protocol is read once and written once.
var cycle = []pair{
	{translate.Chat, translate.Messages},
	{translate.Messages, translate.Responses},
	{translate.Responses, translate.Chat},
}

// checkProportion does some work of a size and of four times that size, which
// must not take more than that many times as long, but for what the machine does
// besides. In proportion to the square it would be 16 times.
func checkProportion(t *testing.T, size int, prepare func(size int) (work func())) {
	t.Helper()
	took := func(work func()) time.Duration {
		best := time.Hour
		for range 2 {
			start := time.Now()
			work()
			best = min(best, time.Since(start))
		}
		return best
	}
	once, fourfold := prepare(size), prepare(4*size)
	var short, long time.Duration
	for range 4 {
		if short, long = took(once), took(fourfold); long < 9*short {
			return
		}
	}
	t.Errorf("%d took %v, %d took %v", size, short, 4*size, long)
}

// listed writes n values with commas between them.
func listed(n int, value func(i int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = value(i)
	}
	return strings.Join(all, ",")
}

func same(text string) func(int) string { return func(int) string { return text } }

func numbered(text string) func(int) string {
	return func(i int) string { return text + strconv.Itoa(1_000_000+i) }
}

// callsAnd is a request of n calls and then their results.
func callsAnd(p translate.Protocol, n int, id, name func(i int) string, members string) string {
	list := func(call, result string) (calls, results string) {
		return listed(n, func(i int) string { return fmt.Sprintf(call, id(i), name(i)) }),
			listed(n, func(i int) string { return fmt.Sprintf(result, id(i)) })
	}
	switch p {
	case translate.Responses:
		calls, results := list(`{"type":"function_call","call_id":"%s","name":"%s","arguments":"{}"}`, `{"type":"function_call_output","call_id":"%s","output":"a"}`)
		return `{"model":"m","input":[` + openAIHello + `,` + calls + `,` + results + `]` + members + `}`
	case translate.Messages:
		calls, results := list(`{"type":"tool_use","id":"%s","name":"%s","input":{}}`, `{"type":"tool_result","tool_use_id":"%s","content":"a"}`)
		return claudeAsks(hello+`,{"role":"assistant","content":[`+calls+`]},{"role":"user","content":[`+results+`]}`, members)
	}
	calls, results := list(`{"id":"%s","type":"function","function":{"name":"%s","arguments":"{}"}}`, `{"role":"tool","tool_call_id":"%s","content":"a"}`)
	return asks(hello+`,{"role":"assistant","tool_calls":[`+calls+`]},`+results, members)
}

// TestTimeIsInProportionToTheRequest translates what a client could send to keep
// the gateway busy.
func TestTimeIsInProportionToTheRequest(t *testing.T) {
	passing := `{"role":"system","content":"a","clear_at":"next_user_message"}`
	mostTools := `,"tools":[` + listed(translate.MostTools, func(i int) string { return fmt.Sprintf(`{"type":"function","name":"%d"}`, i) }) + `]`
	for _, tc := range []struct {
		name  string
		froms []translate.Protocol
		of    func(p translate.Protocol, n int) string
	}{
		{"calls of one id", protocols, func(p translate.Protocol, n int) string {
			return callsAnd(p, n, same("call_1"), same("f"), "")
		}},
		{"calls of as many tools", protocols, func(p translate.Protocol, n int) string {
			return callsAnd(p, n, numbered("call_"), numbered("f"), "")
		}},
		{"calls in a namespace", []translate.Protocol{translate.Responses}, func(p translate.Protocol, n int) string {
			return callsAnd(p, n, numbered("call_"), same(`f","namespace":"f`), mostTools)
		}},
		{"instructions for one turn", []translate.Protocol{translate.Messages}, func(_ translate.Protocol, n int) string {
			return claudeAsks(hello+","+listed(n, same(passing)), "")
		}},
		{"instructions for a turn that is over", []translate.Protocol{translate.Messages}, func(_ translate.Protocol, n int) string {
			return claudeAsks(listed(n, same(passing))+","+hello, "")
		}},
		{"files that cannot cross", []translate.Protocol{translate.Chat}, func(_ translate.Protocol, n int) string {
			return asks(listed(n, same(hello+`,{"role":"user","content":[{"type":"file","file":{"file_id":"a"}}]}`)), "")
		}},
	} {
		for _, from := range tc.froms {
			for _, p := range cycle {
				if p.from != from {
					continue
				}
				t.Run(tc.name+"/"+p.String(), func(t *testing.T) {
					checkProportion(t, 4000, func(n int) func() {
						body := []byte(tc.of(from, n))
						return func() { crossing.Translate(nil, from, body, bare(p.to)) }
					})
				})
			}
		}
	}
}

// TestToolsOfOneNameAreRefused has tools whose calls nobody could tell apart, by
// the names that they are sent under.
func TestToolsOfOneNameAreRefused(t *testing.T) {
	chatTool := func(name string) string { return `{"type":"function","function":{"name":"` + name + `"}}` }
	tool := func(name string) string { return `{"type":"function","name":"` + name + `"}` }
	space := func(name, tools string) string {
		return `{"type":"namespace","name":"` + name + `","tools":[` + tools + `]}`
	}
	search := `{"type":"web_search"}`
	for _, tc := range []struct {
		name  string
		from  translate.Protocol
		tools string
		param string // the empty one is that of no error
	}{
		{"two functions", translate.Chat, chatTool("f") + "," + chatTool("g") + "," + chatTool("f"), "tools[2]"},
		{"one of them escaped", translate.Chat, chatTool("f") + "," + chatTool(`\u0066`), "tools[1]"},
		{"a function and a custom tool", translate.Chat, chatTool("f") + `,{"type":"custom","custom":{"name":"f"}}`, "tools[1]"},
		{"names that differ where they are cut", translate.Chat, chatTool(strings.Repeat("f", 140)+"a") + "," + chatTool(strings.Repeat("f", 140)+"b"), ""},
		{"two functions", translate.Messages, `{"name":"f"},{"name":"f"}`, "tools[1]"},
		{"a hosted one and a function", translate.Messages, `{"type":"bash_20250124","name":"bash"},{"name":"bash"}`, ""},
		{"defined anew", translate.Responses, tool("f") + "," + tool("f"), ""},
		{"two namespaces", translate.Responses, space("a", tool("f")) + "," + space("b", tool("f")), ""},
		{"a namespace and who looks like it", translate.Responses, space("a", tool("f")) + "," + tool("a__f"), "tools[1]"},
		{"hosted tools, which have no name", translate.Responses, `{"type":"file_search"},{"type":"image_generation"},` + search, ""},
	} {
		body := map[translate.Protocol]string{
			translate.Chat:      asks(hello, `,"tools":[`+tc.tools+`]`),
			translate.Messages:  claudeAsks(hello, `,"tools":[`+tc.tools+`]`),
			translate.Responses: `{"model":"m","input":[` + openAIHello + `],"tools":[` + tc.tools + `]}`,
		}[tc.from]
		for _, to := range others(tc.from) {
			got := ""
			if _, e := crossing.Translate(nil, tc.from, []byte(body), bare(to)); e != nil {
				got = e.Param
			}
			if got != tc.param {
				t.Errorf("%s, %s: an error about %q, want %q", pair{tc.from, to}, tc.name, got, tc.param)
			}
		}
	}
}

// TestMoreToolsThanAnybodyTakesAreRefused keeps the search for a tool short.
func TestMoreToolsThanAnybodyTakesAreRefused(t *testing.T) {
	most := translate.MostTools
	for _, tc := range []struct {
		from                        translate.Protocol
		before, tool, after, choice string
	}{
		{translate.Chat, `{"messages":[` + hello + `],"tools":[`, `{"type":"function","function":{"name":"%s"}}`, `]`, `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[%s]}}}`},
		{translate.Responses, `{"input":"a","tools":[`, `{"type":"function","name":"%s"}`, `]`, `,"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[%s]}}`},
		{translate.Messages, `{"max_tokens":9,"messages":[` + hello + `],"tools":[`, `{"name":"%s"}`, `]`, ""},
	} {
		tool := func(i int) string { return fmt.Sprintf(tc.tool, strconv.Itoa(i)) }
		for _, to := range others(tc.from) {
			bodies := map[string]string{"tools": tc.before + listed(most+1, tool) + tc.after + `}`}
			if tc.choice != "" {
				bodies["tool_choice"] = tc.before + tool(0) + tc.after + fmt.Sprintf(tc.choice, listed(most+1, tool))
			}
			for param, body := range bodies {
				if _, e := crossing.Translate(nil, tc.from, []byte(body), bare(to)); e == nil || e.Status != 400 || e.Param != param {
					t.Errorf("%s: too many in %s: error %v, want a 400 about it", pair{tc.from, to}, param, e)
				}
			}
		}
	}
}

// numberedEvents are n events in which %d is their number.
func numberedEvents(n int, forms ...string) []string {
	var all []string
	for _, form := range forms {
		for i := range n {
			all = append(all, strings.ReplaceAll(form, "%d", strconv.Itoa(i)))
		}
	}
	return all
}

// crowded are streams of n blocks, or of n other things that their decoder has to
// keep in mind.
var crowded = []struct {
	name string
	from translate.Protocol
	of   func(n int) []byte
}{
	{"calls at once", translate.Chat, func(n int) []byte {
		return sse(append(numberedEvents(n,
			chatChunk(`{"tool_calls":[{"index":%d,"id":"c%d","function":{"name":"f","arguments":"{\"a\":"}}]}`),
			chatChunk(`{"tool_calls":[{"index":%d,"function":{"arguments":"1}"}}]}`)), chatEnd...)...)
	}},
	{"calls in one event", translate.Chat, func(n int) []byte {
		calls := strings.Join(numberedEvents(n, `{"index":%d,"id":"c%d","function":{"name":"f","arguments":"{\"a\":"}}`), ",")
		return sse(append([]string{chatChunk(`{"tool_calls":[` + calls + `]}`)}, chatEnd...)...)
	}},
	{"calls at once", translate.Messages, func(n int) []byte {
		return claudeStream("tool_use", numberedEvents(n,
			`{"type":"content_block_start","index":%d,"content_block":{"type":"tool_use","id":"t%d","name":"f","input":{}}}`,
			`{"type":"content_block_delta","index":%d,"delta":{"type":"input_json_delta","partial_json":"{}"}}`,
			`{"type":"content_block_stop","index":%d}`)...)
	}},
	{"searches at once", translate.Messages, func(n int) []byte {
		return claudeStream("end_turn", numberedEvents(n, `{"type":"content_block_start","index":%d,"content_block":{"type":"server_tool_use","id":"t%d","name":"f","input":{}}}`)...)
	}},
	{"calls at once", translate.Responses, func(n int) []byte {
		return openAIStream("completed", "", numberedEvents(n,
			`{"type":"response.output_item.added","output_index":%d,"item":{"type":"function_call","id":"i%d","call_id":"c%d","name":"f","arguments":""}}`,
			`{"type":"response.function_call_arguments.delta","output_index":%d,"delta":"{}"}`)...)
	}},
	{"searches", translate.Responses, func(n int) []byte {
		return openAIStream("completed", "", numberedEvents(n, `{"type":"response.output_item.added","output_index":%d,"item":{"type":"web_search_call","id":"i%d"}}`)...)
	}},
	{"parts of a message", translate.Responses, func(n int) []byte {
		return openAIStream("completed", "", numberedEvents(n, `{"type":"response.output_text.delta","output_index":0,"content_index":%d,"delta":"a"}`)...)
	}},
}

var chatEnd = []string{`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`, "data: [DONE]\n\n"}

// TestAnAnswerOfTooManyPartsIsBroken keeps what has to be kept of an answer, and
// searched, within bounds.
func TestAnAnswerOfTooManyPartsIsBroken(t *testing.T) {
	for _, tc := range crowded {
		for _, to := range others(tc.from) {
			p := pair{tc.from, to}
			if got := relay(asking(p, true), tc.of(1000)); !got.whole {
				t.Errorf("%s, %s: 1000 are too many", p, tc.name)
			}
			if got := relay(asking(p, true), tc.of(5000)); got.whole || !strings.Contains(string(got.bytes), "too many parts") {
				t.Errorf("%s, %s: 5000 are told as a success", p, tc.name)
			}
		}
	}
}

// TestTimeIsInProportionToTheAnswer translates streams that an upstream could send
// to keep the gateway busy, in one chunk each.
func TestTimeIsInProportionToTheAnswer(t *testing.T) {
	for _, tc := range crowded {
		for _, p := range cycle {
			if p.from != tc.from {
				continue
			}
			t.Run(tc.name+"/"+p.String(), func(t *testing.T) {
				checkProportion(t, 5000, func(n int) func() {
					stream := tc.of(n)
					return func() { relay(asking(p, true), stream) }
				})
			})
		}
	}
	sealed := pair{translate.Chat, translate.Messages}
	t.Run("sealed thoughts/"+sealed.String(), func(t *testing.T) {
		checkProportion(t, 2000, func(n int) func() {
			stream := sse(append(append([]string{chatChunk(`{"reasoning":"a"}`)},
				numberedEvents(n, chatChunk(`{"reasoning_details":[{"type":"reasoning.encrypted","data":"%d`+strings.Repeat("a", 100)+`"}]}`))...), chatEnd...)...)
			return func() { relay(asking(sealed, true), stream) }
		})
	})
}

// TestAWholeAnswerOfTooManyPartsIsAnError is about answers that are no streams.
func TestAWholeAnswerOfTooManyPartsIsAnError(t *testing.T) {
	for from, of := range map[translate.Protocol]func(n int) []byte{
		translate.Chat: func(n int) []byte {
			return chatAnswer(`{"role":"assistant","content":null,"tool_calls":[`+listed(n, same(`{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}`))+`]}`, `"tool_calls"`, "")
		},
		translate.Responses: func(n int) []byte {
			return openAIAnswer(listed(n, same(`{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}`)), `,"status":"completed"`)
		},
		translate.Messages: func(n int) []byte {
			return claudeAnswer(listed(n, same(`{"type":"tool_use","id":"c","name":"f","input":{}}`)), "tool_use", smallUsage)
		},
	} {
		for _, to := range others(from) {
			p := pair{from, to}
			if out, e := crossing.Answer(nil, asking(p, false), of(1000)); e != nil || len(out) == 0 {
				t.Errorf("%s: an answer of 1000 parts: %d bytes, error %v", p, len(out), e)
			}
			if out, e := crossing.Answer(nil, asking(p, false), of(5000)); e == nil || e.Status != 502 || out != nil {
				t.Errorf("%s: an answer of 5000 parts: %d bytes, error %v, want a 502", p, len(out), e)
			}
		}
	}
}

// TestAStreamThatBeginsAnewWithinACallIsBroken asks another route, or tells the
// client, before it can take half a call for one.
func TestAStreamThatBeginsAnewWithinACallIsBroken(t *testing.T) {
	for _, to := range others(translate.Messages) {
		stream := claudeStream("end_turn", concat([]string{
			`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}`,
			claudeStart,
		}, block("0", `{"type":"text","text":""}`, `{"type":"text_delta","text":"later"}`))...)
		for _, chunks := range [][][]byte{{stream}, bytewise(stream)} {
			got := relay(asking(pair{translate.Messages, to}, true), chunks...)
			if text := string(got.bytes); got.whole || !strings.Contains(text, "began its answer anew") || strings.Contains(text, "later") {
				t.Errorf("to %s: whole %v: %s", apiName(to), got.whole, text)
			}
		}
	}
}

// TestTimeToCompleteToolResultsIsInProportion looks for calls without a result where
// there are none.
func TestTimeToCompleteToolResultsIsInProportion(t *testing.T) {
	for _, p := range protocols {
		t.Run(apiName(p), func(t *testing.T) {
			checkProportion(t, 4000, func(n int) func() {
				body := []byte(callsAnd(p, n, numbered("call_"), same("f"), ""))
				return func() { translate.CompleteToolResults(p, body) }
			})
		})
	}
}
