package keys

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The numbers in the comments are the rows of the original's black-box cases.
func TestDiscoverFindsKeysInTheOrderOfPatternsAndIndexes(t *testing.T) {
	for _, tc := range []struct {
		name, provider string
		patterns       []string
		environ        []string
		want, dups     string // variables
	}{
		{"37 only the plain variable", "p", nil, []string{"P_API_KEY=a"}, "P_API_KEY", ""},
		{"38 only numbered ones", "p", nil, []string{"P_API_KEY_1=a", "P_API_KEY_2=b"}, "P_API_KEY_1 P_API_KEY_2", ""},
		{"40 a gap", "p", nil, []string{"P_API_KEY_3=c", "P_API_KEY_1=a"}, "P_API_KEY_1 P_API_KEY_3", ""},
		{"41 equal values", "p", nil, []string{"P_API_KEY_1=a", "P_API_KEY=a"}, "P_API_KEY", "P_API_KEY_1"},
		{"43 a dash in the name", "test-provider", nil, []string{"TEST_PROVIDER_API_KEY_1=a"}, "TEST_PROVIDER_API_KEY_1", ""},
		{"55 no keys", "p", nil, []string{"Q_API_KEY=a", "PATH=/bin"}, "", ""},
		{"154 the index in the middle", "p", []string{"X_{INDEX}_API_KEY"}, []string{"X_2_API_KEY=b", "X_1_API_KEY=a", "X_3_API_KEY=c", "X__API_KEY=d", "X_API_KEY=e"}, "X_1_API_KEY X_2_API_KEY X_3_API_KEY", ""},
		{"the plain one before numbered ones", "p", nil, []string{"P_API_KEY_0=z", "P_API_KEY_1=a", "P_API_KEY=b"}, "P_API_KEY P_API_KEY_0 P_API_KEY_1", ""},
		{"2 before 10", "p", nil, []string{"P_API_KEY_10=j", "P_API_KEY_2=b"}, "P_API_KEY_2 P_API_KEY_10", ""},
		{
			"an index larger than any integer", "p", nil,
			[]string{"P_API_KEY_99999999999999999999999=y", "P_API_KEY_100000000000000000000000=z", "P_API_KEY_7=a"},
			"P_API_KEY_7 P_API_KEY_99999999999999999999999 P_API_KEY_100000000000000000000000", "",
		},
		{"leading zeros", "p", nil, []string{"P_API_KEY_010=c", "P_API_KEY_1=b", "P_API_KEY_01=a", "P_API_KEY_000=z"}, "P_API_KEY_000 P_API_KEY_01 P_API_KEY_1 P_API_KEY_010", ""},
		{"patterns in their order", "github", []string{"GITHUB_TOKEN", "{PROVIDER}_API_KEY_{INDEX}"}, []string{"GITHUB_API_KEY_1=a", "GITHUB_TOKEN=z", "GITHUB_API_KEY=no"}, "GITHUB_TOKEN GITHUB_API_KEY_1", ""},
		{"the index at the start", "p", []string{"{INDEX}_{PROVIDER}"}, []string{"2_P=b", "1_P=a", "_P=c"}, "1_P 2_P", ""},
		{"a digit after the index", "p", []string{"K{INDEX}0"}, []string{"K10=a", "K0=b", "K200=c"}, "K10 K200", ""},
		{"prefix and suffix do not overlap", "p", []string{"A_{INDEX}_A"}, []string{"A_A=a", "A_1_A=b"}, "A_1_A", ""},
		{"no number, no match", "p", nil, []string{"P_API_KEY_A=a", "P_API_KEY_1A=b", "P_API_KEY_-1=c", "P_API_KEY_=d", "P_API_KEY_١=e"}, "", ""},
		{"two indexes match nothing", "p", []string{"K_{INDEX}_{INDEX}"}, []string{"K_1_2=a"}, "", ""},
		{"empty and blank values", "p", nil, []string{"P_API_KEY=", "P_API_KEY_1= \n", "P_API_KEY_2=b", "P_API_KEY_3"}, "P_API_KEY_2", ""},
		{"equal after trimming", "p", nil, []string{"P_API_KEY=a", "P_API_KEY_1= a\n", "P_API_KEY_2=a"}, "P_API_KEY", "P_API_KEY_1 P_API_KEY_2"},
		{"a variable of two patterns is no duplicate", "p", []string{"P_1", "P_{INDEX}", "P_1"}, []string{"P_1=a", "P_2=b"}, "P_1 P_2", ""},
		{"the first of two definitions", "p", nil, []string{"P_API_KEY=a", "P_API_KEY="}, "P_API_KEY", ""},
		{"a value with an equals sign", "p", nil, []string{"P_API_KEY=a=b="}, "P_API_KEY", ""},
		{"lower case and odd runes in the name", "my.prövider 2", nil, []string{"MY_PR_VIDER_2_API_KEY=a"}, "MY_PR_VIDER_2_API_KEY", ""},
		{"a lower-case variable is another", "p", nil, []string{"p_api_key=a"}, "", ""},
		{"an empty pattern", "p", []string{""}, []string{"=a", "P_API_KEY=b"}, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found, dups := Discover(tc.provider, tc.patterns, tc.environ)
			if got := strings.Join(sources(found), " "); got != tc.want {
				t.Errorf("Discover found %q, want %q", got, tc.want)
			}
			if got := strings.Join(dups, " "); got != tc.dups {
				t.Errorf("Discover reported duplicates %q, want %q", got, tc.dups)
			}
		})
	}
}

