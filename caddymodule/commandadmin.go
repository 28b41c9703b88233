package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

// adminTimeout bounds a question to the administration endpoint.
const adminTimeout = 10 * time.Second

// maxAdminAnswer bounds its answer.
const maxAdminAnswer = 64 << 20

// addAddressFlag gives a command the flag --address, as Caddy's own have it.
func addAddressFlag(cmd *cobra.Command) {
	cmd.Flags().Var(anAddress(new(string)), "address", "Address of Caddy's administration endpoint (default \""+caddy.DefaultAdminListen+"\")")
}

// askAdmin reads an answer of the running gateway's administration endpoint.
// otherwise is what to do where there is none.
func askAdmin(cmd *cobra.Command, path, otherwise string, answer any) error {
	return orderAdmin(cmd, http.MethodGet, path, otherwise, answer)
}

// orderAdmin is askAdmin for any method.
func orderAdmin(cmd *cobra.Command, method, path, otherwise string, answer any) error {
	address, _ := cmd.Flags().GetString("address")
	if address == "" {
		address = caddy.DefaultAdminListen
	}
	body, err := callAdmin(cmd.Context(), address, method, path, adminTimeout)
	if err != nil {
		return explainAdmin(address, err, otherwise)
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("the administration endpoint at %s answers with something else than this version expects; is it this gateway's?", address)
	}
	return nil
}

// explainAdmin tells what an error of callAdmin means, and what to do. otherwise is
// what else can be done.
func explainAdmin(address string, err error, otherwise string) error {
	if err == errAdminHangs {
		return fmt.Errorf("the administration endpoint at %s does not answer; is it Caddy's (--address)?", address)
	}
	if said, refused := adminError(err); refused {
		if strings.HasPrefix(err.Error(), adminRefusal+"400") {
			return usageError{gatewayError(said).Error()}
		}
		return gatewayError(said)
	}
	return fmt.Errorf("cannot connect to the administration endpoint at %s: %w; start the gateway with caddy llm-proxy start, or say with --address where it is%s", address, err, otherwise)
}

// errAdminHangs is returned where an endpoint does not answer in time.
var errAdminHangs = errors.New("it does not answer in time")

// callAdmin calls an administration endpoint and reads its answer. Caddy's client
// knows how to reach it, also on a Unix socket, but takes no context: where the
// endpoint hangs, its goroutine ends with the command.
func callAdmin(ctx context.Context, address, method, path string, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	type result struct {
		body []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		response, err := caddycmd.AdminAPIRequest(address, method, path, nil, nil)
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAdminAnswer))
		done <- result{body, err}
	}()
	select {
	case got := <-done:
		return got.body, got.err
	case <-ctx.Done():
		return nil, errAdminHangs
	}
}

// gatewayError is what a running gateway answers that it cannot or will not do.
type gatewayError string

// Error implements error.
func (e gatewayError) Error() string { return "the gateway says: " + string(e) }

// adminRefusal is how errors of Caddy's client begin where an endpoint refuses; the
// status comes next.
const adminRefusal = "caddy responded with error: HTTP "

// adminError returns what the endpoint itself said in an error of Caddy's.
func adminError(err error) (said string, ok bool) {
	body, ok := strings.CutPrefix(err.Error(), adminRefusal)
	if !ok {
		return "", false
	}
	_, text, _ := strings.Cut(body, ": ")
	if message := gjson.Get(text, "error"); gjson.Valid(text) && message.Type == gjson.String {
		return message.String(), true
	}
	return "status " + body[:min(len(body), 200)], true
}
