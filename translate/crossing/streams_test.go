package crossing_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// TestStreamsSayTheSameInEveryProtocol translates every recorded stream to both
// other protocols. What comes out must be flawless in its protocol, by the strict
// reader and by the official SDK, and say what the upstream said.
func TestStreamsSayTheSameInEveryProtocol(t *testing.T) {
	sayTheSame(t, fixtures(t, "stream"), func(p pair, body []byte) relayed {
		return relay(asking(p, true), body)
	})
}

// sayTheSame translates answers to both other protocols and asks the oracle.
func sayTheSame(t *testing.T, answers []fixture, translated func(p pair, body []byte) relayed) {
	faults := dirty(t)
	var mu sync.Mutex
	counts := tally{}
	var excused []string
	t.Run("each", func(t *testing.T) {
		for _, f := range answers {
			for _, to := range others(f.protocol) {
				t.Run(apiName(to)+"/"+f.file, func(t *testing.T) {
					t.Parallel()
					p := pair{f.protocol, to}
					outcome := check(t, f, faults[f.file], p, translated(p, f.body))
					mu.Lock()
					defer mu.Unlock()
					if why, ok := strings.CutPrefix(outcome, "excused: "); ok {
						excused = append(excused, fmt.Sprintf("%s %s: %s)", p, f.file, why))
						outcome = "excused"
					}
					counts.add(p, outcome)
				})
			}
		}
	})
	slices.Sort(excused)
	t.Logf("not the same, and why:\n%s", strings.Join(excused, "\n"))
	counts.report(t, "same", "same but usage", "excused", "failed")
}

// check asks the oracle about one translated answer, of which it has found faults
// of its own. It returns "same", "same but usage", "failed", or "excused: " and why
// it cannot be the same.
func check(t *testing.T, f fixture, faults string, p pair, got relayed) string {
	t.Helper()
	v := compare(t, p.from, f.path(), p.to, got.bytes)
	source := f.unclean()
	if faults != "" {
		source = strings.TrimPrefix(source+", ", ", ") + "it is itself faulty: " + faults
	}
	outcome := "same"
	excused := func(problem, reason string) {
		switch {
		case reason == "":
			outcome = "failed"
			t.Errorf("%s: %s", p, problem)
		case outcome == "failed":
		case strings.HasPrefix(problem, "usage: ") && outcome != "same but usage":
			if outcome == "same" {
				outcome = "same but usage"
			}
		case strings.HasPrefix(outcome, "same"):
			outcome = "excused: " + reason + " (" + problem
		default:
			outcome += "; " + problem
		}
	}
	for _, fault := range v.faults() {
		excused(fault, f.excuse(t, p, fault, got))
	}
	for _, difference := range v.Differences {
		reason := f.excuse(t, p, difference, got)
		if reason == "" {
			reason = source
		}
		excused(difference, reason)
	}
	return outcome
}

// TestStreamsDoNotDependOnHowTheyAreCut translates every recorded stream byte by
// byte and cut at random places: the client must get the same bytes.
func TestStreamsDoNotDependOnHowTheyAreCut(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 105))
	type job struct {
		f    fixture
		seed uint64
	}
	var jobs []job
	for _, f := range fixtures(t, "stream") {
		jobs = append(jobs, job{f, random.Uint64()})
	}
	t.Run("each", func(t *testing.T) {
		for _, j := range jobs {
			t.Run(j.f.file, func(t *testing.T) {
				t.Parallel()
				for _, to := range others(j.f.protocol) {
					p := pair{j.f.protocol, to}
					want := relay(asking(p, true), j.f.body).bytes
					if got := relay(asking(p, true), bytewise(j.f.body)...).bytes; !bytes.Equal(got, want) {
						t.Errorf("%s: byte by byte it becomes another stream: %s", p, firstDifference(got, want))
					}
					random := rand.New(rand.NewPCG(j.seed, 0))
					for range randomCuts {
						at := random.IntN(len(j.f.body))
						if got := relay(asking(p, true), j.f.body[:at], j.f.body[at:]).bytes; !bytes.Equal(got, want) {
							t.Fatalf("%s: cut at %d it becomes another stream: %s", p, at, firstDifference(got, want))
						}
					}
				}
			})
		}
	})
}

