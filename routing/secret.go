package routing

import (
	"bytes"
	"errors"
	"net/url"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

const scrubbed = "[key removed]"

// shortestSecret is from where a key is one. Servers that check none are given
// "x" or "EMPTY", which occur in ordinary words.
const shortestSecret = 8

// scrub takes an upstream key out of a text. Providers echo keys in their 401
// messages, and a text may reach a log or a client.
func scrub(text string, key *keys.Key) string {
	if secret := key.Secret(); len(secret) >= shortestSecret {
		return strings.ReplaceAll(text, secret, scrubbed)
	}
	return text
}

// scrubError takes an upstream key out of all that an error says.
func scrubError(e *translate.Error, key *keys.Key) {
	for _, field := range []*string{&e.Message, &e.Type, &e.Code, &e.Param} {
		*field = scrub(*field, key)
	}
}

func scrubBytes(text []byte, key *keys.Key) []byte {
	if secret := key.Secret(); len(secret) >= shortestSecret {
		return bytes.ReplaceAll(text, []byte(secret), []byte(scrubbed))
	}
	return text
}

// describe is an error without the URL that net/http puts around it: a query
// may hold a key, and clients need not learn where providers live.
func describe(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return err.Error()
}
