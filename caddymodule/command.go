package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "llm-proxy",
		Short: "Looks after the LLM gateway",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(healthCommand(), reloadCommand())
		},
	})
}

// healthTimeout bounds the whole question. A health check that hangs is a
// failed one.
const healthTimeout = 10 * time.Second

func healthCommand() *cobra.Command {
	var endpoint string
	var detailed bool
	cmd := &cobra.Command{
		Use:   "health [--endpoint <url>] [--detailed]",
		Short: "Asks a running gateway whether it is healthy",
		Long: `Asks a running gateway whether it is healthy.

Exits with 0 when it serves, 1 when it does not or cannot be reached. With
--detailed it asks about providers and models too; a gateway that is degraded
(a provider without keys) still serves.`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
	}
	cmd.Flags().StringVarP(&endpoint, "endpoint", "e", "http://127.0.0.1:9876", "Where the gateway serves")
	cmd.Flags().BoolVarP(&detailed, "detailed", "d", false, "Ask about providers and models too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
		defer cancel()
		return askHealth(ctx, cmd.OutOrStdout(), strings.TrimSuffix(endpoint, "/"), detailed)
	}
	return cmd
}

func askHealth(ctx context.Context, out io.Writer, endpoint string, detailed bool) error {
	path := "/health"
	if detailed {
		path = "/health/detailed"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+path, nil)
	if err != nil {
		return fmt.Errorf("endpoint %q: %w", endpoint, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("cannot connect to the gateway: %w", err)
	}
	defer response.Body.Close()
	var report healthReport
	err = json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&report)
	if err != nil || report.Status == "" {
		return fmt.Errorf("%s%s answered status %d and no health report; is it the gateway?", endpoint, path, response.StatusCode)
	}
	fmt.Fprintln(out, report.Status)
	if detailed {
		printDetails(out, &report)
	}
	if response.StatusCode != http.StatusOK {
		return errors.New("the gateway is " + report.Status)
	}
	return nil
}

// printMessage tells what is wrong with what stands before it, if anything is.
func printMessage(out io.Writer, message string) {
	if message != "" {
		fmt.Fprintln(out, "  "+message)
	}
}

func printDetails(out io.Writer, report *healthReport) {
	c := &report.Components
	fmt.Fprintf(out, "up for     %s\n", (time.Duration(report.UptimeSeconds) * time.Second).String())
	fmt.Fprintf(out, "models     %d\n", c.ModelConfig.ModelsCount)
	printMessage(out, c.ModelConfig.Message)
	fmt.Fprintf(out, "providers  %d, %d enabled\n", c.ProviderConfigs.ProvidersLoaded, c.ProviderConfigs.ProvidersEnabled)
	printMessage(out, c.ProviderConfigs.Message)
	names, width := make([]string, 0, len(c.Providers)), 0
	for name := range c.Providers {
		names, width = append(names, name), max(width, len(name))
	}
	slices.Sort(names)
	for _, name := range names {
		p := c.Providers[name]
		fmt.Fprintf(out, "  %-*s  %s, keys available: %d\n", width, name, p.Status, p.KeysAvailable)
	}
}
