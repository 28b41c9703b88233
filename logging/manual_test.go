package logging

import (
	"os"
	"strings"
	"testing"
)

// The queries of README.md work, on a log as this package writes it.
func TestTheManualsQueriesWork(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(text), "```sql\n")
	if !found {
		t.Fatal("README.md has no queries")
	}
	block, _, _ = strings.Cut(block, "```")
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		r := full()
		_, id, _ := strings.Cut(block, "id = '")
		r.ID, _, _ = strings.Cut(id, "'")
		l.Add(r)
		flush(t, l)
		for query := range strings.SplitSeq(strings.TrimSpace(block), ";") {
			if query == "" {
				continue
			}
			query = strings.Replace(query, "1793000000000000", "0", 1) // the record is older
			rows, err := l.store.Load().read.QueryxContext(deadline(t), query)
			if err != nil {
				t.Errorf("%s\n%v", query, err)
				continue
			}
			n := 0
			for rows.Next() {
				n++
			}
			if err := rows.Err(); err != nil || n == 0 {
				t.Errorf("%s\nfound %d rows (%v), want some", query, n, err)
			}
			_ = rows.Close()
		}
	})
}
