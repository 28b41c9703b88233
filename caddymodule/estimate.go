package caddymodule

import (
	"net/http"
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// estimate answers count_tokens where no upstream can. Agents ask before each
// turn, and an estimate serves them better than an error.
func (x *exchange) estimate(q *routing.Request) {
	tokens := translate.EstimateTokens(x.endpoint.protocol, q.Body.Bytes())
	body := strconv.AppendInt([]byte(`{"input_tokens":`), tokens, 10)
	setHeaders(x.w.Header(), "Llm-Proxy-Warnings", "param=input_tokens;action=estimated")
	body = append(body, '}')
	x.committed = true
	x.trace.status, x.trace.out = http.StatusOK, int64(len(body))
	writeJSON(x.w, http.StatusOK, body)
}
