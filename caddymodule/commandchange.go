package caddymodule

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// addChangeFlags gives a command the flags of those that change provider and model
// files.
func addChangeFlags(cmd *cobra.Command) {
	addFileFlags(cmd)
	addJSONFlag(cmd)
	addAddressFlag(cmd)
	cmd.Flags().Bool("reload", false, "Let the running gateway read the files again at once")
}

// filesToChange are the files that a command changes, by its flags, and the
// variables by which they are judged.
func filesToChange(cmd *cobra.Command) (*configFiles, error) {
	vars, err := readVariables(cmd)
	if err != nil {
		return nil, err
	}
	o := loadOptions(cmd, vars.environ)
	return &configFiles{o.ProvidersDir, o.ModelsDir, o.Environ}, nil
}

// changeOutput is the output of a command that changed a provider or model file.
type changeOutput struct {
	*fileChange
	// Reload is the answer to POST /llm_proxy/reload, where it was asked for.
	Reload json.RawMessage `json:"reload,omitempty"`
}

// tellChange tells of a change, reloads the gateway if that is asked for, and else
// how the change takes effect. next is what to do now; it may be empty.
func tellChange(cmd *cobra.Command, change *fileChange, next string) error {
	out := newOutput(cmd)
	reload := wanted(cmd, "reload") && change.Action != "unchanged"
	answer := &output{json: out.json}
	var failed error
	if reload {
		failed = reloadAt(cmd, answer)
	}
	if out.json {
		told := changeOutput{fileChange: change}
		if json.Valid(answer.Bytes()) {
			told.Reload = answer.Bytes()
		}
		if err := out.printJSON(told); err != nil {
			return err
		}
	} else {
		printChange(out, change, next, reload)
		out.Write(answer.Bytes())
	}
	if err := out.flush(cmd); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("%s is %s, but the gateway is not reloaded: %w", change.File, change.Action, failed)
	}
	return nil
}

func printChange(out *output, change *fileChange, next string, reloaded bool) {
	if change.Action == "unchanged" {
		out.printf("unchanged: %s says so already", change.File)
		return
	}
	out.printf("%s %s", out.paint(green, change.Action), change.File)
	for _, p := range change.Warnings {
		out.printf("%s  %s", out.paint(yellow, "warning"), routing.Problem(p))
	}
	if next != "" {
		out.printf("next: %s", next)
	}
	if !reloaded {
		out.printf("takes effect with caddy llm-proxy reload, or by itself where the Caddyfile says watch")
	}
}

// reloadAt lets the gateway at --address read its files again.
func reloadAt(cmd *cobra.Command, out *output) error {
	address, _ := cmd.Flags().GetString("address")
	address, err := caddycmd.DetermineAdminAPIAddress(address, nil, "", "")
	if err != nil {
		return fmt.Errorf("finding the address of the administration API: %w", err)
	}
	return askReload(cmd.Context(), out, address)
}

// tellKeyChange tells of a change of a file of variables.
func tellKeyChange(cmd *cobra.Command, change *keyChange) error {
	out := newOutput(cmd)
	if out.json {
		if err := out.printJSON(change); err != nil {
			return err
		}
		return out.flush(cmd)
	}
	whose := ""
	if change.Key != "" {
		whose = fmt.Sprintf(", key %s of %s", change.Key, change.Provider)
	}
	out.printf("%s %s (%s%s)", out.paint(green, change.Action), change.Variable, change.File, whose)
	if change.Overridden {
		out.printf("%s  %s is set in the environment too, which goes before the file", out.paint(yellow, "warning"), change.Variable)
	}
	if change.Action != "unchanged" {
		start := "caddy llm-proxy start"
		if change.File != defaultEnvFile {
			start += " --env-file " + change.File
		}
		out.printf("takes effect when the gateway starts again: %s, or caddy run --envfile %s", start, change.File)
	}
	return out.flush(cmd)
}

// addYesFlag gives a command the flag --yes.
func addYesFlag(cmd *cobra.Command) {
	cmd.Flags().BoolP("yes", "y", false, "Do not ask")
}

// agreed asks a person whether to go on. Where nobody can be asked, --yes is needed.
func agreed(cmd *cobra.Command, question string) error {
	if wanted(cmd, "yes") {
		return nil
	}
	if !isTerminal(cmd.InOrStdin()) {
		return errors.New("nothing is changed: write --yes, as nobody can be asked here")
	}
	yes, err := saysYes(cmd, question)
	if err == nil && !yes {
		err = errors.New("nothing is changed")
	}
	return err
}

// saysYes asks a person at a terminal. Only a clear yes is one.
func saysYes(cmd *cobra.Command, question string) (bool, error) {
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", escape(question))
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && answer == "" {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}
