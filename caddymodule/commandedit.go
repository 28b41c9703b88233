package caddymodule

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func editCommand() *cobra.Command {
	provider := editFileCommand("provider", "Changes a provider's file", func(files *configFiles, name string) (string, error) {
		path, err := files.providerFile(name)
		if err != nil {
			return "", err
		}
		return path, files.wantProvider(name)
	})
	provider.Flags().Bool("enable", false, "Let routes use the provider: the same as --set enabled=true")
	provider.Flags().Bool("disable", false, "Let no route use it: the same as --set enabled=false")
	model := editFileCommand("model", "Changes a model's file", func(files *configFiles, name string) (string, error) {
		path, present, err := files.modelFile(name)
		if err == nil && !present {
			err = fmt.Errorf("there is no model %q; config list shows those that there are", name)
		}
		return path, err
	})
	return group("edit", "Changes providers, models and keys", provider, model, editKeyCommand())
}

// editFileCommand changes a provider's or a model's file, which find finds.
func editFileCommand(what, short string, find func(*configFiles, string) (path string, err error)) *cobra.Command {
	var set, unset []string
	cmd := &cobra.Command{
		Use:   what + " <" + what + "> [--set <field>=<value>]... [--unset <field>]...",
		Short: short,
		Long: short + `. What is not named remains as it is written. The new text is checked
with all other files before it is put in place; where it would not load, the file
stays as it is.

A field is named as config validate does (endpoints.base_url,
model_routings[0].model, models["gpt-4.1"].timeout_seconds; [-] adds to a list) or
as a JSON pointer. A value is JSON, or else a text. Without flags, on a terminal,
the file is opened in $VISUAL or $EDITOR.`,
		Args: justOne("a " + what),
	}
	cmd.Flags().StringArrayVar(&set, "set", nil, "Set a field: <field>=<value>; repeatable")
	cmd.Flags().StringArrayVar(&unset, "unset", nil, "Take a field out; repeatable")
	addChangeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, arguments []string) error {
		edits, err := fieldEdits(cmd, set, unset)
		if err != nil {
			return err
		}
		files, err := filesToChange(cmd)
		if err != nil {
			return err
		}
		path, err := find(files, arguments[0])
		if err != nil {
			return err
		}
		var change *fileChange
		switch {
		case len(edits) > 0:
			change, err = files.put(path, func(text []byte) ([]byte, error) {
				return applyEdits(path, text, edits)
			})
		case isTerminal(cmd.InOrStdin()):
			change, err = editByHand(cmd, files, path)
		default:
			return usageError{"nothing is to be changed; say what with --set or --unset"}
		}
		if err != nil {
			return err
		}
		return tellChange(cmd, change, "")
	}
	return cmd
}

// fieldEdit is one change of a field.
type fieldEdit struct {
	name  string // as it was written
	field []string
	value string // as JSON; empty: the field is taken out
}

// fieldEdits are the changes that flags ask for. Values are not repeated in errors.
func fieldEdits(cmd *cobra.Command, set, unset []string) ([]fieldEdit, error) {
	switch enable, disable := wanted(cmd, "enable"), wanted(cmd, "disable"); {
	case enable && disable:
		return nil, usageError{"--enable and --disable exclude each other"}
	case enable:
		set = append(set, "enabled=true")
	case disable:
		set = append(set, "enabled=false")
	}
	var edits []fieldEdit
	for _, text := range set {
		name, value, ok := cutField(text)
		if !ok {
			return nil, usageError{"--set takes <field>=<value>, such as endpoints.base_url=https://api.example.com/v1"}
		}
		field, err := parseField(name)
		if err != nil {
			return nil, usageError{err.Error()}
		}
		edits = append(edits, fieldEdit{name, field, jsonOrText(value)})
	}
	for _, name := range unset {
		field, err := parseField(name)
		if err != nil {
			return nil, usageError{err.Error()}
		}
		edits = append(edits, fieldEdit{name: name, field: field})
	}
	return edits, nil
}

// wanted reports whether a flag is set; of a command that has no such flag it is
// not.
func wanted(cmd *cobra.Command, flag string) bool {
	set, err := cmd.Flags().GetBool(flag)
	return err == nil && set
}

// cutField divides a field from its value, at the first '=' that is in no brackets.
func cutField(text string) (field, value string, ok bool) {
	quoted := false
	for i := range len(text) {
		switch text[i] {
		case '"':
			quoted = !quoted
		case '=':
			if !quoted {
				return text[:i], text[i+1:], true
			}
		}
	}
	return "", "", false
}

// applyEdits is the text of a file with changes.
func applyEdits(path string, text []byte, edits []fieldEdit) ([]byte, error) {
	for _, e := range edits {
		var err error
		if e.value != "" {
			text, err = setField(text, e.field, e.value)
		} else {
			was := true
			if text, was, err = unsetField(text, e.field); err == nil && !was {
				err = fmt.Errorf("there is no field %s", e.name)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("nothing is written: %s: %w", path, err)
		}
	}
	return text, nil
}

func editKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key <variable|key id>",
		Short: "Replaces a key in the file of variables",
		Long: `Replaces a key in the file .env in the working directory (--env-file names another
one). The key is named by its variable, or by its public name, as keys list tells
both. The new one is asked for on a terminal, and else read from the standard input.`,
		Args: justOne(keyNames),
	}
	addKeyFlag(cmd)
	addFileFlags(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, arguments []string) error {
		providers, err := providersForKeys(cmd)
		if err != nil {
			return err
		}
		secret, err := keyToWrite(cmd, "New key")
		if err != nil {
			return err
		}
		path, _ := cmd.Flags().GetString("env-file")
		change, err := replaceKey(path, providers, arguments[0], secret, os.Environ())
		if err != nil {
			return err
		}
		return tellKeyChange(cmd, change)
	}
	return cmd
}

// errNoEditor says that there is none to open a file with.
var errNoEditor = errors.New("no editor is known; set $EDITOR, or use --set and --unset")

// editorCommand is the editor that somebody prefers, with its arguments.
func editorCommand(getenv func(string) string) []string {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if words := strings.Fields(getenv(name)); len(words) > 0 {
			return words
		}
	}
	return nil
}
