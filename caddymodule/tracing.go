package caddymodule

import (
	"bytes"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// tracing is what a request leaves in traces, below the span that Caddy's tracing
// directive has for it: one span for the request and below that one for each upstream
// call, with the names of OpenTelemetry's conventions for generative AI. Usage is on
// the call that answered only, or whoever adds it up would count it twice. Nothing that
// a client or a model wrote is in them, but for the name of the model.
//
// The spans are made when the request is over, with the times at which things happened,
// so that a request without a trace has no part of this.
type tracing struct {
	parent  oteltrace.Span
	request []attribute.KeyValue // what each call asks for
	answer  answerFacts
}

// instrumentation names the module in traces.
const instrumentation = "github.com/caddy-llm-proxy/caddy-llm-proxy"

// startTrace notes whether the request leaves a trace.
func (x *exchange) startTrace() {
	span := oteltrace.SpanFromContext(x.r.Context())
	x.ownTrace = span.SpanContext().IsValid()
	if span.IsRecording() {
		x.tracing = &tracing{parent: span}
	}
}

// endTrace writes the spans of a request that ends now.
func (x *exchange) endTrace(now time.Time) {
	a := &x.account
	tracer := x.tracing.parent.TracerProvider().Tracer(instrumentation, oteltrace.WithInstrumentationVersion(version))
	asked, outcome := noModel, x.outcome()
	if a.logical != "" {
		asked = a.logical
	}
	ctx, span := tracer.Start(x.r.Context(), "llm_proxy "+asked,
		oteltrace.WithTimestamp(x.trace.began), oteltrace.WithSpanKind(oteltrace.SpanKindInternal),
		oteltrace.WithAttributes(
			attribute.String("llm_proxy.request_id", x.id),
			attribute.String("llm_proxy.client", x.clientName()),
			attribute.String("llm_proxy.protocol", string(x.endpoint.protocol)),
			attribute.String("llm_proxy.asked", a.model),
			attribute.Int("llm_proxy.attempts", len(a.attempts)),
			attribute.String("llm_proxy.outcome", outcome),
			attribute.Int("http.response.status_code", x.trace.status),
		))
	switch outcome {
	case logging.OutcomeError, logging.OutcomePartial:
		failed(span, a.class)
	}
	var answered *routing.Attempt
	if a.answered {
		answered = a.last()
	}
	for i := range a.attempts {
		at := &a.attempts[i]
		end := at.Start.Add(at.Duration)
		if at == answered && a.streamed {
			end = now
		}
		_, call := tracer.Start(ctx, x.operationName()+" "+at.Model,
			oteltrace.WithTimestamp(at.Start), oteltrace.WithSpanKind(oteltrace.SpanKindClient),
			oteltrace.WithAttributes(x.callAttributes(at)...))
		switch {
		case at == answered:
			call.SetAttributes(x.answerAttributes(at)...)
			if outcome == logging.OutcomePartial {
				failed(call, a.class)
			}
		case at.Class != "":
			failed(call, at.Class)
		}
		call.End(oteltrace.WithTimestamp(end))
	}
	span.End(oteltrace.WithTimestamp(now))
}

// failed marks a span with the class of a failure. What the upstream said stays out of
// it: its words may quote the prompt.
func failed(span oteltrace.Span, class routing.Class) {
	if class == "" {
		class = "_OTHER" // the conventions' word
	}
	span.SetAttributes(attribute.String("error.type", string(class)))
	span.SetStatus(codes.Error, "")
}

// operationName is what the conventions call the operation. They have no word for the
// counting of tokens.
func (x *exchange) operationName() string {
	switch x.endpoint.operation {
	case translate.Embed:
		return "embeddings"
	case translate.CountTokens:
		return "count_tokens"
	}
	return "chat"
}

// requestNumbers are members of requests that the conventions have a name for, where
// they are numbers. The first that a request has counts.
var requestNumbers = [...]struct {
	name    string
	whole   bool
	members []string
}{
	{"gen_ai.request.choice.count", true, []string{"n"}},
	{"gen_ai.request.max_tokens", true, []string{"max_completion_tokens", "max_output_tokens", "max_tokens"}},
	{"gen_ai.request.seed", true, []string{"seed"}},
	{"gen_ai.request.top_k", true, []string{"top_k"}},
	{"gen_ai.request.temperature", false, []string{"temperature"}},
	{"gen_ai.request.top_p", false, []string{"top_p"}},
	{"gen_ai.request.frequency_penalty", false, []string{"frequency_penalty"}},
	{"gen_ai.request.presence_penalty", false, []string{"presence_penalty"}},
	{"gen_ai.embeddings.dimension.count", true, []string{"dimensions"}},
}

// readRequest notes what a request asks for.
func (t *tracing) readRequest(q *routing.Request) {
	if q.Stream {
		t.request = append(t.request, attribute.Bool("gen_ai.request.stream", true))
	}
	for i := range requestNumbers {
		number := &requestNumbers[i]
		for _, member := range number.members {
			raw, _, found := q.Object.Get(member)
			if !found {
				continue
			}
			if whole, err := strconv.ParseInt(string(raw), 10, 64); number.whole && err == nil {
				t.request = append(t.request, attribute.Int64(number.name, whole))
			} else if value, err := strconv.ParseFloat(string(raw), 64); !number.whole && err == nil {
				t.request = append(t.request, attribute.Float64(number.name, value))
			}
			break
		}
	}
}

// callAttributes are those of every upstream call.
func (x *exchange) callAttributes(at *routing.Attempt) []attribute.KeyValue {
	host, port := at.Server()
	attributes := []attribute.KeyValue{
		attribute.String("gen_ai.operation.name", x.operationName()),
		attribute.String("gen_ai.provider.name", conventionalProvider(at.Provider)),
		attribute.String("gen_ai.request.model", at.Model),
		attribute.String("server.address", host),
		attribute.Int("server.port", port),
		attribute.String("llm_proxy.provider", at.Provider),
		attribute.String("llm_proxy.key_id", at.KeyID),
	}
	attributes = append(attributes, x.tracing.request...)
	if at.Status != 0 {
		attributes = append(attributes, attribute.Int("http.response.status_code", at.Status))
	}
	return attributes
}

// answerAttributes are those of the call that answered.
func (x *exchange) answerAttributes(at *routing.Attempt) []attribute.KeyValue {
	a, facts := &x.account, &x.tracing.answer
	var attributes []attribute.KeyValue
	if facts.id != "" {
		attributes = append(attributes, attribute.String("gen_ai.response.id", facts.id))
	}
	if facts.model != "" {
		attributes = append(attributes, attribute.String("gen_ai.response.model", facts.model))
	}
	reasons := facts.reasons
	if len(reasons) == 0 && a.class != "" {
		reasons = []string{"error"} // the conventions' word for one that did not come
	}
	if len(reasons) > 0 {
		attributes = append(attributes, attribute.StringSlice("gen_ai.response.finish_reasons", reasons))
	}
	if a.streamed {
		attributes = append(attributes, attribute.Float64("gen_ai.response.time_to_first_chunk", at.Duration.Seconds()))
	}
	if u := a.tokens; u.Total() > 0 {
		// The totals include their parts.
		attributes = append(attributes,
			attribute.Int64("gen_ai.usage.input_tokens", u.Input+u.CacheRead+u.CacheWrite),
			attribute.Int64("gen_ai.usage.output_tokens", u.Output+u.Reasoning),
			attribute.Int64("gen_ai.usage.cache_read.input_tokens", u.CacheRead),
			attribute.Int64("gen_ai.usage.cache_write.input_tokens", u.CacheWrite),
			attribute.Int64("gen_ai.usage.reasoning.output_tokens", u.Reasoning))
	}
	if a.estimated {
		attributes = append(attributes, attribute.Bool("llm_proxy.tokens_estimated", true))
	}
	if a.costKnown {
		attributes = append(attributes, attribute.Float64("llm_proxy.cost_usd", a.cost))
	}
	return attributes
}

// conventionalProvider is the conventions' word for a provider, by the name of its
// file, where they have one.
func conventionalProvider(id string) string {
	switch id {
	case "azure":
		return "azure.ai.openai"
	case "gemini":
		return "gcp.gemini"
	case "mistral":
		return "mistral_ai"
	case "xai":
		return "x_ai"
	}
	return id
}

// answerFacts are what an answer says of itself, as the client sees it.
type answerFacts struct {
	id, model string
	reasons   []string
}

// Bounds of what an answer may put into a trace.
const (
	maxFact    = 256
	maxReasons = 16
)

// readStream takes the facts out of whole events.
func (f *answerFacts) readStream(p translate.Protocol, events []byte) {
	for line := range bytes.Lines(events) {
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			f.read(p, data)
		}
	}
}

