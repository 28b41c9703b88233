package routing

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxQuote is up to how many bytes of a quoted word a log keeps: names of models and
// fields are shorter.
const maxQuote = 64

// closing is what ends a quotation, by what begins it. Servers that check requests by
// a schema quote all that they were sent as a list or an object.
var closing = map[rune]rune{
	'"': '"', '\'': '\'', '`': '`', '“': '”', '‘': '’', '«': '»', '[': ']', '{': '}',
}

// withoutQuotes takes out of a provider's words about a failure what they quote, as
// it may be what somebody said, which a log must not keep. Single words stay: they are
// the names that the message is about. A quotation without an end goes up to that of
// the message.
func withoutQuotes(message string) string {
	if !strings.ContainsAny(message, "\"'`“‘«[{") {
		return message
	}
	var kept strings.Builder
	before := ' '
	for len(message) > 0 {
		opening, size := utf8.DecodeRuneInString(message)
		end, quotes := closing[opening]
		switch opening {
		case '\'': // an apostrophe is none: didn't
			quotes = !unicode.IsLetter(before) && !unicode.IsDigit(before)
		case '[', '{': // nor is a bracket that holds no texts: messages[0]
			inside := strings.TrimLeft(message[size:], "[{ ")
			quotes = strings.HasPrefix(inside, `"`) || strings.HasPrefix(inside, "'")
		}
		if !quotes {
			kept.WriteString(message[:size])
			before, message = opening, message[size:]
			continue
		}
		quote, rest := quotation(message[size:], opening, end)
		kept.WriteRune(opening)
		if len(quote) > maxQuote || strings.ContainsFunc(quote, unicode.IsSpace) {
			quote = "…"
		}
		kept.WriteString(quote)
		if rest != "" {
			kept.WriteRune(end)
			rest = rest[utf8.RuneLen(end):]
		}
		before, message = end, rest
	}
	return kept.String()
}

// quotation divides a text behind the opening of a quotation at what closes it. The
// rest begins with that, and is empty where nothing does.
func quotation(text string, opening, end rune) (quote, rest string) {
	depth := 1
	for i, r := range text {
		switch {
		case r == end && end == '\'' && !endsWord(text[i+1:]):
			// An apostrophe inside of the quotation.
		case r == end:
			if depth--; depth == 0 {
				return text[:i], text[i:]
			}
		case r == opening:
			depth++
		}
	}
	return text, ""
}

// endsWord reports whether no letter or digit follows.
func endsWord(text string) bool {
	next, _ := utf8.DecodeRuneInString(text)
	return !unicode.IsLetter(next) && !unicode.IsDigit(next)
}
