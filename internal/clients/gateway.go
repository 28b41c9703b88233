//go:build unix

package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// gatewayFiles is the gateway's Caddyfile and, for each [upstream], a directory
// of provider and model files.
//
//go:embed gateway
var gatewayFiles embed.FS

// startGateway configures and starts the gateway and waits until it serves.
func startGateway(ctx context.Context, s *session, origin string) (*server, string, error) {
	dir := filepath.Join(s.dir, "gateway")
	files, err := fs.Sub(gatewayFiles, "gateway")
	if err != nil {
		return nil, "", err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return nil, "", err
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	// Nothing of the caller's environment: its keys would configure providers
	// and clients, and its proxies would stand in between.
	env := []string{
		"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir,
		fmt.Sprint("GATEWAY_PORT=", port), "GATEWAY_CONFIG=" + string(s.upstream), "UPSTREAM_URL=" + origin,
		"CLIENT_KEY=" + clientKey, "UPSTREAM_API_KEY=" + upstreamKey,
	}
	gateway, err := start(ctx, s.log.name, &environment{dir, env}, s.caddy, "run", "--config", "Caddyfile")
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
