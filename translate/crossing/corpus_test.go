package crossing_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// sharedDir is where a checkout has its test data beside it.
const sharedDir = "../../../shared"

const fixturesDir = sharedDir + "/wire/fixtures"

var protocols = []translate.Protocol{translate.Chat, translate.Responses, translate.Messages}

// apiName is what the corpus and its oracle call a protocol.
func apiName(p translate.Protocol) string {
	switch p {
	case translate.Responses:
		return "responses"
	case translate.Messages:
		return "messages"
	}
	return "chat"
}

// others returns the two protocols that are not p.
func others(p translate.Protocol) []translate.Protocol {
	var rest []translate.Protocol
	for _, other := range protocols {
		if other != p {
			rest = append(rest, other)
		}
	}
	return rest
}

// fixture is one file of the recorded traffic.
type fixture struct {
	file     string // below fixturesDir
	protocol translate.Protocol
	provider string
	origin   string
	status   string
	pair     string // what the files of one exchange share
	body     []byte
}

// path is where a fixture lies.
func (f fixture) path() string { return filepath.Join(fixturesDir, f.file) }

// fixtures returns the files of one kind (request, response, stream), or skips
// the test where the corpus is missing.
func fixtures(tb testing.TB, kind string) []fixture {
	tb.Helper()
	manifest, err := os.ReadFile(filepath.Join(fixturesDir, "MANIFEST.tsv"))
	if err != nil {
		tb.Skipf("the recorded traffic is not at hand: %v", err)
	}
	var all []fixture
	for _, row := range strings.Split(string(manifest), "\n")[1:] {
		columns := strings.Split(row, "\t")
		if len(columns) < 9 || columns[2] != kind {
			continue
		}
		f := fixture{file: columns[0], provider: columns[3], status: columns[5], origin: columns[7], pair: columns[8]}
		for _, p := range protocols {
			if apiName(p) == columns[1] {
				f.protocol = p
			}
		}
		if f.protocol == "" {
			continue // embeddings and lists of models have no other protocol
		}
		if f.body, err = os.ReadFile(f.path()); err != nil {
			tb.Fatalf("reading a fixture of the manifest: %v", err)
		}
		all = append(all, f)
	}
	if len(all) == 0 {
		tb.Fatalf("the manifest has no fixture of kind %q", kind)
	}
	return all
}

// unclean says why a fixture is no evidence of what a vendor sends, or "".
func (f fixture) unclean() string {
	switch f.origin {
	case "recorded", "reframed", "source-fixture", "source-testcase", "doc-example":
		return ""
	}
	return "its origin is " + f.origin
}

// pair is a way that bytes go: from the protocol that they are in to the one
// that they are to be in.
type pair struct{ from, to translate.Protocol }

func (p pair) String() string { return apiName(p.from) + " -> " + apiName(p.to) }

// pairs are all ways from one protocol to another.
func pairs() []pair {
	var all []pair
	for _, from := range protocols {
		for _, to := range others(from) {
			all = append(all, pair{from, to})
		}
	}
	return all
}

// tally counts what became of the fixtures of each pair.
type tally map[pair]map[string]int

func (t tally) add(p pair, outcome string) {
	if t[p] == nil {
		t[p] = map[string]int{}
	}
	t[p][outcome]++
}

// report logs the table: a line per pair, a column per outcome.
func (t tally) report(tb testing.TB, outcomes ...string) {
	tb.Helper()
	var b strings.Builder
	cell := func(text string) {
		b.WriteString(text)
		for n := len(text); n < 24; n++ {
			b.WriteByte(' ')
		}
	}
	b.WriteByte('\n')
	cell("")
	cell("all")
	for _, outcome := range outcomes {
		cell(outcome)
	}
	for _, p := range pairs() {
		b.WriteByte('\n')
		cell(p.String())
		sum := 0
		for _, n := range t[p] {
			sum += n
		}
		cell(decimal(sum))
		for _, outcome := range outcomes {
			cell(decimal(t[p][outcome]))
		}
	}
	tb.Log(b.String())
}
