package caddymodule

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// bodyTimeout is how long a client may take to send its body. Caddy's own
// read_idle_timeout starts anew with each byte, so a drip would hold a
// connection for ever. Only tests change it.
var bodyTimeout = 30 * time.Second

// readBody reads the body whole, to its end. To the end matters twice: bytes
// that were left would hide a disconnect from net/http, and nothing may be
// sent upstream before all of it has been judged.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) (*routing.Body, *translate.Error) {
	if e := unreadableBody(r.Header); e != nil {
		return nil, e
	}
	limit := int64(h.MaxBody)
	if r.ContentLength > limit {
		return nil, h.tooLarge()
	}
	// Room is made for what was announced, but not more than 1 MiB before
	// that many bytes have come: a header costs the client nothing.
	body := routing.NewBody(int(min(max(r.ContentLength+1, 512), 1<<20)))
	source := r.Body
	if r.ContentLength < 0 {
		source = http.MaxBytesReader(w, r.Body, limit)
	}
	timed := timedReader{source: source, w: w}
	_, err := body.ReadFrom(&timed)
	timed.stop()
	if err != nil {
		body.Release()
		return nil, bodyError(r, err)
	}
	return body, nil
}

// timedReader bounds the time for a whole body, from its second read on. Most
// bodies come in one, which has Caddy's idle timeout and needs no other.
type timedReader struct {
	source     io.Reader
	w          http.ResponseWriter
	reads      int
	controller *http.ResponseController
}

// Read implements io.Reader.
func (t *timedReader) Read(p []byte) (int, error) {
	if t.reads++; t.reads == 2 {
		t.controller = http.NewResponseController(t.w)
		// Where a connection has no deadlines, Caddy's idle timeout still holds.
		_ = t.controller.SetReadDeadline(time.Now().Add(bodyTimeout))
	}
	return t.source.Read(p)
}

// stop lifts the deadline: net/http goes on reading in the background, to see
// whether the client leaves.
func (t *timedReader) stop() {
	if t.controller != nil {
		_ = t.controller.SetReadDeadline(time.Time{})
	}
}

// maxModelName bounds what a client may call a model. The name goes into logs
// and headers and, where a file takes any name, to the provider.
const maxModelName = 256

// unreadableBody refuses encodings that we would have to guess at.
func unreadableBody(h http.Header) *translate.Error {
	if encoding := h["Content-Encoding"]; len(encoding) > 0 && (len(encoding) > 1 || !strings.EqualFold(encoding[0], "identity")) {
		return &translate.Error{
			Status:  http.StatusUnsupportedMediaType,
			Message: "request bodies must not be compressed; send the body without Content-Encoding",
		}
	}
	if types := h["Content-Type"]; len(types) > 0 && !isJSON(types[0]) {
		return &translate.Error{
			Status:  http.StatusUnsupportedMediaType,
			Message: "the body must be JSON; send it with Content-Type: application/json",
		}
	}
	return nil
}

func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	media, parameters, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if media != "application/json" && !strings.HasSuffix(media, "+json") && media != "" {
		return false
	}
	// JSON is UTF-8 (RFC 8259 section 8.1); another charset is a client that
	// is about to be misread.
	charset := strings.ToLower(strings.TrimSpace(parameters))
	name, value, found := strings.Cut(charset, "=")
	if !found || strings.TrimSpace(name) != "charset" {
		return true
	}
	value = strings.Trim(strings.TrimSpace(value), `"`)
	return value == "utf-8" || value == "utf8" || value == "us-ascii"
}

func (h *Handler) tooLarge() *translate.Error {
	return &translate.Error{
		Status:  http.StatusRequestEntityTooLarge,
		Message: "the request body is larger than " + h.MaxBody.String() + "; the operator can raise max_body",
	}
}

// statusClientClosed is nginx's 499, as Caddy's reverse_proxy logs it.
const statusClientClosed = 499