// read takes the facts out of an answer, or out of the data of an event.
func (f *answerFacts) read(p translate.Protocol, data []byte) {
	root := gjson.ParseBytes(data)
	for _, at := range []string{"response", "message"} { // events that hold the beginning, or the end, of an answer
		if inner := root.Get(at); inner.IsObject() {
			root = inner
			break
		}
	}
	if f.id == "" {
		f.id = bounded(root.Get("id"))
	}
	if f.model == "" {
		f.model = bounded(root.Get("model"))
	}
	switch p {
	case translate.Messages:
		f.addReason(root.Get("stop_reason"))
		f.addReason(root.Get("delta.stop_reason"))
	case translate.Responses:
		switch status := root.Get("status"); status.Str {
		case "incomplete":
			f.addReason(root.Get("incomplete_details.reason"))
		case "completed":
			if root.Get("output").Exists() { // items have a status too
				f.addReason(status)
			}
		}
	default:
		root.Get("choices").ForEach(func(_, choice gjson.Result) bool {
			f.addReason(choice.Get("finish_reason"))
			return true
		})
	}
}

func (f *answerFacts) addReason(reason gjson.Result) {
	if text := bounded(reason); text != "" && len(f.reasons) < maxReasons {
		f.reasons = append(f.reasons, text)
	}
}

func bounded(value gjson.Result) string {
	if value.Type != gjson.String || len(value.Str) > maxFact {
		return ""
	}
	return value.Str
}
