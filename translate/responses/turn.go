package responses

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// input writes the turns as items, each where it stands in the conversation:
// instructions too, since a later one does not mean the same at the beginning.
func (w *body) input() *translate.Error {
	w.raw(`,"input":[`)
	for i := range w.c.Turns {
		if e := w.turn(w.c.Turns[i]); e != nil {
			return e
		}
	}
	if w.items == 0 {
		return translate.Refuse(w.c.Param(translate.SettingTurns), "has nothing to answer")
	}
	w.wantsJSON()
	w.raw("]")
	return nil
}

func (w *body) turn(t translate.Turn) *translate.Error {
	blocks := w.c.BlocksOf(t)
	for i := range blocks {
		if e := w.block(t, i, &blocks[i]); e != nil {
			return e
		}
	}
	w.closeMessage()
	// OpenAI refuses a thought without what it led to.
	w.thought = nil
	return nil
}

func (w *body) block(t translate.Turn, i int, b *translate.Block) *translate.Error {
	switch b.Kind {
	case translate.KindText, translate.KindRefusal:
		w.spoken(t, b)
	case translate.KindThinking:
		w.think(b)
	case translate.KindToolCall:
		w.call(b)
	case translate.KindToolResult:
		return w.result(t, b)
	case translate.KindHosted:
		w.c.Losses.Add(w.c.Param(translate.SettingTurns)+".content."+b.Type.String(), translate.Dropped,
			"only its own vendor can read what it did")
	case translate.KindImage, translate.KindDocument:
		if t.Role == translate.Assistant {
			return translate.Refuse(w.c.At(t.Index, i), "the assistant cannot say anything but text")
		}
		w.part(t)
		return w.attachment(w.c.At(t.Index, i), b)
	default:
		return translate.Refuse(w.c.At(t.Index, i), "only its own vendor can read it")
	}
	return nil
}

// next begins the next item.
func (w *body) next() {
	w.closeMessage()
	if w.items > 0 {
		w.raw(",")
	}
	w.items++
}

// follow begins the next item of the assistant, behind the thought that led to
// it.
func (w *body) follow() {
	w.next()
	if len(w.thought) > 0 {
		w.dst = append(w.dst, w.thought...)
		w.thought = nil
		w.next()
	}
}

// part begins the next part of the turn's message.
func (w *body) part(t translate.Turn) {
	if w.open {
		w.raw(",")
		return
	}
	w.follow()
	w.open = true
	w.raw(`{"type":"message","role":"`)
	switch {
	case t.Role == translate.Assistant:
		w.raw("assistant")
	case t.Role == translate.User:
		w.raw("user")
	case t.Developer:
		w.raw("developer")
	default:
		w.raw("system")
	}
	w.raw(`","content":[`)
}

func (w *body) closeMessage() {
	if w.open {
		w.raw("]}")
		w.open = false
	}
}

// spoken writes a text, unless it is empty.
func (w *body) spoken(t translate.Turn, b *translate.Block) {
	if len(b.Text) == 0 {
		return
	}
	w.part(t)
	switch {
	case t.Role != translate.Assistant:
		w.raw(`{"type":"input_text","text":`)
	case b.Kind == translate.KindRefusal:
		w.raw(`{"type":"refusal","refusal":`)
	default:
		w.raw(`{"type":"output_text","text":`)
	}
	w.string(b.Text)
	w.raw("}")
}

// think keeps a thought for the item that it led to. Of two that follow on each
// other only the second has one: what stood between them is gone.
func (w *body) think(b *translate.Block) {
	if b.Sealer != w.t.Provider || string(b.Seal.Get("type").Text()) != "reasoning" {
		return
	}
	w.closeMessage()
	w.thought = b.Seal
}

// call writes a tool call. It gets no id of its own, which OpenAI would look up.
func (w *body) call(b *translate.Block) {
	w.follow()
	if b.Custom {
		w.raw(`{"type":"custom_tool_call","call_id":"`)
	} else {
		w.raw(`{"type":"function_call","call_id":"`)
	}
	w.callID(b.ID)
	w.raw(`","name":`)
	w.string(w.c.SentName(translate.Responses, b.Namespace, b.Name))
	if b.Custom {
		w.raw(`,"input":"`)
	} else {
		w.raw(`,"arguments":"`)
	}
	switch {
	case b.Input.JSON != nil:
		w.dst = rawjson.AppendEscaped(w.dst, b.Input.JSON)
	case !b.Custom && b.Input.Text.Blank():
		w.raw("{}")
	default:
		w.dst = append(w.dst, b.Input.Text...)
	}
	w.raw(`","status":"completed"}`)
}

