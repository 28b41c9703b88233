package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

func reloadCommand() *cobra.Command {
	var address, config, adapter string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "reload [--address <listen> | --config <path> [--adapter <name>]] [--json]",
		Short: "Lets a running gateway read its provider and model files again",
		Long: `Lets a running gateway read its provider and model files again, and tells what
has changed. Requests in flight end as they began.

Exits with 0 when the files are in use. When one of them is broken, or Caddy
cannot be reached, it exits with 1 and nothing has changed; all problems are
told at once. --json tells both as the administration API does.`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
	}
	cmd.Flags().StringVar(&address, "address", "", "Address of the administration API, if it is not the default")
	cmd.Flags().StringVarP(&config, "config", "c", "", "Configuration file that tells the address")
	cmd.Flags().StringVarP(&adapter, "adapter", "a", "", "Adapter of the configuration file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "Tell the answer as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		address, err := caddycmd.DetermineAdminAPIAddress(address, nil, config, adapter)
		if err != nil {
			return fmt.Errorf("finding the address of the administration API: %w", err)
		}
		return askReload(cmd.OutOrStdout(), address, asJSON)
	}
	return cmd
}

func askReload(out io.Writer, address string, asJSON bool) error {
	response, err := caddycmd.AdminAPIRequest(address, http.MethodPost, "/llm_proxy/reload", nil, nil)
	if err != nil {
		return explainRefusal(out, err, asJSON)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	var answer reloadAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if asJSON {
		_, err := out.Write(body)
		return err
	}
	if len(answer.Handlers) == 0 {
		fmt.Fprintln(out, "no llm_proxy is running there")
	}
	for i := range answer.Handlers {
		printReload(out, &answer.Handlers[i])
	}
	return nil
}

// explainRefusal finds the answer of the administration in the text of an error,
// where Caddy's client puts it when the status is not a good one.
func explainRefusal(out io.Writer, err error, asJSON bool) error {
	_, body, found := strings.Cut(err.Error(), fmt.Sprintf("HTTP %d: ", new(reloadRefusal).status()))
	var refusal reloadRefusal
	if !found || json.Unmarshal([]byte(body), &refusal) != nil || len(refusal.Problems) == 0 {
		return err
	}
	if asJSON {
		fmt.Fprint(out, body)
		return errors.New(refusal.Error)
	}
	return fmt.Errorf("nothing is reloaded: %w", &routing.LoadError{Problems: refusal.Problems})
}

func printReload(out io.Writer, h *handlerReload) {
	fmt.Fprintf(out, "%s\n  providers  %s\n  models     %s\n", h.Directory, describeDifference(&h.Providers), describeDifference(&h.Models))
	for _, warning := range h.Warnings {
		fmt.Fprintf(out, "  warning    %s\n", warning)
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