// bodyError tells why a body could not be read. A client that has left does not
// hear it; one that is still there must not take silence for an answer.
func bodyError(r *http.Request, err error) *translate.Error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &translate.Error{
			Status:  http.StatusRequestEntityTooLarge,
			Message: "the request body is larger than " + Size(tooLarge.Limit).String() + "; the operator can raise the limit",
		}
	}
	// Caddy's request_body and its deadlines tell their status this way.
	var fromCaddy caddyhttp.HandlerError
	if errors.As(err, &fromCaddy) && fromCaddy.StatusCode >= 400 {
		return &translate.Error{Status: fromCaddy.StatusCode, Message: "the request body could not be read"}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &translate.Error{Status: http.StatusRequestTimeout, Message: "the request body did not arrive in time"}
	}
	e := &translate.Error{Status: http.StatusBadRequest, Message: "the request body could not be read to its end"}
	// What else goes wrong over HTTP/1 is a chunk that is none. Later versions end the
	// stream, or the connection, for whatever they cannot read.
	if r.ProtoMajor > 1 || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, new(*net.OpError)) {
		e.Status = statusClientClosed
	}
	return e
}

// readRequest checks the body and reads from it what routing needs to know.
// override is the model to ask instead of the body's; empty: the body's.
func readRequest(e endpoint, r *http.Request, body *routing.Body, object *strictjson.Object, override string) (*routing.Request, *translate.Error) {
	hop, looped := hopOf(r.Header)
	if looped {
		return nil, &translate.Error{
			Status:  http.StatusLoopDetected,
			Message: "the request has come back to this gateway; a provider's base_url leads to the gateway itself",
		}
	}
	if err := object.Parse(body.Bytes()); err != nil {
		return nil, invalid("", err.Error())
	}
	q := &routing.Request{
		Protocol:    e.protocol,
		Operation:   e.operation,
		Body:        body,
		Object:      object,
		Stream:      e.stream,
		ForceStream: e.stream,
		Header:      r.Header,
		Hop:         hop,
		Beta:        r.URL.RawQuery != "" && r.URL.Query().Get("beta") == "true",
	}
	var invalidModel *translate.Error
	if q.Model, q.Named, invalidModel = modelOf(object, override); invalidModel != nil {
		return nil, invalidModel
	}
	if raw, _, found := object.Get("stream"); found && !e.stream {
		switch string(raw) {
		case "true":
			q.Stream = true
		case "false", "null":
		default:
			return nil, invalid("stream", "\"stream\" must be true or false")
		}
	}
	if e.operation != translate.Generate {
		q.Stream = false
	}
	if raw, _, found := object.Get("n"); found && e.protocol == translate.Chat {
		// Anything but a number is for the provider to refuse.
		q.Choices, _ = strconv.Atoi(string(raw))
	}
	return q, translate.CheckRequest(e.protocol, e.operation, object)
}

// modelOf finds the model to ask, and how the body names it where that is another
// name. A body needs none where the operator has chosen.
func modelOf(object *strictjson.Object, override string) (model, named string, invalidModel *translate.Error) {
	raw, _, found := object.Get("model")
	switch {
	case !found && override != "":
		return override, "", nil
	case !found:
		return "", "", invalid("model", "the body has no \"model\"")
	}
	model, isString := strictjson.String(raw)
	if !isString || model == "" {
		return "", "", invalid("model", "\"model\" must be a non-empty string")
	}
	if !sane(model) {
		return "", "", invalid("model", "\"model\" is longer than 256 bytes or has control characters")
	}
	if override != "" && override != model {
		return override, model, nil
	}
	return model, "", nil
}

// sane reports whether a text may be a model's name.
func sane(model string) bool {
	return len(model) <= maxModelName && !strings.ContainsFunc(model, unicode.IsControl)
}

// override is the model that the operator's model_override chooses for the
// request; empty where it chooses none.
func (h *Handler) override(r *http.Request) (string, *translate.Error) {
	if h.ModelOverride == "" {
		return "", nil
	}
	replacer, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return "", nil
	}
	// Only what the operator wrote is ever expanded, and only once: what comes
	// out may be the client's, and a client that says {env.SECRET} asks for a
	// model of that name.
	model, err := replacer.ReplaceOrErr(h.ModelOverride, true, true)
	if err != nil {
		return "", nil // a placeholder is unknown or empty, so nothing is chosen
	}
	if !sane(model) {
		return "", invalid("model", "the model that model_override chooses is longer than 256 bytes or has control characters")
	}
	return model, nil
}

// hopOf reads how many gateways of this kind the request has passed.
func hopOf(h http.Header) (hop int, looped bool) {
	values := h[routing.HopHeader]
	if len(values) == 0 {
		return 0, false
	}
	hop, err := strconv.Atoi(values[0])
	return hop, err != nil || hop < 0 || hop >= routing.MaxHops
}

func invalid(param, message string) *translate.Error {
	return &translate.Error{Status: http.StatusBadRequest, Param: param, Message: message}
}
