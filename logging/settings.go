package logging

import (
	"time"

	"go.uber.org/zap"
)

// settings are what may change while the log is open. They are never written to, but
// exchanged.
type settings struct {
	retain, retainBodies time.Duration
	maxSize              int64
	logger               *zap.Logger
}

// settingsOf returns those that options have.
func settingsOf(o *Options) *settings {
	return &settings{o.Retain, o.RetainBodies, o.MaxSize, o.Logger}
}

// Configure gives an open log the Retain, RetainBodies, MaxSize and Logger of these
// options; all else is for Open only. Rows that they do not keep go within seconds.
// It waits for nothing, and may be called at any time.
func (l *Log) Configure(o Options) {
	o.setDefaults()
	l.settings.Store(settingsOf(&o))
	if l.spill != nil {
		// Not MaxSize: it takes nothing more rather than lose what did not come home.
		l.spill.to.Configure(Options{Retain: o.Retain, RetainBodies: o.RetainBodies, Logger: o.Logger})
	}
}

// logger is whom the writer tells.
func (w *writer) logger() *zap.Logger { return w.log.settings.Load().logger }

// adopt takes up settings that are new, and tells whether they are.
func (w *writer) adopt() (changed bool) {
	now := w.log.settings.Load()
	changed = now != w.settings
	if changed {
		w.settings = now
		w.surplus = 0 // was for another size
	}
	return changed
}
