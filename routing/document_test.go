package routing

import (
	"strings"
	"testing"
)

func TestHowAFileIsWrittenDoesNotMatter(t *testing.T) {
	for name, text := range map[string]string{
		"with a byte order mark":  "\xEF\xBB\xBF" + plainModel,
		"with Windows line ends":  strings.ReplaceAll(plainModel, ",", ",\r\n"),
		"with spaces around":      "\n\n\t" + plainModel + "\n \n",
		"with escapes in its key": strings.Replace(plainModel, "logical_name", `logical\u005fname`, 1),
	} {
		c, problems, warnings := configFiles{"models/m.json": text}.load(t, LoadOptions{})
		if len(problems)+len(warnings) > 0 {
			t.Errorf("%s: %q %q", name, problems, warnings)
		} else if _, ok := c.Model("m"); !ok {
			t.Errorf("%s: the model is missing", name)
		}
	}
}

func TestWhatIsNoJSONIsToldWithItsLine(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{" ", "models/m.json:1: is empty"},
		{"\n\n", "models/m.json:1: is empty"},
		{"{\n\"a\": 1,\n}", `models/m.json:3: is not a JSON object: `},
		{"{\n\"a\": 1\n}\nx", `models/m.json:4: is not a JSON object: `},
		{"# a\n{}", `models/m.json:1: is not a JSON object: `},
		{"{\n/* a */}", `models/m.json:2: is not a JSON object: expected a member name in double quotes, found '/'; JSON has no comments`},
		{"\xFF\xFE{\x00", "models/m.json:1: is UTF-16; save it as UTF-8"},
		{"{\"a\":\n\n\"\xC3\"}", `models/m.json:3: is not a JSON object: `},
		{`{"logical_name":"m","logical_name":"n"}`, `models/m.json:1: is not a JSON object: duplicate member "logical_name"`},
		{`{"id":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + "}", `models/m.json:1: is not a JSON object: nesting deeper than 128 levels`},
	} {
		_, problems, _ := configFiles{"models/m.json": tc.text}.load(t, LoadOptions{})
		if len(problems) != 1 || !strings.HasPrefix(problems[0], tc.want) {
			t.Errorf("%.20q: %q, want %q", tc.text, problems, tc.want)
		}
	}
}

func TestAFileThatIsTooLargeIsAProblemOfThatFileOnly(t *testing.T) {
	files := configFiles{"models/large.json": strings.Repeat(" ", maxFileSize+1)}
	_, problems, _ := files.load(t, LoadOptions{})
	compareProblems(t, problems, "models/large.json: cannot be read: it is larger than 4 MiB")
	c, problems, warnings := files.load(t, LoadOptions{KeepGoing: true})
	compareProblems(t, problems, "")
	compareProblems(t, warnings, "models/large.json: cannot be read: it is larger than 4 MiB (the model is left out)")
	if _, ok := c.Model("m"); !ok {
		t.Error("the good model is missing")
	}
}
