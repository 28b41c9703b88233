package translate

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// Watcher observes one event stream while its bytes pass: whether it has
// content yet, what it used, whether it failed, and whether it was whole. It
// never changes a byte, and what it finds does not depend on how the stream is
// cut into chunks.
//
// The zero Watcher must be Reset before use. It serves one goroutine, and may
// be reset for another stream; then it does not allocate for common events. Of
// a stream it holds at most one event, up to 32 MiB of data; a longer one
// passes without being interpreted, but see [Watcher.Tap].
type Watcher struct {
	protocol Protocol
	reader   eventReader
	pattern  pattern
	closed   bool
	broken   bool // the stream was closed inside of an event
	torn     bool // see Torn
	dropped  bool // the event in which it was closed has not been passed on

	events   int
	contents int
	text     int64 // see Text
	ended    bool
	whole    bool // it ended well, as its protocol says
	stopped  bool // Messages: the model said why it stopped writing
	thinking bool // Messages: a thinking block is open

	hiddenThoughts int // Messages: pings inside of thinking blocks

	failed  bool
	failure Error
	surplus int  // bytes of the last chunk behind the event that failed the stream
	told    bool // see FailureTold

	usage      Usage // Chat and Responses
	usageKnown bool
	counts     messagesUsage // Messages

	choices  choices      // Chat
	response responseHead // Responses

	tap Tap
}

// Tap gets the events of a stream that a Watcher observes.
type Tap interface {
	// Event gets one event: its name, which may be empty, and its data, a
	// valid JSON object. Both are valid until it returns. It gets no event
	// that fails the stream, and none behind one.
	Event(name, data []byte)
}

// Reset prepares w for a stream of protocol p.
func (w *Watcher) Reset(p Protocol) {
	reader, pattern, response := w.reader, w.pattern, w.response
	reader.reset()
	pattern.n = 0
	response.reset()
	*w = Watcher{protocol: p, reader: reader, pattern: pattern, response: response}
}

// Expect tells w, after Reset, how many choices the client asked for (n of Chat
// Completions), so that the end of the first is not taken for that of all.
func (w *Watcher) Expect(choices int) { w.choices.expected = choices }

// Tap passes the stream's events to t, after Reset. An event that is no JSON, or
// too long to be read, then fails the stream: what it said is lost.
func (w *Watcher) Tap(t Tap) { w.tap = t }

// Write shows w the next bytes of the stream. It keeps no reference to chunk.
func (w *Watcher) Write(chunk []byte) {
	w.reader.feed(chunk)
	w.surplus = 0
	if w.failed {
		w.surplus = len(chunk)
	}
	last := w.failed // whether events are what follows the last word about a failure
	for w.reader.next() {
		failed := w.failed
		w.checkLength()
		w.event(w.reader.name, rawjson.Parse(w.reader.data))
		if !w.failed {
			continue
		}
		ends := w.endsFailure()
		if !failed || ends && !last {
			w.surplus = len(chunk) - w.reader.at
			w.told = ends
		}
		last = failed || ends
	}
	w.checkLength()
}

// checkLength fails a stream that somebody reads along with where an event is too
// long for that.
func (w *Watcher) checkLength() {
	if w.tap != nil && !w.ended && w.reader.tooLong() {
		w.fail(Error{Status: 502, Message: "the upstream sent an event that is too long"})
	}
}

// Close tells w that the stream is over. An event that lacks only the empty
// line after it is read all the same; one that was cut is not. Closing twice
// does no harm.
func (w *Watcher) Close() {
	if w.closed {
		return
	}
	w.closed = true
	w.broken = w.broken || w.reader.overlong
	if !w.reader.close() {
		w.torn = w.reader.torn
		return
	}
	data := rawjson.Parse(w.reader.data)
	if isDone(data) || wholeObject(data) {
		failed := w.failed
		w.event(w.reader.name, data)
		w.told = w.told || w.failed && !failed && w.endsFailure()
	} else {
		w.broken, w.torn = true, true
	}
}

// endsFailure reports whether the event that has just been read is the last word
// about a failure. Responses may say twice that it failed: by an error event, and
// then by the event that ends its streams.
func (w *Watcher) endsFailure() bool {
	if w.protocol != Responses {
		return true
	}
	name := string(w.reader.name)
	if name == "" {
		name = rawjson.Parse(w.reader.data).Get("type").Text().String()
	}
	return name == "response.failed"
}

// event interprets one event. Whatever follows the end of the answer is
// counted and not looked at.
func (w *Watcher) event(name, data []byte) {
	w.events++
	if w.ended {
		return
	}
	// What the pattern does not vouch for has to be read as a whole.
	if number, ok := w.pattern.match(data, w.tap != nil); ok {
		w.contents++
		w.text += int64(w.pattern.text)
		w.response.sequenceIs(number)
		w.pass(name, data)
		return
	}
	if w.tap != nil && bytes.HasPrefix(data, []byte{'{'}) && !rawjson.Valid(data) {
		w.fail(Error{Status: 502, Message: "the upstream sent an event that is not valid JSON"})
		return
	}
	if !wholeObject(data) {
		w.oddEvent(name, data)
		return
	}
	switch w.protocol {
	case Messages:
		w.messagesEvent(name, data)
	case Responses:
		w.responsesEvent(name, data)
	default:
		w.chatEvent(name, data)
	}
	w.pass(name, data)
}

