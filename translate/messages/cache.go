package messages

import "github.com/caddy-llm-proxy/caddy-llm-proxy/translate"

// maxMarks is how many breakpoints of the prompt cache a request may have, in
// tools, system, messages and at the top together.
const maxMarks = 4

// marks writes those that are allowed. More are refused, so the first ones go:
// each later one covers what the earlier ones do.
type marks struct {
	over  int  // how many are still to be left out
	short bool // one of five minutes has been written
}

// countMarks finds out how many marks there are too many.
func (w *body) countMarks() {
	n := 0
	count := func(cache translate.Cache) {
		if cache != translate.CacheNone {
			n++
		}
	}
	for i := range w.c.Tools {
		if tool := &w.c.Tools[i]; w.offers(tool) {
			count(tool.Cache)
		}
	}
	for _, pieces := range [][]piece{w.system, w.pieces} {
		for i := range pieces {
			count(w.cacheOf(&pieces[i]))
		}
	}
	count(w.c.Cache)
	w.marks = marks{over: max(0, n-maxMarks)}
}

// cacheOf is the mark of a piece. Those within a tool result are for all of it.
func (w *body) cacheOf(p *piece) translate.Cache {
	if p.block == filler {
		return translate.CacheNone
	}
	b := &w.c.Blocks[p.block]
	switch b.Kind {
	case translate.KindThinking:
		return translate.CacheNone // refused, and then for good: the client sends it again
	case translate.KindToolResult:
		cache := b.Cache
		for i := range w.c.PartsOf(b) {
			cache = max(cache, w.c.PartsOf(b)[i].Cache)
		}
		return cache
	}
	return b.Cache
}

// mark writes a mark, if there is one and not too many.
func (w *body) mark(cache translate.Cache) {
	switch {
	case cache == translate.CacheNone:
		return
	case w.marks.over > 0:
		w.marks.over--
		return
	}
	if cache == translate.Cache1h && !w.marks.short {
		w.raw(`,"cache_control":{"type":"ephemeral","ttl":"1h"}`)
		return
	}
	// A longer time behind a shorter one is refused.
	w.marks.short = true
	w.raw(`,"cache_control":{"type":"ephemeral"}`)
}
