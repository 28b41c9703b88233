package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/payload"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/process"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// The targets: straight to the upstream, through Caddy's reverse_proxy, which
// is the baseline, through llm_proxy, and through one that keeps a request log.
const (
	Direct       = "direct"
	ReverseProxy = "reverse_proxy"
	LLMProxy     = "llm_proxy"
	Logging      = "llm_proxy+log"
)

// Targets lists the targets in the order in which a round visits them.
func Targets() []string { return []string{Direct, ReverseProxy, LLMProxy, Logging} }

// Keys of the simulated client and provider.
const (
	clientKey   = "bench-client-key"
	providerKey = "bench-provider-key"
)

// startLimit is how long a target may take to open its port.
const startLimit = 30 * time.Second

// handlers are the Caddyfile blocks that make the targets. The baseline
// flushes at once, as a gateway for streams must, and keeps enough connections
// to the upstream that none is opened during a run.
var handlers = map[string]string{
	ReverseProxy: `	reverse_proxy %[1]s {
		flush_interval -1
		transport http {
			keepalive_idle_conns_per_host 256
		}
	}
`,
	LLMProxy: `	llm_proxy {
		providers %[2]s
		models %[3]s
		client_key bench {env.BENCH_KEY}
	}
`,
	Logging: `	llm_proxy {
		providers %[2]s
		models %[3]s
		client_key bench {env.BENCH_KEY}
		log sqlite %[4]s
	}
`,
}

// target is a running server that can be measured.
type target struct {
	name    string
	address string
	admin   string         // address of Caddy's admin endpoint, if it is on
	child   *process.Child // nil for Direct, whose process is the upstream's
	idle    int64          // resident size after the warm-up, in KiB
}

// translates tells whether the target is a gateway, which clients ask in their own
// protocol.
func (t *target) translates() bool { return t.name == LLMProxy || t.name == Logging }

func (t *target) stop() {
	if t.child != nil {
		t.child.Stop()
	}
}

// memory of the target's process; none for Direct.
func (t *target) memory() (process.Memory, error) {
	if t.child == nil {
		return process.Memory{}, nil
	}
	return process.ReadMemory(t.child.PID())
}

// request is what the target is sent in a scenario.
func (t *target) request(s Scenario) []byte {
	r := payload.Request{Protocol: s.Upstream, Size: s.Size, Model: s.model(), Stream: s.Stream}
	if t.translates() {
		r.Protocol = s.Client
	}
	return r.HTTP(t.address, clientKey)
}

// complete is what the target must answer in a scenario.
func (t *target) complete(s Scenario) payload.Completeness {
	protocol := s.Upstream
	if t.translates() {
		protocol = s.Client
	}
	return s.Answer.Complete(protocol, s.Stream)
}

// workshop makes targets from a Caddy binary and the upstream's address. All
// that they write goes to its directory.
type workshop struct {
	caddy    string
	upstream string
	admin    bool // switch the admin endpoint on, for profiles
	dir      string
}

// start starts a target and waits until it listens.
func (w workshop) start(ctx context.Context, name string) (*target, error) {
	if name == Direct {
		return &target{name: name, address: w.upstream}, nil
	}
	ports, err := freeAddresses(2)
	if err != nil {
		return nil, fmt.Errorf("looking for a free port: %w", err)
	}
	t := &target{name: name, address: ports[0]}
	if w.admin {
		t.admin = ports[1]
	}
	file := filepath.Join(w.dir, name+".caddyfile")
	if err := os.WriteFile(file, []byte(w.caddyfile(t)), 0o600); err != nil {
		return nil, fmt.Errorf("writing configuration of %s: %w", name, err)
	}
	t.child, err = process.Start(process.Command{
		Argv: []string{w.caddy, "run", "--adapter", "caddyfile", "--config", file},
		Dir:  w.dir,
		Env: []string{
			"HOME=" + w.dir, "XDG_DATA_HOME=" + w.dir, "XDG_CONFIG_HOME=" + w.dir,
			"BENCH_KEY=" + clientKey, "SIMULATED_API_KEY=" + providerKey,
		},
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := t.child.AwaitPort(ctx, t.address); err != nil {
		t.stop()
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return t, nil
}

// caddyfile is the whole configuration of a target.
func (w workshop) caddyfile(t *target) string {
	admin := "off"
	if t.admin != "" {
		admin = t.admin
	}
	return fmt.Sprintf("{\n\tadmin %s\n\tauto_https off\n\tpersist_config off\n\tlog {\n\t\tlevel ERROR\n\t}\n}\n\nhttp://%s {\n", admin, t.address) +
		fmt.Sprintf(handlers[t.name], w.upstream, w.providers(), w.models(), filepath.Join(w.dir, "requests.db")) + "}\n"
}

func (w workshop) providers() string { return filepath.Join(w.dir, "providers") }
func (w workshop) models() string    { return filepath.Join(w.dir, "models") }

// Files of llm_proxy.
type (
	providerFile struct {
		Name           string         `json:"name"`
		Enabled        bool           `json:"enabled"`
		APIKeys        apiKeys        `json:"api_keys"`
		Endpoints      endpoints      `json:"endpoints"`
		Authentication authentication `json:"authentication"`
	}
	apiKeys struct {
		EnvVarPatterns []string `json:"env_var_patterns"`
	}
	endpoints struct {
		BaseURL          string             `json:"base_url"`
		Completions      string             `json:"completions"`
		Responses        string             `json:"responses"`
		Messages         string             `json:"messages"`
		CompatibleFormat translate.Protocol `json:"compatible_format"`
	}
	authentication struct {
		HeaderName   string `json:"header_name"`
		HeaderFormat string `json:"header_format"`
	}
	modelFile struct {
		LogicalName   string  `json:"logical_name"`
		ModelRoutings []route `json:"model_routings"`
	}
	route struct {
		Provider     string             `json:"provider"`
		Model        string             `json:"model"`
		WireProtocol translate.Protocol `json:"wire_protocol"`
	}
)

// writeModels writes the files with which llm_proxy serves the scenarios.
func (w workshop) writeModels(scenarios []Scenario) error {
	provider := providerFile{
		Name: "simulated", Enabled: true,
		APIKeys:        apiKeys{EnvVarPatterns: []string{"{PROVIDER}_API_KEY"}},
		Endpoints:      endpoints{"http://" + w.upstream + "/v1", "/chat/completions", "/responses", "/messages", translate.Chat},
		Authentication: authentication{"Authorization", "Bearer {api_key}"},
	}
	if err := writeJSON(w.providers(), provider.Name, provider); err != nil {
		return err
	}
	for _, s := range scenarios {
		for _, s := range []Scenario{s, s.warmUp()} {
			file := modelFile{s.model(), []route{{provider.Name, s.Answer.Model(), s.Upstream}}}
			if err := writeJSON(w.models(), s.model(), file); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeJSON(dir, name string, v any) error {
	text, err := json.MarshalIndent(v, "", "\t")
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".json"), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing configuration %s: %w", name, err)
	}
	return nil
}

// freeAddresses finds n ports of the loopback interface that nobody listens on.
func freeAddresses(n int) ([]string, error) {
	var addresses []string
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close() // only now, or the next one might be the same
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}
