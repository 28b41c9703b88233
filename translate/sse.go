package translate

import "bytes"

const (
	// maxEvent bounds a line of a stream and the data of an event. Images and
	// opaque reasoning make events of megabytes; what is longer than this is
	// passed over without being interpreted.
	maxEvent = 32 << 20

	// maxKept bounds the memory that a reader keeps from one stream to the
	// next.
	maxKept = 64 << 10

	maxEventName = 64
)

// eventReader takes an event stream apart by the rules of WHATWG HTML 9.2.6,
// in whatever chunks it comes. It keeps nothing of a chunk but the event that
// the chunk leaves unfinished.
type eventReader struct {
	name []byte // of the event being read, or of the one that next has found
	data []byte // the same; it aliases chunk, line or joined
	held bool   // data aliases joined, and outlives the chunk

	hasData  bool // the event being read has a data field
	overlong bool // the event being read is too long to be interpreted
	skipped  bool // some event was
	found    bool // name and data are those of a finished event

	chunk []byte // being read
	at    int    // how much of chunk has been read
	lf    int    // if >= at: the next '\n' in chunk, or its length
	cr    int    // the same for '\r'

	line     []byte // the start of a line, from earlier chunks
	lineOpen bool   // there is such a start, kept or not
	cutLine  bool   // the stream was closed within a line
	torn     bool   // the stream was closed within a line or an event, and that makes no event
	begun    bool   // the first line is over; it may start with a BOM
	afterCR  bool   // the last byte was '\r', so a '\n' belongs to it

	joined []byte // data that had to be copied

	unfinished int // bytes since the last event ended
}

// reset prepares r for another stream.
func (r *eventReader) reset() {
	*r = eventReader{name: r.name[:0], line: reusable(r.line), joined: reusable(r.joined)}
}

// reusable returns b emptied, or nil if keeping it would pin too much.
func reusable(b []byte) []byte {
	if cap(b) > maxKept {
		return nil
	}
	return b[:0]
}

// feed gives r the next chunk. next must then be called until it is false.
func (r *eventReader) feed(chunk []byte) {
	r.chunk, r.at, r.lf, r.cr = chunk, 0, -1, -1
}

// next reads up to the end of the next event that has data; name and data are
// valid until it is called again. It returns false when the chunk is used up.
func (r *eventReader) next() bool {
	r.forget()
	for {
		line, ok := r.readLine()
		if !ok {
			r.keep()
			return false
		}
		if len(line) > 0 {
			r.field(line)
		} else if r.finish() {
			return true
		}
	}
}

// close treats what the stream's end leaves unfinished as finished. It returns
// whether that is an event with data. unfinished stays what it was.
func (r *eventReader) close() bool {
	r.forget()
	if r.lineOpen {
		r.cutLine = true
		if line := r.completeLine(nil); len(line) > 0 {
			r.field(line)
		}
	}
	unfinished, started := r.unfinished, r.cutLine || r.hasData || len(r.name) > 0
	found := r.finish()
	r.unfinished, r.torn = unfinished, started && !found
	return found
}

// forget drops the event that next has returned.
func (r *eventReader) forget() {
	if r.found {
		r.name, r.data, r.found = r.name[:0], nil, false
	}
}

// keep copies what the chunk leaves unfinished.
func (r *eventReader) keep() {
	if r.hasData && !r.held {
		r.joined = append(r.joined[:0], r.data...)
		r.data, r.held = r.joined, true
	}
	rest := r.chunk[r.at:]
	r.chunk = nil
	if len(rest) == 0 {
		return
	}
	r.unfinished += len(rest)
	if !r.lineOpen {
		r.line, r.lineOpen = r.line[:0], true
	}
	r.extendLine(rest)
}

// extendLine adds to the kept start of a line, unless that grows too long.
func (r *eventReader) extendLine(rest []byte) {
	if r.overlong || len(r.line)+len(rest) > maxEvent {
		r.overlong = true
		r.line = nil
		return
	}
	r.line = append(r.line, rest...)
}

// readLine returns the next line without its end. ok is false when the chunk
// has no further line end.
func (r *eventReader) readLine() (line []byte, ok bool) {
	if r.afterCR && r.at < len(r.chunk) {
		r.afterCR = false
		if r.chunk[r.at] == '\n' {
			r.at++
			if r.unfinished > 0 { // else it ends the event before
				r.unfinished++
			}
		}
	}
	end := r.lineEnd()
	if end == len(r.chunk) {
		return nil, false
	}
	line = r.chunk[r.at:end]
	r.unfinished += end + 1 - r.at
	r.at = end + 1
	r.afterCR = r.chunk[end] == '\r'
	if !r.lineOpen && r.begun {
		return line, true
	}
	return r.completeLine(line), true
}

