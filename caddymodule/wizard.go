package caddymodule

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// wizardAnswers are the answers to all questions but those for secrets. What is
// not there is asked, or has its default.
type wizardAnswers struct {
	// Providers are names of provider files.
	Providers []string `json:"providers,omitempty"`
	// Models are names of model files that the program or the directory has, or
	// provider/model.
	Models []string `json:"models,omitempty"`
	// Address is where the gateway serves: 127.0.0.1:9876, :9876 for all
	// interfaces, or a domain.
	Address string `json:"address,omitempty"`
	// RequestLog is the file of the request log, or "off".
	RequestLog string `json:"request_log,omitempty"`
}

// wizard leads a person to a gateway that works. It writes nothing before the last
// question has been answered, except for the progress.
type wizard struct {
	ctx    context.Context
	prompt prompter
	out    io.Writer // for what is told between the questions
	stock  *stock
	vars   variables

	answers  wizardAnswers
	secrets  map[string]string // to be written to .env, by variable; also what need not be kept secret
	testKeys bool
	// keep says that the progress is kept, to go on with later, and done are the
	// steps that were taken.
	keep bool
	done []string
}

// wizardSteps are what the wizard asks for.
var wizardSteps = []struct {
	name string
	run  func(*wizard) error
}{
	{"providers", (*wizard).askProviders},
	{"api_keys", (*wizard).askKeys},
	{"models", (*wizard).askModels},
	{"address", (*wizard).askAddress},
	{"client_key", (*wizard).askClientKey},
	{"request_log", (*wizard).askLog},
}

// run takes the steps that are not done. Those that ask for secrets are taken
// again, because these are kept nowhere.
func (w *wizard) run() error {
	for _, step := range wizardSteps {
		if slices.Contains(w.done, step.name) && !strings.HasSuffix(step.name, "_keys") && !strings.HasSuffix(step.name, "_key") {
			continue
		}
		if err := step.run(w); err != nil {
			return err
		}
		if !slices.Contains(w.done, step.name) {
			w.done = append(w.done, step.name)
		}
		if !w.keep {
			continue
		}
		if err := saveProgress(&setupProgress{CompletedSteps: w.done, Answers: w.answers}); err != nil {
			return err
		}
	}
	return nil
}

func (w *wizard) tell(format string, arguments ...any) {
	fmt.Fprintf(w.out, format+"\n", escaped(arguments)...)
}

// environ is the environment with the secrets of this run.
func (w *wizard) environ() []string {
	environ := slices.Clone(w.vars.environ)
	for name, value := range w.secrets {
		environ = slices.DeleteFunc(environ, func(e string) bool { return strings.HasPrefix(e, name+"=") })
		environ = append(environ, name+"="+value)
	}
	return environ
}

// keysOf are the keys of a provider that are set or were entered.
func (w *wizard) keysOf(p *routing.Provider) []*keys.Key {
	found, _ := keys.Discover(p.ID, p.KeyPatterns(), w.environ())
	return found
}

func (w *wizard) askProviders() error {
	var choices []choice
	var ready []string // with a key, or here already without need of one
	for _, p := range w.stock.catalog.Providers() {
		if !p.Enabled {
			continue
		}
		label := p.DisplayName
		switch {
		case p.Keyless():
			label += " (needs no key)"
			if _, shipped := w.stock.shipped[p.File]; !shipped {
				ready = append(ready, p.ID)
			}
		case len(w.keysOf(p)) > 0:
			label += " (its key is set)"
			ready = append(ready, p.ID)
		}
		choices = append(choices, choice{p.ID, label})
	}
	preset := w.answers.Providers
	if len(preset) == 0 {
		if preset = ready; len(preset) == 0 {
			preset = []string{demoProvider}
		}
	}
	chosen, err := w.prompt.pickSome("Which providers shall answer? (demo is a simulated one)", choices, preset, w.checkProviders)
	if err != nil {
		return err
	}
	w.answers.Providers = distinct(chosen)
	return nil
}

// demoProvider is the provider that this program simulates.
const demoProvider = "demo"

func (w *wizard) checkProviders(chosen []string) error {
	if len(chosen) == 0 {
		return errors.New("choose at least one; demo needs no key")
	}
	for _, id := range chosen {
		if _, ok := w.stock.catalog.Provider(id); !ok {
			return fmt.Errorf("there is no provider %q; llm-proxy add provider makes one", id)
		}
	}
	return nil
}

// providers are those that were chosen.
func (w *wizard) providers() []*routing.Provider {
	var chosen []*routing.Provider
	for _, id := range w.answers.Providers {
		if p, ok := w.stock.catalog.Provider(id); ok {
			chosen = append(chosen, p)
		}
	}
	return chosen
}

func (w *wizard) askKeys() error {
	enabled := slices.DeleteFunc(w.providers(), func(p *routing.Provider) bool { return !p.Enabled })
	if len(enabled) == 0 {
		return errors.New("keys need a provider that is enabled, and none of those that were chosen is; choose another, or set enabled to true in its file")
	}
	for _, p := range enabled {
		if err := w.askVariables(p); err != nil {
			return err
		}
	}
	return w.tryKeys(enabled)
}

