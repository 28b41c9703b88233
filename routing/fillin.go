package routing

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
)

// fillInRoute fills the variables of a route's base URL in. Without those that
// are missing the route leads nowhere.
func (l *loader) fillInRoute(m *modelFile, field string, r *Route) (missing []string) {
	if r.BaseURL == "" {
		return nil
	}
	base, missing := m.fillIn(field+".base_url", r.BaseURL, l.env)
	if r.unreachable = len(missing) > 0; !r.unreachable {
		r.BaseURL = base
	}
	return missing
}

// fillIn expands the variables of a base URL and checks what comes out.
func (d *document) fillIn(field, written string, env lookup) (base string, missing []string) {
	base, missing, err := expand(written, env)
	if err == nil && len(missing) == 0 {
		err = checkURL(base, written)
	}
	if err != nil {
		fix := `write e.g. "https://api.example.com/v1"`
		if strings.Contains(written, "${") {
			fix += `, with variables as ${NAME} or ${NAME:-default}`
		}
		d.failAt(field, err.Error(), fix)
		return "", nil
	}
	return base, missing
}

// fillInProviders fills the variables of all providers in, and says which of
// them cannot be used.
func (l *loader) fillInProviders() {
	for _, p := range l.providers {
		l.fillInProvider(p)
		l.take(p.document)
	}
}

func (l *loader) fillInProvider(p *providerFile) {
	if !p.has("endpoints.base_url") {
		return // broken, and reported already
	}
	field := "endpoints.base_url"
	base, missing := p.fillIn(field, p.Endpoints.BaseURL, l.env)
	if p.ProxySupport.Enabled && p.ProxySupport.BaseURLOverride != "" {
		field = "proxy_support.base_url_override"
		base, missing = p.fillIn(field, p.ProxySupport.BaseURLOverride, l.env)
	}
	if p.broken {
		return
	}
	needsBase, needsHeaders := false, false
	for _, r := range p.routes {
		if p.Enabled && l.callable(r) {
			needsHeaders = true
			needsBase = needsBase || r.BaseURL == ""
		}
	}
	if len(missing) == 0 {
		p.BaseURL = base
	}
	p.lacks(field, missing, needsBase)
	l.fillInHeaders(p, needsHeaders)
}

// fillInHeaders fills the variables of a provider's headers in.
func (l *loader) fillInHeaders(p *providerFile, needed bool) {
	for _, name := range slices.Sorted(maps.Keys(p.Authentication.AdditionalHeaders)) {
		field := join("authentication.additional_headers", name)
		value, missing, _ := expand(p.Authentication.AdditionalHeaders[name], l.env)
		value = strings.TrimSpace(value) // a variable read from a file ends with a line feed
		switch {
		case len(missing) > 0:
			p.lacks(field, missing, needed)
			p.headersLack = true
		case strings.ContainsFunc(value, isControl):
			p.failAt(field, "has control characters once its variables are filled in", "")
		case value != "":
			p.headers = append(p.headers, fixedHeader{http.CanonicalHeaderKey(name), value})
		}
	}
}

// lacks records that variables are not set which a field needs.
func (p *providerFile) lacks(field string, missing []string, needed bool) {
	for _, name := range missing {
		p.Unusable = notSet(name)
		switch {
		case needed:
			p.failAt(field, notSet(name), fixNotSet(name)+`, or set "enabled": false`)
		case p.Enabled:
			p.warnAt(field, notSet(name)+"; the provider cannot be used", "")
		}
	}
}

func notSet(variable string) string { return "environment variable " + variable + " is not set" }

func fixNotSet(variable string) string {
	return fmt.Sprintf("set it, or write ${%s:-default}", variable)
}

// callable reports whether there is a key to call a route with, or none is
// needed.
func (l *loader) callable(r *Route) bool {
	if r.Provider.Keyless() {
		return true
	}
	patterns := r.Provider.KeyPatterns()
	if len(r.APIKeyEnv) > 0 {
		patterns = r.APIKeyEnv
	}
	found, _ := keys.Discover(r.Provider.ID, patterns, l.options.Environ)
	return len(found) > 0
}
