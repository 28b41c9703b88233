//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// A gateway in front of one upstream that speaks every protocol by itself.
const (
	caddyfile = `{
	admin off
	persist_config off
	grace_period 5s
}

http://127.0.0.1:%d {
	bind 127.0.0.1
	llm_proxy {
		providers  providers
		models     models
		client_key tests {env.CLIENT_KEY}
	}
	respond 404
}
`
	provider = `{
  "name": "upstream",
  "enabled": true,
  "api_keys": {"env_var_patterns": ["{PROVIDER}_API_KEY"]},
  "endpoints": {
    "base_url": "%s/v1",
    "compatible_format": "openai",
    "completions": "/chat/completions",
    "responses": "/responses",
    "messages": "/messages",
    "count_tokens": "/messages/count_tokens"
  },
  "authentication": {
    "type": "bearer",
    "header_name": "Authorization",
    "header_format": "Bearer {api_key}"
  }
}
`
	model = `{
  "logical_name": "any",
  "aliases": ["*"],
  "model_routings": [{"provider": "upstream", "model": "*"}]
}
`
)

// startGateway configures and starts the gateway and waits until it serves.
func startGateway(ctx context.Context, s *session, upstream string) (*server, string, error) {
	dir := filepath.Join(s.dir, "gateway")
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	for name, content := range map[string]string{
		"Caddyfile":               fmt.Sprintf(caddyfile, port),
		"providers/upstream.json": fmt.Sprintf(provider, upstream),
		"models/any.json":         model,
	} {
		if err := writeFile(filepath.Join(dir, name), content); err != nil {
			return nil, "", err
		}
	}
	// Nothing of the caller's environment: its keys would configure providers
	// and clients, and its proxies would stand in between.
	env := []string{
		"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir,
		"CLIENT_KEY=" + clientKey, "UPSTREAM_API_KEY=" + upstreamKey,
	}
	gateway, err := start(ctx, filepath.Join(s.dir, "gateway.log"), &environment{dir, env}, s.caddy, "run", "--config", "Caddyfile")
	if err != nil {
		return nil, "", err
	}
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	err = gateway.await(ctx, 30*time.Second, func() error { return healthy(ctx, base+"/health") })
	if err != nil {
		gateway.stop()
		return nil, "", err
	}
	return gateway, base, nil
}

func healthy(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// freePort is a port that nobody listens on right now.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

func writeFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o600)
}
