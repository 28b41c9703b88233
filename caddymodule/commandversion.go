package caddymodule

import (
	goruntime "runtime"
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
)

// versionReport is what version tells.
type versionReport struct {
	Version string `json:"version"` // of the gateway
	Caddy   string `json:"caddy"`
	Go      string `json:"go"`
	// Platform is the operating system and the processor.
	Platform string `json:"platform"`
	// Libraries are the modules that make most of the gateway, with their
	// versions.
	Libraries map[string]string `json:"libraries"`
}

// libraries are the modules that version --verbose names: what answers depend on.
var libraries = []string{
	"github.com/spf13/cobra", "github.com/tidwall/gjson", "github.com/tidwall/sjson",
	"github.com/prometheus/client_golang", "github.com/mholt/caddy-ratelimit",
}

func versionCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "version [--verbose]",
		Short: "Tells the version of the gateway",
		Args:  noArguments,
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "Tell those of Caddy, Go and the libraries too")
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		report, out := reportVersion(), newOutput(cmd)
		if out.json {
			if err := out.printJSON(report); err != nil {
				return err
			}
			return out.flush(cmd)
		}
		out.printf("llm-proxy version %s", report.Version)
		if verbose {
			out.printf("Caddy     %s", report.Caddy)
			out.printf("Go        %s", report.Go)
			out.printf("platform  %s", report.Platform)
			for _, path := range libraries {
				if v, linked := report.Libraries[path]; linked {
					out.printf("%s %s", path, v)
				}
			}
		}
		return out.flush(cmd)
	}
	return cmd
}

func reportVersion() versionReport {
	simple, _ := caddy.Version()
	report := versionReport{
		Version:   version,
		Caddy:     simple,
		Go:        goruntime.Version(),
		Platform:  goruntime.GOOS + "/" + goruntime.GOARCH,
		Libraries: make(map[string]string),
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return report
	}
	linked := make(map[string]string, len(info.Deps))
	for _, module := range info.Deps {
		linked[module.Path] = module.Version
	}
	for _, path := range libraries {
		if v, ok := linked[path]; ok {
			report.Libraries[path] = v
		}
	}
	return report
}
