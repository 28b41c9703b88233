package routing

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Failure is why no upstream answered: what the client is told.
type Failure struct {
	// Class is what decided.
	Class Class
	// Err is the error for the client, in no protocol yet.
	Err translate.Error
	// Body is the provider's own error body where it speaks the client's
	// protocol and the mistake is the client's, so that not a word of it is
	// lost: agents read these texts. nil: encode Err.
	Body []byte
	// Permanent says that another try makes no sense until the operator has
	// done something.
	Permanent bool
	// RetryAfter is when another try makes sense, 0 when nobody knows.
	RetryAfter time.Duration
	// Logical is the logical name of the model that was asked for; empty when no
	// model answers to what the client wrote.
	Logical string
	// Attempts are all upstream calls of the request.
	Attempts []Attempt
	// Skipped are the candidates that were passed over.
	Skipped []Skip
}

// OfRequest reports whether the request itself is at fault, by the word of a
// provider or because it names no model: another upstream or an estimate would
// not help.
func (f *Failure) OfRequest() bool {
	if f.Class == ModelUnknown {
		return len(f.Attempts) == 0
	}
	return f.Class.ofRequest() && len(f.Attempts) > 0
}

// failure is what the client is told when nothing answered.
func (w *walk) failure(now time.Time) *Failure {
	f := &Failure{Attempts: w.attempts, Skipped: w.skipped}
	if !w.rests.until.IsZero() {
		f.RetryAfter = max(w.rests.until.Sub(now), time.Second)
	}
	if w.told == nil && w.rests.until.IsZero() {
		w.told = w.unsendable()
	}
	if w.told == nil {
		return w.untried(f)
	}
	told := w.told
	f.Class = told.class
	f.Err = translate.Error{
		Status:  told.class.statusFor(told.standsFor()),
		Type:    told.err.Type,
		Code:    told.err.Code,
		Param:   told.err.Param,
		Message: told.message(),
	}
	switch told.class {
	case ContextTooLong:
		// The code makes the words those that the client's agents know.
		f.Err.Code, f.RetryAfter = "context_length_exceeded", 0
		if translate.SaysContextTooLong(w.request.Protocol, told.err) {
			f.Body = told.body
		}
	case InvalidRequest, ContentPolicy:
		f.RetryAfter = 0
		if w.request.Protocol != translate.Messages || !f.Err.AnswerTooLong() {
			f.Body = told.body
		}
	case RateLimited:
		if f.RetryAfter == 0 {
			f.RetryAfter = max(told.resetAfter, time.Second)
		}
	case KeyDead:
		// What the provider said may name the account, and is nothing that
		// the caller could mend.
		f.Err = translate.Error{Status: told.class.statusFor(told.standsFor()), Message: "the provider refused this gateway's key; its operator has been told by the log"}
	case Broken:
		// What seems ill is asked all the same when nothing else is left, so a
		// client need not wait for a breaker; but it has to for keys, where a
		// rule of the provider's file has put all of them to rest.
		f.Err.Type, f.Err.Code = "", ""
		f.RetryAfter = max(told.resetAfter, w.untilUsable(now), time.Second)
	case ModelUnknown:
		f.Err.Code = "model_not_found"
	}
	return f
}

// untilUsable is how long all keys of all candidates rest from now on, 0 if one of
// them does not.
func (w *walk) untilUsable(now time.Time) time.Duration {
	soonest, known := time.Duration(0), false
	for _, c := range w.plan.candidates {
		if !c.serves(w.request) {
			continue
		}
		if at, _, _, ok := c.pool.Soonest(now, c.upstreamModel(w.request)); ok && (!known || at.Sub(now) < soonest) {
			soonest, known = at.Sub(now), true
		}
	}
	return max(soonest, 0)
}

// untried tells why not a single attempt was made.
func (w *walk) untried(f *Failure) *Failure {
	keyless := w.keyless()
	switch {
	case w.rests.limited:
		f.Class = RateLimited
		f.Err = translate.Error{Status: http.StatusTooManyRequests, Message: "every upstream key for this model is rate limited; try again later"}
	case !w.rests.until.IsZero():
		f.Class = Broken
		f.Err = translate.Error{Status: http.StatusServiceUnavailable, Message: "every upstream key for this model is resting after failures; try again later"}
	case len(keyless) > 0:
		f.Class, f.Permanent = Local, true
		f.Err = translate.Error{
			Status:  http.StatusServiceUnavailable,
			Code:    "no_upstream_key",
			Message: "no upstream key is set for model " + strconv.Quote(w.request.Model) + " (provider " + strings.Join(keyless, ", ") + ")",
		}
	case w.skippedFor(SkippedEndpoint):
		f.Class = InvalidRequest
		f.Err = translate.Error{
			Status:  http.StatusBadRequest,
			Code:    "unsupported_endpoint",
			Param:   "model",
			Message: "no provider of model " + strconv.Quote(w.request.Model) + " serves this endpoint",
		}
	default:
		f.Class, f.Permanent = Local, true
		f.Err = translate.Error{
			Status:  http.StatusServiceUnavailable,
			Code:    "no_usable_route",
			Message: "no route of model " + strconv.Quote(w.request.Model) + " is usable; the operator's log says why",
		}
	}
	return f
}

// UnknownModel is the failure of a request for a model that no file describes.
func UnknownModel(name string) *Failure {
	return &Failure{
		Class: ModelUnknown,
		Err: translate.Error{
			Status:  http.StatusNotFound,
			Code:    "model_not_found",
			Param:   "model",
			Message: "model " + strconv.Quote(shortened(name)) + " does not exist here; GET /v1/models lists the models",
		},
	}
}

// shortened keeps a name that a client made up from filling logs and answers.
func shortened(name string) string {
	if len(name) <= 128 {
		return name
	}
	return name[:128] + "..."
}
