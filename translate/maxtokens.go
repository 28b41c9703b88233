package translate

import (
	"fmt"
	"strconv"
	"strings"
)

// answerBound is what an error says that refuses a request because its answer
// might become too long. What it does not say is 0.
type answerBound struct {
	input  int64 // what the request has already
	wanted int64 // what it asks for
	limit  int64 // of the answer alone, or where input is known of both
}

// leastRoom is how many tokens must be left for an answer to make it worth to ask
// for a shorter one. Claude Code keeps 1000 of them back.
const leastRoom = 4000

// AnswerTooLong reports whether e says, in the words of OpenAI and its like, that
// max_tokens is too large. The conversation as such would fit, so that agents are
// to ask for less and not to compact it. Anthropic's own words are not meant:
// they need no translation.
func (e *Error) AnswerTooLong() bool {
	_, ok := e.answerBound()
	return ok
}

func (e *Error) answerBound() (answerBound, bool) {
	message := strings.ToLower(e.Message)
	var b answerBound
	switch {
	case saysOfMaxTokens(message, "is too large"): // OpenAI, vLLM
		b.wanted = numberAfter(message, "is too large:")
		b.input = numberAfter(message, "your request has")
		b.limit = max(numberAfter(message, "supports at most"), numberAfter(message, "maximum context length is"))
	case saysOfMaxTokens(message, "must be less than or equal to"): // Groq
		b.limit = numberAfter(message, "must be less than or equal to")
	}
	return b, b.limit > 0 && (b.input == 0 || b.limit-b.input >= leastRoom)
}

// saysOfMaxTokens reports whether phrase is said of max_tokens, by any of its
// names.
func saysOfMaxTokens(message, phrase string) bool {
	before, _, found := strings.Cut(message, phrase)
	before = strings.TrimRight(before, " '`\"")
	return found && (strings.HasSuffix(before, "max_tokens") || strings.HasSuffix(before, "max_completion_tokens") ||
		strings.HasSuffix(before, "max_output_tokens"))
}

// numberAfter returns the number that follows on phrase, 0 if there is none.
func numberAfter(message, phrase string) int64 {
	_, rest, _ := strings.Cut(message, phrase)
	rest = strings.TrimLeft(rest, " '`\"")
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(rest[:end], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// inMessages is what Anthropic would say, in front of what the vendor said. Claude
// Code takes the numbers out of it, and the second sentence only as one line.
func (b *answerBound) inMessages(message string) string {
	if b.input > 0 && b.wanted > 0 {
		return fmt.Sprintf("input length and `max_tokens` exceed context limit: %d + %d > %d, decrease input length or `max_tokens` and try again: %s",
			b.input, b.wanted, b.limit, message)
	}
	wanted := b.wanted
	if wanted == 0 {
		// Groq does not repeat it. It is at least that, and nobody reads it.
		wanted = b.limit + 1
	}
	return fmt.Sprintf("max_tokens: %d > %d, which is the maximum allowed number of output tokens for this model: %s",
		wanted, b.limit, strings.Join(strings.Fields(message), " "))
}
