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

	"github.com/spf13/cobra"
)

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
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
		defer cancel()
		out := newOutput(cmd)
		err := askHealth(ctx, out, strings.TrimSuffix(endpoint, "/"), detailed)
		return errors.Join(out.flush(cmd), err)
	}
	return cmd
}

func askHealth(ctx context.Context, out *output, endpoint string, detailed bool) error {
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
		return fmt.Errorf("cannot connect to the gateway: %w; start it with caddy run, or say with --endpoint where it serves", err)
	}
	defer response.Body.Close()
	var report healthReport
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil {
		err = json.Unmarshal(body, &report)
	}
	if err != nil || report.Status == "" {
		return fmt.Errorf("%s%s answered status %d and no health report; is it the gateway?", endpoint, path, response.StatusCode)
	}
	switch {
	case out.json:
		err = out.printJSON(json.RawMessage(body))
	case detailed:
		out.printf("%s", report.Status)
		printDetails(out, &report)
	default:
		out.printf("%s", report.Status)
	}
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New("the gateway is " + report.Status)
	}
	return nil
}

// printMessage tells what is wrong with what stands before it, if anything is.
func printMessage(out *output, message string) {
	if message != "" {
		out.printf("  %s", message)
	}
}

func printDetails(out *output, report *healthReport) {
	c := &report.Components
	out.printf("up for     %s", time.Duration(report.UptimeSeconds)*time.Second)
	out.printf("models     %d", c.ModelConfig.ModelsCount)
	printMessage(out, c.ModelConfig.Message)
	out.printf("providers  %d, %d enabled", c.ProviderConfigs.ProvidersLoaded, c.ProviderConfigs.ProvidersEnabled)
	printMessage(out, c.ProviderConfigs.Message)
	names, width := make([]string, 0, len(c.Providers)), 0
	for name := range c.Providers {
		names, width = append(names, name), max(width, len(name))
	}
	slices.Sort(names)
	for _, name := range names {
		p := c.Providers[name]
		out.printf("  %-*s  %s, keys available: %d", width, name, p.Status, p.KeysAvailable)
	}
}
