package caddymodule

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// logSkipped tells the operator which providers were passed over: their customers
// may be paying for a dearer one all the time.
func (x *exchange) logSkipped(q *routing.Request, skipped []routing.Skip) {
	for i := range skipped {
		s := &skipped[i]
		if c := x.handler.logger.Check(zapcore.DebugLevel, "upstream skipped"); c != nil {
			c.Write(zap.String("uuid", x.id), zap.String("client", x.clientName()), zap.String("asked_model", q.Model),
				zap.String("provider", s.Provider), zap.String("model", s.Model), zap.String("why", string(s.Why)),
				zap.String("param", s.Param), zap.String("reason", s.Reason))
		}
	}
}

// logAttempts tells the operator what was tried in vain. What is the client's
// own mistake is nothing to be warned of.
func (x *exchange) logAttempts(q *routing.Request, attempts []routing.Attempt) {
	for i := range attempts {
		a := &attempts[i]
		level := zapcore.DebugLevel
		switch a.Class {
		case routing.KeyDead, routing.RateLimited, routing.Broken, routing.ModelUnknown, routing.Local:
			level = zapcore.WarnLevel
		}
		c := x.handler.logger.Check(level, "upstream attempt")
		if c == nil {
			continue
		}
		c.Write(
			zap.String("uuid", x.id),
			zap.Int("attempt", i+1),
			zap.String("client", x.clientName()),
			zap.String("asked_model", q.Model),
			zap.String("provider", a.Provider),
			zap.String("model", a.Model),
			zap.String("key_id", a.KeyID),
			zap.Int("status", a.Status),
			zap.String("class", string(a.Class)),
			zap.String("reason", a.Reason),
			zap.Duration("duration", a.Duration),
			zap.Duration("key_rests", a.Cooled),
		)
	}
}
