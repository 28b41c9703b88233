package caddymodule

import (
	"strings"
	"testing"
)

// After setup all commands know where the gateway serves, whatever was answered.
func TestCommandsFindTheGatewayWhereSetupPutIt(t *testing.T) {
	g := newcomer(t)
	writeIn(t, g.dir, "answers.json", `{"providers": ["demo"], "address": "127.0.0.2:`+startPort+`"}`)
	run(t, "", "setup", "--answers", "answers.json").want(t, 0)
	if text, want := read(t, ".env"), "# Where the gateway serves\nLLM_HOST=127.0.0.2\n\n# Where the gateway serves\nLLM_PORT="+startPort+"\n"; !strings.HasSuffix(text, want) {
		t.Errorf(".env does not end with %q", want)
	}
	startAt(t, "http://127.0.0.2:"+startPort, g.dir, nil)
	if got := run(t, "", "health").want(t, 0).stdout; got != "healthy\n" {
		t.Errorf("health says %q", got)
	}
	run(t, "Hello", "chat", "demo").want(t, 0)
	got := run(t, "", "doctor", "--address", startAdmin).want(t, 0)
	if want := "127.0.0.2:" + startPort + " is in use by the gateway\n"; !strings.Contains(got.stdout, want) {
		t.Errorf("doctor says\n%s\nwant %q", got.stdout, want)
	}
}

// What setup was told before is what it proposes, and what it is told now counts.
func TestSetupMovesTheGateway(t *testing.T) {
	place := func() string {
		t.Helper()
		vars, err := parseEnv(read(t, ".env"))
		if err != nil {
			t.Fatal(err)
		}
		return valueIn(vars, hostVariable) + ":" + valueIn(vars, portVariable)
	}
	g := newcomer(t)
	for _, tc := range []struct {
		address, want string
		more          []string
	}{
		{"", ":", nil},
		{":9081", ":9081", []string{"--overwrite"}},
		{"", ":9081", []string{"--overwrite"}}, // as it was
		{"127.0.0.2:9082", ":9081", nil},       // the Caddyfile is kept
		{"127.0.0.2:9082", "127.0.0.2:9082", []string{"--overwrite"}},
		{":9876", "0.0.0.0:9876", []string{"--overwrite"}},
		{"127.0.0.1:9876", "127.0.0.1:9876", []string{"--overwrite"}},
		{"llm.example.com", "127.0.0.1:9876", []string{"--overwrite"}},
	} {
		writeIn(t, g.dir, "answers.json", `{"providers": ["demo"], "address": "`+tc.address+`"}`)
		run(t, "", append([]string{"setup", "--answers", "answers.json"}, tc.more...)...).want(t, 0)
		if got := place(); got != tc.want {
			t.Errorf("after %q %v the variables say %q, want %q", tc.address, tc.more, got, tc.want)
		}
	}
	t.Setenv(portVariable, "9083")
	writeIn(t, g.dir, "answers.json", `{"providers": ["demo"], "address": ":9084"}`)
	run(t, "", "setup", "--answers", "answers.json", "--overwrite").want(t, 0, "LLM_PORT is set in the environment, which counts before .env")
}
