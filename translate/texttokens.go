package translate

import (
	"strconv"
	"unicode/utf8"
)

// Tokenizers cut text into words, pieces of long words, groups of digits and
// signs. What each costs on average, in hundredths of a token; fitted to
// Claude's counts of English prose, JSON and code.
const (
	wordCost     = 100 // a word of up to freeLetters letters, with the space before it
	letterCost   = 16  // each letter beyond those
	freeLetters  = 5
	digitsCost   = 70 // a group of digits
	digitCost    = 30 // each digit
	signCost     = 65 // a punctuation mark
	breakCost    = 60 // line ends, and runs of spaces as in indented code
	ideogramCost = 115
	emojiCost    = 250
	foreignCost  = 50 // any other letter beyond ASCII
)

// textSize returns the size of the text of a JSON string, which raw holds
// without its quotes and with its escapes, in hundredths of a token.
func textSize(raw []byte) int64 {
	var m textMeter
	for i := 0; i < len(raw); {
		c := raw[i]
		switch {
		case c == '\\':
			i += m.escape(raw[i:])
			continue
		case c < utf8.RuneSelf:
			m.ascii(c)
			i++
		default:
			r, size := utf8.DecodeRune(raw[i:])
			m.rune(r)
			i += size
		}
	}
	return m.cost
}

// textMeter adds up text character by character.
type textMeter struct {
	cost   int64
	last   charClass
	upper  bool // the last character was an upper case letter
	length int  // of the word being read
}

type charClass uint8

const (
	noChar charClass = iota
	letterChar
	digitChar
	spaceChar
	otherChar
)

func (m *textMeter) ascii(c byte) {
	switch {
	case 'a' <= c && c <= 'z':
		m.letter(false)
	case 'A' <= c && c <= 'Z':
		m.letter(true)
	case '0' <= c && c <= '9':
		if m.last != digitChar {
			m.cost += digitsCost
		}
		m.cost += digitCost
		m.last = digitChar
	case c == ' ':
		if m.last == spaceChar && m.length == 1 {
			m.cost += breakCost // only the first space is part of a word
		}
		m.space()
	case c < ' ':
		if m.last != spaceChar {
			m.cost += breakCost
		}
		m.space()
		m.length = 2 // what is indented costs no second break
	default:
		m.cost += signCost
		m.last = otherChar
	}
}

// letter adds a letter. A capital after small letters begins a word, as in
// camelCase and in opaque base64.
func (m *textMeter) letter(upper bool) {
	if m.last != letterChar || upper && !m.upper {
		m.cost += wordCost
		m.length = 0
	}
	if m.length++; m.length > freeLetters {
		m.cost += letterCost
	}
	m.last, m.upper = letterChar, upper
}

func (m *textMeter) space() {
	if m.last != spaceChar {
		m.length = 0
	}
	m.length++
	m.last = spaceChar
}

// rune adds a character beyond ASCII.
func (m *textMeter) rune(r rune) {
	m.last = otherChar
	switch {
	case r >= 0x1F000:
		m.cost += emojiCost
	case r >= 0x2E80 && r <= 0x9FFF, r >= 0xAC00 && r <= 0xD7AF, r >= 0xF900 && r <= 0xFAFF, r >= 0xFF00 && r <= 0xFFEF:
		m.cost += ideogramCost
	case r >= 0x2000 && r <= 0x2BFF: // dashes, arrows, dingbats
		m.cost += 2 * signCost
	default:
		m.cost += foreignCost
	}
}

// escape adds the character that the escape at the start of raw stands for. It
// returns the length of the escape.
func (m *textMeter) escape(raw []byte) int {
	if len(raw) < 2 {
		return len(raw)
	}
	switch raw[1] {
	case 'n', 'r', 't':
		m.ascii('\n')
	case 'u':
		if len(raw) < 6 {
			return len(raw)
		}
		code, err := strconv.ParseUint(view(raw[2:6]), 16, 16)
		switch {
		case err != nil:
		case code < utf8.RuneSelf:
			m.ascii(byte(code))
		case code >= 0xD800 && code < 0xDC00: // the first half of a pair
			m.rune(0x1F000)
		case code >= 0xDC00 && code < 0xE000:
		default:
			m.rune(rune(code))
		}
		return 6
	default:
		m.ascii(raw[1])
	}
	return 2
}
