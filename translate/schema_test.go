package translate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func TestToolSchemasHaveAnObjectAtTheirRoot(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{``, `{"type":"object","properties":{}}`},
		{`null`, `{"type":"object","properties":{}}`},
		{`{ }`, `{"type":"object","properties":{}}`},
		{`true`, `{"type":"object","properties":{}}`},
		{`{"properties":{"a":{}}}`, `{"type":"object","properties":{"a":{}}}`},
		{`{"type":["object","null"],"properties":{"a":{}}}`, `{"type":"object","properties":{"a":{}}}`},
		{`{"type":"object","properties":{"a":{}},"required":null}`, `{"type":"object","properties":{"a":{}}}`},
		{
			`{"type":"object","description":"Find.","properties":{"a":{},"b":{}},"anyOf":[{"required":["a"]},{"required":["b"]}]}`,
			`{"type":"object","properties":{"a":{},"b":{}},"description":"Find.\n\n{anyOf: [{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}"}`,
		},
		{
			`{"allOf":[{"type":"object","properties":{"a":{}},"required":["a"]},{"properties":{"b":{}},"required":["b"]}]}`,
			`{"type":"object","properties":{"a":{},"b":{}},"required":["a","b"]}`,
		},
		{
			`{"oneOf":[{"properties":{"kind":{"const":"x"},"a":{}},"required":["kind","a"]},{"properties":{"kind":{"const":"y"}},"required":["kind"]}]}`,
			`{"type":"object","properties":{"kind":{"anyOf":[{"const":"x"},{"const":"y"}]},"a":{}},"required":["kind"],"description":"{oneOf: [` +
				`{\"properties\":{\"kind\":{\"const\":\"x\"},\"a\":{}},\"required\":[\"kind\",\"a\"]},{\"properties\":{\"kind\":{\"const\":\"y\"}},\"required\":[\"kind\"]}]}"}`,
		},
		{
			`{"$ref":"#/definitions/In","definitions":{"In":{"type":"object","description":"d","properties":{"a":{}}}}}`,
			`{"type":"object","definitions":{"In":{"type":"object","description":"d","properties":{"a":{}}}},"properties":{"a":{}},"description":"d"}`,
		},
		{
			`{"anyOf":[{"type":"object","properties":{"a":{}},"required":["a"]},{"type":"null"}]}`,
			`{"type":"object","properties":{"a":{}},"required":["a"],"description":"{anyOf: [{\"type\":\"object\",\"properties\":{\"a\":{}},\"required\":[\"a\"]},{\"type\":\"null\"}]}"}`,
		},
	} {
		if got := string(AppendToolSchema(nil, Value(tc.in))); got != tc.want {
			t.Errorf("AppendToolSchema(%s) =\n%s, want\n%s", tc.in, got, tc.want)
		}
	}
}

func TestGoodToolSchemasStayByteForByte(t *testing.T) {
	for _, schema := range []string{
		`{"type":"object"}`,
		`{ "type" : "object", "properties": { "n": {"anyOf":[{"type":"number"},{"type":"null"}], "default": 1.0} }, "$schema":"http://json-schema.org/draft-07/schema#", "x-order":[1,2] }`,
	} {
		if got := string(AppendToolSchema([]byte("x"), Value(schema))); got != "x"+schema {
			t.Errorf("AppendToolSchema(%s) = %s", schema, got)
		}
	}
}

func TestSchemasThatReferToThemselvesEnd(t *testing.T) {
	for _, schema := range []string{
		`{"$ref":"#"}`,
		`{"allOf":[{"$ref":"#"},{"$ref":"#"},{"$ref":"#"}]}`,
		`{"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"}]},"b":{"$ref":"#/$defs/a"}}}`,
	} {
		for name, got := range map[string]string{
			"AppendToolSchema":   string(AppendToolSchema(nil, Value(schema))),
			"AppendAnswerSchema": string(AppendAnswerSchema(nil, Value(schema))),
		} {
			if !gjson.Valid(got) {
				t.Errorf("%s(%s) = %s, want JSON", name, schema, got)
			}
		}
	}
}

