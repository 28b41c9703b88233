package caddymodule

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var stormLength = flag.Duration("storm", shortStorm, "how long the fault storm lasts")

const (
	stormRate = 300 // requests per second
	calmTime  = 3 * time.Second
)

// outcome is one request of the storm.
type outcome struct {
	number   int
	streamed bool
	during   span
	end      end
	attempts int
	got      response
}

// Every request that some provider would answer during all of its time is
// answered, once and with its own answer; every one that none would answer fails
// like a failure; and the upstreams count as many calls as the gateway does.
//
// It needs the time that it is given: where the machine stands still, upstreams
// seem to.
func TestFaultStorm(t *testing.T) {
	s := newStorm(*stormLength)
	log := logFile(t)
	// Minutes of it are more than a log file holds by default.
	whole := strings.NewReplacer("DEBUG", "WARN", "\nformat", " {\nroll_disabled\n}\nformat").Replace(log.option)
	g, upstreams := stormGateway(t, s, whole)
	metered := attemptsMetric(t)
	s.begin()
	calm := g.weather(s, 1, calmTime)

	s.begin()
	var windows sync.WaitGroup
	stop := make(chan struct{})
	windows.Go(func() { upstreams[0].refuse(t, stop) })
	machine := watchMachine()
	stormy := g.weather(s, firstInStorm, *stormLength)
	close(stop)
	windows.Wait()
	standstills := machine.stop()

	refused := strings.Count(log.text(t), "connect: connection refused")
	ledger := s.ledger()
	attempts := s.judge(t, stormy, standstills, ledger)
	posts, before := 0, 0
	for number, n := range ledger {
		if number >= firstInStorm {
			posts += n
		}
	}
	for _, o := range calm {
		if before += o.attempts; o.end != endedWell {
			t.Errorf("request %d in calm weather: %s after %d attempts, status %d, error %v: %s", o.number, o.end, o.attempts, o.got.status, o.got.err, o.got.body)
		}
	}
	// A connection that was in the queue of a listener as it closed is lost
	// without an upstream that could count it.
	queued := attempts - posts - refused
	t.Logf("upstreams did %s", s.counted())
	t.Logf("attempts: %d, %.3f per request; POSTs at the upstreams %d, refused connections %d, lost in a closing listener's queue %d",
		attempts, float64(attempts)/float64(len(stormy)), posts, refused, queued)
	if queued < 0 || queued > 2*len(s.refused[0]) && len(standstills) == 0 {
		t.Errorf("%d attempts, but %d POSTs and %d refused connections", attempts, posts, refused)
	}
	if n := ledger[unknownNumber]; n > 0 && len(standstills) == 0 {
		t.Errorf("%d POSTs came without their body", n)
	}
	if n := attemptsMetric(t) - metered; n != attempts+before {
		t.Errorf("caddy_llm_proxy_attempts_total grew by %d, want %d", n, attempts+before)
	}
	calmly, roughly := latencies(calm), latencies(stormy)
	t.Logf("latency: p50 %v, p99 %v in calm weather; p50 %v, p99 %v in the storm: %v added at p99",
		calmly.percentile(50), calmly.percentile(99), roughly.percentile(50), roughly.percentile(99), roughly.percentile(99)-calmly.percentile(99))
	t.Logf("the machine stood still %d times: %v", len(standstills), standstills)
}

// stormGateway runs the storm's upstreams and a gateway before them. The first
// provider takes all protocols, the second Chat Completions, the third Messages.
func stormGateway(t *testing.T, s *storm, global string) (*gateway, []*stormUpstream) {
	t.Helper()
	files := []string{
		provider("a", "URL", ""),
		strings.NewReplacer(`"responses": "/responses",`, "", `"messages": "/messages",`, "").Replace(provider("b", "URL", "")),
		strings.NewReplacer(`"completions": "/chat/completions",`, `"completions": "/messages",`, `"responses": "/responses",`, "",
			`"messages": "/messages",`, "", `"openai"`, `"anthropic"`).Replace(provider("c", "URL", "")),
	}
	providers := make(map[string]string)
	var upstreams []*stormUpstream
	for i, name := range stormProviders {
		u := serveStorm(t, s, i)
		upstreams = append(upstreams, u)
		providers[name] = strings.NewReplacer("URL", "http://"+u.address, `"enabled"`, `"timeouts": {"first_content": "300ms"}, "enabled"`).Replace(files[i])
		for key := range 3 {
			t.Setenv(fmt.Sprintf("%s_API_KEY_%d", strings.ToUpper(name), key+1), fmt.Sprintf("%s-key-%d", name, key+1))
		}
	}
	return start(t, setup{
		global:    global,
		providers: providers,
		models:    map[string]string{"m": model("m", "", "a/up", "b/up", "c/up")},
		directive: "max_attempts 20",
	}), upstreams
}

