package caddymodule

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"charm.land/huh/v2"
	"golang.org/x/term"
)

// errCancelled ends a conversation that the person, or the end of the input, broke
// off.
var errCancelled = errors.New("cancelled")

// prompter asks a person. Every method returns errCancelled when the person has
// enough.
type prompter interface {
	// pickSome asks for any number of choices, which check may refuse. chosen
	// are marked already.
	pickSome(title string, choices []choice, chosen []string, check func([]string) error) ([]string, error)
	// pickOne asks for one choice.
	pickOne(title string, choices []choice, chosen string) (string, error)
	// ask asks for a text, which check may refuse. hidden is for secrets: what is
	// typed is not shown.
	ask(title, preset string, hidden bool, check func(string) error) (string, error)
	// confirm asks whether something is to be done.
	confirm(title string, preset bool) (bool, error)
}

// choice is one thing to choose.
type choice struct{ value, label string }

// unattended takes what is preset for every answer.
type unattended struct{}

func (unattended) pickSome(_ string, _ []choice, chosen []string, check func([]string) error) ([]string, error) {
	return chosen, check(chosen)
}

func (unattended) pickOne(_ string, _ []choice, chosen string) (string, error) { return chosen, nil }

func (unattended) ask(_, preset string, _ bool, check func(string) error) (string, error) {
	return preset, check(preset)
}

func (unattended) confirm(_ string, preset bool) (bool, error) { return preset, nil }

// forms asks at a terminal.
type forms struct {
	ctx      context.Context
	in       io.Reader
	out      io.Writer
	coloured bool
}

// drawsForms reports whether forms can be drawn on a terminal: it has a size.
func drawsForms(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	width, height, err := term.GetSize(int(file.Fd()))
	return err == nil && width > 0 && height > 0
}

func (f *forms) run(field huh.Field) error {
	form := huh.NewForm(huh.NewGroup(field)).WithInput(f.in).WithOutput(f.out).WithShowHelp(true)
	if !f.coloured {
		form = form.WithTheme(huh.ThemeFunc(huh.ThemeBase))
	}
	err := form.RunWithContext(f.ctx)
	if errors.Is(err, huh.ErrUserAborted) || f.ctx.Err() != nil {
		return errCancelled
	}
	return err
}

// formHeight is how many lines of a list are seen at once.
const formHeight = 16

func (f *forms) pickSome(title string, choices []choice, chosen []string, check func([]string) error) ([]string, error) {
	options := make([]huh.Option[string], len(choices))
	for i, c := range choices {
		options[i] = huh.NewOption(escape(c.label), c.value).Selected(slices.Contains(chosen, c.value))
	}
	var picked []string
	err := f.run(huh.NewMultiSelect[string]().Title(escape(title)).Options(options...).Height(min(len(options)+2, formHeight)).Validate(check).Value(&picked))
	return picked, err
}

func (f *forms) pickOne(title string, choices []choice, chosen string) (string, error) {
	options := make([]huh.Option[string], len(choices))
	for i, c := range choices {
		options[i] = huh.NewOption(escape(c.label), c.value)
	}
	err := f.run(huh.NewSelect[string]().Title(escape(title)).Options(options...).Value(&chosen))
	return chosen, err
}

func (f *forms) ask(title, preset string, hidden bool, check func(string) error) (string, error) {
	field := huh.NewInput().Title(escape(title)).Validate(check).Value(&preset)
	if hidden {
		field = field.EchoMode(huh.EchoModePassword)
	}
	err := f.run(field)
	return strings.TrimSpace(preset), err
}

func (f *forms) confirm(title string, preset bool) (bool, error) {
	err := f.run(huh.NewConfirm().Title(escape(title)).Value(&preset))
	return preset, err
}

// lines asks and reads line by line: for scripts, and for terminals and screen
// readers that want no more. An empty line takes what is preset.
type lines struct {
	ctx context.Context
	out io.Writer
	// terminal says whether hidden lines are typed at one.
	terminal bool
	// want takes whether the next line is hidden, and read gives it. read is
	// closed at the end of the input.
	want chan<- bool
	read <-chan string
}

