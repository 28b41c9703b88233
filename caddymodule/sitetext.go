package caddymodule

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"text/template"
)

// The standard place of a gateway that start or setup made, and the variables
// that say otherwise.
const (
	standardHost = "127.0.0.1"
	standardPort = "9876"

	hostVariable     = "LLM_HOST"
	portVariable     = "LLM_PORT"
	logLevelVariable = "LLM_LOG_LEVEL"
)

// placeVariables are those that say where a site without TLS listens.
var placeVariables = []string{hostVariable, portVariable}

// site is what is particular about a Caddyfile of setup or start.
type site struct {
	// Host and Port are where a site without TLS listens. An empty Host stands
	// for all interfaces.
	Host, Port string
	// Domain is the address of a site with TLS; Host and Port do not count then.
	Domain string
	// ClientKey says that CLIENT_API_KEY is or will be set, which the site then
	// insists on.
	ClientKey bool
	// Database is the file of the request log, empty for none.
	Database string
	// Demo serves the simulated provider too, where its shipped file wants it.
	Demo bool
}

// siteTemplate is in the words of Caddyfile.example, which shows what else there
// is.
var siteTemplate = template.Must(template.New("Caddyfile").Parse(`# A gateway to language models. Serve it with: caddy llm-proxy start
# Keys come from the environment and from the file .env beside this one.
{
	# Streams in flight may finish when the process is told to stop.
	grace_period 5m

	# Caddy redacts Authorization and cookies in its logs by itself, but neither
	# X-Api-Key nor keys in a query.
	log {
		level {$LLM_LOG_LEVEL:INFO}
		format filter {
			fields {
				request>headers>X-Api-Key delete
				request>headers>X-Goog-Api-Key delete
				request>headers>Api-Key delete
				request>uri query {
					replace key REDACTED
					replace api_key REDACTED
				}
			}
		}
	}
}
{{if .Domain}}
{{.Domain}} {
	log
{{- else}}
http://:{$LLM_PORT:{{.Port}}} {
{{- if .Host}}
	# Only who can reach this address can reach the gateway.
	bind {$LLM_HOST:{{.Host}}}
{{- end}}
	log
{{- end}}

	llm_proxy {
		providers {$LLM_CONFIG:config}/providers
		models {$LLM_CONFIG:config}/models

		# Changes of these files count at once; a broken one changes nothing.
		watch
{{- if .ClientKey}}

		# Repeat the line for each client.
		client_key default {env.CLIENT_API_KEY}
{{- end}}
{{- if .Database}}

		# What became of each request, without prompts and answers.
		log sqlite {{.Database}}
{{- end}}
	}

	respond "Not found: this is an LLM gateway; see GET /v1/models
" 404
}
{{- if .Demo}}

# The simulated provider: needs no key and knows nothing. Only this machine
# reaches it.
http://127.0.0.1:9877 {
	bind 127.0.0.1
	llm_demo
}
{{- end}}
`))

// text is the Caddyfile.
func (s *site) text() string {
	var b strings.Builder
	if err := siteTemplate.Execute(&b, s); err != nil {
		panic(err) // the template is ours, and has only texts to fill in
	}
	return b.String()
}

// url is where clients on this machine reach the site.
func (s *site) url() string {
	if s.Domain != "" {
		return "https://" + s.Domain
	}
	host := s.Host
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = standardHost
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return "http://" + host + ":" + s.Port
}

// aDomain is a domain that a Caddyfile may begin a site with.
var aDomain = regexp.MustCompile(`^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]*$`)

// parseSite reads where a gateway is to serve: an address such as 127.0.0.1:9876,
// :9876 or localhost:9876 without TLS, or a domain. Empty: the standard place.
func parseSite(text string) (*site, error) {
	if text == "" {
		return &site{Host: standardHost, Port: standardPort}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.Trim(text, "[]"), ""
	}
	if port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("%q is no port; write a number from 1 to 65535", port)
		}
	}
	if host == "localhost" {
		host = standardHost
	}
	_, err = netip.ParseAddr(host)
	switch {
	case err == nil || host == "" && port != "":
		if port == "" {
			port = standardPort
		}
		return &site{Host: host, Port: port}, nil
	case !aDomain.MatchString(host):
		return nil, fmt.Errorf("%q is neither an address nor a domain; write for example 127.0.0.1:9876, :9876 or llm.example.com", text)
	case port != "":
		host += ":" + port
	}
	return &site{Domain: host}, nil
}

// joinAddress is what parseSite reads.
func joinAddress(host, port string) string {
	if host == "" {
		return ":" + port
	}
	return net.JoinHostPort(host, port)
}
