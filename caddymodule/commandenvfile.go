package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// defaultEnvFile is read where it is there.
const defaultEnvFile = ".env"

// maxEnvFile is the largest file of variables that is read.
const maxEnvFile = 1 << 20

// addEnvFileFlag gives a command the flag --env-file.
func addEnvFileFlag(cmd *cobra.Command) {
	cmd.Flags().String("env-file", "", "File of variables, which never override what is set (default .env in the working directory, if there is one)")
}

// variables are the environment of a command.
type variables struct {
	// environ has the form of os.Environ.
	environ []string
	// file is the path of the file that some of them came from, and fromFile
	// are their names.
	file     string
	fromFile map[string]bool
}

// readVariables returns the environment, with what the file of variables adds.
func readVariables(cmd *cobra.Command) (variables, error) {
	v := variables{environ: os.Environ(), fromFile: make(map[string]bool)}
	path, _ := cmd.Flags().GetString("env-file")
	text, err := readEnvFile(path)
	if err != nil || text == "" {
		return v, err
	}
	v.file = path
	if path == "" {
		v.file = defaultEnvFile
	}
	added, err := parseEnv(text)
	if err != nil {
		return v, fmt.Errorf("%s:%w", v.file, err)
	}
	for _, entry := range added {
		// A variable that is set to nothing is set. Of a name that is in the
		// file twice the last one counts, as it does for a shell.
		if _, set := os.LookupEnv(entry.name); set {
			continue
		}
		v.environ = slices.DeleteFunc(v.environ, func(e string) bool { return strings.HasPrefix(e, entry.name+"=") })
		v.environ = append(v.environ, entry.name+"="+entry.value)
		v.fromFile[entry.name] = true
	}
	return v, nil
}

// get returns a variable's value, empty if it is not set.
func (v *variables) get(name string) string {
	for _, entry := range v.environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// readEnvFile reads the file of variables. The one that nobody named need not be
// there.
func readEnvFile(path string) (string, error) {
	named := path != ""
	if !named {
		path = defaultEnvFile
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			return "", nil
		}
	}
	file, err := os.Open(path)
	if err != nil {
		err = fmt.Errorf("reading the file of variables: %w", err)
		if named {
			return "", usageError{err.Error()}
		}
		return "", err
	}
	defer file.Close()
	text, err := readAtMost(file, maxEnvFile)
	if err != nil {
		return "", fmt.Errorf("reading the file of variables %s: %w", path, cause(err))
	}
	return string(text), nil
}

// variable is one line of a file of variables.
type variable struct{ name, value string }

// assignment is where a file of variables sets one, in bytes from its beginning:
// the whole lines, and the value as it is written.
type assignment struct {
	variable
	line, valueAt, valueEnd, end int
}

// parseEnv reads NAME=value lines as Caddy's --envfile does: with empty lines,
// comments, "export " before the name, and values in quotes, which may go over
// several lines. Unlike there, a '#' begins a comment after white space only,
// since keys may hold one. The error is the number of a line and what is wrong
// with it, without anything of it: a key may be what stands there.
func parseEnv(text string) ([]variable, error) {
	assignments, err := assignmentsIn(text)
	if err != nil {
		return nil, err
	}
	var found []variable
	for i := range assignments {
		found = append(found, assignments[i].variable)
	}
	return found, nil
}

// assignmentsIn is parseEnv for those who change the file.
func assignmentsIn(text string) ([]assignment, error) {
	var found []assignment
	next := len(text) - len(strings.TrimPrefix(text, "\uFEFF"))
	for number := 1; next < len(text); number++ {
		a := assignment{line: next, end: lineEnd(text, next)}
		next = a.end
		line := strings.TrimSpace(text[a.line:a.end])
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		a.name = strings.TrimSpace(strings.TrimPrefix(name, "export "))
		if !ok || !isVariable(a.name) {
			return nil, fmt.Errorf("%d: a line has to be NAME=value, and the name to consist of letters, digits and '_'", number)
		}
		a.valueAt = a.line + strings.IndexByte(text[a.line:], '=') + 1
		value = strings.TrimLeft(value, " \t")
		if value == "" || value[0] != '"' && value[0] != '\'' {
			a.value = uncommented(value)
			// Behind the value is nothing but white space and a comment, and
			// before it nothing but white space.
			a.valueEnd = a.valueAt + strings.Index(text[a.valueAt:], a.value) + len(a.value)
			found = append(found, a)
			continue
		}
		rest := strings.TrimLeft(text[a.valueAt:], " \t")
		value, behind, closed := quotedValue(rest)
		if !closed {
			return nil, fmt.Errorf("%d: the value begins with a quote that has no end", number)
		}
		a.value = strings.ReplaceAll(value, "\r\n", "\n")
		a.valueEnd = len(text) - len(behind)
		number += strings.Count(text[a.valueAt:a.valueEnd], "\n")
		a.end = lineEnd(text, a.valueEnd)
		if uncommented(" "+text[a.valueEnd:a.end]) != "" {
			return nil, fmt.Errorf("%d: something stands behind the quoted value", number)
		}
		next = a.end
		found = append(found, a)
	}
	return found, nil
}

// lineEnd is where the line ends that goes on at an offset, behind its line feed.
func lineEnd(text string, from int) int {
	if n := strings.IndexByte(text[from:], '\n'); n >= 0 {
		return from + n + 1
	}
	return len(text)
}

// uncommented is a value without a comment and white space behind it.
func uncommented(value string) string {
	for i := range len(value) {
		if value[i] == '#' && (i == 0 || value[i-1] == ' ' || value[i-1] == '\t') {
			value = value[:i]
			break
		}
	}
	return strings.TrimSpace(value)
}

// quotedValue reads a value that begins with a quote up to the next one. In double
// quotes \" \\ \n \r and \t stand for what they do elsewhere.
func quotedValue(text string) (value, behind string, closed bool) {
	quote := text[0]
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		c := text[i]
		if c == quote {
			return b.String(), text[i+1:], true
		}
		if c == '\\' && quote == '"' && i+1 < len(text) {
			if which := strings.IndexByte(`nrt"\`, text[i+1]); which >= 0 {
				i++
				c = "\n\r\t\"\\"[which]
			}
		}
		b.WriteByte(c)
	}
	return "", "", false
}

func isVariable(name string) bool {
	for i, c := range []byte(name) {
		if c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
