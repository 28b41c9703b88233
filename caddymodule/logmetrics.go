package caddymodule

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

var (
	logQueued = prometheus.NewDesc("caddy_llm_proxy_log_queue_length",
		"Records of requests that wait for the request log, or are being written.", nil, nil)
	logWritten = prometheus.NewDesc("caddy_llm_proxy_log_written_total",
		"Records that the request log has stored.", nil, nil)
	logDropped = prometheus.NewDesc("caddy_llm_proxy_log_dropped_total",
		"Records that the request log could not store, by reason: queue, space and store (the queue was full: more came than could be written, the disk had too little room, the database took nothing), unwritable (the database refused the record), closed (the log was closed).",
		[]string{"reason"}, nil)
	logSize = prometheus.NewDesc("caddy_llm_proxy_log_size_bytes",
		"What the request log takes on the disk.", nil, nil)
	logHealthy = prometheus.NewDesc("caddy_llm_proxy_log_healthy",
		"0 while something keeps a request log from being written, else 1. Absent where none is kept.", nil, nil)
	logSpilled = prometheus.NewDesc("caddy_llm_proxy_log_spill_length",
		"Records of requests that wait in the spill until PostgreSQL takes them. Absent where no log is kept there.", nil, nil)
	logSpillSize = prometheus.NewDesc("caddy_llm_proxy_log_spill_size_bytes",
		"What the spill takes on the disk. Absent where no log is kept on PostgreSQL.", nil, nil)
)

// logs are the open request logs of the process, each once, and what those that were
// closed had counted: a log ends with the last configuration that has it, and no
// counter may fall for that.
var logs logList

type logList struct {
	mu      sync.Mutex
	open    []*logging.Log
	written int64
	dropped logging.Drops
}

func (l *logList) add(log *logging.Log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = append(l.open, log)
}

// retire takes a log out that has been closed, and keeps what it had counted.
func (l *logList) retire(log *logging.Log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = slices.DeleteFunc(l.open, func(other *logging.Log) bool { return other == log })
	stats := log.Stats()
	l.written += stats.Written
	l.dropped = plus(l.dropped, stats.Dropped)
}

// sum adds up the open logs and those of before. Healthy says that all are that are
// open, kept that there is any. Spill is nil where none of them has one.
func (l *logList) sum() (sum logging.Stats, kept bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum = logging.Stats{Written: l.written, Dropped: l.dropped, Healthy: true}
	for _, log := range l.open {
		stats := log.Stats()
		sum.Queued += stats.Queued
		sum.Written += stats.Written
		sum.Dropped = plus(sum.Dropped, stats.Dropped)
		sum.FileSize += stats.FileSize
		sum.Healthy = sum.Healthy && stats.Healthy
		if stats.Spill == nil {
			continue
		}
		if sum.Spill == nil {
			sum.Spill = new(logging.SpillStats)
		}
		sum.Spill.Waiting += stats.Spill.Waiting
		sum.Spill.FileSize += stats.Spill.FileSize
	}
	return sum, len(l.open) > 0
}

func plus(a, b logging.Drops) logging.Drops {
	return logging.Drops{
		Queue: a.Queue + b.Queue, Space: a.Space + b.Space, Store: a.Store + b.Store,
		Unwritable: a.Unwritable + b.Unwritable, Closed: a.Closed + b.Closed,
	}
}

// collectLogs tells about the request logs, all together.
func collectLogs(to chan<- prometheus.Metric) {
	sum, kept := logs.sum()
	to <- prometheus.MustNewConstMetric(logWritten, prometheus.CounterValue, float64(sum.Written))
	for _, drop := range []struct {
		reason string
		n      int64
	}{
		{"queue", sum.Dropped.Queue},
		{"space", sum.Dropped.Space},
		{"store", sum.Dropped.Store},
		{"unwritable", sum.Dropped.Unwritable},
		{"closed", sum.Dropped.Closed},
	} {
		to <- prometheus.MustNewConstMetric(logDropped, prometheus.CounterValue, float64(drop.n), drop.reason)
	}
	if !kept {
		return
	}
	to <- prometheus.MustNewConstMetric(logQueued, prometheus.GaugeValue, float64(sum.Queued))
	to <- prometheus.MustNewConstMetric(logSize, prometheus.GaugeValue, float64(sum.FileSize))
	value := 0.0
	if sum.Healthy {
		value = 1
	}
	to <- prometheus.MustNewConstMetric(logHealthy, prometheus.GaugeValue, value)
	if sum.Spill != nil {
		to <- prometheus.MustNewConstMetric(logSpilled, prometheus.GaugeValue, float64(sum.Spill.Waiting))
		to <- prometheus.MustNewConstMetric(logSpillSize, prometheus.GaugeValue, float64(sum.Spill.FileSize))
	}
}
