package caddymodule

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// envFileMode lets nobody but the owner read a file of variables.
const envFileMode fs.FileMode = 0o600

// changeEnvFile replaces the text of a file of variables by what change makes of
// it, under a lock and in one step. Where that is an error, or the same text, the
// file stays as it is. A file that is not there counts as empty.
func changeEnvFile(path string, change func(text string) (string, error)) error {
	path = cmp.Or(path, defaultEnvFile)
	unlock, err := lockDirectory(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	_, present, err := lookAt(path)
	if err != nil {
		return err
	}
	text := ""
	if present != nil {
		if text, err = readEnvFile(path); err != nil {
			return err
		}
	}
	changed, err := change(text)
	if err != nil || changed == text {
		return err
	}
	if len(changed) > maxEnvFile {
		return fmt.Errorf("writing %s: it would be larger than %d MiB", path, maxEnvFile>>20)
	}
	return exchangeFile(path, []byte(changed), envFileMode)
}

// setVariable is the text of a file of variables with one set: in the place of the
// last line that sets it, else at the end, below a comment. Everything else
// remains. It makes sure that this program and Caddy's --envfile read the value
// that was meant.
func setVariable(text, name, value, comment string) (string, error) {
	assignments, err := assignmentsIn(text)
	if err != nil {
		return "", err
	}
	written, err := quoteVariable(value)
	if err != nil {
		return "", err
	}
	var changed string
	if a := lastOf(assignments, name); a != nil {
		changed = text[:a.valueAt] + written + text[a.valueEnd:]
	} else {
		var b strings.Builder
		b.WriteString(text)
		if text != "" {
			if !strings.HasSuffix(text, "\n") {
				b.WriteByte('\n')
			}
			b.WriteByte('\n')
		}
		b.WriteString(commentLine(comment) + name + "=" + written + "\n")
		changed = b.String()
	}
	if own, err := parseEnv(changed); err != nil || valueIn(own, name) != value || caddyReads(changed, name) != value {
		return "", fmt.Errorf("caddy run --envfile would not read %s as it is meant, because of a line before it: it takes no comment behind a quoted value, and no space around '='", name)
	}
	return changed, nil
}

// unsetVariable is the text of a file of variables without the lines that set one,
// and without the comment that setVariable wrote for it.
func unsetVariable(text, name, comment string) (changed string, was bool, err error) {
	assignments, err := assignmentsIn(text)
	if err != nil {
		return "", false, err
	}
	for i := len(assignments) - 1; i >= 0; i-- {
		a := &assignments[i]
		if a.name != name {
			continue
		}
		was = true
		before, behind := text[:a.line], text[a.end:]
		if line := commentLine(comment); (behind == "" || strings.HasPrefix(behind, "\n")) && strings.HasSuffix("\n"+before, "\n"+line) {
			before = strings.TrimSuffix(before, line)
			before = strings.TrimSuffix(before, "\n") // the empty line
			if before == "" {
				behind = strings.TrimPrefix(behind, "\n")
			} else if !strings.HasSuffix(before, "\n") {
				before += "\n"
			}
		}
		text = before + behind
	}
	return text, was, nil
}

// commentLine is a comment, on one line whatever is in it.
func commentLine(comment string) string {
	return "# " + escape(comment) + "\n"
}

func lastOf(assignments []assignment, name string) *assignment {
	for i := len(assignments) - 1; i >= 0; i-- {
		if assignments[i].name == name {
			return &assignments[i]
		}
	}
	return nil
}

// valueIn is a variable's value: the last one counts, as it does for a shell.
func valueIn(variables []variable, name string) (value string) {
	for _, v := range variables {
		if v.name == name {
			value = v.value
		}
	}
	return value
}

// quoteVariable writes a value so that both readers, and a shell where it can be,
// take it for what it is. The error does not repeat it.
func quoteVariable(value string) (string, error) {
	if strings.ContainsFunc(value, isControl) {
		return "", errors.New("the value has a line break or another control character; no key has one")
	}
	forms := []string{"'" + value + "'", `"` + value + `"`, value}
	if !strings.ContainsFunc(value, special) {
		forms = []string{value}
	}
	for _, form := range forms {
		line := "V=" + form + "\n"
		if own, err := parseEnv(line); err == nil && len(own) == 1 && own[0].value == value && caddyReads(line, "V") == value {
			return form, nil
		}
	}
	if strings.Contains(value, "#") {
		return "", errors.New("the value has a '#', from where on caddy run --envfile takes a line for a comment; set it in the environment instead")
	}
	return "", errors.New("the value cannot be written so that caddy run --envfile reads it back; set it in the environment instead")
}

func isControl(r rune) bool { return r < ' ' || r == 0x7F }

// special reports whether a shell, or a reader of variables, may take a character
// for something else than itself.
func special(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("_-./:@%+,=", r)
}

// caddyReads is what Caddy's --envfile takes for the value of a variable, empty
// where it takes the file for broken. It follows parseEnvFile of Caddy 2.11, which
// no other program can call.
func caddyReads(text, name string) string {
	value := ""
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, said, ok := strings.Cut(line, "=")
		key = strings.TrimPrefix(key, "export ")
		if !ok || key == "" || strings.Contains(key, " ") || strings.HasPrefix(said, " ") || strings.HasPrefix(said, "\t") {
			return ""
		}
		if before, _, found := strings.Cut(said, "#"); found {
			said = strings.TrimRight(before, " \t")
		}
		if strings.HasPrefix(said, `"`) || strings.HasPrefix(said, "'") {
			quote := said[:1]
			for !strings.HasSuffix(line, quote) || strings.HasSuffix(line, `\`+quote) {
				said = strings.ReplaceAll(said, `\`+quote, quote)
				if !lines.Scan() {
					break
				}
				line = strings.ReplaceAll(lines.Text(), `\`+quote, quote)
				said += "\n" + line
			}
			said = strings.TrimSuffix(strings.TrimPrefix(said, quote), quote)
		}
		if key == name {
			value = said
		}
	}
	if lines.Err() != nil {
		return ""
	}
	return value
}

// readEnviron is the environment with what the text of a file of variables adds to
// it, in the form of os.Environ.
func readEnviron(text string, environ []string) ([]string, error) {
	added, err := parseEnv(text)
	if err != nil {
		return nil, err
	}
	merged := environ
	for i := len(added) - 1; i >= 0; i-- { // the last one counts, and of environ the first
		merged = append(merged[:len(merged):len(merged)], added[i].name+"="+added[i].value)
	}
	return merged, nil
}

// isSet reports whether the environment of a process has a variable, be it an
// empty one. A file of variables never overrides it.
func isSet(environ []string, name string) bool {
	for _, entry := range environ {
		if strings.HasPrefix(entry, name+"=") {
			return true
		}
	}
	return false
}
