package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// spoken is a stream of Chat Completions that says some pieces.
func spoken(pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, piece := range pieces {
			text, _ := json.Marshal(piece)
			fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":%s},\"finish_reason\":null}]}\n\n", text)
		}
		fmt.Fprint(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\ndata: [DONE]\n\n")
	}
}

func TestChatTalksThroughTheGateway(t *testing.T) {
	t.Setenv("P_API_KEY", "k")
	up := serve(t, inTurn(spoken("Hello", ", \n\tthere", "\x1b[2J\u202e!"), spoken("Fine.")))
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	t.Chdir(t.TempDir())
	t.Setenv(clientKeyVariable, clientKey)
	got := run(t, "Hi\n\n  How are you?  ", "chat", "m", "--url", g.url+"/", "--system", "Be brief.").want(t, 0)
	if want := "Hello, \n\tthere\\x1b[2J\\u202e!\nFine.\n"; got.stdout != want || got.stderr != "" {
		t.Errorf("stdout is %q, want %q; stderr is %q", got.stdout, want, got.stderr)
	}
	calls := up.all()
	if len(calls) != 2 {
		t.Fatalf("%d calls, want one for each line that says something", len(calls))
	}
	var said []string
	for _, message := range gjson.Get(calls[1].body, "messages").Array() {
		said = append(said, message.Get("role").String()+": "+message.Get("content").String())
	}
	want := []string{"system: Be brief.", "user: Hi", "assistant: Hello, \n\tthere\x1b[2J\u202e!", "user: How are you?"}
	if !slices.Equal(said, want) {
		t.Errorf("the second request says %q, want %q", said, want)
	}
	if n := strings.Count(got.stdout+got.stderr, clientKey); n > 0 {
		t.Error("the client's key is shown")
	}
}

func TestChatPrintsOneLineOfJSONForEachAnswer(t *testing.T) {
	t.Setenv("P_API_KEY", "k")
	up := serve(t, spoken("One\nline\u009b"))
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	t.Chdir(t.TempDir())
	t.Setenv(clientKeyVariable, clientKey)
	got := run(t, "a\nb\n", "chat", "m", "--url", g.url, "--json").want(t, 0)
	lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	if len(lines) != 2 || strings.Contains(got.stdout, "\u009b") {
		t.Fatalf("stdout is %q, want two lines that no terminal obeys", got.stdout)
	}
	for _, line := range lines {
		var reply chatReply
		if err := json.Unmarshal([]byte(line), &reply); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		tokens := gjson.GetBytes(reply.Usage, "total_tokens").Int()
		if reply.Content != "One\nline\u009b" || reply.Provider != "p" || reply.Model != "up" || reply.FinishReason != "stop" || len(reply.RequestID) != 36 || tokens != 7 {
			t.Errorf("the reply is %s", line)
		}
	}
}

func TestChatTellsWhyThereIsNoAnswer(t *testing.T) {
	t.Chdir(t.TempDir())
	const begun = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"half\"}}]}\n\n"
	stream := func(text string) http.HandlerFunc { return answers(200, text, "Content-Type", "text/event-stream") }
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		stdout string
		stderr []string
	}{
		{"no key", answers(401, `{"error": {"message": "no key"}}`), "", []string{"the gateway says: no key", "set CLIENT_API_KEY"}},
		{"no such model", answers(404, `{"error": {"message": "no such model"}}`), "", []string{"no such model", "config list shows"}},
		{"nobody answers", answers(503, `{"error": {"message": "all \u001b[2J down"}}`), "", []string{`all \x1b[2J down (status 503)`, "llm-proxy plan m"}},
		{"a page", answers(502, "<html>"), "", []string{"status 502; is it the gateway?"}},
		{"a redirect", answers(302, "", "Location", "/v1/models"), "", []string{"status 302; is it the gateway?"}},
		{"no stream", answers(200, "{}"), "", []string{"no stream; is it the gateway?"}},
		{"cut", stream(begun), "half\n", []string{"the answer broke off\n"}},
		{"finished but not ended", stream(begun + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"), "half\n", []string{"the answer broke off\n"}},
		{"an error in the stream", stream(begun + "data: {\"error\":{\"message\":\"upstream \\u001b died\"}}\n\n"), "half\n", []string{`the answer broke off: upstream \x1b died`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			up := serve(t, tc.answer)
			got := run(t, "Hi\nnot said any more\n", "chat", "m", "--url", up.url).want(t, 1, tc.stderr...)
			if got.stdout != tc.stdout || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("stdout is %q, want %q; stderr is %q, want one line", got.stdout, tc.stdout, got.stderr)
			}
			if n := len(up.all()); n != 1 {
				t.Errorf("%d requests, want the conversation to end with the first", n)
			}
		})
	}
	run(t, "Hi", "chat", "m", "--url", "http://127.0.0.1:1").want(t, 1, "cannot connect to the gateway", "--url")
	run(t, "Hi", "chat", "m", "--url", "http://[::1").want(t, 2, "--url")
	run(t, "", "chat", "m").want(t, 0)
	run(t, strings.Repeat("x", maxChatLine+1), "chat", "m").want(t, 1, "reading what you say", "too long")
}
