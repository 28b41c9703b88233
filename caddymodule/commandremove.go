package caddymodule

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

func removeCommand() *cobra.Command {
	return group("remove", "Removes providers, models and keys",
		removeProviderCommand(), removeModelCommand(), removeKeyCommand())
}

func removeProviderCommand() *cobra.Command {
	return removeFileCommand("provider", "Removes a provider", `Removes a provider: its file. Refuses while models have routes to it, unless --force
is given; the gateway then takes no files until those routes are gone too.`,
		func(files *configFiles, name string) (string, []string, error) {
			path, err := files.providerFile(name)
			if err != nil {
				return "", nil, err
			}
			if err := files.wantProvider(name); err != nil {
				return "", nil, err
			}
			problems, _ := files.judge(path, nil)
			return path, files.dependents(problems), nil
		})
}

func removeModelCommand() *cobra.Command {
	return removeFileCommand("model", "Removes a model", `Removes a model: its file. Refuses while other models fall back to it, unless
--force is given; they then go on without it.`,
		func(files *configFiles, name string) (string, []string, error) {
			path, present, err := files.modelFile(name)
			if err != nil {
				return "", nil, err
			}
			if !present {
				return "", nil, fmt.Errorf("there is no model %q; config list shows those that there are", name)
			}
			problems, warnings := files.judge(path, nil)
			return path, files.dependents(slices.Concat(problems, warnings)), nil
		})
}

// removeFileCommand removes a provider or a model. find finds its file, and what
// depends on it.
func removeFileCommand(what, short, long string, find func(*configFiles, string) (path string, dependents []string, err error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   what + " <" + what + "> [--force] [--yes]",
		Short: short,
		Long:  long,
		Args:  justOne("a " + what),
	}
	cmd.Flags().Bool("force", false, "Remove it even where others depend on it")
	addYesFlag(cmd)
	addChangeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, arguments []string) error {
		files, err := filesToChange(cmd)
		if err != nil {
			return err
		}
		name := arguments[0]
		path, dependents, err := find(files, name)
		if err != nil {
			return err
		}
		if len(dependents) > 0 && !wanted(cmd, "force") {
			return fmt.Errorf("%s %q is in use by %s; change that first, or use --force", what, name, strings.Join(dependents, ", "))
		}
		if err := agreed(cmd, fmt.Sprintf("Remove %s %s (%s)?", what, name, path)); err != nil {
			return err
		}
		change, err := files.remove(path)
		if err != nil {
			return err
		}
		return tellChange(cmd, change, "")
	}
	return cmd
}

// dependents names what problems are about: models, by their names, or the gateway
// itself, which does not start with an empty directory.
func (c *configFiles) dependents(problems []routing.Problem) []string {
	var names []string
	for _, p := range problems {
		name := "the gateway, which needs at least one"
		if text, err := os.ReadFile(p.File); err == nil {
			name = "model " + cmp.Or(gjson.GetBytes(text, "logical_name").String(), p.File)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// remove takes a file away, and warns of what is broken since then.
func (c *configFiles) remove(path string) (*fileChange, error) {
	unlock, err := lockDirectory(c.providers)
	if err != nil {
		return nil, err
	}
	defer unlock()
	problems, warnings := c.judge(path, nil)
	if err := removeFile(path); err != nil {
		return nil, err
	}
	return &fileChange{"removed", path, reportProblems(slices.Concat(problems, warnings))}, nil
}

func removeKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key <variable|key id> [--yes]",
		Short: "Removes a key from the file of variables",
		Long: `Removes a key from the file .env in the working directory (--env-file names another
one). The key is named by its variable, or by its public name, as keys list tells
both.`,
		Args: justOne(keyNames),
	}
	addYesFlag(cmd)
	addFileFlags(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, arguments []string) error {
		providers, err := providersForKeys(cmd)
		if err != nil {
			return err
		}
		path, _ := cmd.Flags().GetString("env-file")
		change, err := removeKey(path, providers, arguments[0], os.Environ(), func(change *keyChange) error {
			return agreed(cmd, fmt.Sprintf("Remove %s from %s?", change.Variable, change.File))
		})
		if err != nil {
			return err
		}
		return tellKeyChange(cmd, change)
	}
	return cmd
}

// keyNames are the names that a key has.
const keyNames = "a variable, or the public name of a key"
