package caddymodule

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Log says where what became of each request is kept: who asked for what, which
// provider answered, what was tried before, tokens and times. Keys are not in it, and
// prompts and answers only where Bodies says so.
type Log struct {
	// The SQLite database, which is made with mode 0600. A relative path is below
	// the working directory; placeholders such as {env.LOG_DIR} are filled in. Its
	// directory must exist. Empty: nothing is kept.
	SQLite string `json:"sqlite,omitempty"`

	// The PostgreSQL database instead: postgres://user:password@host:5432/database
	// or host=... user=... password=... dbname=.... Placeholders are filled in;
	// write what is secret as {env.X} or {file./path}, so that it is seen nowhere.
	// In a URL such a password must be percent-encoded. The tables are made in the
	// schema llm_proxy, unless there is a search_path.
	Postgres string `json:"postgres,omitempty"`

	// The file that takes requests while PostgreSQL does not, until it is back.
	// It is made with mode 0600; its directory must exist. Default: one for each
	// database in the directory llm_proxy of Caddy's application data.
	Spill string `json:"spill,omitempty"`

	// For how long requests are kept. Default: 30 days. Negative: without limit.
	Retain caddy.Duration `json:"retain,omitempty"`

	// How large the database may become; beyond that the oldest requests go.
	// Default: 1 GiB. At least 1 MiB.
	MaxSize Size `json:"max_size,omitempty"`

	// Whether what clients and models say is kept. Default: it is not.
	Bodies *Bodies `json:"bodies,omitempty"`

	dsn string // Postgres with its placeholders filled in; it stays out of what is exported
}

// What a log keeps that says nothing of it.
const (
	standardRetain  = 30 * 24 * time.Hour
	standardMaxSize = 1 << 30
	shortestRetain  = time.Minute
	smallestMaxSize = 1 << 20 // an empty database has a tenth of it; all rows would be too many
)

// setDefaults fills in what is not set.
func (l *Log) setDefaults() error {
	switch {
	case l.SQLite == "" && l.Postgres == "" && (l.Retain != 0 || l.MaxSize != 0 || l.Bodies.kept()):
		return errors.New("log: retain, max_size and bodies need a database; write log sqlite <file> or log postgres <dsn>")
	case l.SQLite != "" && l.Postgres != "":
		return errors.New("log: it is kept in one database, either sqlite or postgres")
	case l.Spill != "" && l.Postgres == "":
		return errors.New("log: spill is for what PostgreSQL does not take; write log postgres <dsn>")
	}
	if l.Retain == 0 {
		l.Retain = caddy.Duration(standardRetain)
	}
	switch {
	case l.Retain > 0 && time.Duration(l.Retain) < shortestRetain:
		return fmt.Errorf("log: retain: must be at least %v", shortestRetain)
	case l.MaxSize != 0 && l.MaxSize < smallestMaxSize:
		return fmt.Errorf("log: max_size: must be at least %v", Size(smallestMaxSize))
	}
	if l.MaxSize == 0 {
		l.MaxSize = standardMaxSize
	}
	if l.Bodies == nil {
		l.Bodies = new(Bodies)
	}
	if err := l.Bodies.setDefaults(); err != nil {
		return err
	}
	if l.Postgres == "" {
		return nil
	}
	return l.findServer()
}

// findServer fills in the placeholders of the data source name, and the spill.
func (l *Log) findServer() error {
	dsn, err := caddy.NewReplacer().ReplaceOrErr(l.Postgres, true, true)
	if err != nil {
		return fmt.Errorf("log postgres: %w", err)
	}
	place, err := logging.Place(dsn)
	if err != nil {
		return fmt.Errorf("log postgres: %w", err)
	}
	l.dsn = dsn
	if l.Spill == "" {
		directory := filepath.Join(caddy.AppDataDir(), "llm_proxy")
		if err := os.MkdirAll(directory, 0o700); err != nil {
			return fmt.Errorf("log: making the directory of the spill; write spill <file> for another: %w", err)
		}
		sum := sha256.Sum256([]byte(place))
		l.Spill = filepath.Join(directory, fmt.Sprintf("spill-%x.db", sum[:4]))
	}
	return nil
}

// requestLogs are the open logs by the key of their options, over configurations.
var requestLogs = caddy.NewUsagePool()

// sharedLog is a log in its pool.
type sharedLog struct{ *logging.Log }

// Destruct writes what waits, for at most 5 s.
func (s sharedLog) Destruct() error {
	if err := s.Close(); err != nil {
		// Caddy's own logger: that of the configuration may have ended with it.
		caddy.Log().Named("http.handlers.llm_proxy").Error("closing the request log", zap.Error(err))
	}
	logs.retire(s.Log)
	return nil
}

// openLog finds or opens the handler's request log. Of one that is open already
// the settings stay as they are until the configuration has started: see
// configureLogs.
func (rt *runtime) openLog(h *Handler) error {
	key, options, err := h.Log.options()
	if err != nil || key == "" {
		return err
	}
	options.Logger = h.logger
	value, _, err := requestLogs.LoadOrNew(key, func() (caddy.Destructor, error) {
		opened, err := logging.Open(options)
		if err == nil {
			logs.add(opened)
		}
		return sharedLog{opened}, err
	})
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	rt.closers = append(rt.closers, func() { _, _ = requestLogs.Delete(key) })
	rt.log = value.(sharedLog).Log
	return nil
}