func TestDiscoverTakesTheWholeValue(t *testing.T) {
	found, _ := Discover("p", nil, []string{"P_API_KEY=a=b=\n"})
	if len(found) != 1 || found[0].Secret() != "a=b=" {
		t.Fatalf("Discover = %v, want one key with secret a=b=", found)
	}
}

func TestDiscoverDoesNotDependOnTheOrderOfTheEnvironment(t *testing.T) {
	environ := []string{"P_API_KEY=a", "P_API_KEY_1=b", "P_API_KEY_2=a", "P_API_KEY_10=c", "P_API_KEY_010=d", "HOME=/", "P_API_KEY_3=b"}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		rng.Shuffle(len(environ), func(i, j int) { environ[i], environ[j] = environ[j], environ[i] })
		found, dups := Discover("p", nil, environ)
		if got, want := strings.Join(sources(found), " "), "P_API_KEY P_API_KEY_1 P_API_KEY_010 P_API_KEY_10"; got != want {
			t.Fatalf("Discover of %q found %q, want %q", environ, got, want)
		}
		if got, want := strings.Join(dups, " "), "P_API_KEY_2 P_API_KEY_3"; got != want {
			t.Fatalf("Discover of %q reported duplicates %q, want %q", environ, got, want)
		}
	}
}

func FuzzDiscover(f *testing.F) {
	f.Add("openai", "", "OPENAI_API_KEY=a\x00OPENAI_API_KEY_2=b")
	f.Add("test-provider", "X_{INDEX}_API_KEY\x00{PROVIDER}", "X_1_API_KEY=a\x00X_01_API_KEY=a\x00TEST_PROVIDER=b")
	f.Add("ı\xff{INDEX}", "{INDEX}{INDEX}\x00{PROVIDER}{INDEX}", "=C:=x\x00I__INDEX_7= \x00\x00=")
	f.Fuzz(func(t *testing.T, provider, patternList, environList string) {
		var patterns []string
		if patternList != "" {
			patterns = strings.Split(patternList, "\x00")
		}
		environ := strings.Split(environList, "\x00")
		found, dups := Discover(provider, patterns, environ)
		names := append(sources(found), dups...)
		for _, name := range names {
			if !slices.ContainsFunc(environ, func(e string) bool { return strings.HasPrefix(e, name+"=") || e == name }) {
				t.Errorf("Discover names %q, which is not in the environment", name)
			}
		}
		slices.Sort(names)
		if len(slices.Compact(names)) != len(found)+len(dups) {
			t.Errorf("Discover names a variable twice: %q and %q", sources(found), dups)
		}
		secrets := make(map[string]bool)
		for _, k := range found {
			if k.Secret() == "" || k.Secret() != strings.TrimSpace(k.Secret()) || secrets[k.Secret()] {
				t.Errorf("Discover found secret %q: empty, untrimmed or twice", k.Secret())
			}
			secrets[k.Secret()] = true
			if len(k.ID) != 8 {
				t.Errorf("ID = %q, want 8 digits", k.ID)
			}
		}
	})
}

func sources(keys []*Key) []string {
	var names []string
	for _, k := range keys {
		names = append(names, k.Source)
	}
	return names
}

func TestVariableIsOneInWhichAKeyIsFound(t *testing.T) {
	for _, tc := range []struct {
		provider string
		patterns []string
		want     string
	}{
		{"test-provider", nil, "TEST_PROVIDER_API_KEY"},
		{"p", []string{"{PROVIDER}_TOKEN_{INDEX}", "{PROVIDER}_KEY"}, "P_TOKEN_1"},
		{"p", []string{"SPECIAL_KEY"}, "SPECIAL_KEY"},
	} {
		got := Variable(tc.provider, tc.patterns)
		if got != tc.want {
			t.Errorf("Variable(%q, %q) = %q, want %q", tc.provider, tc.patterns, got, tc.want)
		}
		if found, _ := Discover(tc.provider, tc.patterns, []string{got + "=k"}); len(found) != 1 {
			t.Errorf("no key is found in %s", got)
		}
	}
}
