package translate

import (
	"strings"

	"github.com/tidwall/gjson"
)

// responseHead is what a Responses stream announced of its response, kept for
// the case that the gateway must end it.
type responseHead struct {
	id, model, createdAt []byte // JSON values
	sequence             int64  // the highest number seen
	numbered             bool   // there was one
}

// reset forgets everything but the memory.
func (h *responseHead) reset() {
	*h = responseHead{id: h.id[:0], model: h.model[:0], createdAt: h.createdAt[:0]}
}

// announce takes over what a response object says.
func (h *responseHead) announce(response gjson.Result) {
	response.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "id":
			h.id = keepValue(h.id, value, gjson.String)
		case "model":
			h.model = keepValue(h.model, value, gjson.String)
		case "created_at":
			h.createdAt = keepValue(h.createdAt, value, gjson.Number)
		}
		return true
	})
}

// keepValue replaces kept by the JSON of value if that is of the right type
// and of a size that ids and names have.
func keepValue(kept []byte, value gjson.Result, want gjson.Type) []byte {
	if value.Type != want || len(value.Raw) > 256 {
		return kept
	}
	return append(kept[:0], value.Raw...)
}

// sequenceIs notes a sequence number, if number is one.
func (h *responseHead) sequenceIs(number []byte) {
	if len(number) == 0 || len(number) > 15 || digits(number) < len(number) {
		return
	}
	var n int64
	for _, digit := range number {
		n = 10*n + int64(digit-'0')
	}
	h.sequence = max(h.sequence, n)
	h.numbered = true
}

// responsesEvent interprets an event of OpenAI's Responses.
func (w *Watcher) responsesEvent(name, data []byte) {
	root := parse(data)
	var event responsesFields
	event.read(root)
	w.response.sequenceIs([]byte(event.sequence.Raw))
	switch kind := kindOf(name, event.kind); kind {
	case "response.created", "response.in_progress", "response.queued":
		w.response.announce(event.response)
	case "response.output_item.added":
		if kind := event.item.Get("type").Str; kind != "" && kind != "message" && kind != "reasoning" {
			w.contents++
		}
	case "response.output_item.done", "response.image_generation_call.partial_image":
		w.contents++
	case "response.completed", "response.incomplete":
		w.end(event.response)
		if isError(event.response.Get("error")) {
			w.failAs(kind, event.response)
			return
		}
		w.contents++
		w.whole = true
	case "response.failed", "response.cancelled":
		w.end(event.response)
		w.failAs(kind, event.response)
	case "error":
		w.failWith(data)
	default:
		switch {
		case strings.HasSuffix(kind, ".delta"):
			w.delta(data, &event)
		case !strings.HasPrefix(kind, "response.") && isError(root.Get("error")):
			w.failWith(data)
		}
	}
}

// delta counts a delta unless it is empty.
func (w *Watcher) delta(data []byte, event *responsesFields) {
	switch {
	case event.delta.Type == gjson.String && event.delta.Str != "":
		w.contents++
		w.learn(data, event.delta)
		w.pattern.add(numberHole, event.sequence)
		w.pattern.add(anyHole, event.obfuscation)
	case event.delta.Type == gjson.JSON && !isEmpty(event.delta):
		w.contents++
	}
}

// end takes over the last state of the response.
func (w *Watcher) end(response gjson.Result) {
	w.ended = true
	if u, ok := responsesUsage(response.Get("usage")); ok {
		w.usage, w.usageKnown = u, true
	}
}

// failAs notes the error of a response that ended with an event of kind.
func (w *Watcher) failAs(kind string, response gjson.Result) {
	e, ok := readError(response)
	if !ok {
		e.Message = "the upstream ended the stream with " + kind
	}
	w.fail(e)
}

// responsesFields are the members of an event that matter.
type responsesFields struct {
	kind, sequence, delta, obfuscation, item, response gjson.Result
}

func (f *responsesFields) read(root gjson.Result) {
	root.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "type":
			f.kind = value
		case "sequence_number":
			f.sequence = value
		case "delta":
			f.delta = value
		case "obfuscation":
			f.obfuscation = value
		case "item":
			f.item = value
		case "response":
			f.response = value
		}
		return true
	})
}
