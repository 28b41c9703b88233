package caddymodule

import (
	"context"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

const (
	// watchInterval is the pause between two looks at the files.
	watchInterval = 500 * time.Millisecond
	// settleTime is for how long files that have changed must stay as they are
	// before they are taken: whoever writes several, or one slowly, shall be done.
	settleTime = 200 * time.Millisecond
	// watchShare bounds what looking at very many files costs: one part in so many
	// of the time.
	watchShare = 20
)

// watcher finds out when files change. It looks at them again and again: notices
// of the operating system do not come from every file system, nor through the
// links by which Kubernetes exchanges whole directories.
type watcher struct {
	// read sums up what the files say.
	read func() routing.Digest
	// changed is called with each sum that is new, once it has settled.
	changed func(routing.Digest)
	logger  *zap.Logger

	told routing.Digest // the one that changed was last called with
	last routing.Digest // the one that was last read
}

// watch reloads the handler's files when they change, until the configuration
// ends or the function that it returns is called. read is what is known of them.
func (h *Handler) watch(read routing.Digest) context.CancelFunc {
	w := &watcher{
		read:    func() routing.Digest { return routing.FilesDigest(h.Providers, h.Models) },
		changed: h.reloadChanged,
		logger:  h.logger,
		told:    read,
		last:    read,
	}
	ctx, cancel := context.WithCancel(h.ctx)
	go w.run(ctx)
	return cancel
}

// reloadChanged reloads the files, unless somebody has done so meanwhile.
func (h *Handler) reloadChanged(digest routing.Digest) {
	reloading.Lock()
	defer reloading.Unlock()
	if h.broken.Load() == nil && h.current.Load().catalog.Digest() == digest {
		return
	}
	reload([]*Handler{h})
}

// run looks until ctx ends.
func (w *watcher) run(ctx context.Context) {
	timer := time.NewTimer(watchInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(w.look())
		}
	}
}

// look looks once and returns the pause until the next time.
func (w *watcher) look() (pause time.Duration) {
	defer func() {
		if fault := recover(); fault != nil {
			w.logger.Error("panic while watching configuration files",
				zap.String("panic", describePanic(fault)), zap.ByteString("stack", debug.Stack()))
			pause = watchInterval
		}
	}()
	began := time.Now()
	digest := w.read()
	pause = watchInterval
	cost := time.Since(began) * watchShare
	switch {
	case digest == w.told:
	case digest != w.last:
		pause = settleTime
	default:
		// Also where the files turn out to be broken: then the next change is
		// what may help.
		w.told = digest
		w.changed(digest)
	}
	w.last = digest
	return max(pause, cost)
}