// askVariables asks for what a provider needs and does not have.
func (w *wizard) askVariables(p *routing.Provider) error {
	if !p.Keyless() && len(w.keysOf(p)) == 0 {
		name := keys.Variable(p.ID, p.KeyPatterns())
		if err := w.askVariable(name, fmt.Sprintf("Key of %s, which becomes %s (empty: later)", p.DisplayName, name), true); err != nil {
			return err
		}
	}
	if !p.Keyless() && len(w.keysOf(p)) == 0 {
		return nil // without a key the rest is of no use
	}
	vars := variables{environ: w.environ()}
	for _, text := range writtenTexts(w.stock.catalog, p) {
		for _, reference := range references.FindAllStringSubmatch(text.text, -1) {
			if name := reference[1]; reference[2] == "" && vars.get(name) == "" && w.secrets[name] == "" {
				if err := w.askVariable(name, fmt.Sprintf("%s, which %s needs in its %s", name, p.DisplayName, text.use), false); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (w *wizard) askVariable(name, title string, hidden bool) error {
	value, err := w.prompt.ask(title, w.secrets[name], hidden, func(text string) error {
		_, err := quoteVariable(text)
		return err
	})
	if err == nil && value != "" {
		w.secrets[name] = value
	}
	return err
}

func (w *wizard) askAddress() error {
	const here, everywhere, domain = "here", "everywhere", "domain"
	preset := w.vars.site()
	if w.answers.Address != "" {
		var err error
		if preset, err = parseSite(w.answers.Address); err != nil {
			return err
		}
	}
	if _, err := netip.ParseAddr(preset.Host); err != nil && w.answers.Address == "" {
		preset.Host = standardHost // a name would be taken for a domain
	}
	kind := here
	switch {
	case preset.Domain != "":
		kind = domain
	case preset.Host == "":
		kind = everywhere
	case preset.Host != standardHost:
		kind = preset.Host
	}
	choices := []choice{
		{here, "this machine only"},
		{everywhere, "the network, without encryption"},
		{domain, "a domain of mine, with HTTPS (Caddy gets the certificate)"},
	}
	if kind == preset.Host {
		choices = append(choices, choice{kind, "the address " + kind})
	}
	kind, err := w.prompt.pickOne("Who shall reach the gateway?", choices, kind)
	if err != nil {
		return err
	}
	if kind == domain {
		w.answers.Address, err = w.prompt.ask("Its domain, such as llm.example.com", preset.Domain, false, func(text string) error {
			s, err := parseSite(text)
			if err == nil && s.Domain == "" {
				err = errors.New("write a domain, such as llm.example.com")
			}
			return err
		})
		return err
	}
	host := map[string]string{here: standardHost, everywhere: ""}
	if _, known := host[kind]; !known {
		host[kind] = kind
	}
	port, err := w.prompt.ask("Port", cmp.Or(preset.Port, standardPort), false, func(text string) error {
		_, err := parseSite(":" + text)
		return err
	})
	w.answers.Address = joinAddress(host[kind], port)
	return err
}

func (w *wizard) askClientKey() error {
	vars := variables{environ: w.environ()}
	if vars.get(clientKeyVariable) != "" {
		return nil
	}
	key, err := w.prompt.ask("Key that your clients shall use (empty: make one)", "", true, func(text string) error {
		if text == "" {
			return nil
		}
		if why := weakness(text); why != "" {
			return errors.New("a client key must not be easy to guess: this one " + why)
		}
		_, err := quoteVariable(text)
		return err
	})
	if err != nil {
		return err
	}
	w.secrets[clientKeyVariable] = key
	if key == "" {
		w.secrets[clientKeyVariable] = newClientKey()
	}
	return nil
}

// newClientKey makes a key that nobody can guess.
func newClientKey() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // it ends the program rather than fail
	return "llm-" + hex.EncodeToString(random[:])
}

// weakness says why a client key is easy to guess, empty if it is not.
func weakness(key string) string {
	distinct := make(map[rune]bool)
	for _, r := range key {
		distinct[r] = true
	}
	switch {
	case len(key) < 16:
		return fmt.Sprintf("has %d characters; 16 are the least", len(key))
	case len(distinct) < 6:
		return "has less than 6 different characters"
	}
	return ""
}

// standardDatabase is the request log that setup proposes.
const standardDatabase = "llm.db"

func (w *wizard) askLog() error {
	keep, err := w.prompt.confirm("Keep a log of who asked for which model, and what became of it? Prompts are not in it", w.answers.RequestLog != off)
	if err != nil {
		return err
	}
	if !keep {
		w.answers.RequestLog = off
	} else if w.answers.RequestLog == "" || w.answers.RequestLog == off {
		w.answers.RequestLog = standardDatabase
	}
	if strings.ContainsFunc(w.answers.RequestLog, func(r rune) bool { return dangerous(r) || strings.ContainsRune(" \"`{}#", r) }) {
		return fmt.Errorf("the request log %q cannot be written into a Caddyfile; choose a name without spaces, quotes and braces", w.answers.RequestLog)
	}
	return nil
}

// secretNames are the variables that are to be written, in order.
func (w *wizard) secretNames() []string {
	return slices.Sorted(maps.Keys(w.secrets))
}
