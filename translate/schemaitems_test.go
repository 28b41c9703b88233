package translate

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestArraysOfAnOpenAISchemaSayWhatTheyHold(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{``, `{"type":"object","properties":{}}`},
		{`{"type":"array"}`, `{"type":"object","properties":{}}`},
		{
			`{"type":"object","properties":{"a":{"type":"array"}}}`,
			`{"type":"object","properties":{"a":{"type":"array","items":{}}}}`,
		},
		{
			`{"type":"object","properties":{"a":{"type":["array","null"],"maxItems":2},"b":{"anyOf":[{"type":"array"},{"type":"string"}]}}}`,
			`{"type":"object","properties":{"a":{"type":["array","null"],"maxItems":2,"items":{}},"b":{"anyOf":[{"type":"array","items":{}},{"type":"string"}]}}}`,
		},
		{
			`{"properties":{"a":{"type":"array","items":{"type":"array"}}},"$defs":{"D":{"type":"array","prefixItems":[{"type":"array"}]}}}`,
			`{"type":"object","properties":{"a":{"type":"array","items":{"type":"array","items":{}}}},"$defs":{"D":{"type":"array","prefixItems":[{"type":"array","items":{}}],"items":{}}}}`,
		},
		{`{"anyOf":[{"properties":{"a":{"type":"array"}}}]}`, `{"type":"object","properties":{"a":{"type":"array","items":{}}}}`},
	} {
		if got := string(AppendOpenAISchema([]byte("x"), Value(tc.in))); got != "x"+tc.want {
			t.Errorf("AppendOpenAISchema(%s) =\n%s, want\n%s", tc.in, got[1:], tc.want)
		}
	}
}

const goodArrays = `{ "type": "object", "properties": { "type": {"type":"array", "items":{"type":"string"}},
	"x": {"enum":["array"], "default": {"type":"array"}}, "y": {"type":"array","items":true} } }`

func TestGoodOpenAISchemasStayByteForByte(t *testing.T) {
	for _, schema := range []string{
		`{"type":"object"}`,
		`{"type":"object", "properties":{"a":{"type":"string"}}}`,
		goodArrays,
		`{"type":"object","x":[{"type":"array"}]}`,
	} {
		if got := string(AppendOpenAISchema(nil, Value(schema))); got != schema {
			t.Errorf("AppendOpenAISchema(%s) = %s", schema, got)
		}
	}
	dst, schema := make([]byte, 0, 1<<10), Value(goodArrays)
	if n := testing.AllocsPerRun(10, func() { AppendOpenAISchema(dst, schema) }); n > 0 {
		t.Errorf("a good schema takes %v allocations, want none", n)
	}
}

func TestDeepSchemasEnd(t *testing.T) {
	const depth = 5000
	schema := `{"type":"object","properties":{"a":` + strings.Repeat(`{"type":"array","items":`, depth) + `{"type":"array"}` + strings.Repeat("}", depth) + `,"b":{"type":"array"}}}`
	got := string(AppendOpenAISchema(nil, Value(schema)))
	if !gjson.Valid(got) || !gjson.Get(got, "properties.b.items").Exists() {
		t.Errorf("a deep schema became %d bytes, want JSON with items", len(got))
	}
}