// configureLogs gives each open log the settings of the newest handler that has it.
// It is called when a configuration has started, and when one ends: so those of one
// that is rejected are never in force, or, if it fails after it has started, no
// longer.
func (l *handlerList) configureLogs() {
	done := make(map[*logging.Log]bool)
	for _, h := range slices.Backward(l.all()) {
		log := h.current.Load().log
		if log == nil || done[log] {
			continue
		}
		done[log] = true
		_, options, err := h.Log.options()
		if err != nil {
			continue // it was opened with them, so the working directory is gone
		}
		options.Logger = h.logger
		log.Configure(options)
	}
}

// logStarter configures the logs once a configuration has started.
type logStarter struct{}

// Handle implements caddyevents.Handler.
func (logStarter) Handle(context.Context, caddy.Event) error {
	live.configureLogs()
	return nil
}

// Interface guard
var _ caddyevents.Handler = logStarter{}

// options are how the log is opened, and by what an open one is known. No key: none
// is kept.
func (l *Log) options() (key string, o logging.Options, err error) {
	o = logging.Options{
		Retain:  max(time.Duration(l.Retain), 0),
		MaxSize: int64(l.MaxSize),
		// Also where bodies are off now: there may be some of before.
		RetainBodies: time.Duration(l.Bodies.Retain),
	}
	switch {
	case l.Postgres != "":
		if o.Spill, err = filepath.Abs(l.Spill); err != nil {
			return "", o, fmt.Errorf("log: resolving %s: %w", l.Spill, err)
		}
		// With its password, so that a new one is used from the next reload on.
		// Nobody is told the sum.
		o.DSN = l.dsn
		return fmt.Sprintf("postgres %x", sha256.Sum256([]byte(l.dsn+"\n"+o.Spill))), o, nil
	case l.SQLite != "":
		if o.Path, err = filepath.Abs(l.SQLite); err != nil {
			return "", o, fmt.Errorf("log: resolving %s: %w", l.SQLite, err)
		}
	}
	return o.Path, o, nil
}

// trace is what the request log and the metrics want to know beside the account of a
// request.
type trace struct {
	began    time.Time
	reading  time.Duration // of the body
	first    time.Duration // to the first byte of an answer, which has shown content then
	contents int           // pieces of content of a stream, by its end
	atFirst  int           // those of them that there were when it began
	status   int           // that the client was sent
	in, out  int64         // bytes of the bodies
	left     bool          // the client could not be written to
	warnings string
	skipped  []routing.Skip
}

// record adds the request to the log, now being when it ended.
func (x *exchange) record(now time.Time) {
	t, a := &x.trace, &x.account
	r := &logging.Record{
		ID:       x.id,
		Start:    t.began,
		Total:    now.Sub(t.began),
		First:    t.first,
		Client:   x.clientName(),
		Endpoint: x.r.URL.Path,
		Protocol: string(x.endpoint.protocol),
		Asked:    a.model,
		Status:   t.status,
		Class:    string(a.class),
		Outcome:  x.outcome(),
		Streamed: a.streamed,
		BytesIn:  t.in,
		BytesOut: t.out,
		Warnings: t.warnings,
	}
	if x.client != nil {
		r.ClientKey = x.client.Hash[:8]
	}
	if a.answered {
		last := a.last()
		r.Provider, r.Model, r.KeyID, r.UpstreamProtocol = last.Provider, last.Model, last.KeyID, string(a.upstream)
		r.Tokens = logging.Tokens{
			Input: a.tokens.Input, CacheRead: a.tokens.CacheRead, CacheWrite: a.tokens.CacheWrite,
			Output: a.tokens.Output, Reasoning: a.tokens.Reasoning, Estimated: a.estimated,
		}
		r.Cost, r.CostKnown = a.cost, a.costKnown
	}
	if len(a.attempts) > 0 {
		// Of the first one: what comes between attempts is no waiting in a queue.
		r.Queue = max(a.attempts[0].Start.Sub(t.began), 0)
	}
	for i := range a.attempts {
		at := &a.attempts[i]
		r.Attempts = append(r.Attempts, logging.Attempt{
			Provider: at.Provider, Model: at.Model, KeyID: at.KeyID, Start: at.Start, Duration: at.Duration,
			Status: at.Status, Class: string(at.Class), Reason: at.Reason, Cooled: at.Cooled,
		})
	}
	for i := range t.skipped {
		s := &t.skipped[i]
		r.Skipped = append(r.Skipped, logging.Skip{Provider: s.Provider, Model: s.Model, Why: string(s.Why), Reason: s.Reason})
	}
	r.Bodies = x.bodies()
	x.runtime.add(r)
}

// outcome is how the request ended, in the log's words.
func (x *exchange) outcome() string {
	switch a := &x.account; {
	case a.class == routing.ClientGone, x.trace.left:
		return logging.OutcomeClientClosed
	case !a.answered:
		if x.endpoint.operation == translate.CountTokens && x.trace.status < 400 && x.trace.status != 0 {
			return logging.OutcomeOK // by an estimate
		}
		return logging.OutcomeError
	case a.class != "":
		return logging.OutcomePartial
	}
	return logging.OutcomeOK
}
