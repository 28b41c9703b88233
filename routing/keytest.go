package routing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// KeyTest asks a provider, apart from any client's request, what it thinks of
// its keys. It may be used by any number of goroutines.
type KeyTest struct {
	// Provider is the one that is asked. Required.
	Provider *Provider
	// BaseURL is where it is: the provider's, or that of a route with keys of
	// its own. Required.
	BaseURL string
	// Model is the upstream model that is asked for one token where the list of
	// models cannot tell. Empty: none is known.
	Model string
	// Transport makes the calls. Required. It must not follow redirects, which
	// would carry the key to somebody else.
	Transport http.RoundTripper

	public struct {
		once sync.Once
		yes  bool
	}
}

// KeyVerdict is what came of a test.
type KeyVerdict string

// All verdicts there are.
const (
	// KeyOK means that the provider took the key.
	KeyOK KeyVerdict = "ok"
	// KeyRefused means that it will not work: wrong, revoked, forbidden, or
	// without money.
	KeyRefused KeyVerdict = "dead"
	// KeyLimited means that it is good, but has to wait.
	KeyLimited KeyVerdict = "rate limited"
	// KeyUnreachable means that the provider could not be asked, or had a fault
	// of its own.
	KeyUnreachable KeyVerdict = "unreachable"
	// KeyUnclear means that the answer tells nothing about the key.
	KeyUnclear KeyVerdict = "unclear"
)

// KeyOpinion is what a provider thinks of a key.
type KeyOpinion struct {
	Verdict KeyVerdict
	// Asked is what was asked for: "models" or "one token"; empty where nothing
	// could be asked.
	Asked string
	// Reason says why, in words and without any secret. It may hold what the
	// provider wrote. Empty with KeyOK.
	Reason string
}

// What a test asks for.
const (
	askedModels = "models"
	askedToken  = "one token"
)

// maxTestAnswer bounds the answer to a test. Lists of models are long.
const maxTestAnswer = 8 << 20

// Ask tells what the provider thinks of a key. It asks for the list of models,
// which costs nothing, where the provider has one that only those with a key may
// see; else for one token of an answer. ctx bounds all of it.
func (t *KeyTest) Ask(ctx context.Context, key *keys.Key) KeyOpinion {
	opinion := KeyOpinion{Verdict: KeyUnclear, Reason: "its file names no list of models, and no route a model that could be asked"}
	if path := t.Provider.Endpoints.Models; path != "" {
		opinion = t.ask(ctx, askedModels, http.MethodGet, path, "", key)
		switch {
		case opinion.Verdict == KeyOK && (t.Provider.Keyless() || !t.listIsPublic(ctx)):
			return opinion
		case opinion.Verdict == KeyOK:
			opinion.Verdict, opinion.Reason = KeyUnclear, "its list of models is for everybody, and no route names a model that could be asked"
		case opinion.Verdict != KeyUnclear:
			return opinion
		}
	}
	protocol := t.Provider.MainProtocol
	if path := t.Provider.Path(protocol, false); path != "" && t.Model != "" {
		return t.ask(ctx, askedToken, http.MethodPost, path, t.shortest(protocol), key)
	}
	return opinion
}

// listIsPublic reports whether the list of models comes without any key, as
// OpenRouter's does: it then says nothing about one.
func (t *KeyTest) listIsPublic(ctx context.Context) bool {
	t.public.once.Do(func() {
		none := keys.NewKey(t.Provider.ID, "", "")
		t.public.yes = t.ask(ctx, askedModels, http.MethodGet, t.Provider.Endpoints.Models, "", none).Verdict == KeyOK
	})
	return t.public.yes
}

// shortest is the body of the smallest request for an answer.
func (t *KeyTest) shortest(protocol translate.Protocol) string {
	limit, least, input := cmp.Or(t.Provider.Quirks.MaxTokensField, "max_tokens"), 1, `"messages":[{"content":"Hi","role":"user"}]`
	switch protocol {
	case translate.Responses:
		limit, least, input = "max_output_tokens", 16, `"input":"Hi"` // it takes no less than 16
	case translate.Messages:
		limit = "max_tokens"
	}
	return fmt.Sprintf(`{"model":%s,%s,%s:%d}`, quoted(t.Provider.UpstreamModel(t.Model)), input, quoted(limit), least)
}

