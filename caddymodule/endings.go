package caddymodule

import (
	"context"
	"runtime/debug"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// endings are the ends of working states whose last user was a request.
var endings endingList

// endingList runs what ends working states beside those who leave them. A process
// that exits waits for it: what a request log has not written would be lost.
type endingList struct {
	mu      sync.Mutex
	exiting bool // what comes now is run by whoever brings it
	running sync.WaitGroup
}

func init() {
	caddy.OnExit(func(context.Context) { endings.wait() })
}

// run runs the end of a working state, which takes no longer than closing a request
// log does.
func (l *endingList) run(end func()) {
	l.mu.Lock()
	exiting := l.exiting
	if !exiting { // under the lock, so that nothing is begun beside the last wait
		l.running.Go(func() {
			defer func() {
				if fault := recover(); fault != nil {
					caddy.Log().Named("http.handlers.llm_proxy").Error("panic while ending a configuration",
						zap.String("panic", describePanic(fault)), zap.ByteString("stack", debug.Stack()))
				}
			}()
			end()
		})
	}
	l.mu.Unlock()
	if exiting {
		end()
	}
}

// wait returns when all that was begun has ended.
func (l *endingList) wait() {
	l.mu.Lock()
	l.exiting = true
	l.mu.Unlock()
	l.running.Wait()
}
