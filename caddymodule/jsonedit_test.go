package caddymodule

import (
	"slices"
	"strings"
	"testing"
)

const editedFile = `{
	"name": "p", "enabled":true,

	"endpoints": {
		"base_url": "https://a.example"
	},
	"models": { "gpt-4.1": { "timeout_seconds": 9 } },
	"model_routings": [
		{ "provider": "a", "model": "x" },
		{ "provider": "b", "model": "y" }
	],
	"empty": {}, "list": [], "nothing": null
}
`

func TestAFieldIsSetWhereItIsAndNothingElseChanges(t *testing.T) {
	for _, tc := range []struct{ field, value, old, new string }{
		{"enabled", "false", `"enabled":true`, `"enabled":false`},
		{"endpoints.base_url", `"https://b.example"`, `"https://a.example"`, `"https://b.example"`},
		{"/endpoints/base_url", `1`, `"https://a.example"`, `1`},
		{"endpoints.models", `"/models"`, "\"https://a.example\"\n", "\"https://a.example\",\n\t\t\"models\": \"/models\"\n"},
		{`models["gpt-4.1"].timeout_seconds`, "10", ": 9 }", ": 10 }"},
		{"/models/gpt-4.1/timeout_seconds", "10", ": 9 }", ": 10 }"},
		{`models["gpt-4.1"].cooldown_seconds`, "10", ": 9 }", `: 9, "cooldown_seconds": 10 }`},
		{"/models/a~1b/timeout_seconds", "1", `": { "timeout_seconds": 9 } }`, `": { "timeout_seconds": 9 }, "a/b": {"timeout_seconds": 1} }`},
		{"model_routings[1].model", `"z"`, `"model": "y"`, `"model": "z"`},
		{"model_routings.0.model", `"z"`, `"model": "x"`, `"model": "z"`},
		{"model_routings[-]", `{"provider": "c"}`, "\"y\" }\n", "\"y\" },\n\t\t{\"provider\": \"c\"}\n"},
		{"model_routings[2]", `{}`, "\"y\" }\n", "\"y\" },\n\t\t{}\n"},
		{"model_routings[0].weight", `2`, `"x" }`, `"x", "weight": 2 }`},
		{"empty.a.b", `1`, `"empty": {}`, `"empty": {"a": {"b": 1}}`},
		{"list[-]", `1`, `"list": []`, `"list": [1]`},
		{"nothing.a", `1`, `null`, `{"a": 1}`},
		{"nothing", `1`, `null`, `1`},
		{"fresh", `"<&>"`, "null\n}", "null,\n\t\"fresh\": \"<&>\"\n}"},
	} {
		want := strings.Replace(editedFile, tc.old, tc.new, 1)
		field, err := parseField(tc.field)
		if err != nil {
			t.Errorf("parseField(%q): %v", tc.field, err)
			continue
		}
		if got, err := setField([]byte(editedFile), field, tc.value); string(got) != want || err != nil {
			t.Errorf("setField(%s) = %v\n%s\nwant\n%s", tc.field, err, got, want)
		}
	}
}

func TestAFieldIsUnsetAndNothingElseChanges(t *testing.T) {
	for _, tc := range []struct {
		field, old, new string
		was             bool
	}{
		{"name", `"name": "p", "enabled"`, `"enabled"`, true},
		{"nothing", `, "nothing": null`, ``, true},
		{"endpoints", ",\n\n\t\"endpoints\": {\n\t\t\"base_url\": \"https://a.example\"\n\t}", ``, true},
		{"endpoints.base_url", "{\n\t\t\"base_url\": \"https://a.example\"\n\t}", `{}`, true},
		{"model_routings[1]", ",\n\t\t{ \"provider\": \"b\", \"model\": \"y\" }", "", true},
		{"model_routings[0]", "{ \"provider\": \"a\", \"model\": \"x\" },\n\t\t", "", true},
		{"model_routings[2]", "", "", false},
		{"name.x", "", "", false},
		{"unknown", "", "", false},
	} {
		field, err := parseField(tc.field)
		if err != nil {
			t.Fatal(err)
		}
		got, was, err := unsetField([]byte(editedFile), field)
		if want := strings.Replace(editedFile, tc.old, tc.new, 1); string(got) != want || was != tc.was || err != nil {
			t.Errorf("unsetField(%s) = %v, %v\n%s\nwant %v\n%s", tc.field, was, err, got, tc.was, want)
		}
	}
}

func TestFieldsAreReadAsProblemsNameThem(t *testing.T) {
	for field, want := range map[string][]string{
		"a": {"a"}, "a.b": {"a", "b"}, "a[0]": {"a", "0"}, "a[0].b": {"a", "0", "b"}, `a["x.y"].b`: {"a", "x.y", "b"},
		`a["q\"]"]`: {"a", `q"]`}, "/a/b": {"a", "b"}, "/a~1b/c~0d": {"a/b", "c~d"}, "a.0.-": {"a", "0", "-"}, "/": {""},
		"": nil, ".": nil, ".a": nil, "a.": nil, "a..b": nil, "a[": nil, "a[]": nil, `a["x`: nil, `a["x"`: nil, "a.[0]": nil,
	} {
		if got, err := parseField(field); !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("parseField(%q) = %q, %v, want %q", field, got, err, want)
		}
	}
}

func TestWhatCannotBeSetIsRefused(t *testing.T) {
	for _, tc := range []struct{ text, field, want string }{
		{`{"a": "text"}`, "a.b", "neither an object nor a list"},
		{`{"a": [1]}`, "a.x", "has 1 elements"},
		{`{"a": [1]}`, "a[3]", "has 1 elements"},
		{`{"a": `, "a", "not JSON"},
		{``, "a", "not JSON"},
	} {
		field, err := parseField(tc.field)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := setField([]byte(tc.text), field, "1"); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("setField(%s, %s) = %s, %v, want %s", tc.text, tc.field, got, err, tc.want)
		}
	}
	// A mark of the encoding, and white space around, are no hindrance.
	if got, err := setField([]byte("\xEF\xBB\xBF {\"a\": 1} \n"), []string{"b"}, "2"); err != nil || string(got) != "\xEF\xBB\xBF {\"a\": 1, \"b\": 2} \n" {
		t.Errorf("setField = %q, %v", got, err)
	}
}