// lineEnd returns the place of the next line end in the chunk, or its length.
// Either kind is searched for once, not once per line: a stream without '\r'
// pays one search per chunk for it, and one without '\n' the same.
func (r *eventReader) lineEnd() int {
	if r.lf < r.at {
		r.lf = indexFrom(r.chunk, r.at, '\n')
	}
	if r.cr < r.at {
		r.cr = indexFrom(r.chunk, r.at, '\r')
	}
	return min(r.lf, r.cr)
}

func indexFrom(b []byte, from int, c byte) int {
	if from < len(b) && b[from] == c {
		return from // every other line of a stream is empty
	}
	if n := bytes.IndexByte(b[from:], c); n >= 0 {
		return from + n
	}
	return len(b)
}

// completeLine handles a line that began in an earlier chunk, or that is the
// stream's first.
func (r *eventReader) completeLine(rest []byte) []byte {
	first := !r.begun
	r.begun = true
	line := rest
	if r.lineOpen {
		r.lineOpen = false
		r.extendLine(rest)
		if r.overlong {
			return []byte(":") // not empty, and of no meaning
		}
		line = r.line
	}
	if first {
		line = bytes.TrimPrefix(line, []byte("\uFEFF"))
	}
	return line
}

// field reads one line of an event.
func (r *eventReader) field(line []byte) {
	if len(line) > maxEvent {
		r.overlong = true
		return
	}
	if value, ok := fieldValue(line, "data"); ok {
		r.addData(value)
	} else if value, ok := fieldValue(line, "event"); ok {
		r.name = append(r.name[:0], value[:min(len(value), maxEventName)]...)
	}
}

// fieldValue returns the value of line if it is the field of that name. One
// space after the colon is not part of it.
func fieldValue(line []byte, name string) ([]byte, bool) {
	if len(line) < len(name) || string(line[:len(name)]) != name {
		return nil, false
	}
	value := line[len(name):]
	if len(value) == 0 {
		return value, true
	}
	if value[0] != ':' {
		return nil, false
	}
	if len(value) > 1 && value[1] == ' ' {
		return value[2:], true
	}
	return value[1:], true
}

// addData takes a data field. Several of one event are joined by line feeds.
func (r *eventReader) addData(value []byte) {
	if !r.hasData {
		r.data, r.held, r.hasData = value, false, true
		return
	}
	if len(r.data)+1+len(value) > maxEvent {
		r.overlong = true
		return
	}
	if !r.held {
		r.joined = append(r.joined[:0], r.data...)
	}
	r.joined = append(append(r.joined, '\n'), value...)
	r.data, r.held = r.joined, true
}

// tooLong reports whether an event was too long to be interpreted, or is already.
func (r *eventReader) tooLong() bool { return r.skipped || r.overlong }

// finish ends the event being read. It returns whether it is one to look at.
func (r *eventReader) finish() bool {
	r.skipped = r.skipped || r.overlong
	r.found = r.hasData && len(r.data) > 0 && !r.overlong
	if !r.found {
		r.name, r.data = r.name[:0], nil
	}
	r.hasData, r.held, r.overlong, r.unfinished = false, false, false, 0
	return r.found
}

// LooksLikeEventStream reports whether first, the first bytes of a body, may
// begin an event stream. Upstreams label streams with wrong content types and
// put error objects and web pages under the right one. As long as the bytes
// tell nothing yet, the answer is true.
func LooksLikeEventStream(first []byte) bool {
	const bom = "\uFEFF"
	if len(first) < len(bom) && bytes.HasPrefix([]byte(bom), first) {
		return true
	}
	line := bytes.TrimLeft(bytes.TrimPrefix(first, []byte(bom)), "\r\n")
	end := bytes.IndexAny(line, "\r\n")
	whole := end >= 0
	if whole {
		line = line[:end]
	}
	name, _, hasColon := bytes.Cut(line, []byte{':'})
	for _, field := range []string{"", "data", "event", "id", "retry"} {
		if string(name) == field || !whole && !hasColon && bytes.HasPrefix([]byte(field), name) {
			return true
		}
	}
	return false
}
