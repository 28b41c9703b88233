package caddymodule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// checkEnvFile looks at who can read the file of variables, and whether git would
// take it.
func (x *examination) checkEnvFile() {
	named, _ := x.cmd.Flags().GetString("env-file")
	path := cmp.Or(named, defaultEnvFile)
	info, err := os.Stat(path)
	if err != nil {
		x.ok(".env", "there is none, so all variables come from the environment")
		return
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		x.fail(".env", fmt.Sprintf("%s has mode %04o, so others on this machine can read the keys", path, mode), "chmod 600 "+path, func() (string, error) {
			return "took the permissions of others from " + path, os.Chmod(path, 0o600)
		})
	} else {
		x.ok(".env", "only its owner can read %s", path)
	}
	if named == "" && inCheckout(".") && !isIgnored(".") {
		x.fail(".env", "git does not ignore .env, so the keys may be committed", "add a line .env to .gitignore", ignoreEnvFile)
	}
}

// inCheckout reports whether a directory is in a working tree of git.
func inCheckout(directory string) bool {
	for directory = absolute(directory); ; directory = filepath.Dir(directory) {
		if _, err := os.Stat(filepath.Join(directory, ".git")); err == nil {
			return true
		}
		if filepath.Dir(directory) == directory {
			return false
		}
	}
}

// isIgnored reports whether a .gitignore of the directory, or of one above it up to
// that of the checkout, has a line for .env.
func isIgnored(directory string) bool {
	for directory = absolute(directory); ; directory = filepath.Dir(directory) {
		text, _ := os.ReadFile(filepath.Join(directory, ".gitignore")) // none is empty
		for line := range strings.Lines(string(text)) {
			if pattern := strings.TrimPrefix(strings.TrimSpace(line), "/"); slices.Contains([]string{".env", ".env*", "*.env", "**/.env"}, pattern) {
				return true
			}
		}
		if _, err := os.Stat(filepath.Join(directory, ".git")); err == nil || filepath.Dir(directory) == directory {
			return false
		}
	}
}

// ignoreEnvFile adds .env to .gitignore.
func ignoreEnvFile() (string, error) {
	mode := configFileMode
	_, present, err := lookAt(".gitignore")
	if err != nil {
		return "", err
	}
	var text []byte
	if present != nil {
		mode = present.Mode().Perm()
		if text, err = os.ReadFile(".gitignore"); err != nil {
			return "", fmt.Errorf("reading .gitignore: %w", cause(err))
		}
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	return "added .env to .gitignore", exchangeFile(".gitignore", append(text, "/.env\n"...), mode)
}

// checkRunning asks the running Caddy, if there is one, how its gateway is.
func (x *examination) checkRunning() {
	const tellsMore = "caddy llm-proxy health --detailed tells more"
	address, _ := x.cmd.Flags().GetString("address")
	if address == "" && x.config != nil {
		address = x.config.administration()
	}
	address = cmp.Or(address, caddy.DefaultAdminListen)
	answer, err := callAdmin(x.cmd.Context(), address, http.MethodGet, "/llm_proxy/health", fullHealthTime)
	if err == errAdminHangs {
		x.fail("gateway", fmt.Sprintf("who listens at %s does not answer", address), "stop it, or say with --address where this gateway's administration is", nil)
		return
	}
	if err != nil {
		if _, refused := adminError(err); refused {
			x.fail("gateway", fmt.Sprintf("the Caddy at %s has no llm_proxy", address), "it is another one: stop it, or say with --address where this gateway's administration is", nil)
			return
		}
		x.warn("gateway", "no gateway runs: nobody answers at "+address, "start it with caddy llm-proxy start")
		return
	}
	var health fullHealth
	if err := json.Unmarshal(answer, &health); err != nil || health.Status == "" {
		x.fail("gateway", fmt.Sprintf("what answers at %s is no gateway", address), "say with --address where this gateway's administration is", nil)
		return
	}
	x.running = true
	said := fmt.Sprintf("one runs, is %s, and has its administration at %s", health.Status, address)
	switch health.Status {
	case healthy:
		x.ok("gateway", "%s", said)
	case degraded:
		x.warn("gateway", said, tellsMore)
	default:
		x.fail("gateway", said, tellsMore, nil)
	}
	for _, h := range health.Handlers {
		for _, p := range h.Problems {
			x.warn("gateway", "a reload was refused: "+withoutFix(p), p.Fix)
		}
		if h.Log != nil && !h.Log.Healthy {
			x.warn("log", "the running gateway cannot write it: "+h.Log.LastError, "")
		}
	}
}

// checkPorts looks at who listens where the gateway is to serve.
func (x *examination) checkPorts() {
	if x.config == nil {
		return
	}
	for _, address := range x.config.addresses() {
		err := checkFree(address)
		switch {
		case err == nil && x.running:
			x.warn("ports", address+" is free, although a gateway runs", "that one has another configuration: caddy reload")
		case err == nil:
			x.ok("ports", "%s is free", address)
		case x.running:
			x.ok("ports", "%s is in use by the gateway", address)
		default:
			what, fix, _ := strings.Cut(err.Error(), "; ")
			x.fail("ports", what, fix, nil)
		}
	}
}

// fewFiles is how many open files are few: a stream takes two.
const fewFiles = 4096

// checkMachine looks at the clock and at the limits of the process.
func (x *examination) checkMachine() {
	if self, err := os.Executable(); err == nil {
		if info, err := os.Stat(self); err == nil && x.now.Before(info.ModTime().Add(-24*time.Hour)) {
			x.fail("machine", fmt.Sprintf("the clock says %s, which is before this program was made", x.now.Format(time.DateTime)), "set the clock: certificates, rests and the log depend on it", nil)
		}
	}
	switch n, known := openFileLimit(); {
	case !known:
	case n < fewFiles:
		x.warn("machine", fmt.Sprintf("a process may have %d files open, enough for %d streams", n, n/2), "raise the limit: ulimit -n, or LimitNOFILE of systemd")
	default:
		x.ok("machine", "a process may have %d files open", n)
	}
}

// checkKeys asks the providers whether their keys work.
func (x *examination) checkKeys() {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	for _, catalog := range x.catalogs {
		var tests []keyToTest
		for _, p := range catalog.Providers() {
			if p.Enabled && !p.Keyless() {
				tests = append(tests, testsOf(catalog, p, x.vars.environ, transport)...)
			}
		}
		for _, r := range runTests(x.ctx, tests, keyTestTimeout, io.Discard) {
			which := fmt.Sprintf("%s %s (%s)", r.Provider, r.Key, r.Variable)
			switch r.Result {
			case routing.KeyOK:
				x.ok("keys", "%s works", which)
			case routing.KeyRefused:
				x.fail("keys", which+" is dead: "+r.Reason, "replace it, or take it out of the environment", nil)
			default:
				x.warn("keys", fmt.Sprintf("%s is %s: %s", which, r.Result, r.Reason), "")
			}
		}
	}
}
