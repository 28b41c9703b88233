package caddymodule

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// editByHand lets a person change a copy of a file in an editor, as often as they
// like while it would not load. Nobody else is kept waiting meanwhile; a file that
// somebody else has changed is not written over. What is not taken is not lost: the
// copy stays.
func editByHand(cmd *cobra.Command, files *configFiles, path string) (*fileChange, error) {
	editor := editorCommand(os.Getenv)
	if editor == nil {
		return nil, errNoEditor
	}
	before, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, cause(err))
	}
	directory, err := os.MkdirTemp("", "llm-proxy-edit-")
	if err != nil {
		return nil, fmt.Errorf("making a copy of %s: %w", path, err)
	}
	kept := false
	defer func() {
		if !kept {
			_ = os.RemoveAll(directory) // in the directory for temporary files
		}
	}()
	copied := filepath.Join(directory, filepath.Base(path))
	if err := os.WriteFile(copied, before, 0o600); err != nil {
		return nil, fmt.Errorf("making a copy of %s: %w", path, err)
	}
	answers := bufio.NewReader(cmd.InOrStdin())
	for {
		run := exec.CommandContext(cmd.Context(), editor[0], append(editor[1:len(editor):len(editor)], copied)...)
		run.Stdin, run.Stdout, run.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
		if err := run.Run(); err != nil {
			return nil, fmt.Errorf("nothing is written: the editor %s: %w", editor[0], err)
		}
		text, err := os.ReadFile(copied)
		if err != nil {
			return nil, fmt.Errorf("nothing is written: reading what the editor wrote: %w", cause(err))
		}
		change, err := files.put(path, func(now []byte) ([]byte, error) {
			if !bytes.Equal(now, before) {
				return nil, errors.New("nothing is written: somebody else has changed the file meanwhile")
			}
			return text, nil
		})
		if err == nil {
			return change, nil
		}
		cmd.PrintErrln("Error: " + escapeLines(err.Error()))
		fmt.Fprint(cmd.ErrOrStderr(), "Edit again? [Y/n] ")
		answer, readErr := answers.ReadString('\n')
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "n") || readErr != nil {
			kept = true
			cmd.PrintErrln("What you wrote is kept in " + escape(copied))
			return nil, errTold
		}
	}
}
