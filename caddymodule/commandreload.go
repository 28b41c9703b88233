package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// reloadTimeout bounds a reload, which reads and judges all files.
const reloadTimeout = time.Minute

func reloadCommand() *cobra.Command {
	var address, config, adapter string
	cmd := &cobra.Command{
		Use:   "reload [--address <listen> | --config <path> [--adapter <name>]] [--json]",
		Short: "Lets a running gateway read its provider and model files again",
		Long: `Lets a running gateway read its provider and model files again, and tells what
has changed. Requests in flight end as they began.

Exits with 0 when the files are in use. When one of them is broken, or Caddy
cannot be reached, it exits with 1 and nothing has changed; all problems are
told at once. --json tells both as the administration API does.`,
		Args:         noArguments,
		SilenceUsage: true,
	}
	cmd.Flags().Var(anAddress(&address), "address", "Address of the administration API, if it is not the default")
	cmd.Flags().StringVarP(&config, "config", "c", "", "Configuration file that tells the address")
	cmd.Flags().StringVarP(&adapter, "adapter", "a", "", "Adapter of the configuration file")
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		address, err := caddycmd.DetermineAdminAPIAddress(address, nil, config, adapter)
		if err != nil {
			return fmt.Errorf("finding the address of the administration API: %w", err)
		}
		out := newOutput(cmd)
		err = askReload(cmd.Context(), out, address)
		return errors.Join(out.flush(cmd), err)
	}
	return cmd
}

func askReload(ctx context.Context, out *output, address string) error {
	body, err := callAdmin(ctx, address, http.MethodPost, "/llm_proxy/reload", reloadTimeout)
	if err != nil {
		return explainRefusal(out, address, err)
	}
	var answer reloadAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if out.json {
		_, err := (&escapingJSON{&out.Buffer}).Write(body)
		return err
	}
	if len(answer.Handlers) == 0 {
		out.printf("no llm_proxy is running there")
	}
	for i := range answer.Handlers {
		printReload(out, &answer.Handlers[i])
	}
	return nil
}

// explainRefusal finds the answer of the administration in the text of an error,
// where Caddy's client puts it when the status is not a good one.
func explainRefusal(out *output, address string, err error) error {
	_, body, found := strings.Cut(err.Error(), fmt.Sprintf("HTTP %d: ", new(reloadRefusal).status()))
	var refusal reloadRefusal
	if !found || json.Unmarshal([]byte(body), &refusal) != nil || len(refusal.Problems) == 0 {
		return explainAdmin(address, err, "")
	}
	if out.json {
		_, _ = (&escapingJSON{&out.Buffer}).Write([]byte(body)) // to memory
		return errors.New(refusal.Error)
	}
	return fmt.Errorf("nothing is reloaded: %w", &routing.LoadError{Problems: refusal.Problems})
}

func printReload(out *output, h *handlerReload) {
	out.printf("%s", h.Directory)
	out.printf("  providers  %s", describeDifference(&h.Providers))
	out.printf("  models     %s", describeDifference(&h.Models))
	for _, warning := range h.Warnings {
		out.printf("  warning    %s", warning)
	}
}

// describeDifference is a difference in words.
func describeDifference(d *routing.Difference) string {
	var parts []string
	for _, list := range []struct {
		what  string
		names []string
	}{{"added", d.Added}, {"changed", d.Changed}, {"removed", d.Removed}} {
		if len(list.names) > 0 {
			parts = append(parts, list.what+" "+strings.Join(list.names, ", "))
		}
	}
	if len(parts) == 0 {
		return "as before"
	}
	return strings.Join(parts, "; ")
}
