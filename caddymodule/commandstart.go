package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// startFlags are the flags of start.
type startFlags struct {
	host, logLevel, config string
	port, workers          int
	reload                 bool
}

func startCommand() *cobra.Command {
	var flags startFlags
	cmd := &cobra.Command{
		Use:   "start [--config <Caddyfile>] [--host <address>] [--port <n>]",
		Short: "Serves the gateway in the foreground",
		Long: `Serves the gateway in the foreground, as caddy run does: that of --config or of
the Caddyfile in the working directory, where it has an llm_proxy block; else one
of its own, with the files of config/providers and config/models.

The variables of .env in the working directory, and then those of --env-file, are
added to the environment, and never override it. --host, --port and --log-level
set LLM_HOST, LLM_PORT and LLM_LOG_LEVEL, which the Caddyfiles of setup read.

Before it serves, it checks the files. With FAIL_ON_STARTUP_VALIDATION=true it
also refuses to serve without any provider's key. Exits with 2 when
REQUIRE_CLIENT_API_KEY is true and CLIENT_API_KEY not set.`,
		Args: noArguments,
	}
	cmd.Flags().StringVar(&flags.host, "host", standardHost, "Address to listen on; 0.0.0.0 for all")
	cmd.Flags().IntVarP(&flags.port, "port", "p", 9876, "Port to listen on")
	cmd.Flags().BoolVar(&flags.reload, "reload", false, "Watch the Caddyfile, the provider and the model files, and take changes at once")
	cmd.Flags().IntVarP(&flags.workers, "workers", "w", 1, "Has no effect: one process uses all processors")
	cmd.Flags().StringVarP(&flags.logLevel, "log-level", "l", "info", "debug, info, warning or error")
	cmd.Flags().StringVarP(&flags.config, "config", "c", "", "Caddyfile, or configuration in JSON (default ./Caddyfile, where it has an llm_proxy block)")
	addEnvFileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return startGateway(cmd, &flags) }
	return cmd
}

func startGateway(cmd *cobra.Command, flags *startFlags) error {
	if err := adoptVariables(cmd); err != nil {
		return err
	}
	if err := flags.adopt(cmd); err != nil {
		return err
	}
	config, err := findConfiguration(flags.config)
	if err != nil {
		return err
	}
	out := newOutput(cmd)
	if config == nil {
		if config, err = flags.ownConfiguration(); err != nil {
			return err
		}
	} else if err := flags.fit(cmd, config); err != nil {
		return err
	}
	if err := config.checkStart(out, os.Environ()); err != nil {
		return errors.Join(out.flush(cmd), err)
	}
	if flags.workers > 1 {
		out.printf("--workers %d has no effect: one process uses all processors", flags.workers)
	}
	if flags.reload && !config.watches() {
		out.printf("provider and model files are not watched: write watch in the llm_proxy block")
	}
	out.printf("llm-proxy %s serves %s: %s", version, config.name(), strings.Join(config.addresses(), ", "))
	if err := out.flush(cmd); err != nil {
		return err
	}
	return serveForeground(cmd, config, flags.reload)
}

// adoptVariables adds the variables of .env, and then those of --env-file, to the
// environment of the process, which Caddyfiles are read with.
func adoptVariables(cmd *cobra.Command) error {
	named, _ := cmd.Flags().GetString("env-file")
	for _, path := range slices.Compact([]string{"", named}) {
		text, err := readEnvFile(path)
		if err != nil {
			return err
		}
		found, err := parseEnv(text)
		if err != nil {
			return fmt.Errorf("%s:%w", cmp.Or(path, defaultEnvFile), err)
		}
		// Of a name that is in a file twice the last one counts.
		slices.Reverse(found)
		for _, v := range found {
			if _, set := os.LookupEnv(v.name); set {
				continue
			}
			if err := os.Setenv(v.name, v.value); err != nil {
				return fmt.Errorf("setting %s: %w", v.name, err)
			}
		}
	}
	// A Caddyfile's default is for a variable that is not set. One that is set to
	// nothing, as compose files do it, would be a hole: a site without an address.
	for _, name := range []string{hostVariable, portVariable, logLevelVariable, "LLM_CONFIG", "LLM_DATABASE"} {
		if os.Getenv(name) == "" {
			if err := os.Unsetenv(name); err != nil {
				return fmt.Errorf("unsetting %s: %w", name, err)
			}
		}
	}
	return nil
}