func TestAnswerSchemasSayOnlyWhatIsSupported(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{`{"type":"object","properties":{"a":{"type":"string"}}}`, `{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}`},
		{`{"properties":{"a":true}}`, `{"type":"object","properties":{"a":{}},"additionalProperties":false}`},
		{`{"type":"object"}`, `{"type":"object","properties":{},"additionalProperties":false}`},
		{`{"type":"object","properties":{},"additionalProperties":true}`, `{"type":"object","properties":{},"additionalProperties":false}`},
		{`{"type":"integer","minimum":1,"maximum":9,"description":"n"}`, `{"type":"integer","description":"n\n\n{minimum: 1, maximum: 9}"}`},
		{`{"type":"string","format":"uuid"}`, `{"type":"string","format":"uuid"}`},
		{`{"type":"string","format":"iban"}`, `{"type":"string","description":"{format: \"iban\"}"}`},
		{`{"type":"array","items":{"type":"object","properties":{}},"minItems":1}`, `{"type":"array","items":{"type":"object","properties":{},"additionalProperties":false},"minItems":1}`},
		{`{"type":"array","items":{"type":"string"},"minItems":2,"maxItems":3}`, `{"type":"array","items":{"type":"string"},"description":"{minItems: 2, maxItems: 3}"}`},
		{`{"oneOf":[{"type":"string"},{"type":"null"}]}`, `{"anyOf":[{"type":"string"},{"type":"null"}]}`},
		{`{"type":"string","default":"x","$comment":"c"}`, `{"type":"string","description":"{default: \"x\"}"}`},
		{
			`{"type":"object","properties":{"p":{"$ref":"#/definitions/P","description":"who","default":null}},"definitions":{"P":{"type":"object","properties":{"n":{"$ref":"#/definitions/N"}}},"N":{"type":"string"}}}`,
			`{"type":"object","properties":{"p":{"anyOf":[{"$ref":"#/$defs/P"}],"description":"who"}},"$defs":{"P":{"type":"object","properties":{"n":{"$ref":"#/$defs/N"}},"additionalProperties":false},"N":{"type":"string"}},"additionalProperties":false}`,
		},
		{
			`{"$ref":"#/$defs/A","$defs":{"A":{"type":"object","properties":{"n":{"type":"null"}}}}}`,
			`{"type":"object","properties":{"n":{"type":"null"}},"$defs":{"A":{"type":"object","properties":{"n":{"type":"null"}},"additionalProperties":false}},"additionalProperties":false}`,
		},
		{`{"type":"object","properties":{"p":{"allOf":[{"$ref":"#/$defs/P"}]}}}`, `{"type":"object","properties":{"p":{"anyOf":[{"$ref":"#/$defs/P"}]}},"additionalProperties":false}`},
		{
			`{"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"type":"object","properties":{"b":{"type":"string"}}}]}`,
			`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a"],"additionalProperties":false}`,
		},
		{`{"type":"object","additionalProperties":{"type":"object"}}`, `{"type":"object","additionalProperties":{"type":"object","properties":{},"additionalProperties":false}}`},
		{
			`{"type":"object","properties":{"a":{"type":"string"}},"anyOf":[{"required":["a"]}]}`,
			`{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false,"description":"{anyOf: [{\"required\":[\"a\"]}]}"}`,
		},
	} {
		if got := string(AppendAnswerSchema(nil, Value(tc.in))); got != tc.want {
			t.Errorf("AppendAnswerSchema(%s) =\n%s, want\n%s", tc.in, got, tc.want)
		}
	}
}

