package routing

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// maxDuration is the longest time that a file may write. It catches
// milliseconds that were taken for seconds, and keeps sums from overflowing.
const maxDuration = 366 * 24 * time.Hour

// time decodes a time as the rule of its field says.
func (d *document) time(r gjson.Result, path string, rule rule) time.Duration {
	var value time.Duration
	switch {
	case r.Type == gjson.Number:
		// Compared before it is converted: a large float has no integer.
		if r.Num > maxDuration.Seconds() {
			value = maxDuration + 1
		} else {
			value = time.Duration(r.Num * float64(time.Second))
		}
	case rule.seconds || r.Type != gjson.String:
		want := "a number"
		if rule.duration {
			want = `a number of seconds or a text such as "90s"`
		}
		d.wrongType(path, want, r)
		return 0
	default:
		parsed, err := time.ParseDuration(strings.TrimSpace(r.Str))
		if err != nil {
			d.reject(path, "is no time", `write a number of seconds or a text such as "90s" or "1m30s"`)
			return 0
		}
		value = parsed
	}
	switch {
	case value < 0:
		d.reject(path, "must not be negative", "")
		return 0
	case value > maxDuration:
		d.reject(path, fmt.Sprintf("must be at most %.0f seconds, a year", maxDuration.Seconds()), "")
		return 0
	}
	return value
}
