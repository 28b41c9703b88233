package crossing_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// TestReasoningReturnsToItsIssuerOnly answers a client of another protocol with
// each recorded answer that has opaque reasoning, whole or as a stream, lets the
// client send back what it got, as all clients do, and asks the same provider
// again and then another one. The first must get every block byte by byte, the
// second not a trace.
func TestReasoningReturnsToItsIssuerOnly(t *testing.T) {
	counts := tally{}
	for _, f := range fixtures(t, "response") {
		if translate.CheckAnswer(f.protocol, translate.Generate, f.body) == nil {
			reasoningReturns(t, f, sealsOf(f.protocol, f.body), counts, func(p pair) []byte { return whole(p, f.body).bytes })
		}
	}
	for _, f := range fixtures(t, "stream") {
		if f.protocol == translate.Chat || f.unclean() != "" {
			continue // what its details are is not told in one piece
		}
		reasoningReturns(t, f, sealsOf(f.protocol, folded(f.protocol, f.body)), counts, func(p pair) []byte {
			return folded(p.to, relay(asking(p, true), f.body).bytes)
		})
	}
	counts.report(t, "returned", "failed")
}

// reasoningReturns lets an answer with these seals go to clients and back.
func reasoningReturns(t *testing.T, f fixture, seals []string, counts tally, answered func(p pair) []byte) {
	t.Helper()
	if len(seals) == 0 {
		return
	}
	for _, client := range others(f.protocol) {
		if client == translate.Chat {
			continue // it has no field that comes back
		}
		p := pair{f.protocol, client}
		next := nextRequest(client, answered(p))
		outcome := "returned"
		for provider, want := range map[string][]string{"acme": seals, "other": nil} {
			target := to(f.protocol, func(t *translate.Target) {
				t.Provider, t.Quirks.ReasoningField = provider, "reasoning_details"
			})
			r, e := crossing.Translate(nil, client, next, target)
			if e != nil {
				t.Fatalf("%s %s: %v", p, f.file, e)
			}
			got := sealsOf(f.protocol, assistantOf(f.protocol, r.Body))
			if !slices.Equal(got, want) || bytes.Contains(r.Body, []byte(translate.EnvelopeMark)) {
				outcome = "failed"
				t.Errorf("%s %s: %s gets\n%s\nwant\n%s", p, f.file, provider, clipped(got), clipped(want))
			}
		}
		counts.add(p, outcome)
	}
}

// TestEnvelopesStayWithinTheGateway lets clients go on at a provider of their own
// protocol with what they got through a translation. No trace of an envelope or of
// a call's signature may reach it, and all else must.
func TestEnvelopesStayWithinTheGateway(t *testing.T) {
	counts := tally{}
	for _, f := range fixtures(t, "response") {
		if translate.CheckAnswer(f.protocol, translate.Generate, f.body) != nil {
			continue
		}
		for _, client := range others(f.protocol) {
			p := pair{f.protocol, client}
			if client == translate.Chat {
				continue
			}
			next := nextRequest(client, whole(p, f.body).bytes)
			cleaned, changed := crossing.Cleaned(nil, client, next)
			if changed != translate.Marked(next) {
				t.Errorf("%s %s: changed = %v: %s", p, f.file, changed, next)
			}
			if !changed {
				counts.add(p, "without")
				continue
			}
			counts.add(p, "cleaned")
			var o strictjson.Object
			if err := o.Parse(cleaned); err != nil || translate.Marked(cleaned) {
				t.Errorf("%s %s: %v: %s", p, f.file, err, cleaned)
			}
			sameLines(t, p.String()+" "+f.file, readRequest(client, next).flat(false), readRequest(client, cleaned).flat(false))
		}
	}
	counts.report(t, "cleaned", "without")
}

// TestSignedCallsStayWithinTheGateway lets clients go on at a provider of their own
// protocol after a call that Gemini signed. It gets the request as it would be
// without the signature, byte by byte.
func TestSignedCallsStayWithinTheGateway(t *testing.T) {
	const (
		signature = "c2lnbmF0dXJl+/=="
		call      = `{"id":"function-call-1","type":"function","function":{"name":"f","arguments":"{}"}`
		// What people say of signatures is no id.
		result = `"the id ended in __sig_QUJD"`
	)
	inID := "__sig_" + base64.RawURLEncoding.EncodeToString([]byte(signature))
	for _, client := range protocols {
		var next []byte
		if client == translate.Chat {
			// Whoever else sends it, such as an agent that was changed in between.
			signed := strings.Replace(call, `-1"`, `-1`+inID+`"`, 1)
			next = []byte(`{"model":"m","messages":[{"role":"user","content":"hi"}, {"role":"assistant", "tool_calls":[` + signed + `} ]},` +
				`{"role":"tool","tool_call_id":"function-call-1` + inID + `","content":` + result + `}]}`)
		} else {
			answer := `{"id":"x","object":"chat.completion","created":1,"model":"gemini","choices":[{"index":0,"message":{"role":"assistant","tool_calls":[` +
				call + `,"extra_content":{"google":{"thought_signature":"` + signature + `"}}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`
			next = nextRequest(client, whole(pair{translate.Chat, client}, []byte(answer)).bytes)
			next = bytes.ReplaceAll(next, []byte(`"done"`), []byte(result))
		}
		if got := bytes.Count(next, []byte(inID)); got != 2 {
			t.Fatalf("%s: the signature is %d times in %s, want it in the call and in the result", client, got, next)
		}
		want := bytes.ReplaceAll(next, []byte(inID), nil)
		if cleaned, changed := crossing.Cleaned(nil, client, next); !changed || !bytes.Equal(cleaned, want) {
			t.Errorf("%s: Cleaned(%s) = %s, %v, want %s", client, next, cleaned, changed, want)
		}
		if cleaned, changed := crossing.Cleaned(nil, client, want); changed || len(cleaned) > 0 {
			t.Errorf("%s: Cleaned(%s) = %s, %v, want nothing", client, want, cleaned, changed)
		}
	}
}

