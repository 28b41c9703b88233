package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
)

// stateFiles are the savers by memory and file, over configurations.
var stateFiles = caddy.NewUsagePool()

// saveInterval is how often the memory about keys is written, if it has changed:
// what a process that is killed may lose.
const saveInterval = time.Second

// unreadableSuffix is what the name of a file gets that was there but is no state
// file: perhaps its name was a mistake.
const unreadableSuffix = ".unreadable"

// saver writes the memory about keys to a file, so that a restart does not ask
// keys that rest.
type saver struct {
	path   string
	state  *keys.State
	logger *zap.Logger
	quit   chan struct{}
	done   chan struct{}

	saved      uint64 // what the state had counted when it was last written
	behind     bool   // the file lacks what the state knew before
	unreadable bool   // the file is of another kind, and not to be lost
	failing    bool   // the last attempt to write failed
}

// keepState reads the file and begins to keep it up to date until the runtime and
// all that share it have ended.
func (rt *runtime) keepState(key, path string, state *keys.State, logger *zap.Logger) error {
	file, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("state: resolving %s: %w", path, err)
	}
	path, key = file, key+"\x00"+file
	stateFiles.Range(func(other, _ any) bool {
		if other := other.(string); other != key && strings.HasSuffix(other, "\x00"+path) {
			logger.Warn("two directories of provider files have the same state file, and each overwrites what the other saves; give each a file of its own",
				zap.String("file", path))
			return false
		}
		return true
	})
	_, _, err = stateFiles.LoadOrNew(key, func() (caddy.Destructor, error) {
		return newSaver(path, state, logger)
	})
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	rt.closers = append(rt.closers, func() { _, _ = stateFiles.Delete(key) })
	return nil
}

func newSaver(path string, state *keys.State, logger *zap.Logger) (*saver, error) {
	known := state.Changed() > 0
	s := &saver{path: path, state: state, logger: logger, quit: make(chan struct{}), done: make(chan struct{})}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("the directory of the file does not exist: %w", err)
		}
	case err != nil:
		return nil, fmt.Errorf("reading what is known about keys: %w", err)
	case known:
		// The process knows better than the file. And this configuration may yet
		// be rejected, so what runs must not learn from it.
	default:
		if err := state.Restore(data, time.Now()); err != nil {
			// Better to ask a resting key once more than not to start.
			s.unreadable = true
			logger.Warn("the state file cannot be read; beginning anew, and keeping it as "+path+unreadableSuffix,
				zap.String("file", path), zap.Error(err))
		}
	}
	s.saved = state.Changed()
	s.behind = known
	go s.run()
	return s, nil
}

// run saves until quit is closed, and then once more.
func (s *saver) run() {
	defer close(s.done)
	defer func() {
		if fault := recover(); fault != nil {
			s.logger.Error("panic while saving the state of keys",
				zap.String("panic", describePanic(fault)), zap.ByteString("stack", debug.Stack()))
		}
	}()
	ticker := time.NewTicker(saveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.save(s.behind)
		case <-s.quit:
			// No more than what is new: a configuration that is rejected ends
			// at once, and its file is none of ours.
			s.save(false)
			return
		}
	}
}

// save writes the file if anything has changed, or in any case.
func (s *saver) save(anyway bool) {
	changed := s.state.Changed()
	if changed == s.saved && !anyway {
		return
	}
	data, err := s.state.Snapshot(time.Now())
	if err == nil && s.unreadable {
		err = os.Rename(s.path, s.path+unreadableSuffix)
		s.unreadable = err != nil
	}
	if err == nil {
		err = replaceFile(s.path, data)
	}
	switch {
	case err == nil:
		if s.failing {
			s.logger.Info("the state of keys is saved again", zap.String("file", s.path))
		}
		s.saved, s.behind, s.failing = changed, false, false
	case !s.failing:
		// Once: it goes on trying each second.
		s.failing = true
		s.logger.Warn("saving the state of keys; trying again each second", zap.String("file", s.path), zap.Error(err))
	}
}

// replaceFile writes a file that is never seen half-written and that only its
// owner can read.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// Destruct implements caddy.Destructor.
func (s *saver) Destruct() error {
	close(s.quit)
	<-s.done
	return nil
}
