package translate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fixture is one recorded file of the shared corpus, which is not part of this
// repository.
type fixture struct {
	file     string // below the fixtures folder
	protocol Protocol
	kind     string // request, response, stream, error
	shows    string // feature tags
	origin   string
	pair     string // what files of one exchange share
	body     []byte
}

const fixturesDir = "../../shared/wire/fixtures"

// fixtures returns the files of one kind, or skips the test where the corpus
// is missing.
func fixtures(tb testing.TB, kind string) []fixture {
	tb.Helper()
	manifest, err := os.ReadFile(filepath.Join(fixturesDir, "MANIFEST.tsv"))
	if err != nil {
		tb.Skipf("recorded traffic is not at hand: %v", err)
	}
	protocols := map[string]Protocol{"chat": Chat, "embeddings": Chat, "responses": Responses, "messages": Messages}
	var all []fixture
	for _, row := range strings.Split(string(manifest), "\n")[1:] {
		columns := strings.Split(row, "\t")
		if len(columns) < 9 || columns[2] != kind || protocols[columns[1]] == "" {
			continue
		}
		body, err := os.ReadFile(filepath.Join(fixturesDir, columns[0]))
		if err != nil {
			tb.Fatalf("reading a fixture of the manifest: %v", err)
		}
		all = append(all, fixture{
			file: columns[0], protocol: protocols[columns[1]], kind: kind,
			shows: columns[4], origin: columns[7], pair: columns[8], body: body,
		})
	}
	if len(all) == 0 {
		tb.Fatalf("the manifest has no fixture of kind %q", kind)
	}
	return all
}
