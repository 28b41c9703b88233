package logging

import (
	"context"
	"path/filepath"
	"testing"
)

// Whoever looks at the log while it cannot be written asks for a Flush each time.
// What each leaves behind would slow down all records that come later.
func TestFlushThatIsGivenUpLeavesNothingBehind(t *testing.T) {
	for name, o := range map[string]Options{
		"sqlite":   {Path: filepath.Join(t.TempDir(), "llm.db")},
		"postgres": {DSN: nowhere, Spill: filepath.Join(t.TempDir(), "spill.db")},
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, o)
			writers := []*Log{l}
			if l.spill != nil {
				writers = append(writers, l.spill.to)
			}
			release := make(chan struct{})
			defer close(release)
			for _, busy := range writers {
				began := make(chan struct{})
				go func() {
					_ = busy.do(context.Background(), func(*writer) error {
						close(began)
						<-release
						return nil
					})
				}()
				<-began
			}
			addAll(l, 0, 10)
			for range 20 {
				ctx, cancel := context.WithCancel(deadline(t))
				go cancel()
				if err := l.Flush(ctx); err == nil {
					t.Error("Flush succeeded while nothing was written")
				}
			}
			l.queue.mu.Lock()
			defer l.queue.mu.Unlock()
			if n := len(l.queue.barriers); n != 0 {
				t.Errorf("%d barriers are left", n)
			}
		})
	}
}
