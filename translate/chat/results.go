package chat

import (
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// writeResults writes what the tools that an assistant's turn calls returned,
// each as a message.
func (w *requestWriter) writeResults(t *translate.Turn) *translate.Error {
	for i := t.From; i < t.To; i++ {
		call := &w.c.Blocks[i]
		if call.Kind != translate.KindToolCall {
			continue
		}
		result := &w.c.Blocks[w.c.Partner(i)]
		if e := w.checkParts(result); e != nil {
			return e
		}
		w.begin("tool")
		w.dst = append(w.dst, `,"tool_call_id":"`...)
		w.writeCallID(call.ID)
		w.dst = append(w.dst, `","content":`...)
		w.writeReturned(result)
		w.end()
	}
	return nil
}

// checkParts refuses a result with something in it that cannot be told.
func (w *requestWriter) checkParts(result *translate.Block) *translate.Error {
	parts := w.c.PartsOf(result)
	for i := range parts {
		switch b := &parts[i]; b.Kind {
		case translate.KindText, translate.KindToolReference, translate.KindHosted, translate.KindThinking, translate.KindRefusal:
		case translate.KindImage, translate.KindDocument:
			if reason := w.unreachable(b); reason != "" {
				return translate.Refuse(w.resultParam(result), reason)
			}
		default:
			return translate.Refuse(w.resultParam(result), "Chat Completions has nothing like \""+b.Type.String()+"\"")
		}
	}
	return nil
}

// resultParam names the message that a result stands in.
func (w *requestWriter) resultParam(result *translate.Block) string {
	for _, t := range w.c.Turns {
		for i := t.From; i < t.To; i++ {
			if &w.c.Blocks[i] == result {
				return w.c.At(t.Index, -1)
			}
		}
	}
	return w.c.Param(translate.SettingTurns)
}

// writeReturned writes the content of a tool message.
func (w *requestWriter) writeReturned(result *translate.Block) {
	parts := w.c.PartsOf(result)
	images := false
	for i := range parts {
		images = images || parts[i].Kind == translate.KindImage
	}
	if images && w.t.Quirks.ToolImages || w.parts && len(parts) > 0 {
		w.writeReturnedParts(result, parts)
		return
	}
	w.dst = append(w.dst, '"')
	w.writeReturnedText(result, parts)
	w.dst = append(w.dst, '"')
}

// failure is put before what a tool returned as an error, since there is no
// other mark for it.
const failure = "Error: "

// writeReturnedText writes the inside of a string with all that a tool returned.
func (w *requestWriter) writeReturnedText(result *translate.Block, parts []translate.Block) {
	if result.Failed {
		w.dst = append(w.dst, failure...)
	}
	for i := range parts {
		if i > 0 {
			w.dst = append(w.dst, `\n`...)
		}
		w.writeReturnedPart(result, &parts[i], i)
	}
}

// writeReturnedPart writes one part as the inside of a string. An attachment is
// put aside for a message of the user: in a tool message it is refused, or never
// seen.
func (w *requestWriter) writeReturnedPart(result, b *translate.Block, at int) {
	switch b.Kind {
	case translate.KindToolReference:
		w.dst = append(w.dst, "Tool loaded: "...)
		w.dst = append(w.dst, w.c.SentName(translate.Chat, b.Namespace, b.Name)...)
	case translate.KindImage, translate.KindDocument:
		if b.Source.Plain != nil {
			w.writeDocumentText(b)
			return
		}
		w.aside = append(w.aside, result.From+at)
		w.writeLabel(b.Kind, len(w.aside))
		w.dst = append(w.dst, " (in the next message)"...)
	default:
		w.dst = append(w.dst, b.Text...)
	}
}

// writeLabel writes the inside of a string that names an attachment.
func (w *requestWriter) writeLabel(kind translate.Kind, number int) {
	if kind == translate.KindImage {
		w.dst = append(w.dst, "[image "...)
	} else {
		w.dst = append(w.dst, "[file "...)
	}
	w.dst = strconv.AppendInt(w.dst, int64(number), 10)
	w.dst = append(w.dst, ']')
}

// writeReturnedParts writes the content of a tool message as a list, for targets
// that know images or cache breakpoints there.
func (w *requestWriter) writeReturnedParts(result *translate.Block, parts []translate.Block) {
	w.dst = append(w.dst, '[')
	if result.Failed {
		w.dst = append(w.dst, `{"type":"text","text":"`+failure+`"},`...)
	}
	for i := range parts {
		b := &parts[i]
		if b.Kind == translate.KindImage && w.t.Quirks.ToolImages {
			w.writeAttachment(b)
			continue
		}
		w.dst = append(w.dst, `{"type":"text","text":"`...)
		w.writeReturnedPart(result, b, i)
		w.dst = append(w.dst, '"')
		if i == len(parts)-1 {
			w.writeMark(result.Cache)
		}
		w.dst = append(w.dst, "},"...)
	}
	w.endParts()
}

// showAside writes a message of the user with what tools returned beside text, and
// the instructions that wait for one.
func (w *requestWriter) showAside() {
	if len(w.aside)+len(w.notes) == 0 {
		return
	}
	w.begin("user")
	w.dst = append(w.dst, `,"content":[`...)
	w.writeAside()
	w.writeNotes(w.notes)
	w.notes = w.notes[:0]
	w.endParts()
	w.end()
}

// writeAside writes what was put aside as parts, each with a comma.
func (w *requestWriter) writeAside() {
	for i, part := range w.aside {
		b := &w.c.Parts[part]
		w.dst = append(w.dst, `{"type":"text","text":"`...)
		w.writeLabel(b.Kind, i+1)
		w.dst = append(w.dst, `"},`...)
		w.writeAttachment(b)
	}
	w.aside = w.aside[:0]
}

// unreachable says why the target cannot get at an image or document, or "".
func (w *requestWriter) unreachable(b *translate.Block) string {
	switch s := &b.Source; {
	case s.FileID != nil:
		return "a file that was uploaded to one vendor is not there at another"
	case s.URL != nil && b.Kind == translate.KindDocument:
		return "Chat Completions takes files as data, not by URL"
	}
	if b.Cited {
		w.c.Losses.Add(w.c.Param(translate.SettingTurns)+".content.citations", translate.Dropped,
			"models of Chat Completions do not cite documents")
	}
	return ""
}

// writeAttachment writes an image or document as a part, and a comma.
func (w *requestWriter) writeAttachment(b *translate.Block) {
	source := b.Source.Sniff()
	switch s := &source; {
	case b.Kind == translate.KindImage && !s.IsPDF():
		w.dst = append(w.dst, `{"type":"image_url","image_url":{"url":"`...)
		if s.Base64 != nil {
			w.dst = s.AppendDataURL(w.dst, "image/png")
		} else {
			w.dst = append(w.dst, s.URL...)
		}
		w.dst = append(w.dst, '"')
		w.writeDetail(s.Detail)
		w.dst = append(w.dst, '}')
	case s.Plain != nil:
		w.dst = append(w.dst, `{"type":"text","text":"`...)
		w.writeDocumentText(b)
		w.dst = append(w.dst, '"')
	default:
		w.dst = append(w.dst, `{"type":"file","file":{"filename":`...)
		if len(b.Name) > 0 {
			w.dst = rawjson.AppendText(w.dst, b.Name)
		} else {
			w.dst = append(w.dst, `"document.pdf"`...)
		}
		w.dst = append(w.dst, `,"file_data":"`...)
		w.dst = s.AppendDataURL(w.dst, "application/pdf")
		w.dst = append(w.dst, `"}`...)
	}
	w.writeMark(b.Cache)
	w.dst = append(w.dst, "},"...)
}

// writeDetail writes the wish for a resolution.
func (w *requestWriter) writeDetail(detail translate.Text) {
	switch string(detail) {
	case "low", "high", "auto":
	case "original": // the Responses API's, and better than what it falls back to
		detail = translate.Text("high")
	default:
		return
	}
	w.dst = append(w.dst, `,"detail":`...)
	w.dst = rawjson.AppendText(w.dst, detail)
}

// writeDocumentText writes the inside of a string with a text document, its
// title and what the client says about it.
func (w *requestWriter) writeDocumentText(b *translate.Block) {
	for _, line := range []translate.Text{b.Name, b.Context} {
		if len(line) > 0 {
			w.dst = append(w.dst, line...)
			w.dst = append(w.dst, `\n\n`...)
		}
	}
	w.dst = append(w.dst, b.Source.Plain...)
}