// pass shows an event to whoever translates the stream.
func (w *Watcher) pass(name, data []byte) {
	if w.tap != nil && !w.failed {
		w.tap.Event(name, data)
	}
}

// oddEvent interprets an event whose data is no JSON object. Garbage is none
// of a Watcher's business: clients see it and decide for themselves.
func (w *Watcher) oddEvent(name, data []byte) {
	switch {
	case isDone(data):
		// The other protocols have no use for it, though some vendors send it.
		w.ended = w.protocol == Chat
		w.whole = w.ended
	case string(name) == "error":
		w.failWith(data)
	case bytes.HasPrefix(data, []byte{'['}):
		if e, ok := ParseError(data); ok {
			w.fail(e)
		}
	}
}

// fail notes the first failure of the stream.
func (w *Watcher) fail(e Error) {
	if w.failed {
		return
	}
	if e.Status == 0 {
		e.Status = 502
	}
	w.failed, w.failure = true, e
}

// failWith notes the error that an event carries.
func (w *Watcher) failWith(data []byte) {
	e, _ := ParseError(data)
	w.fail(e)
}

// Contents returns how many events had content so far. It grows with what the
// model writes, whether text, thinking, tool calls or a reason to stop, and
// not with comments, pings, announcements and empty deltas: so it tells both
// when a stream is committed and whether it is alive.
func (w *Watcher) Contents() int { return w.contents }

// Text returns how many bytes of text the events with content have brought, as they
// stand in JSON, whether the model thought it, said it or called a tool with it: what
// is known of its length before the upstream tells usage.
func (w *Watcher) Text() int64 { return w.text }

// TextOf returns the same of a whole answer, which has passed [CheckAnswer].
func TextOf(p Protocol, body []byte) int64 {
	var w Watcher
	w.Reset(p)
	w.Write(AppendReplay(nil, p, body))
	return w.text
}

// learn counts the text of an event that the pattern does not know, and makes it the
// pattern.
func (w *Watcher) learn(data []byte, text gjson.Result) {
	if text.Type == gjson.String {
		w.text += int64(len(text.Raw) - len(`""`))
	}
	w.pattern.learn(data, text)
}

// Alive returns how often the stream has shown that its model is at work. It
// grows with Contents, and with pings inside of a thinking block: a model that
// is told not to show its thinking may have nothing else to say for minutes.
func (w *Watcher) Alive() int { return w.contents + w.hiddenThoughts }

// Events returns how many events there were, of any kind.
func (w *Watcher) Events() int { return w.events }

// Finished reports that the model has stopped writing, though the stream's
// terminal event, and usage before it, may still be missing.
func (w *Watcher) Finished() bool {
	return w.ended || w.stopped || w.choices.finished()
}

// Ended reports that the protocol's terminal event was seen, good or bad:
// [DONE], message_stop, or a response's last state. Nothing after it matters.
func (w *Watcher) Ended() bool { return w.ended }

// Complete reports, after Close, whether the stream may be taken as whole. It
// never is after a failure or without any content, and else needs
//   - Chat: [DONE], or a finish_reason for every choice that was seen, since
//     several vendors send no [DONE];
//   - Messages: message_stop;
//   - Responses: response.completed or response.incomplete.
func (w *Watcher) Complete() bool {
	if w.failed || w.contents == 0 {
		return false
	}
	return w.whole || w.choices.finished()
}

// Failure returns the first error that the stream told of itself; its Status
// is never 0. That a stream was merely cut is not a failure, see Complete.
func (w *Watcher) Failure() (Error, bool) { return w.failure, w.failed }

// Surplus returns how many bytes of what was written last stand behind the event
// that failed the stream. A relay that ends its stream with the error leaves them
// out.
func (w *Watcher) Surplus() int { return w.surplus }

// FailureTold reports whether the stream has told its failure in the way in which
// its protocol ends: a bare error event is not the end in Responses.
func (w *Watcher) FailureTold() bool { return w.told }

// Usage returns the last usage that the stream reported.
func (w *Watcher) Usage() (Usage, bool) {
	if w.protocol == Messages {
		return w.counts.usage()
	}
	return w.usage, w.usageKnown
}

// Unfinished returns how many bytes have passed since the last event ended. A
// relay that holds these back never shows its client half an event.
func (w *Watcher) Unfinished() int { return w.reader.unfinished }

// Torn reports, after Close, that the stream was cut inside of an event, so that
// the bytes of Unfinished say nothing. A relay that held them back had better not
// pass them on.
func (w *Watcher) Torn() bool { return w.torn }

// DropUnfinished tells w that the bytes of Unfinished have been held back and
// will not be passed on, so that nothing has to be ended before an error.
func (w *Watcher) DropUnfinished() { w.reader.unfinished, w.dropped = 0, true }

// kindOf returns what kind an event is: its data says so, or else its name.
func kindOf(name []byte, kind gjson.Result) string {
	if kind.Type == gjson.String {
		return kind.Str
	}
	return view(name)
}

// isDone reports whether data is what ends a Chat stream. Like OpenAI's SDKs it
// looks at the start only.
func isDone(data []byte) bool { return bytes.HasPrefix(data, []byte("[DONE]")) }
