package caddymodule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/tidwall/sjson"
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
(a provider without keys) still serves. Where the administration endpoint of the
same process can be reached, it adds what that knows: what is in flight, how the
request log is, broken files, and each key.`,
		Args:         noArguments,
		SilenceUsage: true,
	}
	cmd.Flags().VarP(aURL(&endpoint), "endpoint", "e", "Where the gateway serves (default \"http://127.0.0.1:9876\", or as LLM_HOST and LLM_PORT say)")
	cmd.Flags().BoolVarP(&detailed, "detailed", "d", false, "Ask about providers and models too")
	addAddressFlag(cmd)
	addEnvFileFlag(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
		defer cancel()
		if endpoint == "" {
			vars, err := readVariables(cmd)
			if err != nil {
				return err
			}
			endpoint = vars.gatewayURL()
		}
		out := newOutput(cmd)
		administration := func(*healthReport) (*fullHealth, error) { return nil, nil }
		if detailed {
			address, _ := cmd.Flags().GetString("address")
			administration = func(public *healthReport) (*fullHealth, error) { return askFullHealth(ctx, address, public) }
		}
		err := askHealth(ctx, out, strings.TrimSuffix(endpoint, "/"), detailed, administration)
		return errors.Join(out.flush(cmd), err)
	}
	return cmd
}

// gatewayURL is where the gateway of this machine serves, unless its Caddyfile says
// otherwise.
func (v *variables) gatewayURL() string { return v.site().url() }

// site is where the variables say that the gateway serves. Caddyfiles of setup and
// start read the same ones.
func (v *variables) site() *site {
	return &site{Host: cmp.Or(v.get(hostVariable), standardHost), Port: cmp.Or(v.get(portVariable), standardPort)}
}

// askHealth asks the gateway and tells what it said, with what administration adds
// to that, if anything.
func askHealth(ctx context.Context, out *output, endpoint string, detailed bool, administration func(*healthReport) (*fullHealth, error)) error {
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
		return fmt.Errorf("cannot connect to the gateway: %w; start it with caddy llm-proxy start, or say with --endpoint where it serves", err)
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
	more, refused := administration(&report)
	if out.json {
		if more != nil {
			if body, err = sjson.SetBytes(body, "administration", more); err != nil {
				return err
			}
		}
		err = out.printJSON(json.RawMessage(body))
	} else {
		out.printf("%s", report.Status)
		if detailed {
			printDetails(out, &report)
		}
		if more != nil {
			printFullHealth(out, more, time.Now())
		}
	}
	if err = errors.Join(err, refused); err != nil {
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
	if c.Database.Status != "" && c.Database.Status != "disabled" {
		out.printf("database   %s", c.Database.Status)
		printMessage(out, c.Database.Error)
	}
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

// fullHealthTime bounds the question to the administration endpoint, which only
// adds to what is known.
const fullHealthTime = 2 * time.Second

// sameStart is by how much the two reports of one process may differ about when it
// began, as both tell it in whole seconds.
const sameStart = 3 * time.Second

// askFullHealth asks the administration endpoint of the process that gave the
// public report. One that nobody named need not be there, or may be that of another
// process.
func askFullHealth(ctx context.Context, address string, public *healthReport) (*fullHealth, error) {
	named := address != ""
	if !named {
		address = caddy.DefaultAdminListen
	}
	body, err := callAdmin(ctx, address, http.MethodGet, "/llm_proxy/health", fullHealthTime)
	if err != nil {
		if !named {
			return nil, nil
		}
		return nil, fmt.Errorf("asking the administration endpoint at %s: %w", address, err)
	}
	full := new(fullHealth)
	if err := json.Unmarshal(body, full); err != nil || !sameProcess(public, full) {
		if !named {
			return nil, nil
		}
		return nil, fmt.Errorf("the administration endpoint at %s is not that of the gateway which serves there", address)
	}
	return full, nil
}

// sameProcess tells whether two reports are of a process that began at one time.
func sameProcess(public *healthReport, full *fullHealth) bool {
	at, err := time.Parse(time.RFC3339, public.Timestamp)
	if err != nil {
		return false
	}
	began := at.Add(-time.Duration(public.UptimeSeconds) * time.Second)
	return began.Sub(full.Timestamp.Add(-time.Duration(full.UptimeSeconds)*time.Second)).Abs() <= sameStart
}

// printFullHealth tells what only the operator may know.
func printFullHealth(out *output, full *fullHealth, now time.Time) {
	out.printf("version    %s, with %s", full.Version, full.Process.Go)
	out.printf("requests   %d in flight, %d of them streams", full.RequestsInFlight, full.OpenStreams)
	files := ""
	if full.Process.OpenFiles > 0 {
		files = fmt.Sprintf(", %d open files", full.Process.OpenFiles)
	}
	out.printf("process    %s of memory, %d goroutines%s", humanize.IBytes(full.Process.MemoryBytes), full.Process.Goroutines, files)
	for i := range full.Handlers {
		h := &full.Handlers[i]
		if h.Log != nil {
			printWriter(out, h.Log)
		}
		for _, p := range h.Problems {
			out.printf("%s    %s", out.paint(red, "problem"), p)
		}
		if n := len(h.Warnings); n > 0 {
			out.printf("warnings   %d about files; config validate tells them", n)
		}
	}
	printKeys(out, full.Providers, false, now)
}
