package routing

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// fixedHeader is a header that goes with every request.
type fixedHeader struct{ name, value string }

// modelInPath stands for the upstream model's name in an endpoint's path.
const modelInPath = "{model}"

// Path is where the provider serves a protocol, below its base URL: the path
// for streams or the one for whole answers. Empty: it does not speak it.
func (p *Provider) Path(protocol translate.Protocol, stream bool) string {
	if stream && p.Endpoints.Streaming != "" && protocol == p.MainProtocol {
		return p.Endpoints.Streaming
	}
	switch protocol {
	case translate.Chat:
		return p.Endpoints.Completions
	case translate.Responses:
		return p.Endpoints.Responses
	case translate.Messages:
		return p.Endpoints.Messages
	}
	return ""
}

// Speaks reports whether the provider serves a protocol.
func (p *Provider) Speaks(protocol translate.Protocol) bool {
	return p.Path(protocol, false) != ""
}

// EndpointURL joins a base URL, which is the provider's or a route's, with an
// endpoint's path by exactly one slash. {model} in the path is replaced by
// model. It fails for a model whose name would lead to another path.
func EndpointURL(base, path, model string) (*url.URL, error) {
	if strings.Contains(path, modelInPath) {
		if model == "" || model == "." || model == ".." {
			return nil, fmt.Errorf("model name %q cannot be part of a URL", model)
		}
		path = strings.ReplaceAll(path, modelInPath, url.PathEscape(model))
	}
	return url.Parse(strings.TrimSuffix(base, "/") + "/" + strings.TrimPrefix(path, "/"))
}

// checkURL says what is wrong with a base URL whose variables are filled in.
// written is how the file has it; the error repeats no more than that, and
// nothing of a URL that may hold a password or key.
func checkURL(expanded, written string) error {
	u, err := url.Parse(expanded)
	lower := strings.ToLower(expanded)
	switch {
	case strings.ContainsFunc(expanded, func(r rune) bool { return r <= ' ' || r == 0x7F }):
		return errors.New("must not have spaces or control characters")
	case strings.Contains(expanded, "@") && (err != nil || u.User != nil || u.Host == ""):
		return errors.New("must not have a user or password in it")
	case strings.ContainsAny(expanded, "?#"):
		return errors.New("must not have a query or fragment (the paths may have a query)")
	case !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://"):
		return fmt.Errorf("must start with http:// or https:// (got %q)", written)
	case err != nil || u.Hostname() == "":
		return fmt.Errorf("is not a URL (got %q)", written)
	}
	return nil
}
