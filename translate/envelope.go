package translate

import (
	"bytes"
	"encoding/base64"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// Reasoning that only its issuer can read has to survive a round trip through a
// client that speaks another protocol, without a word of it being kept here. It
// travels in an envelope, in a field that clients return verbatim: the signature
// of a thinking block, the data of a redacted one, the encrypted_content of a
// reasoning item. The envelope names the provider; nobody else gets it back.
//
//	lgw1.<provider>.<the block as the provider wrote it, in base64url>
//
// The last part may be empty, where there is no more to give back than the text
// beside it. The envelope then only tells that no real signature stands here.
//
// EnvelopeMark is how each begins. A request in which it stands has been answered
// through a translation before.
const EnvelopeMark = "lgw1."

// AppendEnvelope appends an envelope as the inside of a JSON string.
func AppendEnvelope(dst []byte, provider string, seal Value) []byte {
	dst = append(dst, EnvelopeMark...)
	dst = append(dst, provider...)
	dst = append(dst, '.')
	return base64.RawURLEncoding.AppendEncode(dst, seal)
}

// OpenEnvelope takes an envelope apart. ok is false for anything that is none,
// such as a vendor's own signature. A damaged one is an envelope without
// content.
func (c *Conversation) OpenEnvelope(t Text) (provider string, seal Value, ok bool) {
	rest, ok := bytes.CutPrefix(t, []byte(EnvelopeMark))
	if !ok {
		return "", nil, false
	}
	dot := bytes.LastIndexByte(rest, '.')
	if dot < 0 {
		return "", nil, true
	}
	provider, coded := string(rest[:dot]), rest[dot+1:]
	start := len(c.own)
	own, err := base64.RawURLEncoding.AppendDecode(c.own, coded)
	if err != nil || !rawjson.Valid(own[start:]) {
		return provider, nil, true
	}
	c.own = own
	return provider, Value(own[start:len(own):len(own)]), true
}
