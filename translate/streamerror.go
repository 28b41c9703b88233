package translate

import (
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// AppendStreamError appends what ends a stream that broke, in its protocol: an
// error event, so that no client takes the answer for whole. It closes w.
//
// Where the stream broke inside of an event, that event is ended first, so
// that the error is an event of its own. Clients then meet half an event:
// those of Messages pass over it, those of the OpenAI protocols refuse it as
// the malformed JSON it is, which ends the stream with an error too, if a less
// telling one. A relay that holds back [Watcher.Unfinished] bytes, and then
// calls [Watcher.DropUnfinished], spares them that.
func (w *Watcher) AppendStreamError(dst []byte, e *Error) []byte {
	w.Close()
	if !w.dropped {
		dst = w.appendEventEnd(dst)
	}
	switch w.protocol {
	case Messages:
		dst = append(dst, "event: error\ndata: "...)
		dst = AppendError(dst, Messages, e, "")
	case Responses:
		dst = append(dst, "event: response.failed\ndata: "...)
		dst = w.appendFailedResponse(dst, e)
	default:
		dst = append(dst, "data: "...)
		dst = AppendError(dst, Chat, e, "")
	}
	return append(dst, "\n\n"...)
}

// AppendEventEnd appends, after Close, the empty line that the last event lacks:
// one that was whole but for it has been read, though clients pass over it. An
// event that was cut stays as it is.
func (w *Watcher) AppendEventEnd(dst []byte) []byte {
	if w.broken || w.reader.unfinished == 0 {
		return dst
	}
	return w.appendEventEnd(dst)
}

// appendEventEnd ends the line and the event in which the stream broke, if it
// did within one.
func (w *Watcher) appendEventEnd(dst []byte) []byte {
	if w.reader.cutLine || w.reader.afterCR {
		dst = append(dst, '\n')
	}
	if w.broken && w.protocol == Messages {
		// The last name counts, and a ping's data is not looked at.
		dst = append(dst, "event: ping\n"...)
	}
	if w.reader.unfinished > 0 {
		dst = append(dst, '\n')
	}
	return dst
}

// appendFailedResponse appends the event response.failed with a response that
// has every member that typed clients require.
func (w *Watcher) appendFailedResponse(dst []byte, e *Error) []byte {
	head := &w.response
	next := head.sequence + 1
	if !head.numbered {
		next = int64(w.events)
	}
	dst = append(dst, `{"type":"response.failed","sequence_number":`...)
	dst = strconv.AppendInt(dst, next, 10)
	dst = append(dst, `,"response":{"id":`...)
	dst = appendOr(dst, head.id, `"resp_unknown"`)
	dst = append(dst, `,"object":"response","created_at":`...)
	dst = appendOr(dst, head.createdAt, "0")
	dst = append(dst, `,"status":"failed","error":{"code":`...)
	dst = rawjson.AppendString(dst, e.ResponsesCode())
	dst = append(dst, `,"message":`...)
	dst = rawjson.AppendString(dst, e.Message)
	dst = append(dst, `},"incomplete_details":null,"instructions":null,"max_output_tokens":null,"metadata":{},"model":`...)
	dst = appendOr(dst, head.model, `""`)
	return append(dst, `,"output":[],"parallel_tool_calls":true,"previous_response_id":null,"reasoning":null,"store":false,`+
		`"temperature":null,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":null,"truncation":"disabled","usage":null}}`...)
}

func appendOr(dst, value []byte, fallback string) []byte {
	if len(value) == 0 {
		return append(dst, fallback...)
	}
	return append(dst, value...)
}

// ResponsesCode returns the code that a failed response of the Responses API
// tells; it always has one.
func (e *Error) ResponsesCode() string {
	if _, code := e.openAIKind(); code != "" {
		return code
	}
	return "server_error"
}
