package logging

import (
	"testing"
	"time"
)

func TestUsageAddsUpToTotals(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		added := mixed(t, l, 300)
		since, until := t0.Add(5*time.Hour), t0.Add(80*time.Hour)
		var want Sums
		for _, r := range added {
			if r.Start.Before(since) || !r.Start.Before(until) {
				continue
			}
			want.Requests++
			switch r.Outcome {
			case OutcomeOK:
				want.OK++
			case OutcomeClientClosed:
				want.ClientClosed++
			default:
				want.Failed++
			}
			want.Streamed += int64(flag(r.Streamed))
			want.Attempts += int64(len(r.Attempts))
			want.Input += r.Tokens.Input
			want.CacheRead += r.Tokens.CacheRead
			want.CacheWrite += r.Tokens.CacheWrite
			want.Output += r.Tokens.Output
			want.Reasoning += r.Tokens.Reasoning
			if r.CostKnown {
				want.Cost += r.Cost
			} else {
				want.CostUnknown++
			}
			want.BytesIn += r.BytesIn
			want.BytesOut += r.BytesOut
		}
		want.AverageMicros = time.Second.Microseconds()
		totals, err := l.Totals(deadline(t), since, until)
		if err != nil {
			t.Fatal(err)
		}
		if totals.Sums != want || totals.Oldest.Before(since) || !totals.Newest.Before(until) {
			t.Errorf("Totals = %+v\nwant     %+v", totals, want)
		}
		for by := range groups {
			rows, _, err := l.Usage(deadline(t), by, since, until)
			if err != nil {
				t.Fatalf("by %s: %v", by, err)
			}
			var sum Sums
			seen := map[string]bool{}
			for _, row := range rows {
				if seen[row.Name] {
					t.Errorf("by %s: %s is told twice", by, row.Name)
				}
				seen[row.Name] = true
				s := row.Sums
				sum.Requests += s.Requests
				sum.OK += s.OK
				sum.Failed += s.Failed
				sum.ClientClosed += s.ClientClosed
				sum.Streamed += s.Streamed
				sum.Attempts += s.Attempts
				sum.Input += s.Input
				sum.CacheRead += s.CacheRead
				sum.CacheWrite += s.CacheWrite
				sum.Output += s.Output
				sum.Reasoning += s.Reasoning
				sum.Cost += s.Cost
				sum.CostUnknown += s.CostUnknown
				sum.BytesIn += s.BytesIn
				sum.BytesOut += s.BytesOut
				sum.AverageMicros = s.AverageMicros // all took as long
			}
			if sum != want {
				t.Errorf("by %s: the rows add up to %+v, want %+v", by, sum, want)
			}
		}
		rows, _, err := l.Usage(deadline(t), ByDay, time.Time{}, t0.Add(24*time.Hour))
		if err != nil || len(rows) != 2 || rows[0].Name != "2026-11-21" || rows[1].Name != "2026-11-20" {
			t.Errorf("Usage by day = %+v (%v), want 2026-11-21 and 2026-11-20", rows, err)
		}
	})
}

// Whatever the outcome and the class say, requests are what ended well, what failed
// and what the client left.
func TestEveryOutcomeIsCountedOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		type ends struct{ ok, failed, left int64 }
		var want ends
		n := int64(0)
		for outcome, of := range map[string]ends{
			OutcomeOK: {ok: 1}, OutcomeError: {failed: 1}, OutcomePartial: {failed: 1}, OutcomeClientClosed: {left: 1},
			"": {failed: 1}, "of another version": {failed: 1},
		} {
			for _, class := range []string{"", "local", "broken", "client_gone"} {
				r := plain(int(n))
				r.Outcome, r.Class, r.Asked = outcome, class, outcome
				l.Add(r)
				n++
				want.ok, want.failed, want.left = want.ok+of.ok, want.failed+of.failed, want.left+of.left
			}
		}
		flush(t, l)
		totals, err := l.Totals(deadline(t), time.Time{}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if got := (ends{totals.OK, totals.Failed, totals.ClientClosed}); got != want || totals.Requests != n || want.ok+want.failed+want.left != n {
			t.Errorf("Totals = %d requests, %+v, want %d, %+v", totals.Requests, got, n, want)
		}
		for by := range groups {
			rows, _, err := l.Usage(deadline(t), by, time.Time{}, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			var sum ends
			for _, row := range rows {
				if row.OK+row.Failed+row.ClientClosed != row.Requests {
					t.Errorf("by %s: %q: %d + %d + %d is not %d", by, row.Name, row.OK, row.Failed, row.ClientClosed, row.Requests)
				}
				sum.ok, sum.failed, sum.left = sum.ok+row.OK, sum.failed+row.Failed, sum.left+row.ClientClosed
			}
			if sum != want {
				t.Errorf("by %s: the rows add up to %+v, want %+v", by, sum, want)
			}
		}
	})
}

// There may be more groups than anybody reads.
func TestUsageIsBoundedAndTellsSo(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		for n := range maxGroups + 1 {
			r := record(n)
			r.Asked = r.ID
			l.Add(r)
			if n < maxGroups-1 {
				continue
			}
			flush(t, l)
			rows, more, err := l.Usage(deadline(t), ByAsked, time.Time{}, time.Time{})
			if err != nil || len(rows) != maxGroups || more != (n == maxGroups) {
				t.Errorf("Usage of %d groups = %d rows, more: %t (%v)", n+1, len(rows), more, err)
			}
		}
	})
}

func TestEmptyLogHasEmptyUsage(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		totals, err := l.Totals(deadline(t), time.Time{}, time.Time{})
		if err != nil || totals != (Totals{}) {
			t.Errorf("Totals = %+v (%v), want zeros", totals, err)
		}
		rows, _, err := l.Usage(deadline(t), ByModel, time.Time{}, time.Time{})
		if err != nil || rows == nil || len(rows) != 0 {
			t.Errorf("Usage = %v (%v), want an empty list", rows, err)
		}
	})
}
