package caddymodule

import (
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"
)

// modelFlags are what add model is told.
type modelFlags struct {
	name, provider, model string
	routes, fallbacks     []string
	timeout               int
	overwrite             bool
	custom, discover      bool
	list                  bool
}

func addModelCommand() *cobra.Command {
	var f modelFlags
	cmd := &cobra.Command{
		Use:   "model --name <name> --provider <provider> --model <model> [--route <provider>/<model>]...",
		Short: "Adds a model that clients may ask for",
		Long: `Adds a model that clients may ask for: writes its file, in the directory of
--models. It is checked with all other files before, and nothing is written that
would not load.

--provider and --model are the first route; each --route is one more, in the order
in which they are tried.

With --discover and --custom nothing is served. They note what models a provider
has in a list beside the directory of models (config/models.json): --discover asks
the provider, --custom takes --model. --list --provider tells what is in it, and the
shell completes --model from it.`,
		Args: noArguments,
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.name, "name", "n", "", "Name that clients ask for; a '/' in it makes a subdirectory")
	flags.StringVarP(&f.provider, "provider", "p", "", "Provider of the first route")
	flags.StringVarP(&f.model, "model", "m", "", "Name that the model has there")
	flags.StringArrayVar(&f.routes, "route", nil, "Another route, as <provider>/<model>; repeatable")
	f.timeout = 240
	flags.VarP(aNumber(&f.timeout, 1, math.MaxInt32), "timeout", "t", "Longest silence of a provider, in seconds")
	flags.StringArrayVar(&f.fallbacks, "fallback", nil, "Model to fall back to; repeatable")
	flags.BoolVarP(&f.overwrite, "overwrite", "o", false, "Replace a model of this name")
	flags.BoolVarP(&f.custom, "custom", "c", false, "Only note that the provider has a model")
	flags.BoolVar(&f.discover, "discover", false, "Only ask the provider which models it has, and note them")
	flags.BoolVarP(&f.list, "list", "l", false, "List the models that there are; with --provider those that it is known to have")
	addChangeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case f.list && f.provider != "":
			return listKnown(cmd, f.provider)
		case f.list:
			return listFiles(cmd, newOutput(cmd), false)
		case f.discover:
			return discoverModels(cmd, &f)
		case f.custom:
			return addCustom(cmd, &f)
		}
		m, err := f.toAdd()
		if err != nil {
			return err
		}
		files, err := filesToChange(cmd)
		if err != nil {
			return err
		}
		change, err := files.addModel(m, f.overwrite)
		if err != nil {
			return err
		}
		return tellChange(cmd, change, "caddy llm-proxy plan "+m.Name)
	}
	completeModels(cmd)
	return cmd
}

// toAdd is the model that flags ask for.
func (f *modelFlags) toAdd() (*newModel, error) {
	m := &newModel{Name: f.name, Timeout: f.timeout, Fallbacks: f.fallbacks}
	given, names := map[string]string{"--name": f.name}, []string{"--name"}
	if f.provider+f.model != "" || len(f.routes) == 0 {
		given["--provider"], given["--model"] = f.provider, f.model
		names = append(names, "--provider", "--model")
		m.Routes = append(m.Routes, newRoute{f.provider, f.model})
	}
	if err := wantAll(given, names...); err != nil {
		return nil, err
	}
	for _, route := range f.routes {
		provider, model, _ := strings.Cut(route, "/")
		if provider == "" || model == "" {
			return nil, usageError{fmt.Sprintf("--route takes <provider>/<model>, such as groq/openai/gpt-oss-120b, not %q", route)}
		}
		m.Routes = append(m.Routes, newRoute{provider, model})
	}
	return m, nil
}
