package routing

import (
	"fmt"
	"strings"
)

// lookup finds an environment variable. One that is set to nothing counts as
// not set: that is what container tools make of a variable nobody gave.
type lookup func(name string) (value string, ok bool)

// environmentOf looks variables up in a list of the form of os.Environ. Of a
// name that is there twice the first counts, as it does for os.Getenv.
func environmentOf(environ []string) lookup {
	values := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if _, ok := values[name]; !ok {
			values[name] = value
		}
	}
	return func(name string) (string, bool) {
		value := values[name]
		return value, value != ""
	}
}

// expand replaces ${NAME} in text by the variable's value, and ${NAME:-other}
// by other where the variable is not set. Values are not expanded again.
// missing lists the variables that are needed and not set; err says that the
// text cannot be read at all, without repeating it.
func expand(text string, env lookup) (expanded string, missing []string, err error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String(), missing, nil
		}
		inner, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", nil, fmt.Errorf("has a ${ without }")
		}
		name, other, optional := strings.Cut(inner, ":-")
		if !variableName(name) {
			return "", nil, fmt.Errorf("has a ${...} that does not name an environment variable")
		}
		value, set := env(name)
		switch {
		case set:
			b.WriteString(value)
		case optional:
			b.WriteString(other)
		default:
			missing = append(missing, name)
		}
		text = after
	}
}

// variableName reports whether a text can name an environment variable.
func variableName(name string) bool {
	for i, c := range []byte(name) {
		if c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
