package caddymodule

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// huntCommands are arguments for every command. FILES stands for the flags of those
// that read files, ADMIN for the address of the administration, ID for a request.
var huntCommands = map[string][]string{
	"health":          {"--detailed --endpoint http://localhost:9080"},
	"setup":           {"--status", "--answers answers.json", "--answers answers.json --overwrite --json"},
	"start":           {"--port 9080 --host 127.0.0.1"}, // which is taken
	"version":         {"--verbose"},
	"config list":     {"FILES", "providers FILES"},
	"config validate": {"FILES"},
	"config show":     {"up FILES", "gone FILES", "m FILES"},
	"env check":       {"--all FILES"},
	"keys list":       {"ADMIN", "--offline FILES"},
	"keys test":       {"FILES --timeout 2s"},
	"add provider":    {"--list FILES", "-n x -d X -f openai -u http://user:" + fileCanary + "@127.0.0.1:1 FILES", "-n x -d X -u http://127.0.0.1:1 -f soap FILES", "--name extra --display-name Extra --base-url http://127.0.0.1:1/" + urlCanary + " --format openai FILES"},
	"add model":       {"--list FILES", "--list -p up FILES", "-n x -p up FILES", "-n m -p up -m up FILES", "--discover -p gone FILES", "--name extra --provider extra --model m FILES"},
	"add key":         {"--list FILES", "-p up FILES --key " + upstreamCanary, "-p up FILES --key " + setupCanary, "-p up FILES --key " + setupCanary + "#", "-p up FILES -e " + setupCanary + " --key " + setupCanary, setupCanary, "--provider up --env-var UP_API_KEY_8 FILES", "--provider up --env-var UP_API_KEY_9 --key " + setupCanary + " FILES"},
	"edit provider":   {"up --set authentication.header_format=" + fileCanary + " FILES", "up --set endpoints.base_url=http://user:" + fileCanary + "@127.0.0.1:1 FILES", "up --set enabled=" + fileCanary + " FILES", "up --set api_key=" + fileCanary + " FILES", "up --set endpoints.base_url=" + fileCanary + " FILES"},
	"edit model":      {"m --set model_routings[0].api_key_env[-]=" + fileCanary + " FILES", "m --set timeout_seconds=" + fileCanary + " FILES", "m --set display_name=M FILES"},
	"edit key":        {"DOTENV_API_KEY FILES --key " + setupCanary, setupCanary + " FILES --key " + setupCanary, "UP_API_KEY_8 FILES"},
	"remove provider": {"up --yes FILES", "extra FILES", "extra --force --yes FILES"},
	"remove model":    {"gone --yes FILES", "extra --yes FILES"},
	"remove key":      {"GONE_API_KEY_7 FILES", "GONE_API_KEY_7 --yes FILES", setupCanary + " --yes FILES", "UP_API_KEY_8 --yes FILES", setupCanary + " --yes FILES"},
	"plan":            {"m ADMIN", "gone ADMIN"},
	"reload":          {"ADMIN"},
	"chat":            {"m --url http://localhost:9080"},
	"logs":            {"ADMIN --limit 1000", "ADMIN --trouble"},
	"usage":           {"ADMIN --by key", "ADMIN --by asked", "ADMIN --by client"},
	"explain":         {"ID ADMIN"},
	"db stats":        {"ADMIN"},
	"doctor":          {"--fix FILES", "--network FILES"},
	"drill":           {"m --fail up=429 ADMIN", "gone FILES"},
	"db reset":        {"ADMIN"}, // it asks, and nobody says yes
}

// runCommands runs all of them, as text and as JSON.
func (h *hideout) runCommands(t *testing.T, all *received) {
	t.Helper()
	if err := os.WriteFile(".env", []byte("DOTENV_API_KEY="+dotenvCanary+"\nGONE_API_KEY_7=\""+dotenvCanary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("answers.json", []byte(`{"providers": ["openai", "demo"], "keys": {"OPENAI_API_KEY": "`+setupCanary+`"}, "client_key": "`+setupCanary+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	id := firstRow(t, "?trouble=true&limit=1").ID
	fill := strings.NewReplacer("FILES", fmt.Sprintf("--providers %s/providers --models %s/models", h.dir, h.dir), "ADMIN", "--address=localhost:2999", "ID", id)
	ours := &cobra.Command{Use: "llm-proxy"}
	fillCommand(ours)
	var visit func(cmd *cobra.Command, name string)
	visit = func(cmd *cobra.Command, name string) {
		for _, below := range cmd.Commands() {
			visit(below, strings.TrimSpace(name+" "+below.Name()))
		}
		if cmd.HasSubCommands() {
			return
		}
		if huntCommands[name] == nil {
			t.Errorf("no arguments for the command %q, which might print a secret", name)
		}
		for _, arguments := range huntCommands[name] {
			line := strings.Fields(name + " " + fill.Replace(arguments))
			// What it is given by mistake it must not print either.
			for _, more := range [][]string{nil, {"--json"}, {"--api-key", strangerCanary}, {"--token=" + strangerCanary}} {
				if slices.Contains(line, "--json") && more != nil {
					continue
				}
				all.addRun("llm-proxy "+name+" "+arguments, run(t, promptCanary+"\n", append(slices.Clone(line), more...)...))
			}
		}
	}
	visit(ours, "")
}
