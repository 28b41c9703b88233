package logging

import (
	"testing"
	"time"
)

// BenchmarkWrite tells how many requests per second are stored, each with two
// attempts and one skipped candidate: rows/s counts all four rows.
func BenchmarkWrite(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkWrite(b, Options{}) })
	b.Run("postgres", func(b *testing.B) { benchmarkWrite(b, onServer(b)) })
}

func benchmarkWrite(b *testing.B, o Options) {
	o.Queue, o.QueueBytes = 1<<16, 1<<30
	l := open(b, o)
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