// judge compares what became of the requests with the oracle, and the attempts
// of each with what the upstreams counted. It returns how many attempts there
// were.
func (s *storm) judge(t *testing.T, outcomes []outcome, standstills []span, ledger map[int]int) (attempts int) {
	t.Helper()
	counts := make(map[string]int)
	due, successes := 0, 0
	unsure := aftermath(standstills)
	for _, o := range outcomes {
		fate := s.oracle(o.number, o.streamed, o.during)
		if fate == mustSucceed && overlaps(unsure, o.during) {
			fate = mayBoth // the upstreams' time, and the retries of all that waited
			counts["met a machine that stood still"]++
		}
		counts[fmt.Sprintf("%s: %s", fateNames[fate], o.end)]++
		attempts += o.attempts
		if fate == mustSucceed {
			due++
			if o.end == endedWell {
				successes++
			}
		}
		if !fate.allows(o.end) {
			t.Errorf("request %d at %v, which %s: %s after %d attempts, status %d, error %v: %s",
				o.number, o.during, fateNames[fate], o.end, o.attempts, o.got.status, o.got.err, o.got.body)
		}
		if n := ledger[o.number]; n > o.attempts || n < o.attempts && !overlaps(s.refused[0], o.during) && !overlaps(unsure, o.during) {
			t.Errorf("request %d at %v: %d POSTs at the upstreams, %d attempts by the gateway", o.number, o.during, n, o.attempts)
		}
	}
	t.Logf("%d requests in %v: %d of the %d that had to succeed did; %s", len(outcomes), *stormLength, successes, due, counted(counts))
	// Beside all other tests, some seconds may well be too noisy to tell much.
	if due < len(outcomes)/4 && *stormLength >= time.Minute {
		t.Errorf("only %d of %d requests were the gateway's to answer: the machine is too slow for this test", due, len(outcomes))
	}
	return attempts
}

// weather sends requests for a while, whether those before are answered or not.
func (g *gateway) weather(s *storm, first int, length time.Duration) []outcome {
	var mu sync.Mutex
	var outcomes []outcome
	var running sync.WaitGroup
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	began := s.beginning()
	for sent := 0; ; {
		now := time.Since(began)
		if now >= length {
			break
		}
		for ; sent < int(now.Seconds()*stormRate); sent++ {
			number := first + sent
			running.Go(func() {
				o := g.brave(began, number)
				mu.Lock()
				defer mu.Unlock()
				outcomes = append(outcomes, o)
			})
		}
		<-ticker.C
	}
	running.Wait()
	return outcomes
}

// brave sends one request of the storm.
func (g *gateway) brave(began time.Time, number int) outcome {
	d, body, streamed := stormRequest(number)
	o := outcome{number: number, streamed: streamed, end: endedLying}
	o.during.from = time.Since(began)
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
	defer cancel()
	response, err := g.open(ctx, request{path: d.path, body: body})
	if err != nil {
		o.got.err = err
		o.during.to = time.Since(began)
		return o
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	o.during.to = time.Since(began)
	o.got.status, o.got.body, o.got.err = response.StatusCode, string(text), err
	o.end = d.endOf(o.got, number, streamed)
	if o.attempts, err = strconv.Atoi(response.Header.Get("Llm-Proxy-Attempts")); err != nil {
		o.end, o.got.err = endedLying, err
	}
	return o
}

// latencies are how long the requests took that were answered.
func latencies(outcomes []outcome) moments {
	var m moments
	for _, o := range outcomes {
		if o.end == endedWell {
			m = append(m, o.during.to-o.during.from)
		}
	}
	return m
}

// machine notes when it did not let us run: timeouts that end then say nothing
// about the gateway.
type machine struct {
	quit, done  chan struct{}
	standstills []span
	late        atomic.Int64
}

// machineBeat is how often the machine has to let us run.
const machineBeat = 5 * time.Millisecond

// standstill is from what lateness on a short sleep counts as one.
const standstill = 50 * time.Millisecond

// watchMachine begins now, as the storm does.
func watchMachine() *machine {
	m := &machine{quit: make(chan struct{}), done: make(chan struct{})}
	began := time.Now()
	go func() {
		defer close(m.done)
		ticker := time.NewTicker(machineBeat)
		defer ticker.Stop()
		for last := time.Now(); ; {
			select {
			case <-m.quit:
				return
			case <-ticker.C:
			}
			now := time.Now()
			m.late.Add(int64(max(0, now.Sub(last)-machineBeat)))
			if now.Sub(last) > standstill {
				m.standstills = append(m.standstills, span{last.Sub(began), now.Sub(began)})
			}
			last = now
		}
	}()
	return m
}

// aftermath is standstills with the time after them: all that came due meanwhile
// comes at once, so that timeouts end that no upstream was slow for, and more
// retries are asked for than the budget has.
func aftermath(standstills []span) []span {
	var all []span
	for _, s := range standstills {
		all = append(all, span{s.from, s.to + time.Second})
	}
	return all
}

// lost adds up for how long the machine did something else since it is watched, in
// moments that are too short for a standstill, too.
func (m *machine) lost() time.Duration { return time.Duration(m.late.Load()) }

func (m *machine) stop() []span {
	close(m.quit)
	<-m.done
	return m.standstills
}

func overlaps(spans []span, during span) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return s.from-edge < during.to && during.from < s.to+edge })
}

// counted is counts in words, sorted.
func counted(counts map[string]int) string {
	var list []string
	for name, n := range counts {
		list = append(list, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (s *storm) counted() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[string]int)
	for fault, n := range s.seen {
		if n > 0 {
			counts[stormFaultNames[fault]] = n
		}
	}
	return counted(counts)
}

var attemptsLine = regexp.MustCompile(`(?m)^caddy_llm_proxy_attempts_total\{.*\} (\d+)$`)

// attemptsMetric is the sum of all attempts that the metrics tell of.
func attemptsMetric(t *testing.T) (sum int) {
	t.Helper()
	for _, line := range attemptsLine.FindAllStringSubmatch(admin(t, http.MethodGet, "/metrics", "").want(t, 200).body, -1) {
		n, err := strconv.Atoi(line[1])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}
