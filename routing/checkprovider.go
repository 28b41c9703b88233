package routing

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// keyInHeader stands for the key in authentication.header_format.
const keyInHeader = "{api_key}"

// formats are the values of endpoints.compatible_format. That azure and native
// mean openai is inherited from the files of the service that came before.
var formats = map[string]translate.Protocol{
	"":                          translate.Chat,
	string(translate.Chat):      translate.Chat,
	"azure":                     translate.Chat,
	"native":                    translate.Chat,
	string(translate.Messages):  translate.Messages,
	string(translate.Responses): translate.Responses,
}

// formatMeant are words that people use for the protocols.
var formatMeant = map[string]string{
	"chat": "openai", "chat_completions": "openai", "completions": "openai", "openai-compatible": "openai",
	"gemini": "openai", "messages": "anthropic", "claude": "anthropic", "openai_responses": "responses",
}

// checkProvider validates a decoded provider and brings its values into the
// form that the rest of the package relies on. Variables are filled in later,
// when it is known which of them are needed.
func checkProvider(p *Provider, d *document) {
	p.checkName(d)
	p.checkEndpoints(d)
	p.checkAuthentication(d)
	p.checkKeyPatterns(d)
	p.checkRequestConfig(d)
	p.checkQuirks(d)
	p.checkModelCapabilities(d)
	p.checkModelPrices(d)
	p.Breaker.check(d)
	for status, rule := range p.ErrorHandling {
		field := fmt.Sprintf("error_handling.%d", status)
		checkErrorStatus(d, field, status)
		if d.has(field+".action") && !slices.Contains(actionNames, string(rule.Action)) {
			d.failAt(field+".action", "unknown action"+printable(string(rule.Action)), didYouMean(string(rule.Action), actionNames))
		}
	}
	for from, to := range p.ModelMapping {
		if from == "" || to == "" {
			d.failAt(join("model_mapping", from), "must map one model name to another, neither of them empty", "")
		}
	}
}

func (p *Provider) checkName(d *document) {
	const allowed = "may have letters, digits, '.', '_' and '-' only, beginning with a letter or digit"
	if !ValidProviderName(p.ID) {
		d.fail(Problem{Message: "the file's name, which names the provider, " + allowed, Fix: "rename the file, e.g. to example.json"})
	}
	if d.has("name") && !ValidProviderName(p.Name) {
		d.failAt("name", allowed, "write what people should see as display_name")
	}
	if p.DisplayName == "" {
		p.DisplayName = p.Name
	}
}

