package logging

import (
	"crypto/rand"
	"testing"
	"time"
)

// BenchmarkWrite tells how many requests per second are stored: plain ones, which the
// first upstream answered, and ones with two attempts and a skipped candidate, which
// are four rows.
func BenchmarkWrite(b *testing.B) {
	plain := func() *Record {
		r := full()
		r.Attempts, r.Skipped, r.Queue, r.Warnings = r.Attempts[1:], nil, time.Second, ""
		return r
	}
	for _, kind := range []struct {
		name   string
		rows   float64
		record func() *Record
	}{{"plain", 1, plain}, {"retried", 4, full}} {
		b.Run("sqlite/"+kind.name, func(b *testing.B) { benchmarkWrite(b, Options{}, kind.rows, kind.record) })
		b.Run("postgres/"+kind.name, func(b *testing.B) { benchmarkWrite(b, onServer(b), kind.rows, kind.record) })
	}
}

func benchmarkWrite(b *testing.B, o Options, rows float64, fresh func() *Record) {
	o.Queue, o.QueueBytes = 1<<16, 1<<30
	l := open(b, o)
	records := make([]*Record, b.N)
	for n := range records {
		records[n] = fresh()
		start := t0.Add(time.Duration(n) * time.Millisecond)
		records[n].ID = rand.Text() // as those of Caddy, in no order
		for i := range records[n].Attempts {
			records[n].Attempts[i].Start = start.Add(records[n].Attempts[i].Start.Sub(records[n].Start))
		}
		records[n].Start = start
	}
	b.ReportAllocs()
	b.ResetTimer()
	for len(records) > 0 {
		part := min(len(records), 1<<15)
		for _, r := range records[:part] {
			l.Add(r)
		}
		flush(b, l)
		records = records[part:]
	}
	b.StopTimer()
	if s := l.Stats(); s.Written != int64(b.N) {
		b.Fatalf("written %d, want %d", s.Written, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkAdd tells what a request pays for its record.
func BenchmarkAdd(b *testing.B) {
	l := &Log{queue: newQueue(4096, 16<<20), wake: make(chan struct{}, 1)}
	batch := make([]*Record, 0, 4096)
	r := full()
	b.ReportAllocs()
	for b.Loop() {
		if !l.Add(r) { // full: the writer's part is in the time too
			batch = l.queue.take(batch[:0], 4096, anyRecord)
		}
	}
}

// BenchmarkPrune tells how long the deletion of 500 requests holds the writer up.
func BenchmarkPrune(b *testing.B) {
	now := &clock{now: t0}
	l := open(b, Options{Queue: 1 << 16, QueueBytes: 1 << 30, Retain: time.Hour, Now: now.Now})
	b.ResetTimer()
	for n := range b.N {
		b.StopTimer()
		for i := range chunkRows {
			r := full()
			r.ID = record(n*chunkRows + i).ID
			l.Add(r)
		}
		flush(b, l)
		b.StartTimer()
		if err := l.do(deadline(b), func(w *writer) error { w.prune(t0.Add(2 * time.Hour)); return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
