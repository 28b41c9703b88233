package simulated

import (
	"context"
	"net/http"
	"time"
)

// kind says what an event is to a fault.
type kind int

const (
	opening   kind = iota // comes before anything that the model says
	structure             // frames the content
	content               // carries a piece of what the model says
)

// stream sends the events of an answer one by one, at the wanted pace, and
// breaks where it was told to.
type stream struct {
	w     http.ResponseWriter
	ctl   *http.ResponseController
	ctx   context.Context // the request's: it ends when the client leaves
	enc   encoder
	fault fault
	tells failure // what an error event says
	ping  time.Duration
	pace  pace

	ticker *time.Ticker // keeps the pace once the first event is out; nil without a gap
	sent   bool         // whether an event was sent
	said   int          // content events sent
	middle int          // content events before the middle of the answer
	over   bool         // nothing more is sent
	broken bool         // and the answer must not look complete
}

// stream answers with events.
func (x *exchange) stream(b *behaviour, enc encoder, a *answer) {
	h := x.w.Header()
	h["Content-Type"] = mediaStream
	h["Cache-Control"] = noStore
	s := &stream{
		w: x.w, ctl: http.NewResponseController(x.w), ctx: x.r.Context(),
		enc: enc, fault: b.fault, tells: x.inBand(b), ping: b.ping, pace: b.pace,
	}
	if b.fault.at == amidContent {
		s.middle = max(a.countPieces()/2, 1)
	}
	if b.pace.first > 0 {
		x.flush() // a slow answer begins with its headers
	}
	enc.stream(s)
	if s.ticker != nil {
		s.ticker.Stop()
	}
	if s.broken {
		panic(http.ErrAbortHandler)
	}
}

// send writes and flushes one event and reports whether more may follow.
func (s *stream) send(k kind, event []byte) bool {
	if s.over {
		return false
	}
	if s.fault.how != intact && s.trips(k) {
		s.breakAt(event)
		return false
	}
	if !s.wait() || !s.put(event) {
		return false
	}
	if k == content {
		s.said++
	}
	return true
}

// trips reports whether the fault comes before an event of this kind.
func (s *stream) trips(k kind) bool {
	switch s.fault.at {
	case beforeAll:
		return true
	case beforeContent:
		return k != opening
	}
	return s.said >= s.middle
}

func (s *stream) breakAt(event []byte) {
	switch s.fault.how {
	case cut:
		s.broken = true
	case garble:
		s.put(append(append([]byte(nil), event[:len(event)*2/3]...), "\n\n"...))
	case inBand:
		if s.wait() {
			s.put(s.enc.failed(nil, s.tells))
		}
	case silence:
		s.keepSilent()
	}
	s.over = true
}

// keepSilent sends keep-alives until the client leaves.
func (s *stream) keepSilent() {
	s.broken = true
	_ = s.ctl.Flush() // the headers, should nothing have been sent
	if s.ping <= 0 {
		<-s.ctx.Done()
		return
	}
	for sleep(s.ctx, s.ping) && s.put([]byte(s.enc.keepAlive())) {
	}
}

// wait keeps the pace.
func (s *stream) wait() bool {
	alive := true
	switch {
	case !s.sent:
		alive = sleep(s.ctx, s.pace.first)
		if s.pace.gap > 0 {
			s.ticker = time.NewTicker(s.pace.gap)
		}
	case s.ticker != nil:
		select {
		case <-s.ctx.Done():
			alive = false
		case <-s.ticker.C:
		}
	}
	s.sent = true
	if !alive {
		s.over, s.broken = true, true
	}
	return alive
}

// put writes and flushes.
func (s *stream) put(event []byte) bool {
	if _, err := s.w.Write(event); err != nil {
		s.over, s.broken = true, true
		return false
	}
	if err := s.ctl.Flush(); err != nil {
		s.over, s.broken = true, true
		return false
	}
	return true
}