// ask makes one call.
func (t *KeyTest) ask(ctx context.Context, asked, method, path, body string, key *keys.Key) KeyOpinion {
	opinion, _ := t.exchange(ctx, asked, method, path, body, key)
	return opinion
}

// exchange makes one call, and returns what was answered too.
func (t *KeyTest) exchange(ctx context.Context, asked, method, path, body string, key *keys.Key) (KeyOpinion, []byte) {
	opinion := KeyOpinion{Verdict: KeyUnclear, Asked: asked}
	target, err := EndpointURL(t.BaseURL, path, t.Provider.UpstreamModel(t.Model))
	if err != nil {
		opinion.Reason = "the endpoint makes no URL with this model"
		return opinion, nil
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), strings.NewReader(body))
	if err != nil {
		opinion.Reason = "the endpoint makes no request"
		return opinion, nil
	}
	t.setHeaders(request.Header, method, key)
	response, err := t.Transport.RoundTrip(request)
	if err != nil {
		opinion.Verdict, opinion.Reason = KeyUnreachable, harmless(describe(err), key, "the connection broke")
		if errors.Is(err, context.DeadlineExceeded) {
			opinion.Reason = "no answer in time"
		}
		return opinion, nil
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxTestAnswer))
	if err != nil {
		opinion.Verdict, opinion.Reason = KeyUnreachable, harmless(describe(err), key, "the connection broke")
		return opinion, nil
	}
	opinion.Verdict, opinion.Reason = judgeTest(response, answer, key)
	return opinion, answer
}

func (t *KeyTest) setHeaders(h http.Header, method string, key *keys.Key) {
	template := newHeaderTemplate(t.Provider)
	for name, values := range template.fixed {
		h[name] = values
	}
	h["Accept"], h["User-Agent"] = acceptJSON, userAgent
	if method == http.MethodPost {
		h["Content-Type"] = contentJSON
	}
	if _, set := h["Anthropic-Version"]; !set && t.Provider.MainProtocol == translate.Messages {
		h["Anthropic-Version"] = anthropicVersion
	}
	if template.keyName != "" && key.Secret() != "" {
		h[template.keyName] = []string{template.before + key.Secret() + template.after}
	}
}

// judgeTest tells what an answer means for the key.
func judgeTest(response *http.Response, answer []byte, key *keys.Key) (KeyVerdict, string) {
	status := response.StatusCode
	good := status >= 200 && status <= 299
	e, isError := translate.ParseError(answer)
	switch {
	case status >= 300 && status <= 399:
		return KeyUnclear, fmt.Sprintf("it answers with status %d, and a redirect is not followed because it would carry the key elsewhere", status)
	case good && !gjson.ValidBytes(answer):
		return KeyUnclear, "it answers with something that is no JSON; is its base URL right?"
	case good && !isError:
		return KeyOK, ""
	}
	said := fmt.Sprintf("status %d", status)
	if e.Message != "" {
		said = harmless(fmt.Sprintf("status %d: %s", status, e.Message), key, said)
	}
	switch Classify(status, e) {
	case KeyDead:
		// Not the provider's words, which like to repeat a part of the key.
		return KeyRefused, fmt.Sprintf("the provider refuses it with status %d", status)
	case RateLimited:
		return KeyLimited, said
	case Broken, Local:
		return KeyUnreachable, said
	}
	return KeyUnclear, said
}

// harmless is a text without the key, or another one where the key is too short
// to be told from ordinary words.
func harmless(text string, key *keys.Key, otherwise string) string {
	text = scrub(text, key)
	if secret := key.Secret(); secret != "" && strings.Contains(text, secret) {
		return otherwise
	}
	return text
}