func TestStrictIsOnlyForSchemasThatOpenAITakes(t *testing.T) {
	closed := func(members string) string { return `{"type":"object","additionalProperties":false` + members + `}` }
	for _, tc := range []struct {
		schema string
		want   bool
	}{
		{closed(``), true},
		{closed(`,"properties":{"a":{"type":"string"}},"required":["a"]`), true},
		{closed(`,"properties":{"a":{"type":"string"},"b":{"type":"number"}},"required":["b","a"]`), true},
		{closed(`,"properties":{"a":{"anyOf":[{"type":"string"},{"type":"null"}]}},"required":["a"]`), true},
		{closed(`,"properties":{"a":{"$ref":"#/$defs/A"}},"required":["a"],"$defs":{"A":{"type":"string"}}`), true},
		{closed(`,"properties":{"a":{"type":"array","items":{"type":"string","enum":["x"]},"maxItems":3}},"required":["a"]`), true},
		{`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`, false},
		{closed(`,"properties":{"a":{"type":"string"}}`), false},
		{closed(`,"properties":{"a":{"type":"string"}},"required":["a","b"]`), false},
		{closed(`,"properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a","a"]`), false},
		{closed(`,"properties":{"a":{"type":"string","default":"x"}},"required":["a"]`), false},
		{closed(`,"properties":{"a":{"type":"string","format":"uri"}},"required":["a"]`), false},
		{closed(`,"properties":{"a":{"enum":["x"]}},"required":["a"]`), false},
		{closed(`,"properties":{"a":{"type":"object","properties":{}}},"required":["a"]`), false},
		{closed(`,"properties":{"a":{"oneOf":[{"type":"string"}]}},"required":["a"]`), false},
		{closed(`,"properties":{"a":{"$ref":"#/$defs/A","description":"d"}},"required":["a"]`), false},
		{closed(`,"anyOf":[]`), false},
		{`{"type":"array","items":{"type":"string"}}`, false},
		{`{}`, false},
		{``, false},
		{strings.Repeat(`{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":`, 20) + `{"type":"string"}` + strings.Repeat(`}}`, 20), false},
	} {
		if got := StrictQualifies(Value(tc.schema)); got != tc.want {
			t.Errorf("StrictQualifies(%s) = %v, want %v", tc.schema, got, tc.want)
		}
	}
}

// The time that a schema takes must not grow with the square of its length,
// whoever wrote it: these would take minutes.
func TestSchemasCannotKeepTheGatewayBusy(t *testing.T) {
	properties := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"p%d":{"allOf":[{"$ref":"#/$defs/z"},{"$ref":"#/$defs/y"}]},`, i)
		}
		return b.String()
	}
	for name, schema := range map[string]string{
		"references": `{"type":"object","properties":{` + properties(20_000) + `"q":{}},"$defs":{` + properties(10_000) + `"z":{"type":"object"},"y":{"type":"object"}}}`,
		"properties": `{"allOf":[{"properties":{` + properties(30_000) + `"q":{}}},{"properties":{"a":{},` + properties(30_000) + `"q":{}}}]}`,
		"branches":   `{"anyOf":[` + strings.Repeat(`{"$ref":"#/$defs/a"},`, 100_000) + `{}],"$defs":{"a":{"properties":{` + properties(1000) + `"q":{}}}}}`,
		"required":   `{"type":"object","additionalProperties":false,"properties":{` + properties(50_000) + `"q":{}},"required":["a"` + strings.Repeat(`,"a"`, 100_000) + `]}`,
	} {
		start := time.Now()
		AppendToolSchema(nil, Value(schema))
		AppendAnswerSchema(nil, Value(schema))
		StrictQualifies(Value(schema))
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: %v for %d bytes", name, took, len(schema))
		} else {
			t.Logf("%s: %v for %d bytes", name, took, len(schema))
		}
	}
}

func FuzzSchemas(f *testing.F) {
	f.Add(`{"type":"object","oneOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"allOf":[{"properties":{"b":{}}},{"required":["b"]}]}}}`)
	f.Add(`{"properties":{"a":{"allOf":[{"type":"object"},{"$ref":"#"}]}},"description":"\""}`)
	f.Fuzz(func(t *testing.T, schema string) {
		tool, answer := AppendToolSchema(nil, Value(schema)), AppendAnswerSchema(nil, Value(schema))
		StrictQualifies(Value(schema))
		if !gjson.Valid(schema) || strings.HasPrefix(schema, " ") || schema == "" || strings.TrimSpace(schema) != schema {
			return
		}
		if !gjson.ValidBytes(tool) || gjson.GetBytes(tool, "type").Str != "object" {
			t.Errorf("AppendToolSchema(%s) = %s", schema, tool)
		}
		if !gjson.ValidBytes(answer) {
			t.Errorf("AppendAnswerSchema(%s) = %s", schema, answer)
		}
		if again := AppendToolSchema(nil, tool); string(again) != string(tool) {
			t.Errorf("AppendToolSchema(%s) = %s, want it unchanged", tool, again)
		}
	})
}

func BenchmarkAppendToolSchema(b *testing.B) {
	schema := Value(`{"type":"object","properties":{` + strings.Repeat(`"path":{"type":"string","description":"The path of the file to read, from the root of the project."},`, 6) + `"n":{"type":"integer"}},"required":["path"],"additionalProperties":false}`)
	b.SetBytes(int64(len(schema)))
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = AppendToolSchema(dst[:0], schema)
	}
}
