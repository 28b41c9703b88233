package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/dustin/go-humanize/english"
	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// defaultCaddyfile is what Caddy itself serves where nothing else is named.
const defaultCaddyfile = "Caddyfile"

// configuration is a configuration of Caddy that has llm_proxy blocks.
type configuration struct {
	path    string // empty for start's own
	text    []byte // as it is written
	adapted []byte // as JSON
	blocks  []*Handler
}

// findConfiguration reads the configuration at path, or else the Caddyfile of the
// working directory; nil if nothing is named, and there is none with a block.
func findConfiguration(path string) (*configuration, error) {
	named := path != ""
	if !named {
		path = defaultCaddyfile
	}
	text, err := os.ReadFile(path)
	switch {
	case !named && errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	var config *configuration
	if filepath.Ext(path) == ".json" {
		config, err = newConfiguration(path, text, text)
	} else {
		config, err = adaptCaddyfile(path, text)
	}
	if err != nil {
		return nil, err
	}
	if len(config.blocks) == 0 {
		if named {
			return nil, fmt.Errorf("%s has no llm_proxy block; llm-proxy setup writes a Caddyfile that has one", path)
		}
		return nil, nil
	}
	return config, nil
}

// adaptCaddyfile turns a Caddyfile into Caddy's JSON.
func adaptCaddyfile(path string, text []byte) (*configuration, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": path})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return newConfiguration(path, text, adapted)
}

func newConfiguration(path string, text, adapted []byte) (*configuration, error) {
	if !gjson.ValidBytes(adapted) {
		return nil, fmt.Errorf("reading %s: it is no JSON", path)
	}
	config := &configuration{path: path, text: text, adapted: adapted}
	if err := config.collect(gjson.ParseBytes(adapted)); err != nil {
		return nil, fmt.Errorf("reading %s: llm_proxy: %w", path, err)
	}
	return config, nil
}

// collect finds the llm_proxy blocks in a value and all below it, and fills in
// their defaults.
func (c *configuration) collect(value gjson.Result) (err error) {
	if value.Get("handler").String() == "llm_proxy" {
		block := new(Handler)
		if err := json.Unmarshal([]byte(value.Raw), block); err != nil {
			return err
		}
		c.blocks = append(c.blocks, block)
		return block.setDefaults()
	}
	if value.IsObject() || value.IsArray() {
		value.ForEach(func(_, below gjson.Result) bool {
			err = c.collect(below)
			return err == nil
		})
	}
	return err
}

// name is what to call the configuration.
func (c *configuration) name() string {
	if c.path == "" {
		return "its own configuration"
	}
	return c.path
}

// watches reports whether all blocks read their files again when they change.
func (c *configuration) watches() bool {
	return !slices.ContainsFunc(c.blocks, func(h *Handler) bool { return !h.Watch })
}

// wantsClientKey reports whether a block depends on CLIENT_API_KEY: it names that,
// or no client at all.
func (c *configuration) wantsClientKey() bool {
	return slices.ContainsFunc(c.blocks, func(h *Handler) bool {
		return len(h.ClientKeys) == 0 && !h.AllowAnonymous ||
			slices.ContainsFunc(h.ClientKeys, func(k ClientKey) bool { return k.Key == "{env."+clientKeyVariable+"}" })
	})
}

// addresses are those that its servers listen on, in order.
func (c *configuration) addresses() []string {
	var found []string
	gjson.GetBytes(c.adapted, "apps.http.servers").ForEach(func(_, server gjson.Result) bool {
		for _, address := range server.Get("listen").Array() {
			found = append(found, address.String())
		}
		return true
	})
	slices.Sort(found)
	return slices.Compact(found)
}

// administration is the address of Caddy's administration endpoint, empty where
// it is off.
func (c *configuration) administration() string {
	admin := gjson.GetBytes(c.adapted, "admin")
	switch {
	case admin.Get("disabled").Bool():
		return ""
	case admin.Get("listen").String() != "":
		return admin.Get("listen").String()
	}
	return caddy.DefaultAdminListen
}

// checkStart makes sure, before Caddy does, that the configuration can be served,
// and says what is wrong in words of its own.
func (c *configuration) checkStart(out *output, environ []string) error {
	vars := variables{environ: environ}
	if strings.EqualFold(vars.get("REQUIRE_CLIENT_API_KEY"), "true") && vars.get(clientKeyVariable) == "" && c.wantsClientKey() {
		return usageError{"REQUIRE_CLIENT_API_KEY is true, but CLIENT_API_KEY is not set; set it in the environment or in .env"}
	}
	if err := c.checkFiles(out, &vars); err != nil {
		return err
	}
	for _, address := range c.addresses() {
		if err := checkFree(address); err != nil {
			return fmt.Errorf("%w, or choose another place with --host and --port", err)
		}
	}
	if err := checkFree(c.administration()); err != nil {
		return fmt.Errorf("the administration endpoint: %w, or name another address in CADDY_ADMIN", err)
	}
	return nil
}

// checkFiles checks the provider and model files of all blocks, and whether there
// is a provider's key.
func (c *configuration) checkFiles(out *output, vars *variables) error {
	var missing []string
	found := false
	for _, block := range c.blocks {
		catalog, _, err := routing.Load(routing.LoadOptions{ProvidersDir: block.Providers, ModelsDir: block.Models, Environ: vars.environ})
		var broken *routing.LoadError
		if errors.As(err, &broken) {
			for _, p := range broken.Problems {
				out.printf("%s  %s", out.paint(red, "error"), p)
			}
			return fmt.Errorf("the gateway cannot start: %s in %s and %s; llm-proxy setup writes files that are good", english.Plural(len(broken.Problems), "error", ""), block.Providers, block.Models)
		}
		if err != nil {
			return err
		}
		for _, p := range catalog.Providers() {
			if !p.Enabled || p.Keyless() {
				continue
			}
			if len(discovered(catalog, p, vars.environ)) > 0 {
				found = true
			} else {
				missing = append(missing, fmt.Sprintf("%s has no key: set %s", p.ID, keys.Variable(p.ID, p.KeyPatterns())))
			}
		}
	}
	if found || len(missing) == 0 {
		return nil
	}
	fatal := strings.EqualFold(vars.get("FAIL_ON_STARTUP_VALIDATION"), "true")
	kind := out.paint(yellow, "warning")
	if fatal {
		kind = out.paint(red, "error")
	}
	slices.Sort(missing)
	for _, line := range slices.Compact(missing) {
		out.printf("%s  %s", kind, line)
	}
	if fatal {
		return errors.New("the gateway does not start: no provider has a key, and FAIL_ON_STARTUP_VALIDATION is true; set the key of one")
	}
	return nil
}

// checkFree makes sure that nobody listens on an address of Caddy's configuration.
// What only Caddy can tell it leaves to Caddy.
func checkFree(address string) error {
	parsed, err := caddy.ParseNetworkAddress(address)
	if err != nil || address == "" || parsed.Network != "tcp" {
		return nil
	}
	listener, err := net.Listen("tcp", parsed.JoinHostPort(0))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use already; stop what serves there", parsed.JoinHostPort(0))
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s is not for this user; give the program the capability cap_net_bind_service", parsed.JoinHostPort(0))
	case err != nil:
		return nil
	}
	return listener.Close()
}
