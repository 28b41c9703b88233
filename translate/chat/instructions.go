package chat

import "github.com/caddy-llm-proxy/caddy-llm-proxy/translate"

// takesSystem reports whether the target takes system messages anywhere. Many
// templates of open models refuse them behind the first message, or read no more
// than one.
func (w *requestWriter) takesSystem() bool {
	return translate.Allows(w.t.Capabilities.SystemTurns, true)
}

// writeInstructions writes what stands before the conversation as one message,
// for targets that do not take more, and returns the index of the next turn.
func (w *requestWriter) writeInstructions() (next int, _ *translate.Error) {
	turns := w.c.Turns
	if w.takesSystem() || len(turns) == 0 || turns[0].Role != translate.System {
		return 0, nil
	}
	all := turns[0]
	for next < len(turns) && turns[next].Role == translate.System {
		if e := w.checkInstructions(&turns[next]); e != nil {
			return next, e
		}
		all.To = turns[next].To
		next++
	}
	return next, w.writeSystem(&all)
}

// checkInstructions refuses instructions that are no text.
func (w *requestWriter) checkInstructions(t *translate.Turn) *translate.Error {
	for i := t.From; i < t.To; i++ {
		if w.c.Blocks[i].Kind != translate.KindText {
			return invalid(w.c.At(t.Index, i-t.From), "the instructions of a system message must be text")
		}
	}
	return nil
}

// holdNotes holds back the instructions from turn i on, for the message of the
// user that they become part of, where the target does not take them where they
// stand. It returns the index of the next turn.
func (w *requestWriter) holdNotes(i int) (next int, _ *translate.Error) {
	if w.takesSystem() {
		return i, nil
	}
	for ; i < len(w.c.Turns) && w.c.Turns[i].Role == translate.System; i++ {
		t := &w.c.Turns[i]
		if e := w.checkInstructions(t); e != nil {
			return i, e
		}
		for block := t.From; block < t.To; block++ {
			if says(&w.c.Blocks[block]) {
				w.notes = append(w.notes, block)
			}
		}
	}
	return i, nil
}

// writeNotes writes instructions as marked parts of what the user says, each with
// a comma.
func (w *requestWriter) writeNotes(notes []int) {
	for _, note := range notes {
		b := &w.c.Blocks[note]
		w.dst = append(w.dst, `{"type":"text","text":"`+translate.ReminderStart...)
		w.dst = append(w.dst, b.Text...)
		w.dst = append(w.dst, translate.ReminderEnd+`"`...)
		w.writeMark(b.Cache)
		w.dst = append(w.dst, "},"...)
		w.c.Losses.Add(w.c.Param(translate.SettingTurns)+".role", translate.Changed,
			"instructions between the turns are sent as words of the user")
	}
}
