package crossing_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
)

// TestTranslationsShareNoMemory translates all recorded requests at once, over and
// over. Each must become what it becomes alone, and what one of them returned must
// stay as it is while others use the memory again that it had.
func TestTranslationsShareNoMemory(t *testing.T) {
	requests := conversations(t)
	result := func(f fixture, p pair) (string, *crossing.Request) {
		body := bytes.Clone(f.body)
		r, e := crossing.Translate(nil, p.from, body, permissive(p.to))
		if e != nil {
			return e.Error(), nil
		}
		clear(body) // whoever called may use its memory again
		return described(r), r
	}
	want := map[string]string{}
	for _, f := range requests {
		for _, to := range others(f.protocol) {
			want[f.file+apiName(to)], _ = result(f, pair{f.protocol, to})
		}
	}
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			kept := map[string]*crossing.Request{}
			for i := range requests {
				f := requests[(i+worker*len(requests)/4)%len(requests)]
				for _, to := range others(f.protocol) {
					name := f.file + apiName(to)
					got, r := result(f, pair{f.protocol, to})
					if got != want[name] {
						t.Errorf("%s: beside others it becomes\n%s\nwant\n%s", name, got, want[name])
						return
					}
					if r != nil {
						kept[name] = r
					}
				}
			}
			for name, r := range kept {
				if got := described(r); got != want[name] {
					t.Errorf("%s: behind others it is\n%s\nwant\n%s", name, got, want[name])
					return
				}
			}
		})
	}
	wait.Wait()
}

// described is all that a translated request consists of.
func described(r *crossing.Request) string {
	return fmt.Sprintf("%s\n%+v\n%+v", r.Body, r.Losses, *r.Asked)
}
