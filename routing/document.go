package routing

import (
	"bytes"
	"errors"
	"sort"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// document is one configuration file: its text, where its fields are, and what
// is wrong with it.
type document struct {
	file     string
	text     []byte
	newlines []int             // offsets of the line feeds in text
	lines    map[string]int    // field path -> line of its value
	rejected map[string]bool   // paths of fields whose value could not be decoded
	homes    map[string]string // misplaced top-level key -> where it belongs
	broken   bool              // there was an error
	errors   []Problem
	warnings []Problem
}

var (
	utf8Mark  = []byte{0xEF, 0xBB, 0xBF}
	utf16Mark = [][]byte{{0xFE, 0xFF}, {0xFF, 0xFE}}
)

// newDocument checks that a file holds one JSON object. What is wrong with it
// is in errors; then there is nothing to decode. homes are the hints for
// misplaced top-level keys.
func newDocument(file configFile, homes map[string]string) *document {
	// Editors on Windows put the mark before UTF-8 too, where it says nothing.
	d := &document{file: file.path, text: bytes.TrimPrefix(file.text, utf8Mark), lines: make(map[string]int), rejected: make(map[string]bool), homes: homes}
	if file.fault != "" {
		d.fail(Problem{Message: file.fault})
		return d
	}
	for i, c := range d.text {
		if c == '\n' {
			d.newlines = append(d.newlines, i)
		}
	}
	for _, mark := range utf16Mark {
		if bytes.HasPrefix(file.text, mark) {
			d.fail(Problem{Line: 1, Message: "is UTF-16", Fix: "save it as UTF-8"})
			return d
		}
	}
	var object strictjson.Object
	if err := object.Parse(d.text); err != nil {
		d.fail(syntaxProblem(d, err))
	}
	return d
}

// syntaxProblem places a parser's error.
func syntaxProblem(d *document, err error) Problem {
	var syntax *strictjson.Error
	if !errors.As(err, &syntax) {
		return Problem{Message: "is not a JSON object: " + err.Error()}
	}
	p := Problem{Line: d.lineAt(syntax.Offset), Message: "is not a JSON object: " + syntax.Reason}
	switch {
	case len(bytes.TrimSpace(d.text)) == 0:
		p.Message = "is empty"
	case strings.HasPrefix(string(d.text[min(syntax.Offset, len(d.text)):]), "/"):
		p.Fix = "JSON has no comments"
	}
	return p
}

// lineAt is the line, counted from 1, of a byte of the text.
func (d *document) lineAt(offset int) int {
	return 1 + sort.SearchInts(d.newlines, offset)
}

// fail records an error of this file.
func (d *document) fail(p Problem) {
	p.File = d.file
	d.broken = true
	d.errors = append(d.errors, p)
}

// failAt records an error of a field, on the line where the field is or, where
// it is missing, on that of the object that lacks it.
func (d *document) failAt(field, message, fix string) {
	d.fail(Problem{Line: d.lineOf(field), Field: field, Message: message, Fix: fix})
}

// warnAt records a warning of a field.
func (d *document) warnAt(field, message, fix string) {
	d.warnings = append(d.warnings, Problem{File: d.file, Line: d.lineOf(field), Field: field, Message: message, Fix: fix})
}

// has reports whether a field is there and was decoded, so that it is worth a
// look at what its value says.
func (d *document) has(field string) bool {
	_, there := d.lines[field]
	return there && !d.rejected[field]
}

// lineOf is the line of a field or of what it lies in.
func (d *document) lineOf(field string) int {
	for {
		if line, ok := d.lines[field]; ok {
			return line
		}
		cut := strings.LastIndexAny(field, ".[")
		if cut < 0 {
			return d.lines[""]
		}
		field = field[:cut]
	}
}
