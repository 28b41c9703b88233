package keys

import (
	"fmt"
	"time"
)

var t0 = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return t0.Add(d) }

// newKeys returns n keys whose sources are k1, k2, ...
func newKeys(provider string, n int) []*Key {
	keys := make([]*Key, n)
	for i := range keys {
		source := fmt.Sprint("k", i+1)
		keys[i] = NewKey(provider, source, "secret of "+source)
	}
	return keys
}

func newPool(n int) (*Pool, []*Key) {
	keys := newKeys("p", n)
	return NewState().Pool("p", keys, Limits{}), keys
}

// source is what a test calls the key of a lease that Pick returned.
func source(l Lease, ok bool) string {
	switch {
	case ok != (l.Key != nil):
		return fmt.Sprintf("key %v with ok = %v", l.Key, ok)
	case !ok:
		return "-"
	default:
		return l.Key.Source
	}
}
