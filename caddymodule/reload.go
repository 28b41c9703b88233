package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// reloading is held while files are read for handlers, so that of two reloads the
// one that began later also ends later, with what is newer.
var reloading sync.Mutex

// reloadAnswer is the body of the answer to POST /llm_proxy/reload.
type reloadAnswer struct {
	// Handlers are those of the process, in the order of their numbers.
	Handlers []handlerReload `json:"handlers"`
}

// handlerReload is what a reload did to one llm_proxy block.
type handlerReload struct {
	// Handler is the block's number, as in a plan.
	Handler int `json:"handler"`
	// Directory is the absolute path of the block's model files.
	Directory string `json:"directory"`
	// Changes are what is different from before, by the texts of the files.
	routing.Changes
	// Warnings are about what works but is hardly meant, in the order of files
	// and lines.
	Warnings []routing.Problem `json:"warnings"`
}

// reloadRefusal is the body of the answer 422 to POST /llm_proxy/reload: nothing
// has changed.
type reloadRefusal struct {
	Error string `json:"error"`
	// Problems are those of all files of all blocks. A file that several blocks
	// read is told once.
	Problems []routing.Problem `json:"problems"`
}

func (*reloadRefusal) status() int { return http.StatusUnprocessableEntity }

// reloadFiles answers POST /llm_proxy/reload.
func reloadFiles(*http.Request, url.Values) (any, error) {
	reloading.Lock()
	defer reloading.Unlock()
	// Under the lock: a handler that comes later reads the files later.
	renewals := reload(live.all())
	answer, refusal := reloadAnswer{Handlers: []handlerReload{}}, new(reloadRefusal)
	for number, r := range renewals {
		for _, p := range r.problems {
			if !slices.Contains(refusal.Problems, p) {
				refusal.Problems = append(refusal.Problems, p)
			}
		}
		if r.next != nil {
			answer.Handlers = append(answer.Handlers, handlerReload{number, absolute(r.handler.Models), r.changes, slices.Concat([]routing.Problem{}, r.next.warnings)})
		}
	}
	switch n := len(refusal.Problems); n {
	case 0:
		return answer, nil
	case 1:
		refusal.Error = "nothing is reloaded: there is a problem in the provider and model files"
	default:
		refusal.Error = fmt.Sprintf("nothing is reloaded: there are %d problems in the provider and model files", n)
	}
	return refusal, nil
}

// renewal is one handler's part in a reload.
type renewal struct {
	handler *Handler
	// next is what is to serve; nil where files are broken, or where the
	// configuration has ended.
	next     *runtime
	problems []routing.Problem
	changes  routing.Changes
}

// reload reads the files of handlers again. If all of them are good, each handler
// serves by them from now on, and requests in flight end as they began; if any is
// broken, nothing changes. reloading must be held.
func reload(handlers []*Handler) []renewal {
	renewals := make([]renewal, len(handlers))
	good, ended := true, len(handlers) > 0
	for i, h := range handlers {
		present, held := h.acquire()
		if !held {
			continue // its configuration has ended
		}
		// As long as the present state is held, the pools keep for the next one
		// what both have in common.
		defer present.release()
		ended = false
		renewals[i] = h.renew(present)
		good = good && renewals[i].problems == nil
	}
	if ended {
		return renewals // nothing was read
	}
	result := reloadOK
	for i := range renewals {
		if r := &renewals[i]; r.handler != nil {
			r.end(good)
		}
	}
	if !good {
		result = reloadRejected
	}
	reloadsTotal.WithLabelValues(result).Inc()
	return renewals
}

// renew builds what a handler's files say now.
func (h *Handler) renew(present *runtime) renewal {
	next, err := h.load()
	if err == nil {
		return renewal{handler: h, next: next, changes: next.catalog.Since(present.catalog)}
	}
	var broken *routing.LoadError
	if errors.As(err, &broken) {
		return renewal{handler: h, problems: broken.Problems}
	}
	return renewal{handler: h, problems: []routing.Problem{{File: h.Providers, Message: err.Error()}}}
}

// end lets the new state serve, or says why it does not.
func (r *renewal) end(good bool) {
	h := r.handler
	switch {
	case r.problems != nil:
		h.broken.Store(&r.problems)
		texts := make([]string, len(r.problems))
		for i, p := range r.problems {
			texts[i] = p.String()
		}
		h.logger.Error("the configuration files are broken; those of before go on serving", zap.Strings("problems", texts))
	case !good:
		// Another handler's files are broken.
		r.next.release()
	default:
		known := h.current.Load().warnings
		h.logWarnings(slices.DeleteFunc(slices.Clone(r.next.warnings), func(p routing.Problem) bool { return slices.Contains(known, p) }))
		h.broken.Store(nil)
		h.swap(r.next)
		h.logger.Info("the configuration files are reloaded",
			zap.Reflect("models", r.changes.Models), zap.Reflect("providers", r.changes.Providers))
	}
}

// tellBroken adds to a health report what is wrong with files that were not taken.
func (h *Handler) tellBroken(report *healthReport) {
	problems := h.broken.Load()
	if problems == nil {
		return
	}
	report.Status = degraded
	models, providers := &report.Components.ModelConfig, &report.Components.ProviderConfigs
	for _, p := range *problems {
		file := filepath.Clean(p.File)
		if dir := filepath.Clean(h.Providers); file == dir || filepath.Dir(file) == dir {
			addBroken(&providers.Status, &providers.Message, p, dir)
		} else {
			addBroken(&models.Status, &models.Message, p, filepath.Clean(h.Models))
		}
	}
}

// addBroken tells the first problem of a directory, and that there are more. The
// report is public, so where the directory is stays out of it.
func addBroken(status, message *string, p routing.Problem, dir string) {
	const more = "; there are more problems"
	switch {
	case *message == "":
		p.File = filepath.Join(filepath.Base(dir), strings.TrimPrefix(filepath.Clean(p.File), dir))
		*status, *message = degraded, "not reloaded: "+p.String()
	case !strings.HasSuffix(*message, more):
		*message += more
	}
}
