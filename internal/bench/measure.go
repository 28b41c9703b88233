package bench

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/load"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/process"
)

// Run is what one run of load on one target measured. Times are microseconds,
// sizes KiB.
type Run struct {
	Scenario string `json:"scenario"`
	Target   string `json:"target"`
	Round    int    `json:"round"` // from 1 on
	// Requests that were answered completely, and those that were not.
	Requests int `json:"requests"`
	Failed   int `json:"failed"`
	// Seconds that the run took.
	Seconds float64 `json:"seconds"`
	// CPU per complete answer: of the target's process, which the target
	// "direct" does not have, of the upstream's, and of the generator's.
	CPU          float64 `json:"cpu_us,omitempty"`
	UpstreamCPU  float64 `json:"upstream_cpu_us"`
	GeneratorCPU float64 `json:"generator_cpu_us"`
	// OthersCPU is what everything else on the machine took, in CPUs.
	OthersCPU float64 `json:"others_cpus"`
	// Latency from sending a request to its answer's last byte.
	P50 float64 `json:"p50_us"`
	P99 float64 `json:"p99_us"`
	// Gaps between arrivals of successive words of a stream, and how many
	// streams were open at once. Only for scenarios of open streams.
	GapP50   float64 `json:"gap_p50_us,omitempty"`
	GapP99   float64 `json:"gap_p99_us,omitempty"`
	MostOpen int     `json:"most_open,omitempty"`
	// Memory of the target's process: after the warm-up, and the most until
	// the end of the run.
	IdleRSS int64 `json:"idle_rss_kib,omitempty"`
	PeakRSS int64 `json:"peak_rss_kib,omitempty"`
	// Errors counts failures by their text.
	Errors map[string]int `json:"errors,omitempty"`
}

// rate is complete answers per second.
func (r Run) rate() float64 { return float64(r.Requests) / r.Seconds }

// streamKiB is the memory that each open stream took.
func (r Run) streamKiB() float64 {
	return float64(r.PeakRSS-r.IdleRSS) / float64(max(r.MostOpen, 1))
}

// failure is nil if the run was good.
func (r Run) failure(s Scenario) error {
	switch {
	case r.Failed > 0:
		return fmt.Errorf("%s, %s: %d of %d requests failed: %s", r.Scenario, r.Target, r.Failed, r.Failed+r.Requests, someErrors(r.Errors))
	case r.Requests == 0:
		return fmt.Errorf("%s, %s: no request was answered", r.Scenario, r.Target)
	case s.Ramp > 0 && r.MostOpen < s.Connections:
		return fmt.Errorf("%s, %s: only %d streams were open at once", r.Scenario, r.Target, r.MostOpen)
	}
	return nil
}

// someErrors lists the three most frequent ones.
func someErrors(errors map[string]int) string {
	texts := slices.SortedFunc(maps.Keys(errors), func(a, b string) int { return errors[b] - errors[a] })
	s := ""
	for i, text := range texts[:min(len(texts), 3)] {
		if i > 0 {
			s += "; "
		}
		s += fmt.Sprintf("%s (%d times)", text, errors[text])
	}
	return s
}

// plan is the load of a scenario on a target.
func plan(s Scenario, t *target, d time.Duration) load.Plan {
	p := load.Plan{
		Address:     t.address,
		Request:     t.request(s),
		Want:        t.complete(s),
		Connections: s.Connections,
		Duration:    d,
	}
	if s.Ramp > 0 {
		p.Once, p.Ramp, p.Streams = true, s.Ramp, true
	}
	return p
}

// usage is the CPU time that all concerned have used up to a moment.
type usage struct {
	target, upstream, generator, machine time.Duration
}

// readUsage reads the CPU times of a target and of those that take part.
func (b *bench) readUsage(t *target) (u usage, err error) {
	if t.child != nil {
		if u.target, err = process.CPU(t.child.PID()); err != nil {
			return u, err
		}
	}
	if u.upstream, err = process.CPU(b.upstream); err != nil {
		return u, err
	}
	if u.generator, err = process.CPU(os.Getpid()); err != nil {
		return u, err
	}
	u.machine, err = process.BusyCPU()
	return u, err
}

// measure puts the scenario's load on a warm target.
func (b *bench) measure(ctx context.Context, s Scenario, t *target, round int) (Run, error) {
	r := Run{Scenario: s.Name, Target: t.name, Round: round, IdleRSS: t.idle}
	before, err := b.readUsage(t)
	if err != nil {
		return r, err
	}
	result, err := load.Run(ctx, plan(s, t, b.Duration))
	if err != nil {
		return r, err
	}
	after, err := b.readUsage(t)
	if err != nil {
		return r, err
	}
	memory, err := t.memory()
	if err != nil {
		return r, err
	}
	r.PeakRSS = memory.Peak
	r.take(result)
	r.charge(before, after)
	return r, nil
}

// take fills in what the load generator saw.
func (r *Run) take(result load.Result) {
	r.Requests, r.Failed, r.Errors = result.Complete, result.Failed, result.Errors
	r.Seconds = result.Elapsed.Seconds()
	r.P50, r.P99 = micros(result.Latency.P50), micros(result.Latency.P99)
	r.GapP50, r.GapP99, r.MostOpen = micros(result.Gap.P50), micros(result.Gap.P99), result.MostOpen
}

// charge divides the CPU time of a run among its requests.
func (r *Run) charge(before, after usage) {
	target, upstream := after.target-before.target, after.upstream-before.upstream
	generator, machine := after.generator-before.generator, after.machine-before.machine
	requests := float64(max(r.Requests, 1))
	r.CPU, r.UpstreamCPU, r.GeneratorCPU = micros(target)/requests, micros(upstream)/requests, micros(generator)/requests
	r.OthersCPU = max((machine-target-upstream-generator).Seconds(), 0) / r.Seconds
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
