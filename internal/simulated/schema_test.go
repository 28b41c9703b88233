package simulated

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestInstancesFulfilTheirSchema(t *testing.T) {
	for _, tc := range []struct{ schema, want string }{
		{`{"type":"object"}`, `{}`},
		{`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["b"]}`, `{"b":"demo"}`},
		{`{"type":"object","required":["a","a"]}`, `{"a":"demo"}`},
		{`{"type":"object","properties":{"x.y*":{"type":"integer"}},"required":["x.y*"]}`, `{"x.y*":1}`},
		{`{"type":"object","properties":{"city":{"type":"string"},"file_path":{"type":"string"},"Command":{"type":"string"}},"required":["city","file_path","Command"]}`, `{"city":"Paris","file_path":"demo.txt","Command":"echo demo"}`},
		{`{"type":"string","enum":["b","a"]}`, `"b"`},
		{`{"const":{"k":[1]}}`, `{"k":[1]}`},
		{`{"type":"integer","default":7}`, `7`},
		{`{"type":"integer","examples":[8]}`, `8`},
		{`{"type":"integer"}`, `1`},
		{`{"type":"integer","minimum":3}`, `3`},
		{`{"type":"integer","exclusiveMinimum":3}`, `4`},
		{`{"type":"integer","maximum":-2}`, `-2`},
		{`{"type":"integer","exclusiveMaximum":1}`, `0`},
		{`{"type":"integer","multipleOf":5,"minimum":11}`, `15`},
		{`{"type":"number"}`, `1`},
		{`{"type":"number","minimum":0.2,"maximum":0.8}`, `0.5`},
		{`{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}`, `0.5`},
		{`{"type":"number","minimum":2.5}`, `3.5`},
		{`{"type":"number","maximum":-2.5}`, `-3.5`},
		{`{"type":"boolean"}`, `true`},
		{`{"type":"null"}`, `null`},
		{`{"type":["null","string"]}`, `"demo"`},
		{`{"type":"string","format":"date"}`, `"2026-01-02"`},
		{`{"type":"string","minLength":6}`, `"demoxx"`},
		{`{"type":"string","maxLength":2}`, `"de"`},
		{`{"type":"array","items":{"type":"boolean"}}`, `[true]`},
		{`{"type":"array","items":{"type":"boolean"},"minItems":2}`, `[true,true]`},
		{`{"type":"array","items":{"type":"boolean"},"maxItems":0}`, `[]`},
		{`{"type":"array"}`, `[]`},
		{`{"prefixItems":[{"type":"integer"},{"type":"null"}]}`, `[1,null]`},
		{`{"anyOf":[{"type":"null"},{"type":"integer"}]}`, `1`},
		{`{"oneOf":[{"type":"object","required":["k"],"properties":{"k":{"const":"v"}}},{"type":"null"}]}`, `{"k":"v"}`},
		{`{"allOf":[{"required":["a"],"properties":{"a":{"type":"integer"}}},{"required":["b"],"properties":{"b":{"type":"null"}}}]}`, `{"a":1,"b":null}`},
		{`{"type":"object","properties":{"a":{"type":"integer"}},"anyOf":[{"required":["a"]},{"required":["b"]}]}`, `{"a":1}`},
		{`{"$defs":{"x/y":{"type":"integer"}},"type":"object","properties":{"a":{"$ref":"#/$defs/x~1y"}},"required":["a"]}`, `{"a":1}`},
		{`{"type":"object","properties":{"a":{"$ref":"https://example.com/x"}},"required":["a"]}`, `{"a":null}`},
		{`{}`, `"demo"`},
		{`true`, `null`},
	} {
		if got := instance(gjson.Parse(tc.schema)); got != tc.want {
			t.Errorf("instance(%s) = %s, want %s", tc.schema, got, tc.want)
		}
	}
}

func TestSchemasThatRequireThemselvesComeToAnEnd(t *testing.T) {
	for _, schema := range []string{
		`{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"}},"required":["a","b"]}`,
		`{"$ref":"#"}`,
		`{"allOf":[{"$ref":"#"},{"$ref":"#"}]}`,
		`{"anyOf":[{"$ref":"#"}]}`,
		`{"type":"array","items":{"$ref":"#"},"minItems":50}`,
	} {
		if got := instance(gjson.Parse(schema)); !gjson.Valid(got) || len(got) > 1<<20 {
			t.Errorf("instance(%s) is %d bytes: %.100s", schema, len(got), got)
		}
	}
}

func FuzzInstancesAreJSON(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"type":"array","items":{"$ref":"#"}}},"required":["a","b"]}`)
	f.Add(`{"allOf":[{"anyOf":[{"type":["integer"],"multipleOf":0.3,"maximum":-1e300}]}],"minLength":-4,"maxLength":-1}`)
	f.Fuzz(func(t *testing.T, schema string) {
		if !gjson.Valid(schema) {
			t.Skip("the input is no JSON")
		}
		if got := instance(gjson.Parse(schema)); !gjson.Valid(got) {
			t.Fatalf("instance(%s) = %s", schema, got)
		}
	})
}

func TestArgumentsAreAnObjectWhateverTheSchemaSays(t *testing.T) {
	for _, schema := range []string{``, `true`, `{}`, `{"type":"string"}`, `{"type":"object"}`} {
		got := tool{schema: gjson.Parse(schema)}.arguments("")
		if !strings.HasPrefix(got, "{") {
			t.Errorf("arguments for %s are %s", schema, got)
		}
	}
}
