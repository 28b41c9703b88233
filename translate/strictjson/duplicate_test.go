package strictjson

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// objectOf returns an object with n members, of which the last one is written
// as last.
func objectOf(n int, last string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n - 1 {
		fmt.Fprintf(&b, `"m%d":{"m%d":[]},`, i, i)
	}
	return b.String() + last + `:1}`
}

// Small and large objects find duplicates in different ways.
func TestDuplicatesAreFoundInObjectsOfEverySize(t *testing.T) {
	var o Object
	for n := 2; n < 200; n++ {
		for _, tc := range []struct {
			last string
			ok   bool
		}{
			{`"new"`, true},
			{fmt.Sprintf(`"m%d"`, n), true},
			{`"M0"`, true},
			{`"m0"`, false},
			{`"\u006d0"`, false},
			{fmt.Sprintf(`"m%d"`, n/2-1), false},
			{fmt.Sprintf(`"m%d"`, n-2), false},
			{fmt.Sprintf(`"m%s\u003%d"`, strings.TrimSuffix(fmt.Sprint(n-2), fmt.Sprint((n-2)%10)), (n-2)%10), false},
		} {
			doc := objectOf(n, tc.last)
			if err := o.Parse([]byte(doc)); (err == nil) != tc.ok {
				t.Fatalf("Parse of %d members, the last one %s = %v, want accepted: %v", n, tc.last, err, tc.ok)
			}
		}
	}
}

// A large object inside of another large one must leave the outer one's names
// as they were.
func TestDuplicatesAreFoundAroundOtherObjects(t *testing.T) {
	var o Object
	for _, outer := range []int{1, 16, 17, 31, 32, 100} {
		for _, inner := range []int{1, 16, 17, 40, 300} {
			value := strings.TrimSuffix(objectOf(inner, `"\u0065nd"`), "}") + `,"in":[` + objectOf(inner, `"end"`) + `]}`
			doc := strings.TrimSuffix(objectOf(outer, `"\u006fbject"`), ":1}") + ":" + value
			if err := o.Parse([]byte(doc + `,"end":1,"in":2}`)); err != nil {
				t.Errorf("Parse with %d in %d members = %v, want nil", inner, outer, err)
			}
			if o.Parse([]byte(doc+`,"object":1}`)) == nil {
				t.Errorf("Parse with %d in %d members and a duplicate = nil, want an error", inner, outer)
			}
		}
	}
}

func TestLongDuplicateNamesAreCut(t *testing.T) {
	for _, tc := range []struct{ name, want string }{
		{strings.Repeat("x", 64), `"` + strings.Repeat("x", 64) + `"`},
		{strings.Repeat("x", 65), `"` + strings.Repeat("x", 64) + `"...`},
		{strings.Repeat("x", 1<<20), `"` + strings.Repeat("x", 64) + `"...`},
		{strings.Repeat("x", 62) + "€uro", `"` + strings.Repeat("x", 62) + `"...`},
		{strings.Repeat("x", 63) + "😀", `"` + strings.Repeat("x", 63) + `"...`},
	} {
		var o Object
		var e *Error
		err := o.Parse([]byte(`{"` + tc.name + `":1,"` + tc.name + `":2}`))
		if !errors.As(err, &e) || e.Reason != "duplicate member "+tc.want {
			t.Errorf("Parse with %.10q... twice = %v, want duplicate member %s", tc.name, err, tc.want)
		}
	}
}
