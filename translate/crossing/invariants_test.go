package crossing_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// told is what a stream tells its client, read as plainly as clients do.
type told struct {
	text, thinking string
	calls          []toldCall
	stop           string
	failed         bool
}

type toldCall struct{ id, name, input string }

// readStream reads a stream that was written here, and returns the first way in
// which it breaks the law of its protocol: every delta inside of an open block,
// one start, one end, numbers without gaps, nothing behind the end.
func readStream(p translate.Protocol, stream []byte) (told, error) {
	r := streamReader{blocks: map[int64]*toldBlock{}}
	read := map[translate.Protocol]func(*streamReader, string, gjson.Result) error{
		translate.Chat: (*streamReader).chat, translate.Responses: (*streamReader).responses, translate.Messages: (*streamReader).messages,
	}[p]
	if !bytes.HasSuffix(stream, []byte("\n\n")) {
		return r.told, fmt.Errorf("the last event is not ended: %q", tail(stream))
	}
	for i, event := range strings.Split(strings.TrimSuffix(string(stream), "\n\n"), "\n\n") {
		if strings.HasPrefix(event, ":") {
			continue
		}
		name, data := "", event
		if p != translate.Chat {
			head, rest, ok := strings.Cut(event, "\n")
			if !ok || !strings.HasPrefix(head, "event: ") {
				return r.told, fmt.Errorf("event %d has no name: %.200q", i, event)
			}
			name, data = head[len("event: "):], rest
		}
		data, ok := strings.CutPrefix(data, "data: ")
		if !ok || strings.ContainsAny(data, "\r\n") {
			return r.told, fmt.Errorf("event %d is not one line of data: %.200q", i, event)
		}
		if r.ended {
			return r.told, fmt.Errorf("event %d is behind the end: %.200q", i, event)
		}
		if p == translate.Chat && data == "[DONE]" {
			r.ended = true
			continue
		}
		if !gjson.Valid(data) {
			return r.told, fmt.Errorf("event %d is no JSON: %.200q", i, event)
		}
		root := gjson.Parse(data)
		if name != "" && root.Get("type").String() != name {
			return r.told, fmt.Errorf("event %d is called %s and is %s", i, name, root.Get("type"))
		}
		if err := read(&r, name, root); err != nil {
			return r.told, fmt.Errorf("event %d: %w: %.200q", i, err, event)
		}
	}
	if !r.ended {
		return r.told, fmt.Errorf("it does not end: %q", tail(stream))
	}
	return r.told, nil
}

func TestOwnReadersTakeWhatTheVendorsWrite(t *testing.T) {
	for _, f := range examples(t, "") {
		told, err := readStream(f.protocol, f.body)
		if err != nil || len(told.calls) != 2 || told.failed || told.text == "" || told.thinking == "" {
			t.Errorf("%s: %+v, %v", f.file, told, err)
		}
	}
}

type toldBlock struct {
	kind string
	open bool
	text strings.Builder
	call toldCall
}

type streamReader struct {
	told
	started, ended, usage bool
	blocks                map[int64]*toldBlock
	sequence              int64
}

// open begins a block, which must be the next one, and alone.
func (r *streamReader) open(index int64, kind string) (*toldBlock, error) {
	if index != int64(len(r.blocks)) {
		return nil, fmt.Errorf("block %d begins, want %d", index, len(r.blocks))
	}
	for i, b := range r.blocks {
		if b.open {
			return nil, fmt.Errorf("block %d begins while %d is open", index, i)
		}
	}
	b := &toldBlock{kind: kind, open: true}
	r.blocks[index] = b
	return b, nil
}

func (r *streamReader) inside(index int64) (*toldBlock, error) {
	if b := r.blocks[index]; b != nil && b.open {
		return b, nil
	}
	return nil, fmt.Errorf("block %d is not open", index)
}

// close ends a block and takes over what it said.
func (r *streamReader) close(index int64) error {
	b, err := r.inside(index)
	if err != nil {
		return err
	}
	b.open = false
	switch b.kind {
	case "text", "message":
		r.text += b.text.String()
	case "thinking", "reasoning":
		r.thinking += b.text.String()
	case "tool_use", "function_call", "custom_tool_call":
		b.call.input = b.text.String()
		r.calls = append(r.calls, b.call)
	}
	return nil
}

func (r *streamReader) allClosed() error {
	for i, b := range r.blocks {
		if b.open {
			return fmt.Errorf("block %d is still open", i)
		}
	}
	return nil
}

