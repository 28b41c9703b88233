package keys

import (
	"cmp"
	"slices"
	"strings"
)

const (
	providerPlaceholder = "{PROVIDER}"
	indexPlaceholder    = "{INDEX}"
)

// defaultPatterns is where the keys of a provider are whose file names no place.
var defaultPatterns = []string{
	providerPlaceholder + "_API_KEY",
	providerPlaceholder + "_API_KEY_" + indexPlaceholder,
}

// DefaultPatterns are the patterns of a provider whose file has none.
func DefaultPatterns() []string { return slices.Clone(defaultPatterns) }

// Discover finds the keys of a provider in environ, which has the form of
// os.Environ, by the api_keys.env_var_patterns of the provider's file. Without
// patterns it looks for <PROVIDER>_API_KEY and <PROVIDER>_API_KEY_{INDEX}.
//
// In a pattern {PROVIDER} stands for the provider's name in upper case with
// everything but A-Z and 0-9 turned into an underscore. {INDEX} may stand once,
// anywhere, for one or more digits; a pattern with two of them matches nothing.
//
// Keys come in the order of the patterns, and those of one pattern in the order of
// their index as a number of any size (2 before 10; gaps do no harm). Variables
// without a value are skipped. A value that was found before is skipped too, and
// its variable is named in dups, so that the caller can warn: such a key would get
// a double share of the requests and cool down twice.
func Discover(provider string, patterns, environ []string) (found []*Key, dups []string) {
	if len(patterns) == 0 {
		patterns = defaultPatterns
	}
	values := environment(environ)
	known := make(map[string]bool) // key IDs
	for _, pattern := range patterns {
		pattern = strings.ReplaceAll(pattern, providerPlaceholder, variableName(provider))
		for _, name := range variables(pattern, values) {
			key := NewKey(provider, name, values[name])
			delete(values, name) // two patterns may match one variable, which is no duplicate
			switch {
			case key.Secret() == "":
			case known[key.ID]:
				dups = append(dups, name)
			default:
				known[key.ID] = true
				found = append(found, key)
			}
		}
	}
	return found, dups
}

// Variable names one variable in which [Discover] would find a key of the provider:
// what to set where there is none.
func Variable(provider string, patterns []string) string {
	if len(patterns) == 0 {
		patterns = defaultPatterns
	}
	return strings.NewReplacer(providerPlaceholder, variableName(provider), indexPlaceholder, "1").Replace(patterns[0])
}

// environment returns environ by name. Of a name that is there twice the first
// counts, as it does for os.Getenv.
func environment(environ []string) map[string]string {
	values := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if _, ok := values[name]; !ok {
			values[name] = value
		}
	}
	return values
}

// variableName turns a provider's name into its part of a variable's name.
func variableName(provider string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || isDigit(r) {
			return r
		}
		return '_'
	}, strings.ToUpper(provider))
}

// variables returns the names in values that pattern matches, by their index.
func variables(pattern string, values map[string]string) []string {
	prefix, suffix, indexed := strings.Cut(pattern, indexPlaceholder)
	if !indexed {
		if _, ok := values[pattern]; !ok {
			return nil
		}
		return []string{pattern}
	}
	type match struct{ name, index string }
	var matches []match
	for name := range values {
		if index, ok := indexIn(name, prefix, suffix); ok {
			matches = append(matches, match{name, index})
		}
	}
	slices.SortFunc(matches, func(a, b match) int {
		return cmp.Or(compareNumbers(a.index, b.index), cmp.Compare(a.name, b.name))
	})
	names := make([]string, len(matches))
	for i, m := range matches {
		names[i] = m.name
	}
	return names
}

// indexIn returns what stands between prefix and suffix in name, if that is a number.
func indexIn(name, prefix, suffix string) (index string, ok bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return "", false
	}
	index, ok = strings.CutSuffix(rest, suffix)
	if !ok || index == "" {
		return "", false
	}
	return index, !strings.ContainsFunc(index, func(r rune) bool { return !isDigit(r) })
}

// compareNumbers compares two strings of digits as numbers. They are never
// converted, since an index may be larger than any integer type (a date, an id).
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }
