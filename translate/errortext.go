package translate

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPlainMessage is how many bytes of a body that is no JSON are repeated.
const maxPlainMessage = 200

// clip returns a copy of s of at most n bytes, cut between characters. The
// copy matters: s may alias a buffer that is used again.
func clip(s string, n int) string {
	if len(s) <= n {
		return strings.Clone(s)
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// describePage says what a body that is no JSON looks like, without repeating
// more of it than helps.
func describePage(body []byte) string {
	if len(body) == 0 {
		return "the upstream sent an empty body"
	}
	if body[0] == '<' {
		if title := pageTitle(body); title != "" {
			return "the upstream sent a web page: " + title
		}
		return "the upstream sent a web page"
	}
	if text := printable(body); text != "" {
		return "the upstream sent plain text: " + text
	}
	return "the upstream sent a body that is not JSON"
}

// pageTitle returns the title of an HTML page. Cloudflare and nginx put the
// status there.
func pageTitle(body []byte) string {
	body = body[:min(len(body), 4<<10)]
	lower := bytes.ToLower(body)
	start := bytes.Index(lower, []byte("<title>"))
	if start < 0 || len(lower) != len(body) {
		return ""
	}
	start += len("<title>")
	end := bytes.Index(lower[start:], []byte("</title>"))
	if end < 0 {
		return ""
	}
	return printable(body[start : start+end])
}

// printable returns the start of text on one line. Text that is not UTF-8 or
// holds control characters is binary, and none of it is returned.
func printable(text []byte) string {
	cut := clip(string(text[:min(len(text), 2*maxPlainMessage)]), maxPlainMessage)
	line := strings.Join(strings.Fields(cut), " ")
	for _, r := range line {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ""
		}
	}
	return line
}