func (r *streamReader) messages(name string, e gjson.Result) error {
	switch name {
	case "ping":
		return nil
	case "error":
		r.failed, r.ended = true, true
		return nil
	case "message_start":
		if r.started {
			return fmt.Errorf("it begins twice")
		}
		r.started = true
		return nil
	}
	index := e.Get("index").Int()
	switch {
	case !r.started:
		return fmt.Errorf("it has not begun")
	case r.stop != "" && name != "message_stop":
		return fmt.Errorf("it has stopped")
	}
	switch name {
	case "content_block_start":
		b, err := r.open(index, e.Get("content_block.type").String())
		if err == nil {
			b.call = toldCall{id: e.Get("content_block.id").String(), name: e.Get("content_block.name").String()}
		}
		return err
	case "content_block_delta":
		b, err := r.inside(index)
		if err == nil {
			b.text.WriteString(e.Get("delta.text").String() + e.Get("delta.thinking").String() + e.Get("delta.partial_json").String())
		}
		return err
	case "content_block_stop":
		return r.close(index)
	case "message_delta":
		r.stop = e.Get("delta.stop_reason").String()
		return r.allClosed()
	case "message_stop":
		r.ended = true
		if r.stop == "" {
			return fmt.Errorf("it ends without a reason")
		}
		return nil
	}
	return fmt.Errorf("it is no event of the protocol")
}

func (r *streamReader) responses(name string, e gjson.Result) error {
	if number := e.Get("sequence_number"); !number.Exists() || number.Int() != r.sequence {
		return fmt.Errorf("its number is %s, want %d", number.Raw, r.sequence)
	}
	r.sequence++
	index := e.Get("output_index").Int()
	switch {
	case name == "response.created":
		if r.started {
			return fmt.Errorf("it begins twice")
		}
		r.started = true
	case !r.started:
		return fmt.Errorf("it has not begun")
	case name == "response.output_item.added":
		b, err := r.open(index, e.Get("item.type").String())
		if err != nil {
			return err
		}
		b.call = toldCall{id: e.Get("item.call_id").String(), name: e.Get("item.name").String()}
	case name == "response.output_item.done":
		return r.close(index)
	case name == "response.failed":
		r.failed, r.ended = true, true
	case name == "response.completed", name == "response.incomplete":
		r.stop, r.ended = e.Get("response.status").String(), true
		if n := len(e.Get("response.output").Array()); n != len(r.blocks) {
			return fmt.Errorf("it has %d items, and %d were told", n, len(r.blocks))
		}
		return r.allClosed()
	case strings.HasSuffix(name, ".delta"):
		b, err := r.inside(index)
		if err == nil {
			b.text.WriteString(e.Get("delta").String())
		}
		return err
	case name != "response.in_progress":
		_, err := r.inside(index)
		return err
	}
	return nil
}

func (r *streamReader) chat(_ string, e gjson.Result) error {
	if e.Get("error").Exists() {
		r.failed, r.ended = true, true
		return nil
	}
	if r.usage {
		return fmt.Errorf("it is behind the usage")
	}
	choices := e.Get("choices").Array()
	if len(choices) == 0 {
		r.usage = true
		if r.stop == "" || !e.Get("usage").IsObject() {
			return fmt.Errorf("it is a chunk without a choice and no usage behind the finish")
		}
		return nil
	}
	delta := choices[0].Get("delta")
	if role := delta.Get("role").String(); r.started == (role != "") || r.stop != "" {
		return fmt.Errorf("the role is %q", role)
	}
	r.started = true
	r.text += delta.Get("content").String()
	r.thinking += delta.Get("reasoning_content").String()
	for _, call := range delta.Get("tool_calls").Array() {
		index, name := call.Get("index"), call.Get("function.name").String()+call.Get("custom.name").String()
		switch {
		case !index.Exists() || index.Int() > int64(len(r.calls)):
			return fmt.Errorf("the index of a call is %s, want at most %d", index.Raw, len(r.calls))
		case (index.Int() == int64(len(r.calls))) != (name != ""), (name != "") != (call.Get("id").String() != ""):
			return fmt.Errorf("the name of call %s is %q", index.Raw, name)
		case name != "":
			r.calls = append(r.calls, toldCall{id: call.Get("id").String(), name: name})
		}
		r.calls[index.Int()].input += call.Get("function.arguments").String() + call.Get("custom.input").String()
	}
	r.stop = choices[0].Get("finish_reason").String()
	return nil
}
