package caddymodule

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

const (
	// shortKey is the length below which a key is hardly a whole one.
	shortKey = 10
	// maxKey is the longest key that is read.
	maxKey = 16 << 10
)

func addKeyCommand() *cobra.Command {
	var provider, variable string
	cmd := &cobra.Command{
		Use:   "key --provider <name> [--env-var <variable>]",
		Short: "Adds a provider's key to the file of variables",
		Long: `Adds a provider's key to the file .env in the working directory (--env-file names
another one), in the first of the provider's variables that neither the environment
nor the file sets. Only the file's owner can read it (mode 0600).

The key is asked for on a terminal, and else read from the standard input. It is
never printed.`,
		Args: noArguments,
	}
	flags := cmd.Flags()
	flags.StringVarP(&provider, "provider", "p", "", "Whose key it is")
	flags.StringVarP(&variable, "env-var", "e", "", "Variable to set, instead of the first free one")
	flags.BoolP("list", "l", false, "List the keys that there are, by their public names")
	addKeyFlag(cmd)
	addFileFlags(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if wanted(cmd, "list") {
			return listKeys(cmd)
		}
		if provider == "" {
			return usageError{"--provider is missing; it says whose key it is"}
		}
		providers, err := providersForKeys(cmd)
		if err != nil {
			return err
		}
		p, known := findProvider(providers, provider)
		if !known {
			return unknownProviderName(provider)
		}
		if p.Keyless() {
			return takesNoKey(p) // before it is asked for
		}
		secret, err := keyToWrite(cmd, "Key of "+p.DisplayName)
		if err != nil {
			return err
		}
		path, _ := cmd.Flags().GetString("env-file")
		change, err := addKey(path, p, secret, variable, os.Environ())
		if err != nil {
			return err
		}
		return tellKeyChange(cmd, change)
	}
	return cmd
}

func listKeys(cmd *cobra.Command) error {
	reports, err := offlineKeys(cmd, "")
	if err != nil {
		return err
	}
	out := newOutput(cmd)
	if out.json {
		err = out.printJSON(keysAnswer{Providers: reports})
	} else {
		printKeys(out, reports, true, time.Now())
	}
	if err != nil {
		return err
	}
	return out.flush(cmd)
}

// providersForKeys are the providers, as their files have them: without variables,
// since a key may be what is missing.
func providersForKeys(cmd *cobra.Command) ([]*routing.Provider, error) {
	options := loadOptions(cmd, nil)
	options.KeepGoing = true
	catalog, _, err := routing.Load(options)
	if err != nil {
		return nil, err
	}
	return catalog.Providers(), nil
}

func findProvider(providers []*routing.Provider, id string) (*routing.Provider, bool) {
	for _, p := range providers {
		if p.ID == id {
			return p, true
		}
	}
	return nil, false
}

// addKeyFlag gives a command the flag --key.
func addKeyFlag(cmd *cobra.Command) {
	cmd.Flags().StringP("key", "k", "", "The key itself. Others can see it in the list of processes: leave it out, and it is asked for")
}

// keyToWrite is the key of --key; else it is asked for on a terminal, unseen, or
// read from the standard input.
func keyToWrite(cmd *cobra.Command, prompt string) (string, error) {
	secret, _ := cmd.Flags().GetString("key")
	switch file, isFile := cmd.InOrStdin().(*os.File); {
	case cmd.Flags().Changed("key"):
		cmd.PrintErrln("Warning: a key on the command line can be seen by others in the list of processes, and stays in the shell's history; leave --key out to be asked for it, or write it to the standard input")
	case isFile && isTerminal(file):
		fmt.Fprint(cmd.ErrOrStderr(), escape(prompt)+": ")
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		typed, err := readHidden(ctx, file)
		stop()
		fmt.Fprintln(cmd.ErrOrStderr())
		if err != nil {
			return "", fmt.Errorf("nothing is written: reading the key: %w", err)
		}
		secret = typed
	default:
		line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxKey+2)).ReadString('\n')
		if err != nil && err != io.EOF {
			return "", fmt.Errorf("reading the key: %w", err)
		}
		secret = line
	}
	secret = strings.TrimSpace(secret)
	switch {
	case secret == "":
		return "", errNoKey
	case len(secret) > maxKey:
		return "", errors.New("the key is longer than 16 KiB; no provider has such keys")
	case len(secret) < shortKey:
		cmd.PrintErrln("Warning: the key is very short; is it whole?")
	}
	return secret, nil
}
