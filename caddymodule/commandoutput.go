package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// output is what a command says. It is collected and written at once, so that a
// command whose output cannot be written, to a full disk say, fails.
type output struct {
	bytes.Buffer
	json     bool // of --json
	coloured bool
}

// addJSONFlag gives a command the flag --json.
func addJSONFlag(cmd *cobra.Command) {
	cmd.Flags().Bool("json", false, "Print JSON instead of text")
}

// newOutput is the output of a command.
func newOutput(cmd *cobra.Command) *output {
	asJSON, _ := cmd.Flags().GetBool("json")
	return &output{json: asJSON, coloured: coloured(cmd.OutOrStdout(), os.Getenv)}
}

// coloured reports whether colours may be written: to a terminal only, and never
// where NO_COLOR is set (https://no-color.org).
func coloured(out io.Writer, getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && isTerminal(out)
}

// isTerminal reports whether a person sits at the other end of a file.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// flush writes what was collected.
func (o *output) flush(cmd *cobra.Command) error {
	if _, err := cmd.OutOrStdout().Write(o.Bytes()); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}

// printJSON adds a value as JSON.
func (o *output) printJSON(value any) error { return o.encodeJSON(value, "  ") }

// printJSONLine adds a value as JSON on one line.
func (o *output) printJSONLine(value any) error { return o.encodeJSON(value, "") }

func (o *output) encodeJSON(value any, indent string) error {
	encoder := json.NewEncoder(&escapingJSON{&o.Buffer})
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	return encoder.Encode(value)
}

// escapingJSON writes JSON without characters that a terminal might obey, all of
// which can only be inside of strings. encoding/json escapes the oldest only.
type escapingJSON struct{ to *bytes.Buffer }

func (w *escapingJSON) Write(text []byte) (int, error) {
	for _, r := range string(text) {
		if dangerous(r) && r != '\n' {
			fmt.Fprintf(w.to, `\u%04x`, r)
		} else {
			w.to.WriteRune(r)
		}
	}
	return len(text), nil
}

// colour is an escape sequence. All are equally long, so that a column stays in
// line when each of its cells has one.
type colour string

const (
	uncoloured colour = "\x1b[39m"
	red        colour = "\x1b[31m"
	green      colour = "\x1b[32m"
	yellow     colour = "\x1b[33m"
)

// paint gives a text a colour where colours are on.
func (o *output) paint(c colour, text string) cell {
	text = escape(text)
	if o.coloured {
		text = string(c) + text + "\x1b[0m"
	}
	return cell{text}
}

// cell is a text that is safe for a terminal.
type cell struct{ text string }

// table writes rows in columns. A cell is a painted one, or a value that is
// written as fmt does; the column of a painted cell must have painted ones only.
type table struct {
	out     *output
	columns *tabwriter.Writer
	text    bytes.Buffer // in columns, with spaces at the ends of lines
}

// newTable begins a table with the names of its columns.
func (o *output) newTable(columns ...any) *table {
	t := &table{out: o}
	t.columns = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	t.row(columns...)
	return t
}

func (t *table) row(cells ...any) {
	for i, value := range cells {
		// Each cell ends with a tab: tabwriter takes the last one for none of
		// a column otherwise.
		fmt.Fprint(t.columns, inCell(value, i == len(cells)-1), "\t")
	}
	fmt.Fprintln(t.columns)
}

// inCell is the text of a cell.
func inCell(value any, last bool) string {
	painted, ok := value.(cell)
	if !ok {
		painted.text = escape(fmt.Sprint(value))
	}
	if painted.text == "" && !last {
		return "-" // columns are easier to follow, and to cut
	}
	return painted.text
}

// end adds the table to the output.
func (t *table) end() {
	_ = t.columns.Flush() // writing to memory does not fail
	for line := range strings.Lines(t.text.String()) {
		t.out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}

// printf adds a line. Texts among the arguments are made safe.
func (o *output) printf(format string, arguments ...any) {
	fmt.Fprintf(&o.Buffer, format+"\n", escaped(arguments)...)
}

func escaped(arguments []any) []any {
	safe := make([]any, len(arguments))
	for i, value := range arguments {
		switch value := value.(type) {
		case string:
			safe[i] = escape(value)
		case cell:
			safe[i] = value.text
		case error, fmt.Stringer:
			safe[i] = escape(fmt.Sprint(value))
		default:
			safe[i] = value
		}
	}
	return safe
}

// escape writes characters that a terminal might obey in the form of Go's
// strings. Texts come from files and from upstreams: an escape sequence among
// them could hide or forge what is told.
func escape(text string) string {
	if !strings.ContainsFunc(text, dangerous) {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !dangerous(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// dangerous reports whether a character is none to see: it moves the cursor, ends
// the line, begins an escape sequence or turns the direction of writing.
func dangerous(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

// escapeLines is escape for a text of several lines, which remain.
func escapeLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		parts := strings.Split(line, "\t")
		for j, part := range parts {
			parts[j] = escape(part)
		}
		lines[i] = strings.Join(parts, "\t")
	}
	return strings.Join(lines, "\n")
}
