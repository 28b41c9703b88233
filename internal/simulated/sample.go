package simulated

import (
	"math"
	"strings"

	"github.com/tidwall/gjson"
)

// sampleText is the string that stands where a schema says nothing better.
const sampleText = "demo"

// formats are strings for the formats of JSON Schema.
var formats = map[string]string{
	"date":      "2026-01-02",
	"time":      "03:04:05Z",
	"date-time": "2026-01-02T03:04:05Z",
	"duration":  "PT1H",
	"email":     "demo@example.com",
	"hostname":  "example.com",
	"uri":       "https://example.com/",
	"url":       "https://example.com/",
	"ipv4":      "192.0.2.1",
	"ipv6":      "2001:db8::1",
	"uuid":      "00000000-0000-4000-8000-000000000000",
}

// likely are strings for properties whose name says what they want, so that
// the tools of real agents do something harmless with them.
var likely = []struct{ part, value string }{
	{"city", "Paris"},
	{"location", "Paris"},
	{"command", "echo demo"},
	{"cmd", "echo demo"},
	{"path", "demo.txt"},
	{"url", "https://example.com/"},
	{"email", "demo@example.com"},
	{"date", "2026-01-02"},
}

func sampleString(schema gjson.Result, name string) string {
	text := sampleText
	if f, ok := formats[member(schema, "format").Str]; ok {
		text = f
	} else {
		lower := strings.ToLower(name)
		for _, l := range likely {
			if strings.Contains(lower, l.part) {
				text = l.value
				break
			}
		}
	}
	if least := int(min(member(schema, "minLength").Int(), 10_000)); len(text) < least {
		text += strings.Repeat("x", least-len(text))
	}
	if most := member(schema, "maxLength"); most.Exists() && int(most.Int()) < len(text) {
		text = text[:max(most.Int(), 0)] // all of these texts are ASCII
	}
	return text
}

// sampleNumber returns 1 if the schema allows it, or another number that it
// allows.
func sampleNumber(schema gjson.Result, whole bool) float64 {
	low, high := boundsOf(schema)
	step := member(schema, "multipleOf").Num
	if step <= 0 && whole {
		step = 1
	}
	if step > 0 {
		return onGrid(step, low, high)
	}
	switch {
	case low.allows(1, true) && high.allows(1, false):
		return 1
	case !math.IsInf(low.at, 0) && !math.IsInf(high.at, 0):
		return low.at + (high.at-low.at)/2
	case !math.IsInf(low.at, 0):
		return low.at + 1
	}
	return high.at - 1
}

// onGrid returns a multiple of step within the bounds, 1 or above if possible.
func onGrid(step float64, low, high bound) float64 {
	n := math.Ceil(1/step) * step
	if !low.allows(n, true) {
		n = math.Ceil(low.at/step) * step
		if !low.allows(n, true) {
			n += step
		}
	}
	if !high.allows(n, false) {
		n = math.Floor(high.at/step) * step
		if !high.allows(n, false) {
			n -= step
		}
	}
	return n
}

// bound is the least or greatest number that a schema allows.
type bound struct {
	at        float64
	exclusive bool
}

// allows reports whether n is on the right side of a lower or upper bound.
func (b bound) allows(n float64, lower bool) bool {
	switch {
	case n == b.at:
		return !b.exclusive
	case lower:
		return n > b.at
	}
	return n < b.at
}

func boundsOf(schema gjson.Result) (low, high bound) {
	low, high = bound{at: math.Inf(-1)}, bound{at: math.Inf(1)}
	if v := member(schema, "minimum"); v.Exists() {
		low.at = v.Num
	}
	if v := member(schema, "maximum"); v.Exists() {
		high.at = v.Num
	}
	if v := member(schema, "exclusiveMinimum"); v.Type == gjson.Number && v.Num >= low.at {
		low = bound{at: v.Num, exclusive: true}
	}
	if v := member(schema, "exclusiveMaximum"); v.Type == gjson.Number && v.Num <= high.at {
		high = bound{at: v.Num, exclusive: true}
	}
	return low, high
}
