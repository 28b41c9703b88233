package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
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

// saver writes the memory about keys to a file, so that a restart does not ask
// keys that rest.
type saver struct {
	path   string
	state  *keys.State
	logger *zap.Logger
	quit   chan struct{}
	done   chan struct{}
	saved  uint64 // what the state had counted when it was last written
}

// keepState reads the file and begins to keep it up to date until the runtime and
// all that share it have ended.
func (rt *runtime) keepState(key, path string, state *keys.State, logger *zap.Logger) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("state: resolving %s: %w", path, err)
	}
	key += "\x00" + path
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
	s := &saver{path: path, state: state, logger: logger, quit: make(chan struct{}), done: make(chan struct{})}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("the directory of the file does not exist: %w", err)
		}
	case err != nil:
		return nil, fmt.Errorf("reading what is known about keys: %w", err)
	default:
		if err := state.Restore(data, time.Now()); err != nil {
			// Better to ask a resting key once more than not to start.
			logger.Warn("the state file cannot be read; beginning anew", zap.String("file", path), zap.Error(err))
		}
	}
	s.saved = state.Changed()
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
			s.save()
		case <-s.quit:
			s.save()
			return
		}
	}
}

// save writes the file if anything has changed.
func (s *saver) save() {
	changed := s.state.Changed()
	if changed == s.saved {
		return
	}
	data, err := s.state.Snapshot(time.Now())
	if err == nil {
		err = replaceFile(s.path, data)
	}
	if err != nil {
		s.logger.Warn("saving the state of keys", zap.String("file", s.path), zap.Error(err))
		return
	}
	s.saved = changed
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
