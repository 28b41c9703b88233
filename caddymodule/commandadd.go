package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

func addCommand() *cobra.Command {
	return group("add", "Adds providers, models and keys",
		addProviderCommand(), addModelCommand(), addKeyCommand())
}

// maxGivenFile is the largest file that is taken with --file, or --answers of setup.
const maxGivenFile = 4 << 20

func addProviderCommand() *cobra.Command {
	var p newProvider
	var file string
	var overwrite bool
	cmd := &cobra.Command{
		Use:   "provider --name <name> --display-name <text> --base-url <url> --format <format>",
		Short: "Adds a provider",
		Long: `Adds a provider: writes its file, in the directory of --providers. It is checked
with all other files before, and nothing is written that would not load.

A base URL without a path gets the usual one: /v1, for gemini /v1beta/openai, for
azure /openai/v1. --file takes a complete file instead ("-": the standard input).`,
		Args: noArguments,
	}
	flags := cmd.Flags()
	flags.StringVarP(&p.Name, "name", "n", "", "Name of the file and in routes: letters, digits, '.', '_' and '-'")
	flags.StringVarP(&p.DisplayName, "display-name", "d", "", "Name for people")
	flags.StringVarP(&p.BaseURL, "base-url", "u", "", "Where the API is, such as https://api.example.com/v1; ${NAME} stands for a variable")
	flags.VarP(aWord(&p.Format, providerFormats...), "format", "f", "What it speaks: "+strings.Join(providerFormats, ", "))
	flags.BoolVar(&p.Keyless, "keyless", false, "It takes no key, as local servers do")
	flags.StringVar(&file, "file", "", "A complete provider file to take")
	flags.BoolVarP(&overwrite, "overwrite", "o", false, "Replace a provider of this name")
	flags.BoolP("list", "l", false, "List the providers that there are")
	addChangeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if wanted(cmd, "list") {
			return listFiles(cmd, newOutput(cmd), true)
		}
		text, err := providerToAdd(cmd, &p, file)
		if err != nil {
			return err
		}
		files, err := filesToChange(cmd)
		if err != nil {
			return err
		}
		change, err := files.addProvider(p.Name, text, overwrite)
		if err != nil {
			return err
		}
		next := "caddy llm-proxy add key --provider " + p.Name
		if gjson.GetBytes(text, "authentication.type").String() == "none" {
			next = "caddy llm-proxy add model --provider " + p.Name + " ..."
		}
		return tellChange(cmd, change, next)
	}
	return cmd
}

// providerToAdd is the text of the file that flags ask for.
func providerToAdd(cmd *cobra.Command, p *newProvider, file string) ([]byte, error) {
	if file == "" {
		err := wantAll(map[string]string{"--name": p.Name, "--display-name": p.DisplayName, "--base-url": p.BaseURL, "--format": p.Format},
			"--name", "--display-name", "--base-url", "--format")
		if err != nil {
			return nil, err
		}
		return p.text()
	}
	if p.DisplayName+p.BaseURL+p.Format != "" || p.Keyless {
		return nil, usageError{"--file takes a complete file, so that of the others only --name goes with it"}
	}
	text, err := readGiven(cmd, file)
	if err != nil {
		return nil, err
	}
	written := gjson.ParseBytes(text)
	if p.Name == "" {
		if p.Name = written.Get("name").String(); p.Name == "" {
			return nil, fmt.Errorf("%s has no name; add one, or say it with --name", file)
		}
	}
	if gjson.ValidBytes(text) && strings.TrimSpace(written.Get("display_name").String()) == "" {
		return nil, fmt.Errorf("%s has no display_name, which is what people are shown; add one", file)
	}
	return text, nil
}

// readGiven reads a file that a flag names, or the standard input for "-".
func readGiven(cmd *cobra.Command, path string) ([]byte, error) {
	from := cmd.InOrStdin()
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("reading --file: %w", err)
		}
		defer file.Close()
		from = file
	}
	text, err := readAtMost(from, maxGivenFile)
	if err != nil {
		return nil, fmt.Errorf("reading --file %s: %w", path, cause(err))
	}
	return text, nil
}

// readAtMost reads all that there is, and refuses it where it is more than so many bytes.
func readAtMost(from io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("it is larger than %d MiB", most>>20)
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

// wantAll wants flags that only make sense together. None at all is a command that
// is not understood, some of them one that cannot be done.
func wantAll(given map[string]string, names ...string) error {
	var missing []string
	for _, name := range names {
		if strings.TrimSpace(given[name]) == "" {
			missing = append(missing, name)
		}
	}
	said := fmt.Sprintf("all flags are needed: %s is missing; llm-proxy setup asks for them one by one", strings.Join(missing, ", "))
	switch len(missing) {
	case 0:
		return nil
	case len(names):
		return usageError{said}
	}
	return errors.New(said)
}
