package caddymodule

import (
	"errors"
	"fmt"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:      "llm-proxy",
		Short:     "Looks after the LLM gateway",
		CobraFunc: fillCommand,
	})
}

// Exit codes of the commands, beside 0.
const (
	exitFailed = 1 // something is unhealthy, invalid or unreachable
	exitUsage  = 2 // the command cannot be understood
)

// fillCommand makes a command ours.
func fillCommand(cmd *cobra.Command) {
	cmd.Long = `Looks after the LLM gateway.

Every command prints text, or JSON with --json (but start, which prints a log). It
exits with 0 when all is well, with 1 when something failed or is not healthy, and
with 2 when it was called in a way that it does not understand. Colours are for
terminals only; NO_COLOR turns them off.

Keys and other variables come from the environment and from a file .env in the
working directory (--env-file names another), which never overrides what is set
already. No command prints a key.`
	becomeGroup(cmd,
		healthCommand(),
		setupCommand(),
		startCommand(),
		doctorCommand(),
		versionCommand(),
		configCommand(),
		envCommand(),
		keysCommand(),
		addCommand(),
		editCommand(),
		removeCommand(),
		planCommand(),
		drillCommand(),
		reloadCommand(),
		chatCommand(),
		logsCommand(),
		usageCommand(),
		explainCommand(),
		dbCommand(),
	)
	tellExits(cmd)
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	becomeGroup(cmd, commands...)
	return cmd
}

// becomeGroup lets a command hold others. Cobra would take an unknown one for a
// call for help, and exit with 0.
func becomeGroup(cmd *cobra.Command, commands ...*cobra.Command) {
	cmd.AddCommand(commands...)
	cmd.Args = cobra.ArbitraryArgs
	cmd.DisableFlagsInUseLine = true
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, arguments []string) error {
		if len(arguments) == 0 {
			return cmd.Help()
		}
		if arguments[0] == "help" {
			if meant, _, err := cmd.Find(arguments[1:]); err == nil {
				return meant.Help()
			}
		}
		// Only the first word is repeated: a key may be among the others.
		problem := fmt.Sprintf("there is no command %q", arguments[0])
		if similar := cmd.SuggestionsFor(arguments[0]); len(similar) > 0 {
			problem += fmt.Sprintf("; did you mean %s?", strings.Join(similar, " or "))
		}
		return usageError{problem}
	}
}

// usageError says that a command was called in a way that it does not
// understand.
type usageError struct{ problem string }

// Error implements error.
func (e usageError) Error() string { return e.problem }

// errTold ends a command that has said already what is wrong, as its output.
var errTold = errors.New("told already")

// noArguments refuses arguments without repeating them: one may be a key.
func noArguments(_ *cobra.Command, arguments []string) error {
	if len(arguments) > 0 {
		return errors.New("takes flags only, and no arguments")
	}
	return nil
}

// justOne wants one argument, and repeats none: it may be a key by mistake.
func justOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, arguments []string) error {
		if len(arguments) != 1 {
			return errors.New("takes one argument: " + what)
		}
		return nil
	}
}

// tellExits lets a command and all below it tell their errors on one line of the
// standard error, and exit with the code that belongs to them.
func tellExits(cmd *cobra.Command) {
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return tell(cmd, usageError{err.Error()})
	})
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, arguments []string) error {
			err := check(cmd, arguments)
			if err == nil {
				// Cobra would check this later, and tell nobody.
				err = cmd.ValidateFlagGroups()
			}
			if err != nil {
				return tell(cmd, usageError{err.Error()})
			}
			return nil
		}
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, arguments []string) error { return tell(cmd, run(cmd, arguments)) }
	}
	for _, below := range cmd.Commands() {
		tellExits(below)
	}
}

// errorText is an error on one line, but for the problems of files, which have one
// each: a name with a line break in it must not look like another.
func errorText(err error) string {
	var load *routing.LoadError
	if !errors.As(err, &load) {
		return escape(err.Error())
	}
	adviseSetup(load.Problems)
	text := err.Error()
	for _, p := range load.Problems {
		text = strings.Replace(text, p.String(), escape(p.String()), 1)
	}
	return escapeLines(text)
}

// tell tells a command's error, and returns one that Caddy turns into the exit
// code.
func tell(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	code, hint := exitFailed, ""
	if usage := (usageError{}); errors.As(err, &usage) {
		code, hint = exitUsage, "; see "+cmd.CommandPath()+" --help"
	}
	if err != errTold {
		cmd.PrintErrln("Error: " + errorText(err) + hint)
	}
	if code == exitFailed {
		return err
	}
	// Caddy's error with an exit code is its own secret, but it makes one.
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
}
