// Package keys holds the credentials on both sides of the gateway: the upstream
// keys of a provider, of which it picks the next usable one (discovery, rotation,
// rests, limits), and the client keys, by which it tells who is calling. Beside the
// upstream keys it knows how the models behind them do (breakers, latency), because
// the two are told apart here: a rest is always about a key's own fault, and what an
// upstream does wrong counts against its model.
//
// It knows nothing of HTTP, of routes or of clocks: what happened and when comes
// in by argument. Times as time.Now gives them keep their monotonic reading here, so
// that a jump of the wall clock neither frees a key early nor holds it back.
package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Key is one upstream credential. It prints as its ID in every way that fmt,
// log/slog and encoding/json know; only [Key.Secret] gives the secret away.
type Key struct {
	// The first 8 hex digits of SHA-256 over the provider's name, a NUL byte and
	// the secret. Safe in logs, stable over restarts, and different for the same
	// secret at two providers.
	ID string

	// The environment variable that the key came from.
	Source string

	// A pointer, because fmt cannot call String on an unexported field of
	// somebody's struct and would print a plain string there. Of a pointer below
	// the top level it prints no more than the address.
	secret *string
}

// NewKey makes a key of provider from a secret that was found in source. White
// space around the secret is cut off, since a secrets file commonly ends in a
// newline, which no header may carry.
func NewKey(provider, source, secret string) *Key {
	secret = strings.TrimSpace(secret)
	sum := sha256.Sum256([]byte(provider + "\x00" + secret))
	return &Key{ID: hex.EncodeToString(sum[:4]), Source: source, secret: &secret}
}

// Secret returns the credential itself, for the upstream's header and nothing else.
func (k *Key) Secret() string { return *k.secret }

// String returns the key's ID.
func (k Key) String() string { return k.ID }

// GoString returns the key's ID, so that %#v does not show the fields.
func (k Key) GoString() string { return k.ID }

// MarshalText returns the key's ID; encoding/json uses it too.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.ID), nil }