// callID writes the inside of the string that is a call's id.
func (w *body) callID(id translate.Text) {
	if w.t.Quirks.OwnCallIDs {
		w.dst = translate.AppendOwnCallID(w.dst, id)
	} else {
		w.dst = translate.AppendCallID(w.dst, id)
	}
}

// failure begins the result of a tool that failed, for which there is no flag.
const failure = "Error: "

// result writes the result of a tool call: as a string where it is one text, and
// else in parts.
func (w *body) result(t translate.Turn, b *translate.Block) *translate.Error {
	w.next()
	if b.Custom {
		w.raw(`{"type":"custom_tool_call_output","call_id":"`)
	} else {
		w.raw(`{"type":"function_call_output","call_id":"`)
	}
	w.callID(b.ID)
	w.raw(`","output":`)
	parts := w.c.PartsOf(b)
	if len(parts) == 0 || len(parts) == 1 && parts[0].Kind == translate.KindText {
		w.raw(`"`)
		if b.Failed {
			w.raw(failure)
		}
		if len(parts) == 1 {
			w.dst = append(w.dst, parts[0].Text...)
		}
		w.raw(`"}`)
		return nil
	}
	w.raw("[")
	failed := b.Failed
	if failed && parts[0].Kind != translate.KindText {
		w.raw(`{"type":"input_text","text":"` + failure + `"},`)
		failed = false
	}
	for i := range parts {
		if i > 0 {
			w.raw(",")
		}
		if e := w.resultPart(t, &parts[i], failed); e != nil {
			return e
		}
		failed = false
	}
	w.raw("]}")
	return nil
}

func (w *body) resultPart(t translate.Turn, b *translate.Block, failed bool) *translate.Error {
	switch b.Kind {
	case translate.KindText, translate.KindRefusal:
		w.raw(`{"type":"input_text","text":"`)
		if failed {
			w.raw(failure)
		}
		w.dst = append(w.dst, b.Text...)
		w.raw(`"}`)
	case translate.KindToolReference:
		w.raw(`{"type":"input_text","text":"Tool loaded: `)
		w.dst = append(w.dst, w.c.SentName(translate.Responses, b.Namespace, b.Name)...)
		w.raw(`"}`)
	case translate.KindImage, translate.KindDocument:
		return w.attachment(w.c.At(t.Index, -1), b)
	default:
		return translate.Refuse(w.c.At(t.Index, -1), "only its own vendor can read it")
	}
	return nil
}

// attachment writes an image or a document as a part.
func (w *body) attachment(param string, b *translate.Block) *translate.Error {
	s := b.Source.Sniff()
	switch {
	case len(s.FileID) > 0:
		return translate.Refuse(param, "the file is kept at another vendor")
	case b.Kind == translate.KindImage:
		w.image(&s)
	case s.Plain != nil:
		w.plain(b)
	default:
		w.document(b, &s)
	}
	return nil
}

func (w *body) image(s *translate.Source) {
	w.raw(`{"type":"input_image","image_url":"`)
	if s.Base64 != nil {
		w.dst = s.AppendDataURL(w.dst, "image/png")
	} else {
		w.dst = append(w.dst, s.URL...)
	}
	w.raw(`"`)
	if len(s.Detail) > 0 {
		w.raw(`,"detail":`)
		w.string(s.Detail)
	}
	w.raw("}")
}

// plain writes a document of text, behind what is said about it.
func (w *body) plain(b *translate.Block) {
	w.raw(`{"type":"input_text","text":"`)
	for _, line := range []translate.Text{b.Name, b.Context} {
		if len(line) > 0 {
			w.dst = append(w.dst, line...)
			w.raw(`\n`)
		}
	}
	w.dst = append(w.dst, b.Source.Plain...)
	w.raw(`"}`)
}

func (w *body) document(b *translate.Block, s *translate.Source) {
	if len(b.Context) > 0 {
		w.raw(`{"type":"input_text","text":`)
		w.string(b.Context)
		w.raw("},")
	}
	if s.Base64 == nil {
		w.raw(`{"type":"input_file","file_url":`)
		w.string(s.URL)
		w.raw("}")
		return
	}
	w.raw(`{"type":"input_file","filename":`)
	if len(b.Name) > 0 {
		w.string(b.Name)
	} else {
		w.raw(`"document.pdf"`)
	}
	w.raw(`,"file_data":"`)
	w.dst = s.AppendDataURL(w.dst, "application/pdf")
	w.raw(`"}`)
}