func firstDifference(got, want []byte) string {
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	window := func(b []byte) []byte { return b[max(0, at-60):min(len(b), at+60)] }
	return fmt.Sprintf("at byte %d: got %q, want %q", at, window(got), window(want))
}

// examples returns the made-up streams of the oracle in one of its folders.
func examples(t *testing.T, folder string) []fixture {
	t.Helper()
	oraclePath(t)
	files, err := filepath.Glob(filepath.Join(oracleDir, "examples", folder, "*.sse"))
	if err != nil || len(files) == 0 {
		t.Skipf("the oracle's examples are not at hand: %v", err)
	}
	var all []fixture
	for _, file := range files {
		f := fixture{file: filepath.Base(file)}
		for _, p := range protocols {
			if strings.Contains("."+f.file, "."+apiName(p)+".") {
				f.protocol = p
			}
		}
		if f.body, err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

// TestDirtyStreamsDecodeToTheTurnTheyMean translates one turn in all the forms in
// which vendors have been seen to write such turns, some of which even the
// official SDKs misread.
func TestDirtyStreamsDecodeToTheTurnTheyMean(t *testing.T) {
	for _, f := range examples(t, "same") {
		for _, to := range others(f.protocol) {
			t.Run(apiName(to)+"/"+f.file, func(t *testing.T) {
				t.Parallel()
				p := pair{f.protocol, to}
				got := relay(asking(p, true), f.body)
				turn := filepath.Join(oracleDir, "examples", "turn."+apiName(f.protocol)+".sse")
				v := compare(t, f.protocol, turn, to, got.bytes)
				for _, problem := range append(v.faults(), v.Differences...) {
					t.Errorf("%s: %s", p, problem)
				}
			})
		}
	}
}

// TestBrokenStreamsEndAsErrors translates streams that broke off or failed. Their
// clients must not take them for whole.
func TestBrokenStreamsEndAsErrors(t *testing.T) {
	for _, f := range examples(t, "broken") {
		for _, to := range others(f.protocol) {
			t.Run(apiName(to)+"/"+f.file, func(t *testing.T) {
				t.Parallel()
				endsAsError(t, pair{f.protocol, to}, f.body)
			})
		}
	}
}

// TestTruncatedStreamsNeverEndLikeASuccess cuts recorded streams before their end
// at random places.
func TestTruncatedStreamsNeverEndLikeASuccess(t *testing.T) {
	random := rand.New(rand.NewPCG(81, 82))
	for _, f := range fixtures(t, "stream") {
		for _, to := range others(f.protocol) {
			p := pair{f.protocol, to}
			for range 20 {
				cut := f.body[:random.IntN(len(f.body))]
				got := relay(asking(p, true), cut)
				if got.whole {
					continue // what was cut off had no meaning, such as [DONE]
				}
				if end := successEnd(to, got.bytes); end != "" {
					t.Errorf("%s %s cut to %d bytes has the end of a success: %q", p, f.file, len(cut), end)
				}
			}
		}
	}
}

// endsAsError translates a stream that is not whole.
func endsAsError(t *testing.T, p pair, stream []byte) {
	t.Helper()
	got := relay(asking(p, true), stream)
	if end := successEnd(p.to, got.bytes); end != "" {
		t.Errorf("%s: the broken stream has the end of a success: %q", p, end)
	}
	r := read(t, p.to, got.bytes)
	if r.Stop != "error" || r.Error == nil {
		t.Errorf("%s: the broken stream ends as %q, error %v, want an error:\n%s", p, r.Stop, r.Error, tail(got.bytes))
	}
	for _, violation := range r.Violations {
		fault := violation.Code + ": " + violation.Msg
		if (fixture{}).excuse(t, p, fault, got) == "" {
			t.Errorf("%s: %s", p, fault)
		}
	}
}

// successEnd returns what in a stream tells its client that the answer is whole.
func successEnd(p translate.Protocol, stream []byte) string {
	for _, end := range map[translate.Protocol][]string{
		translate.Chat:      {"data: [DONE]"},
		translate.Messages:  {"event: message_stop"},
		translate.Responses: {"event: response.completed", "event: response.incomplete"},
	}[p] {
		if bytes.Contains(stream, []byte("\n"+end)) {
			return end
		}
	}
	return ""
}

func tail(b []byte) []byte { return b[max(0, len(b)-400):] }
