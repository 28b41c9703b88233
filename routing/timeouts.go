package routing

import (
	"cmp"
	"time"
)

// Timeouts bounds the waits of one attempt. In a file each is a number of
// seconds or a text such as "90s" or "1m30s". 0: not set, so that the next
// less specific place decides.
type Timeouts struct {
	// Connect is how long a connection, with TLS, may take to be made.
	Connect time.Duration `json:"connect" config:"duration"`

	// FirstContent is how long the first content of a stream may take. Set
	// in a file, it also bounds the wait for an answer that is not streamed,
	// which comes only when the model is done. A model that thinks for
	// minutes before it says a word needs minutes here.
	FirstContent time.Duration `json:"first_content" config:"duration"`

	// Idle is how long a stream may go without new content. Pings and
	// comments are none.
	Idle time.Duration `json:"idle" config:"duration"`

	// Total is how long an attempt may take from its start to its last byte;
	// in a model's own timeouts, how long all attempts of a request together
	// may take.
	Total time.Duration `json:"total" config:"duration"`
}

// or fills what is not set from less.
func (t Timeouts) or(less Timeouts) Timeouts {
	return Timeouts{
		Connect:      cmp.Or(t.Connect, less.Connect),
		FirstContent: cmp.Or(t.FirstContent, less.FirstContent),
		Idle:         cmp.Or(t.Idle, less.Idle),
		Total:        cmp.Or(t.Total, less.Total),
	}
}

// orSilence fills in the two waits that timeout_seconds stands for.
func (t Timeouts) orSilence(d time.Duration) Timeouts {
	return t.or(Timeouts{FirstContent: d, Idle: d})
}
