package responses

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// FuzzDecodeRequest reads any JSON object. What is accepted and can be written
// again must be JSON, and say the same when it is read once more.
func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(smallRequest))
	f.Add([]byte(`{"input":[{"role":"developer","content":"a"},{"type":"reasoning","summary":[{"text":"s"}],"encrypted_content":"lgw1.acme."},{"type":"custom_tool_call","call_id":"c","name":"p","input":"x"},` +
		`{"type":"custom_tool_call_output","call_id":"c","output":[{"type":"input_text","text":"o"}]}],"tools":[{"type":"namespace","name":"n","tools":[{"type":"custom","name":"p"}]}],` +
		`"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"name":"p"}]},"text":{"format":{"type":"json_object"}},"reasoning":{"effort":"low"}}`))
	f.Add([]byte(`{"input":[{"role":"user","content":[{"type":"input_file","file_data":"data:text/plain;base64,YQ=="},{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}],"include":["x"],"metadata":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if !rawjson.Valid(body) || !rawjson.Parse(body).IsObject() {
			return
		}
		first := new(translate.Conversation)
		first.Reset(translate.Responses)
		if DecodeRequest(first, body) != nil {
			return
		}
		if echo := string(first.Echo); !gjson.Valid("{"+echo+`"usage":null}`) || strings.ContainsAny(echo, "\r\n") {
			t.Fatalf("the echo is not one line of members: %q", echo)
		}
		before := told(first)
		out, e := EncodeRequest(nil, first, target())
		if e != nil {
			return
		}
		if !gjson.ValidBytes(out) {
			t.Fatalf("%s became %s, which is no JSON", body, out)
		}
		second := new(translate.Conversation)
		second.Reset(translate.Responses)
		if e := DecodeRequest(second, out); e != nil {
			t.Fatalf("%s became %s, which is refused: %v", body, out, e)
		}
		if n, m := len(before), len(told(second)); n > 0 && m == 0 {
			t.Fatalf("%s became %s, in which nothing is left", body, out)
		}
	})
}

// FuzzDecodeStream reads any events. Whatever they are, the client's stream is
// one: every event is JSON, and the items are announced, done and repeated at the
// end in one order.
func FuzzDecodeStream(f *testing.F) {
	f.Add([]byte(created + "\n" + `{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"a"}` + "\n" + completed))
	f.Add([]byte(`{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"c","name":"f"}}` + "\n" +
		`{"type":"response.output_item.added","output_index":1,"item":{"type":"custom_tool_call","call_id":"c","name":"g"}}` + "\n" +
		`{"type":"response.custom_tool_call_input.delta","output_index":1,"delta":"\ud83d"}` + "\n" +
		`{"type":"response.output_item.done","output_index":1,"item":{"type":"custom_tool_call","call_id":"c","name":"g","input":"x"}}`))
	f.Add([]byte(`{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"a"}` + "\n" +
		`{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","encrypted_content":"x","status":null}}` + "\n" +
		`{"type":"response.refusal.delta","output_index":1,"delta":"a"}` + "\n" + `{"type":"response.incomplete","response":{"status":"incomplete"}}`))
	f.Fuzz(func(t *testing.T, events []byte) {
		asked := asking(true)
		a := translate.NewAssembler(asked, NewEncoder(asked))
		d := NewDecoder(a)
		var stream []byte
		for event := range bytes.Lines(events) {
			if event = bytes.TrimSpace(event); rawjson.Valid(event) && rawjson.Parse(event).IsObject() {
				d.Event(nil, event)
				stream = append(stream, a.Take()...)
			}
		}
		a.End(translate.Usage{}, false)
		stream = append(stream, a.Take()...)
		data := sse(t, string(stream))
		var added, done []string
		for _, e := range data {
			switch gjson.Get(e, "type").Str {
			case "response.output_item.added":
				added = append(added, gjson.Get(e, "item.id").Str)
			case "response.output_item.done":
				done = append(done, gjson.Get(e, "item").Raw)
			}
		}
		last := gjson.Get(data[len(data)-1], "response")
		if got, want := last.Get("output").Raw, "["+strings.Join(done, ",")+"]"; got != want {
			t.Fatalf("the output is %s, want what was told: %s", got, want)
		}
		for i, item := range last.Get("output").Array() {
			if item.Get("id").Str != added[i] {
				t.Fatalf("item %d is %s, but was announced as %s", i, item.Raw, added[i])
			}
		}
	})
}
