package logging

import (
	"testing"
	"time"
)

// BenchmarkWrite tells how many requests per second are stored, each with two
// attempts and one skipped candidate: rows/s counts all four rows.
func BenchmarkWrite(b *testing.B) {
	l := open(b, Options{Queue: 1 << 16, QueueBytes: 1 << 30})
	records := make([]*Record, b.N)
	for n := range records {
		records[n] = full()
		records[n].ID, records[n].Start = record(n).ID, t0.Add(time.Duration(n)*time.Millisecond)
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
	b.ReportMetric(4*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkAdd tells what a request pays for its record.
func BenchmarkAdd(b *testing.B) {
	q := newQueue(4096, 16<<20)
	l := &Log{queue: q, wake: make(chan struct{}, 1)}
	r := full()
	b.ReportAllocs()
	for b.Loop() {
		l.Add(r) // the queue is full most of the time, which costs no less
	}
}

// BenchmarkPrune tells how long the deletion of 500 requests holds the writer up.
func BenchmarkPrune(b *testing.B) {
	now := &clock{now: t0}
	l := open(b, Options{Queue: 1 << 16, QueueBytes: 1 << 30, Retain: time.Hour, Now: now.Now})
	b.StopTimer()
	for b.Loop() {
		for n := range chunkRows {
			r := full()
			r.ID, r.Start = record(n).ID, t0.Add(-2*time.Hour)
			l.Add(r)
		}
		flush(b, l)
		b.StartTimer()
		if err := l.do(deadline(b), func(w *writer) error { w.prune(t0); return nil }); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
	}
}