// logLevels are the words that --log-level may be, and Caddy's for them.
var logLevels = map[string]string{"debug": "DEBUG", "info": "INFO", "warning": "WARN", "warn": "WARN", "error": "ERROR", "critical": "ERROR"}

// adopt sets the variables that stand for flags, and fills in the flags that were
// not given from them.
func (f *startFlags) adopt(cmd *cobra.Command) error {
	level, known := logLevels[strings.ToLower(f.logLevel)]
	switch {
	case f.port < 1 || f.port > 65535:
		return usageError{fmt.Sprintf("--port takes a number from 1 to 65535, not %d", f.port)}
	case !known:
		return usageError{fmt.Sprintf("--log-level takes debug, info, warning or error, not %q", f.logLevel)}
	case f.workers < 1:
		return usageError{fmt.Sprintf("--workers takes a number above 0, not %d", f.workers)}
	}
	for _, v := range []struct{ flag, name, value string }{
		{"host", hostVariable, f.host},
		{"port", portVariable, strconv.Itoa(f.port)},
		{"log-level", logLevelVariable, level},
	} {
		if !cmd.Flags().Changed(v.flag) {
			continue
		}
		if err := os.Setenv(v.name, v.value); err != nil {
			return fmt.Errorf("setting %s: %w", v.name, err)
		}
	}
	return nil
}

// ownConfiguration is what is served without a Caddyfile.
func (f *startFlags) ownConfiguration() (*configuration, error) {
	own := site{
		Host: standardHost, Port: standardPort, Demo: true,
		ClientKey: os.Getenv(clientKeyVariable) != "",
	}
	return adaptCaddyfile("", []byte(own.text()))
}

// fit makes sure that a Caddyfile reads the variables of the flags that were
// given.
func (f *startFlags) fit(cmd *cobra.Command, config *configuration) error {
	for _, v := range []struct{ flag, name string }{{"host", hostVariable}, {"port", portVariable}, {"log-level", logLevelVariable}} {
		if cmd.Flags().Changed(v.flag) && !strings.Contains(string(config.text), "{$"+v.name) {
			return usageError{fmt.Sprintf("%s does not take --%s: write {$%s} in it where it belongs, or leave the flag out", config.path, v.flag, v.name)}
		}
	}
	return nil
}

// serveForeground lets Caddy's own run command serve a configuration until the process
// ends.
func serveForeground(cmd *cobra.Command, config *configuration, watch bool) error {
	run, _, err := cmd.Root().Find([]string{"run"})
	if err != nil {
		return fmt.Errorf("finding caddy run: %w", err)
	}
	arguments := []string{"--config", config.path}
	switch {
	case config.path == "":
		// What run reads from its standard input leaves no file behind.
		reader, writer, err := os.Pipe()
		if err != nil {
			return fmt.Errorf("passing the configuration on: %w", err)
		}
		_, err = writer.Write(config.text) // which is far smaller than a pipe
		if err := errors.Join(err, writer.Close()); err != nil {
			return fmt.Errorf("passing the configuration on: %w", err)
		}
		os.Stdin = reader
		arguments = []string{"--config", "-", "--adapter", "caddyfile"}
	case watch:
		arguments = append(arguments, "--watch")
	}
	if err := run.ParseFlags(arguments); err != nil {
		return fmt.Errorf("calling caddy run: %w", err)
	}
	if err := run.RunE(run, nil); err != nil {
		return errTold // by Caddy's log
	}
	return nil
}
