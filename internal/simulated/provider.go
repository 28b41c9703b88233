package simulated

import (
	"bytes"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Config says how a Provider behaves. The zero value answers everybody, at once.
type Config struct {
	// Models are the names that the model list shows. Default: DefaultModels.
	// Other names are answered too, unless they begin with "demo-" and hold an
	// unknown word; listing such a name makes it known.
	Models []string

	// Delay is the time before the first event of an answer and between its
	// events; a whole answer comes after one Delay. Default: none. The word
	// "slow" of a request takes its place.
	Delay time.Duration

	// Keys are the accepted API keys, each with the words of what its requests
	// shall get ("ok", "429-7", "slow+cut"), as in a model name. Words of the
	// key overrule those of the request. Any other key, or none, is answered
	// with 401. Empty accepts every request.
	Keys map[string]string

	// Log, if set, is called with every request before it is answered, also with
	// those that are refused. It may be called from several goroutines at once.
	Log func(Record)
}

// DefaultModels are the models that a Provider lists if its Config names none.
var DefaultModels = []string{
	"demo", "demo-tools", "demo-thinking", "demo-json", "demo-slow", "demo-long",
	"demo-429", "demo-500", "demo-cut", "demo-error-late", "demo-silent",
}

// MaxBody is the size in bytes above which a request is answered with 413.
const MaxBody = 32 << 20

// Provider is a simulated provider. Use New to make one; it is safe for
// concurrent use and holds no goroutines.
type Provider struct {
	config Config
	pace   pace
	ledger ledger
	flaky  [maxFlaky + 1]atomic.Uint64 // requests seen, by how often they fail
}

// New returns a Provider. It panics if the mode of a key holds an unknown word,
// which is a mistake in the program that wrote it.
func New(config Config) *Provider {
	if len(config.Models) == 0 {
		config.Models = DefaultModels
	}
	for _, mode := range config.Keys {
		checkMode(mode)
	}
	return &Provider{
		config: config,
		pace:   pace{first: config.Delay, gap: config.Delay},
		ledger: ledger{tallies: make(map[string]*tally)},
	}
}

// Handles reports whether a request is for one of the provider's endpoints.
func (p *Provider) Handles(r *http.Request) bool {
	at, _ := find(r.Method, r.URL.Path)
	return at != nowhere
}

// Ledger returns what became of the requests so far, by API key.
func (p *Provider) Ledger() map[string]Count { return p.ledger.counts() }

// ServeHTTP answers a request. Broken and abandoned answers end in a panic with
// http.ErrAbortHandler, which net/http turns into a broken connection.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at, model := find(r.Method, r.URL.Path)
	key := credential(r.Header)
	x := &exchange{
		p: p, w: w, r: r,
		proto: protocolOf(at, r.Header),
		key:   key,
		id:    newID(),
		now:   time.Now(),
		tally: p.ledger.begin(key),
	}
	defer func() { x.tally.end(r.Context().Err() != nil) }()
	x.identify()
	body, err := readBody(w, r)
	p.record(r, key, body)
	switch {
	case tooLarge(err):
		x.fail(failures["413"], -1)
	case err != nil: // the client broke off
		panic(http.ErrAbortHandler)
	case !p.accepts(key):
		x.fail(failures["401"], -1)
	default:
		x.answer(at, model, body)
	}
}

func (p *Provider) accepts(key string) bool {
	if len(p.config.Keys) == 0 {
		return true
	}
	_, ok := p.config.Keys[key]
	return ok
}

// succeeds reports whether a flaky provider answers this time.
func (p *Provider) succeeds(flaky int) bool {
	return int((p.flaky[flaky].Add(1)-1)%uint64(flaky+1)) == flaky
}

func (p *Provider) record(r *http.Request, key, body string) {
	if p.config.Log == nil {
		return
	}
	p.config.Log(Record{
		Method: r.Method,
		Path:   r.URL.Path,
		Query:  r.URL.RawQuery,
		Header: r.Header.Clone(),
		Body:   []byte(body),
		Key:    key,
		Done:   r.Context().Done(),
	})
}

// buffers lends the memory in which requests are read and answers are built.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled is the size in bytes above which a buffer is not kept.
const maxPooled = 1 << 20

func release(b *bytes.Buffer) {
	if b.Cap() <= maxPooled {
		b.Reset()
		buffers.Put(b)
	}
}

func readBody(w http.ResponseWriter, r *http.Request) (string, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return "", nil
	}
	b := buffers.Get().(*bytes.Buffer)
	defer release(b)
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, MaxBody))
	return b.String(), err
}

func tooLarge(err error) bool {
	var limit *http.MaxBytesError
	return errors.As(err, &limit)
}

// Interface guard
var _ http.Handler = (*Provider)(nil)
