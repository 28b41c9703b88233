package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// finding is what a check of doctor found.
type finding struct {
	Check   string `json:"check"`
	State   health `json:"state"`
	Message string `json:"message"`
	// Fix says what to do about it.
	Fix string `json:"fix,omitempty"`

	// mend does that, and tells what it did. nil: it is a person's to do.
	mend func() (string, error)
}

// health is how bad a finding is.
type health string

const (
	healthOK      health = "ok"
	healthWarning health = "warning" // it works, but
	healthFailure health = "failure" // it does not work, or is not safe
)

// diagnosis is the output of doctor.
type diagnosis struct {
	Healthy  bool      `json:"healthy"`
	Mended   []string  `json:"mended"`
	Findings []finding `json:"findings"`
}

func doctorCommand() *cobra.Command {
	var fix, network bool
	cmd := &cobra.Command{
		Use:   "doctor [--fix] [--network]",
		Short: "Tells what is wrong with this installation, and what to do about it",
		Long: `Checks the Caddyfile of the working directory (--config names another), the
provider and model files, variables and keys, .env, the request log, the ports and
the running gateway, and tells of each what is wrong and what to do about it. It
asks nobody but this machine, and the PostgreSQL of the request log, unless
--network lets it ask the providers whether their keys work.

--fix does what can be done without harm: permissions, directories that are not
there, .env with a new CLIENT_API_KEY where there is none, .env in .gitignore, and
a damaged request log, which is renamed. It never changes what you have written.

Exits with 1 when something fails. Warnings are about what works.`,
		Args: noArguments,
	}
	cmd.Flags().BoolVar(&fix, "fix", false, "Mend what can be mended without harm, and check again")
	cmd.Flags().BoolVar(&network, "network", false, "Ask the providers whether their keys work")
	cmd.Flags().StringP("config", "c", "", "Caddyfile, or configuration in JSON (default ./Caddyfile)")
	addEnvFileFlag(cmd)
	addAddressFlag(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		result, err := diagnose(cmd, network)
		if err != nil {
			return err
		}
		if fix {
			mended := result.mend()
			if result, err = diagnose(cmd, network); err != nil {
				return err
			}
			result.Mended = mended
		}
		out := newOutput(cmd)
		if out.json {
			err = out.printJSON(result)
		} else {
			result.print(out)
		}
		if err := errors.Join(err, out.flush(cmd)); err != nil {
			return err
		}
		if !result.Healthy {
			return errTold
		}
		return nil
	}
	return cmd
}

// mend does what the findings say, and tells what came of it.
func (d *diagnosis) mend() []string {
	told := []string{}
	for _, f := range d.Findings {
		if f.mend == nil {
			continue
		}
		did, err := f.mend()
		if err != nil {
			did = fmt.Sprintf("%s could not be mended: %v", f.Check, err)
		}
		told = append(told, did)
	}
	return told
}

func (d *diagnosis) print(out *output) {
	for _, mended := range d.Mended {
		out.printf("%s   %s", out.paint(green, "mended"), mended)
	}
	colours := map[health]colour{healthOK: green, healthWarning: yellow, healthFailure: red}
	count := make(map[health]int)
	for _, f := range d.Findings {
		count[f.State]++
		state := out.paint(colours[f.State], string(f.State))
		out.printf("%s%s  %-10s  %s", state, strings.Repeat(" ", len(healthWarning)-len(f.State)), f.Check, f.Message)
		if f.Fix != "" {
			out.printf("                     %s", f.Fix)
		}
	}
	out.printf("%d checks are good, %d warn and %d fail", count[healthOK], count[healthWarning], count[healthFailure])
}

// examination is one run of all checks.
type examination struct {
	ctx      context.Context
	cmd      *cobra.Command
	now      time.Time
	vars     variables
	config   *configuration // of start where there is no other
	catalogs []*routing.Catalog
	running  bool // the administration endpoint answers
	findings []finding
}

// diagnose runs all checks.
func diagnose(cmd *cobra.Command, network bool) (*diagnosis, error) {
	x := &examination{ctx: cmd.Context(), cmd: cmd, now: time.Now()}
	x.checkVersions()
	if err := x.checkVariables(); err != nil {
		return nil, err
	}
	x.checkConfiguration()
	for _, block := range x.blocks() {
		x.checkFiles(block)
	}
	x.checkProviderVariables()
	x.checkClientKeys()
	x.checkEnvFile()
	for _, block := range x.blocks() {
		x.checkLog(block)
	}
	x.checkRunning()
	x.checkPorts()
	x.checkMachine()
	if network {
		x.checkKeys()
	}
	result := &diagnosis{Mended: []string{}, Findings: x.findings}
	result.Healthy = !slices.ContainsFunc(x.findings, func(f finding) bool { return f.State == healthFailure })
	return result, nil
}

func (x *examination) ok(check, format string, arguments ...any) {
	x.findings = append(x.findings, finding{Check: check, State: healthOK, Message: fmt.Sprintf(format, arguments...)})
}

func (x *examination) warn(check, message, fix string) {
	x.findings = append(x.findings, finding{Check: check, State: healthWarning, Message: message, Fix: fix})
}

func (x *examination) fail(check, message, fix string, mend func() (string, error)) {
	x.findings = append(x.findings, finding{Check: check, State: healthFailure, Message: message, Fix: fix, mend: mend})
}

// blocks are the llm_proxy blocks, each directory or database once.
func (x *examination) blocks() []*Handler {
	if x.config == nil {
		return nil
	}
	var distinct []*Handler
	for _, block := range x.config.blocks {
		if !slices.ContainsFunc(distinct, func(h *Handler) bool {
			return h.Providers == block.Providers && h.Models == block.Models && h.Log.SQLite == block.Log.SQLite && h.Log.Postgres == block.Log.Postgres
		}) {
			distinct = append(distinct, block)
		}
	}
	return distinct
}

func (x *examination) checkVersions() {
	r := reportVersion()
	x.ok("versions", "llm-proxy %s, Caddy %s, %s, %s", r.Version, r.Caddy, r.Go, r.Platform)
}

// checkVariables reads .env, and adds what it holds to the environment, which
// Caddyfiles are read with.
func (x *examination) checkVariables() error {
	var usage usageError
	vars, err := readVariables(x.cmd)
	switch {
	case errors.As(err, &usage):
		return err
	case err != nil:
		x.fail(".env", err.Error(), "put that line right", nil)
		x.vars = variables{environ: os.Environ()}
		return nil
	}
	x.vars = vars
	if err := adoptVariables(x.cmd); err != nil {
		x.fail(".env", err.Error(), "put that line right", nil)
	}
	return nil
}
