package translate

import (
	"bytes"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// What things cost beside their text, in hundredths of a token; fitted to
// Claude's counts.
const (
	requestCost    = 500
	turnCost       = 400    // a message or item
	callCost       = 3_000  // a tool call
	resultCost     = 2_000  // a tool result
	toolCost       = 1_500  // a tool definition
	toolsCost      = 42_000 // the instructions that come with the first tool, at Anthropic
	forcedCost     = 9_000  // more of them, when a tool is forced
	thinkingCost   = 2_800  // a thinking budget
	schemaCost     = 18_000 // a schema for the answer
	citationsCost  = 60_000 // citations, once
	quotedCost     = 60     // a string within JSON
	bracketCost    = 40     // an object or array within JSON
	opaqueByteCost = 25     // a byte of encrypted content

	imageCost = 160_000 // an image or page, and the most an image costs
	pageBytes = 60_000  // of base64, of a typical page
)

// EstimateTokens estimates how many input tokens a request of protocol p
// takes, for upstreams that cannot count. It counts what the model reads:
// system prompt, text, thinking, tool definitions, tool calls and results,
// images by Anthropic's formula of width times height / 750, and documents by
// their size. It is never less than 1.
//
// On recorded requests with Claude's own count beside them it is within 25 %
// for most. Expect that for prose, code and JSON, and worse where the text is
// no guide: short requests with tools (the vendor's own instructions
// dominate), tools that run at the vendor, PDF files, images behind a URL
// (taken for 1,600 tokens). Models whose tokenizer differs from Claude 4's
// differ by as much: Claude Opus 4.7 and later count up to 35 % more.
//
// body must be valid JSON of at most [strictjson.MaxDepth] levels; of anything
// else only a start is counted. The time is linear in its length.
func EstimateTokens(p Protocol, body []byte) int64 {
	e := estimator{protocol: p, doc: body, cost: requestCost}
	e.run()
	return max(1, e.cost/100)
}

// estimator walks over a request once, without recursion: what the model reads
// is, in all protocols, the strings under some names and the JSON under others.
type estimator struct {
	protocol Protocol
	doc      []byte
	cost     int64
	stack    [strictjson.MaxDepth]scope
	depth    int

	tools, cited bool // there was a tool, a request for citations
}

// scope is an object or array being walked over.
type scope struct {
	reading reading
	array   bool
	key     []byte // the member being read
	inKey   bool   // the next string is a name
}

// reading says what of a value reaches the model.
type reading uint8

const (
	nothing   reading = iota
	request           // the root: what its members say
	settings          // only a schema in it
	choice            // the tool choice
	turns             // a list of messages or items
	toolList          // a list of tools, and each of them
	content           // strings, but for what names and refers
	citations         // whether they are enabled
	verbatim          // everything, names and brackets too
)

func (e *estimator) run() {
	for i := 0; i < len(e.doc); i++ {
		switch c := e.doc[i]; c {
		case '{', '[':
			if !e.open(c == '[') {
				return
			}
		case '}', ']':
			if e.depth--; e.depth <= 0 {
				return
			}
		case ',':
			if e.depth > 0 {
				e.top().inKey = !e.top().array
			}
		case '"':
			n := rawjson.QuoteEnd(e.doc[i+1:])
			if n < 0 || e.depth == 0 {
				return
			}
			e.text(e.doc[i+1 : i+1+n])
			i += 1 + n
		case ':', ' ', '\n', '\r', '\t':
		default:
			if e.depth > 0 {
				e.bare(c)
			}
		}
	}
}

// bare handles one character of a number or literal.
func (e *estimator) bare(c byte) {
	switch e.top().reading {
	case verbatim:
		e.cost += digitCost
	case citations:
		if c == 't' && !e.cited { // "enabled": true
			e.cited = true
			e.cost += citationsCost
		}
	}
}

func (e *estimator) top() *scope { return &e.stack[e.depth-1] }

// open begins an object or array. It returns false if that is too deep.
func (e *estimator) open(array bool) bool {
	if e.depth == len(e.stack) {
		return false
	}
	s := scope{reading: request, array: array, inKey: !array}
	if e.depth > 0 {
		parent := e.top()
		s.reading = parent.readingOf(view(parent.key))
		s.key = parent.key
		e.addOverhead(parent.reading, s.reading, array, view(parent.key))
	}
	e.stack[e.depth] = s
	e.depth++
	return true
}

// addOverhead adds what an object or array costs by being there.
func (e *estimator) addOverhead(parent, own reading, array bool, key string) {
	switch {
	case own == verbatim:
		e.cost += bracketCost
		if parent == settings && key == "schema" {
			e.cost += schemaCost
		}
	case array:
	case parent == turns:
		e.cost += turnCost
	case parent == toolList && key != "function":
		e.cost += toolCost
		if !e.tools && e.protocol == Messages {
			e.tools = true
			e.cost += toolsCost
		}
	}
}

// readingOf returns how the value of member key of s, or an element of s, is
// read when it is an object or array.
func (s *scope) readingOf(key string) reading {
	switch s.reading {
	case request:
		switch key {
		case "messages", "input":
			return turns
		case "system", "instructions", "prompt":
			return content
		case "tools", "functions":
			return toolList
		case "tool_choice":
			return choice
		case "output_config", "output_format", "response_format", "text", "thinking":
			return settings
		}
		return nothing
	case settings:
		if key == "schema" {
			return verbatim
		}
		return settings
	case turns:
		return content
	case toolList:
		switch key {
		case "input_schema", "parameters":
			return verbatim
		case "cache_control":
			return nothing
		}
		return toolList
	case content:
		switch key {
		case "input", "arguments", "action":
			return verbatim
		case "citations":
			return citations
		case "cache_control", "caller", "annotations", "logprobs", "audio":
			return nothing
		}
	}
	return s.reading
}

// text handles a string: the name of a member or a value.
func (e *estimator) text(raw []byte) {
	s := e.top()
	if s.inKey {
		s.inKey = false
		s.key = raw
		if s.reading == verbatim {
			e.cost += quotedCost + textSize(raw)
		}
		return
	}
	switch s.reading {
	case verbatim:
		e.cost += quotedCost + textSize(raw)
	case content:
		e.contentText(s, view(s.key), raw)
	case turns: // Responses takes bare strings
		e.cost += turnCost + textSize(raw)
	case toolList:
		e.toolText(view(s.key), raw)
	case choice:
		e.choose(raw)
	case settings:
		if string(raw) == "enabled" {
			e.cost += thinkingCost
		}
	case request:
		switch view(s.key) {
		case "system", "instructions", "prompt", "input":
			e.cost += turnCost + textSize(raw)
		case "tool_choice":
			e.choose(raw)
		}
	}
}

func (e *estimator) choose(how []byte) {
	switch string(how) {
	case "any", "tool":
		e.cost += forcedCost
	}
}

// contentText adds a string within a message.
func (e *estimator) contentText(s *scope, key string, raw []byte) {
	switch key {
	case "type":
		e.cost += blockCost(string(raw))
	case "role", "id", "tool_use_id", "tool_call_id", "call_id", "item_id", "media_type", "signature", "status", "detail", "phase", "filename", "mime_type", "page_age":
	case "file_id":
		e.cost += imageCost
	case "data", "file_data":
		e.cost += fileSize(raw)
	case "encrypted_content", "encrypted_index", "encrypted_stdout":
		e.cost += opaqueByteCost * int64(len(raw))
	case "url", "image_url", "file_url":
		e.cost += linkSize(key, view(e.outer().key), raw)
	default:
		e.cost += textSize(raw)
	}
}

// outer is the scope around the top one.
func (e *estimator) outer() *scope { return &e.stack[max(0, e.depth-2)] }

// blockCost is what a block of content costs by its type.
func blockCost(kind string) int64 {
	switch {
	case strings.HasSuffix(kind, "tool_use"), kind == "function", kind == "function_call", kind == "custom_tool_call":
		return callCost
	case strings.HasSuffix(kind, "tool_result"), strings.HasSuffix(kind, "_call_output"):
		return resultCost
	}
	return 0
}

// toolText adds a string of a tool definition.
func (e *estimator) toolText(key string, raw []byte) {
	if key != "type" {
		e.cost += textSize(raw)
		return
	}
	// The vendor's own tools bring definitions that the request does not show.
	for _, builtin := range []struct {
		prefix string
		cost   int64
	}{
		{"computer", 120000},
		{"web_search", 175000},
		{"web_fetch", 175000},
		{"code_execution", 150000},
		{"memory", 107000},
		{"text_editor", 70000},
		{"bash", 25000},
		{"tool_search", 15000},
	} {
		if bytes.HasPrefix(raw, []byte(builtin.prefix)) {
			e.cost += builtin.cost
			return
		}
	}
}

// linkSize is the size of what a link leads to.
func linkSize(key, outerKey string, raw []byte) int64 {
	if file, ok := bytes.CutPrefix(raw, []byte("data:")); ok {
		_, encoded, _ := bytes.Cut(file, []byte{','})
		return fileSize(encoded)
	}
	if key != "url" || outerKey == "source" || outerKey == "image_url" {
		return imageCost
	}
	return textSize(raw) // a link to read, in a search result
}

// fileSize is the size of an attached file, given in base64 or as text.
func fileSize(raw []byte) int64 {
	if file, ok := bytes.CutPrefix(raw, []byte("data:")); ok {
		_, raw, _ = bytes.Cut(file, []byte{','})
	}
	switch kind, width, height := sniffFile(raw); kind {
	case imageFile:
		if width <= 0 || height <= 0 {
			return imageCost
		}
		// Larger images are scaled down to about this many tokens first.
		const most = 1 << 15
		return min(imageCost, int64(min(width, most))*int64(min(height, most))*100/750)
	case pdfFile:
		return imageCost * int64(1+len(raw)/pageBytes)
	}
	if opaque(raw) {
		return 0 // redacted thinking, which the vendor leaves out of the count
	}
	return textSize(raw)
}

// opaque reports whether data looks like base64 rather than text.
func opaque(data []byte) bool {
	const enough = 64
	return len(data) >= enough && !bytes.ContainsAny(data[:enough], " \\")
}