// newLines asks who writes to in, until its end or that of ctx.
func newLines(ctx context.Context, in io.Reader, out io.Writer) *lines {
	want, read := make(chan bool), make(chan string)
	// Reading cannot be interrupted, so it is not waited for.
	go func() {
		defer close(read)
		buffered := bufio.NewReader(in)
		for {
			select {
			case <-ctx.Done():
				return
			case hidden := <-want:
				text, err := readLine(ctx, in, buffered, hidden)
				if err != nil && text == "" {
					return
				}
				select {
				case read <- text:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return &lines{ctx, out, isTerminal(in), want, read}
}

// readLine reads a line, and lets a terminal not show one that is hidden.
func readLine(ctx context.Context, in io.Reader, buffered *bufio.Reader, hidden bool) (string, error) {
	if hidden && isTerminal(in) {
		return readHidden(ctx, in.(*os.File))
	}
	return buffered.ReadString('\n')
}

// line asks for a line until take accepts it.
func (l *lines) line(prompt string, hidden bool, take func(string) error) error {
	for {
		fmt.Fprintf(l.out, "%s: ", prompt)
		select {
		case <-l.ctx.Done():
			return errCancelled
		case _, open := <-l.read:
			if !open {
				return errCancelled
			}
		case l.want <- hidden:
		}
		select {
		case <-l.ctx.Done():
			if hidden && l.terminal {
				<-l.read // readHidden lets the terminal show again what is typed
			}
			return errCancelled
		case text, open := <-l.read:
			fmt.Fprintln(l.out)
			if !open {
				return errCancelled
			}
			err := take(strings.TrimSpace(text))
			if err == nil {
				return nil
			}
			fmt.Fprintf(l.out, "%s\n", escape(err.Error()))
		}
	}
}

// list shows choices with their numbers.
func (l *lines) list(title string, choices []choice, chosen []string) {
	fmt.Fprintln(l.out, escape(title))
	for i, c := range choices {
		mark := " "
		if slices.Contains(chosen, c.value) {
			mark = "*"
		}
		fmt.Fprintf(l.out, "%s %2d. %s\n", mark, i+1, escape(c.label))
	}
}

// find is the choice that a number, a value or a label means.
func find(text string, choices []choice) (string, error) {
	if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= len(choices) {
		return choices[n-1].value, nil
	}
	if i := slices.IndexFunc(choices, func(c choice) bool { return c.value == text || c.label == text }); i >= 0 {
		return choices[i].value, nil
	}
	return "", fmt.Errorf("there is no choice %q; write numbers from 1 to %d", text, len(choices))
}

func (l *lines) pickSome(title string, choices []choice, chosen []string, check func([]string) error) ([]string, error) {
	l.list(title, choices, chosen)
	picked := chosen
	err := l.line("Numbers or names, with commas between; empty for those with *", false, func(text string) error {
		if text == "" {
			return check(picked)
		}
		var some []string
		for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
			value, err := find(word, choices)
			if err != nil {
				return err
			}
			some = append(some, value)
		}
		picked = some
		return check(picked)
	})
	return picked, err
}

func (l *lines) pickOne(title string, choices []choice, chosen string) (string, error) {
	l.list(title, choices, []string{chosen})
	err := l.line("A number or a name; empty for the one with *", false, func(text string) (err error) {
		if text != "" {
			chosen, err = find(text, choices)
		}
		return err
	})
	return chosen, err
}

func (l *lines) ask(title, preset string, hidden bool, check func(string) error) (string, error) {
	prompt := escape(title)
	if preset != "" && !hidden {
		prompt += " [" + escape(preset) + "]"
	}
	said := preset
	err := l.line(prompt, hidden, func(text string) error {
		said = cmp.Or(text, preset)
		return check(said)
	})
	return said, err
}

func (l *lines) confirm(title string, preset bool) (bool, error) {
	hint := " [y/N]"
	if preset {
		hint = " [Y/n]"
	}
	err := l.line(escape(title)+hint, false, func(text string) error {
		switch strings.ToLower(text) {
		case "":
		case "y", "yes":
			preset = true
		case "n", "no":
			preset = false
		default:
			return errors.New("write yes or no")
		}
		return nil
	})
	return preset, err
}