// sealsOf lists the opaque reasoning of an answer, canonical but for the texts
// that must not change.
func sealsOf(p translate.Protocol, answer []byte) []string {
	var seals []string
	root := gjson.ParseBytes(answer)
	for _, block := range root.Get("content").Array() {
		if kind := block.Get("type").String(); p == translate.Messages && strings.HasSuffix(kind, "thinking") && block.Get("signature").String()+block.Get("data").String() != "" {
			seals = append(seals, canonical(block.Raw))
		}
	}
	items := root.Get("output").Array()
	for i, item := range items {
		if item.Get("type").String() == "reasoning" && item.Get("encrypted_content").String() != "" && followed(items[i+1:]) {
			seals = append(seals, item.Get("id").Raw+canonical(item.Get("summary").Raw)+item.Get("encrypted_content").Raw)
		}
	}
	for _, details := range root.Get("choices.#.message.reasoning_details").Array() {
		for _, detail := range details.Array() {
			seals = append(seals, canonical(detail.Raw))
		}
	}
	return seals
}

// followed reports whether what comes behind a reasoning item crosses. OpenAI
// refuses one without the item that it was issued with, such as a search.
func followed(items []gjson.Result) bool {
	for _, item := range items {
		switch item.Get("type").String() {
		case "reasoning":
		case "message", "function_call", "custom_tool_call":
			return true
		default:
			return false
		}
	}
	return false
}

// folded is the whole answer that a stream makes.
func folded(p translate.Protocol, stream []byte) []byte {
	if p == translate.Responses {
		var items []string // as they were when done: the end has other ciphertexts
		for _, e := range dataOf(stream, `"response.output_item.done"`) {
			items = append(items, e.Get("item").Raw)
		}
		return []byte(`{"output":[` + strings.Join(items, ",") + `]}`)
	}
	var blocks []string
	var head gjson.Result
	var text, thinking, signature, input strings.Builder
	for _, e := range dataOf(stream, "content_block") {
		switch e.Get("type").String() {
		case "content_block_start":
			head = e.Get("content_block")
			for _, b := range []*strings.Builder{&text, &thinking, &signature, &input} {
				b.Reset()
			}
		case "content_block_delta":
			for name, b := range map[string]*strings.Builder{"text": &text, "thinking": &thinking, "signature": &signature, "partial_json": &input} {
				b.WriteString(e.Get("delta." + name).String())
			}
		case "content_block_stop":
			switch kind := head.Get("type").String(); kind {
			case "text":
				blocks = append(blocks, fmt.Sprintf(`{"type":"text","text":"%s"}`, canonicalText(text.String())))
			case "thinking":
				blocks = append(blocks, fmt.Sprintf(`{"type":"thinking","thinking":"%s","signature":"%s"}`, canonicalText(thinking.String()), canonicalText(signature.String())))
			case "tool_use":
				blocks = append(blocks, fmt.Sprintf(`{"type":"tool_use","id":%s,"name":%s,"input":%s}`, head.Get("id").Raw, head.Get("name").Raw, arguments(input.String())))
			default:
				blocks = append(blocks, head.Raw)
			}
		}
	}
	return []byte(`{"content":[` + strings.Join(blocks, ",") + `]}`)
}

// nextRequest is what a client sends that has got an answer: it answers the calls
// and asks on.
func nextRequest(p translate.Protocol, answer []byte) []byte {
	root := gjson.ParseBytes(answer)
	if p == translate.Responses {
		items := root.Get("output").Array()
		list := []string{openAIHello}
		for _, item := range items {
			list = append(list, item.Raw)
		}
		for _, item := range items {
			if kind := item.Get("type").String(); strings.HasSuffix(kind, "_call") {
				list = append(list, fmt.Sprintf(`{"type":"%s_output","call_id":%s,"output":"done"}`, kind, item.Get("call_id").Raw))
			}
		}
		return []byte(`{"model":"m","input":[` + strings.Join(append(list, openAIHello), ",") + `]}`)
	}
	var results strings.Builder
	for _, block := range root.Get("content").Array() {
		if block.Get("type").String() == "tool_use" {
			fmt.Fprintf(&results, `{"type":"tool_result","tool_use_id":%s,"content":"done"},`, block.Get("id").Raw)
		}
	}
	return []byte(claudeAsks(hello+`,{"role":"assistant","content":`+root.Get("content").Raw+`},{"role":"user","content":[`+results.String()+`{"type":"text","text":"go on"}]}`, ""))
}

// assistantOf is what the assistant said in a request, in the shape of an answer.
func assistantOf(p translate.Protocol, request []byte) []byte {
	switch p {
	case translate.Responses:
		return []byte(`{"output":` + gjson.GetBytes(request, "input").Raw + `}`)
	case translate.Messages:
		return []byte(`{"content":` + gjson.GetBytes(request, "messages.#(role==assistant).content").Raw + `}`)
	}
	return []byte(`{"choices":[{"message":` + gjson.GetBytes(request, "messages.#(role==assistant)").Raw + `}]}`)
}

func clipped(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "\t%.300s\n", line)
	}
	return b.String()
}
