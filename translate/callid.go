package translate

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// Tool call ids come back from clients, in a later request that maybe another
// provider answers. So what is done to one depends on nothing but the id, call
// and result alike, and can be undone. One that all protocols take,
// [A-Za-z0-9_-]{1,40}, stays as it is. Others become
//
//	call_x<base64url>   the id itself, where that is short enough
//	call_h<base64url>   its hash, where it is not
//
// and an id that carries a signature of the vendor's, which has to come back
// with the call, ends in __sig_<base64url>.
const (
	maxCallID     = 40
	wrappedCallID = "call_x"
	hashedCallID  = "call_h"
	signedCallID  = "__sig_"
)

// AppendCallID appends an id as every protocol takes it, without a signature in
// it.
func AppendCallID(dst []byte, id Text) []byte {
	id, _ = splitCallID(id)
	if plainCallID(id) {
		return append(dst, id...)
	}
	decoded := id.AppendDecoded(nil)
	if len(wrappedCallID)+base64.RawURLEncoding.EncodedLen(len(decoded)) <= maxCallID {
		return base64.RawURLEncoding.AppendEncode(append(dst, wrappedCallID...), decoded)
	}
	sum := sha256.Sum256(decoded)
	return base64.RawURLEncoding.AppendEncode(append(dst, hashedCallID...), sum[:16])
}

// AppendOwnCallID appends an id as the vendor that made it wrote it, for
// providers that want their own ids back.
func AppendOwnCallID(dst []byte, id Text) []byte {
	id, _ = splitCallID(id)
	if coded, ok := bytes.CutPrefix(id, []byte(wrappedCallID)); ok {
		// OpenAI's ids may begin like that too, and are no text inside.
		decoded, err := base64.RawURLEncoding.AppendDecode(nil, coded)
		if err == nil && len(decoded) > 0 && readable(decoded) && !plainCallID(decoded) {
			return rawjson.AppendEscaped(dst, decoded)
		}
	}
	return append(dst, id...)
}

// AppendSignedCallID appends an id as a client gets it, with the vendor's
// signature of the call in it.
func AppendSignedCallID(dst []byte, id, signature Text) []byte {
	dst = AppendCallID(dst, id)
	if len(signature) == 0 {
		return dst
	}
	dst = append(dst, signedCallID...)
	return base64.RawURLEncoding.AppendEncode(dst, signature.AppendDecoded(nil))
}

// CallSignature returns the vendor's signature that an id carries, nil if it
// carries none.
func (c *Conversation) CallSignature(id Text) Text {
	_, coded := splitCallID(id)
	decoded, err := base64.RawURLEncoding.AppendDecode(nil, coded)
	if err != nil || len(decoded) == 0 {
		return nil
	}
	return c.OwnString(string(decoded))
}

// AppendUnsigned appends an object with the id of a call in its member of that
// name, but without the vendor's signature in that id; where it has one, cut is
// set. Everything else stays, byte by byte.
func AppendUnsigned(dst []byte, object Value, name string, cut *bool) []byte {
	return rawjson.AppendWithMember(dst, object, name, func(dst []byte, id Value) []byte {
		plain, signature := splitCallID(id.Text())
		if signature == nil {
			return append(dst, id...)
		}
		*cut = true
		return rawjson.AppendText(dst, plain)
	})
}

// splitCallID returns an id without signatures, and the last one, nil if there is
// none.
func splitCallID(id Text) (plain, signature Text) {
	plain = id
	for {
		i := strings.LastIndex(view(plain), signedCallID)
		if i <= 0 || !encoded(plain[i+len(signedCallID):]) {
			return plain, signature
		}
		if signature == nil {
			signature = plain[i+len(signedCallID):]
		}
		plain = plain[:i]
	}
}

// encoded reports whether t is something in base64url, whose characters are
// those of names.
func encoded(t Text) bool { return len(t) > 0 && len(t)%4 != 1 && nameLike(t) }

// plainCallID reports whether all protocols take the id.
func plainCallID(id Text) bool {
	return len(id) > 0 && len(id) <= maxCallID && nameLike(id)
}

// readable reports whether b is UTF-8 without control characters.
func readable(b []byte) bool {
	return utf8.Valid(b) && bytes.IndexFunc(b, unicode.IsControl) < 0
}

// nameLike reports whether t consists of letters, digits, '_' and '-'.
func nameLike(t Text) bool {
	for _, c := range t {
		if !nameByte(c) {
			return false
		}
	}
	return true
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