// ValidProviderName reports whether a name can be a provider's: up to 64 letters,
// digits, '.', '_' and '-', beginning with a letter or digit. It becomes a file's
// name, a label of metrics and a part of variable names.
func ValidProviderName(name string) bool {
	for i, c := range []byte(name) {
		alphanumeric := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !alphanumeric && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return name != "" && len(name) <= 64
}

func (p *Provider) checkEndpoints(d *document) {
	e := &p.Endpoints
	format := strings.ToLower(strings.TrimSpace(e.CompatibleFormat))
	main, known := formats[format]
	if !known {
		d.failAt("endpoints.compatible_format", "unknown protocol"+printable(format),
			didYouMean(cmp.Or(formatMeant[format], format), []string{"openai", "anthropic", "responses", "azure", "native"}))
		main = translate.Chat
	}
	p.MainProtocol = main
	// Files of the service that came before have but one path, whatever
	// protocol is spoken there.
	if own := p.mainPath(); main != translate.Chat && *own == "" {
		*own, e.Completions = e.Completions, ""
	}
	own := "endpoints." + pathKeys[main]
	if *p.mainPath() == "" && known && d.has("endpoints") && !d.rejected[own] && !d.rejected["endpoints.completions"] {
		d.failAt(own, "is required", `add the path below base_url, e.g. "/chat/completions"`)
	}
	for key, path := range map[string]string{
		"completions": e.Completions, "streaming": e.Streaming, "responses": e.Responses, "messages": e.Messages,
		"embeddings": e.Embeddings, "models": e.Models, "count_tokens": e.CountTokens,
	} {
		checkPath(d, "endpoints."+key, path)
	}
	p.checkTranslateTo(d)
}

// checkTranslateTo settles the protocol of translations.
func (p *Provider) checkTranslateTo(d *document) {
	const field = "endpoints.translate_to"
	e := &p.Endpoints
	e.TranslateTo = checkProtocol(d, field, e.TranslateTo)
	switch {
	case e.TranslateTo == "":
		e.TranslateTo = p.MainProtocol
	case !p.Speaks(e.TranslateTo):
		d.failAt(field, fmt.Sprintf("there is no endpoint for %q", e.TranslateTo),
			fmt.Sprintf("add endpoints.%s, or leave translate_to out", pathKeys[e.TranslateTo]))
	}
}

// checkProtocol reads a protocol by its own name. It returns "" where none is
// written, or one that does not exist.
func checkProtocol(d *document, field string, written translate.Protocol) translate.Protocol {
	name := strings.ToLower(strings.TrimSpace(string(written)))
	if name == "" || translate.Protocol(name).Valid() {
		return translate.Protocol(name)
	}
	d.failAt(field, "unknown protocol"+printable(name), didYouMean(cmp.Or(formatMeant[name], name), wireProtocols))
	return ""
}

// pathKeys are the keys of the protocols' paths.
var pathKeys = map[translate.Protocol]string{
	translate.Chat: "completions", translate.Responses: "responses", translate.Messages: "messages",
}

// mainPath is where the main protocol's path is kept.
func (p *Provider) mainPath() *string {
	switch p.MainProtocol {
	case translate.Responses:
		return &p.Endpoints.Responses
	case translate.Messages:
		return &p.Endpoints.Messages
	}
	return &p.Endpoints.Completions
}

// checkPath makes sure that a path, joined with a base URL, is a URL.
func checkPath(d *document, field, path string) {
	if path == "" {
		return
	}
	if strings.Contains(path, "://") {
		d.failAt(field, "must be a path below base_url, not a whole URL", `write e.g. "/chat/completions"`)
		return
	}
	u, err := EndpointURL("http://example.com", path, "model")
	if err != nil || u.Fragment != "" || strings.ContainsAny(path, " \t\r\n") {
		d.failAt(field, "is not a path", `write e.g. "/chat/completions"`)
	}
}

func (p *Provider) checkAuthentication(d *document) {
	a := &p.Authentication
	if !d.has("authentication") {
		return // reported already
	}
	a.Type = strings.ToLower(strings.TrimSpace(a.Type))
	if p.Keyless() {
		if a.HeaderName != "" {
			d.warnAt("authentication.header_name", `has no effect, since type "none" sends no key`, "")
		}
	} else {
		p.checkKeyHeader(d)
	}
	for name, value := range a.AdditionalHeaders {
		field := join("authentication.additional_headers", name)
		switch canonical := http.CanonicalHeaderKey(name); {
		case !headerName(name) || ownHeader(canonical):
			d.failAt(field, "is not a header that can be added", "")
		case canonical == http.CanonicalHeaderKey(a.HeaderName) && !p.Keyless():
			d.failAt(field, "would replace the header that carries the key", "leave it out; header_name sends it")
		}
		if _, _, err := expand(value, func(string) (string, bool) { return "", true }); err != nil {
			d.failAt(field, err.Error(), "write ${NAME} or ${NAME:-default}")
		} else if strings.ContainsFunc(value, isControl) {
			d.failAt(field, "must not have control characters", "")
		}
	}
}

// checkKeyHeader settles how the key is sent.
func (p *Provider) checkKeyHeader(d *document) {
	const header, format = "authentication.header_name", "authentication.header_format"
	a := &p.Authentication
	bearer := a.Type == "bearer"
	if a.HeaderName == "" && bearer {
		a.HeaderName = "Authorization"
	}
	if a.HeaderFormat == "" {
		a.HeaderFormat = keyInHeader
		if bearer && strings.EqualFold(a.HeaderName, "Authorization") {
			a.HeaderFormat = "Bearer " + keyInHeader
		}
	}
	switch canonical := http.CanonicalHeaderKey(a.HeaderName); {
	case a.HeaderName == "":
		d.failAt(header, "is required", `add e.g. "header_name": "Authorization", "header_format": "Bearer {api_key}"; for a server that takes no key "type": "none"`)
	case !headerName(a.HeaderName) || ownHeader(canonical):
		d.failAt(header, "is not a header that can carry a key", `write e.g. "Authorization" or "x-api-key"`)
	}
	// The value is not repeated: where {api_key} is missing, a real key is
	// likely to stand in its place.
	rest := strings.Replace(a.HeaderFormat, keyInHeader, "", 1)
	switch {
	case rest == a.HeaderFormat:
		d.failAt(format, "has no {api_key}, so that no key would be sent", `write e.g. "Bearer {api_key}"; keys are never written into a file`)
	case strings.ContainsAny(rest, "{}") || strings.ContainsFunc(rest, isControl):
		d.failAt(format, "may have one {api_key}, no other braces and no control characters", `write e.g. "Bearer {api_key}"`)
	}
}

// headerName reports whether a name is a token by RFC 9110, section 5.6.2.
func headerName(name string) bool {
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7F || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return name != ""
}

// ownHeader reports whether a header describes the connection or the body,
// which only the transport knows.
func ownHeader(canonical string) bool {
	switch canonical {
	case "Host", "Connection", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Trailer", "Te",
		"Upgrade", "Keep-Alive", "Proxy-Connection", "Accept-Encoding", "Expect":
		return true
	}
	return false
}

func isControl(r rune) bool { return r < ' ' || r == 0x7F }

// checkKeyPatterns validates the patterns and drops those that are there
// twice. Patterns are not repeated in messages: a key may stand there.
func (p *Provider) checkKeyPatterns(d *document) {
	var patterns []string
	add := func(field, pattern string) {
		switch {
		case !d.has(field):
		case !keyPattern(pattern):
			d.failAt(field, "is not the name of an environment variable", `write e.g. "{PROVIDER}_API_KEY" or "OPENAI_API_KEY_{INDEX}"; keys are never written into a file`)
		case slices.Contains(patterns, pattern):
			d.warnAt(field, "is there twice", "")
		default:
			patterns = append(patterns, pattern)
		}
	}
	for i, pattern := range p.APIKeys.EnvVarPatterns {
		add(fmt.Sprintf("api_keys.env_var_patterns[%d]", i), pattern)
	}
	if p.APIKeys.EnvVarPattern != "" {
		add("api_keys.env_var_pattern", p.APIKeys.EnvVarPattern)
	}
	p.keyPatterns = patterns
}

// keyPattern reports whether a text is a variable's name with at most one
// {INDEX}.
func keyPattern(pattern string) bool {
	name := strings.ReplaceAll(pattern, "{PROVIDER}", "P")
	name = strings.Replace(name, "{INDEX}", "1", 1)
	return variableName(name)
}

func (p *Provider) checkRequestConfig(d *document) {
	c := &p.RequestConfig
	for i, status := range c.RetryOnStatus {
		checkErrorStatus(d, fmt.Sprintf("request_config.retry_on_status[%d]", i), status)
	}
	c.DefaultParameters = slices.DeleteFunc(c.DefaultParameters, func(parameter Parameter) bool {
		switch parameter.Name {
		case "model", "messages", "input", "stream":
			d.warnAt(join("request_config.default_parameters", parameter.Name), "has no effect: every request says that itself", "leave it out")
			return true
		}
		return false
	})
}

func checkErrorStatus(d *document, field string, status int) {
	if !d.has(field) {
		return
	}
	if status < 400 || status > 599 {
		d.failAt(field, fmt.Sprintf("%d is not an HTTP status from 400 to 599", status), "")
	}
}

// didYouMean names the nearest of the possible values, or all of them. It says
// nothing where there is none.
func didYouMean(written string, possible []string) string {
	if len(possible) == 0 {
		return ""
	}
	if near := nearest(written, possible); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "write one of " + strings.Join(possible, ", ")
}
