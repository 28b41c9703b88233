package caddymodule

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

func TestCommandsTellWhatBecameOfRequests(t *testing.T) {
	failing := answers(500, "{\"error\":{\"message\":\"down \\u001b[2Jfor now\",\"type\":\"server_error\"}}")
	g, _ := keepingLog(t, failing, answers(200, chatAnswer))
	id := g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	unread := g.post(chatPath, `{"model":"m"`).want(t, 400).header.Get("X-Request-Id")
	const address = "--address=localhost:2999"

	story := run(t, "", "explain", id, address).want(t, 0).stdout
	for _, want := range []string{
		`(?m)^request   ` + id + `$`,
		`(?m)^asked     client tests, /v1/chat/completions, for model m \(a whole answer\), \d+ bytes$`,
		`(?m)^tried 1   a, model up, key [0-9a-f]{8}, \S+: broken, status 500: down \\x1b\[2Jfor now$`,
		`(?m)^tried 2   b, model up, key [0-9a-f]{8}, \S+: ok, status 200$`,
		`(?m)^ended     ok, status 200, answered by b with model up, after \S+, \d+ bytes$`,
		`(?m)^tokens    5 input, 0 cache read, 0 cache write, 2 output, 0 reasoning$`,
	} {
		if !regexp.MustCompile(want).MatchString(story) {
			t.Errorf("explain does not say %s:\n%s", want, story)
		}
	}

	const mistake = "chat/completions, for no model that could be read\nended     error, status 400, invalid_request, after "
	if story := run(t, "", "explain", unread, address).want(t, 0).stdout; !strings.Contains(story, mistake) {
		t.Errorf("explain does not say %s:\n%s", mistake, story)
	}

	logs := run(t, "", "logs", address).want(t, 0).stdout
	if lines := strings.Split(strings.TrimSpace(logs), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "BEGAN (UTC) ") ||
		!strings.Contains(lines[1], "error") || !strings.Contains(lines[2], "ok") || !strings.HasSuffix(lines[2], id) {
		t.Errorf("logs prints\n%s", logs)
	}
	for arguments, want := range map[string]int{"--trouble": 1, "--client tests --limit 1": 1, "--client nobody": 0, "--provider b --since 1h": 1, "--outcome ok --model m --until 1h": 0} {
		var answer requestsAnswer
		got := run(t, "", append([]string{"logs", "--json", address}, strings.Fields(arguments)...)...).want(t, 0)
		if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil || len(answer.Requests) != want {
			t.Errorf("logs %s: %d requests, %v; want %d", arguments, len(answer.Requests), err, want)
		}
	}

	usage := run(t, "", "usage", "--by", "provider", address).want(t, 0).stdout
	if !regexp.MustCompile(`(?m)^b +1 +1 +0 +0 +2 +5 +0 +0 +2 +0 +\? +\S+$`).MatchString(usage) {
		t.Errorf("usage prints\n%s", usage)
	}
	run(t, "", "usage", "--by", "moon", address).want(t, 2, "it takes model, asked")
	run(t, "", "logs", "--limit", "0", address).want(t, 2, "no number from 1 to 1000")
	run(t, "", "logs", "--limit", "x", address).want(t, 2, "invalid argument")
	run(t, "", "explain", "nobody", address).want(t, 1, "no such request")
	run(t, "", "explain", address).want(t, 2)
}

func TestWithoutALogCommandsSayHowToKeepOne(t *testing.T) {
	threeKeys(t, answers(200, chatAnswer), "")
	for _, command := range []string{"logs", "usage", "explain x"} {
		run(t, "", append(strings.Fields(command), "--address=localhost:2999")...).want(t, 1, "log sqlite <file>")
	}
}
