package caddymodule

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// keyedProvider is one provider with two keys and a rule for a status.
func keyedProvider(t *testing.T, rules string, handlers map[string]http.Handler) (*gateway, *upstream) {
	t.Helper()
	up := serve(t, byKey(handlers))
	t.Setenv("P_API_KEY_1", "k1-of-the-provider")
	t.Setenv("P_API_KEY_2", "k2-of-the-provider")
	return start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, rules)},
		models: map[string]string{
			"m":     model("m", `"context_window_fallbacks": ["large", "larger"],`, "p/up"),
			"large": model("large", "", "p/large"), "larger": model("larger", "", "p/larger"),
		},
	}), up
}

func TestARuleForAStatusDoesNotHideADeadKey(t *testing.T) {
	dead := answers(400, `[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]`)
	g, up := keyedProvider(t, `"error_handling": {"400": {"action": "fallback_no_cooldown"}},`,
		map[string]http.Handler{"k1-of-the-provider": dead, "k2-of-the-provider": answers(200, chatAnswer)})
	for range 3 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	want := []string{"k1-of-the-provider", "k2-of-the-provider", "k2-of-the-provider", "k2-of-the-provider"}
	if used := up.keysUsed(); !slices.Equal(used, want) {
		t.Errorf("keys used = %v, want the dead one once", used)
	}
}

func TestLargerModelsAreAskedOneAfterTheOther(t *testing.T) {
	tooLong := answers(400, `{"error":{"message":"This model's maximum context length is 8192 tokens","type":"invalid_request_error","code":null}}`)
	byModel := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), `"larger"`) {
			answers(200, chatAnswer).ServeHTTP(w, r)
			return
		}
		tooLong.ServeHTTP(w, r)
	})
	g, up := keyedProvider(t, `"error_handling": {"400": {"action": "fallback_no_cooldown"}},`,
		map[string]http.Handler{"k1-of-the-provider": byModel, "k2-of-the-provider": byModel})
	got := g.post(chatPath, chatRequest).want(t, 200)
	if n := got.header.Get("Llm-Proxy-Attempts"); n != "3" || len(up.all()) != 3 {
		t.Errorf("attempts = %s, calls = %d, want 3: the model and both larger ones", n, len(up.all()))
	}
}

func TestAConversationThatIsTooLongIsToldInTheWordsThatAgentsKnow(t *testing.T) {
	tooLong := answers(400, `{"object":"error","message":"This model's maximum context length is 8192 tokens","type":"BadRequestError","code":400}`)
	up := serve(t, tooLong)
	t.Setenv("P_API_KEY", "key-of-the-provider")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	if code := g.post(chatPath, chatRequest).want(t, 400).get(t, "error", "code"); code != "context_length_exceeded" {
		t.Errorf("Chat: code = %v, want context_length_exceeded", code)
	}
	message := g.post("/v1/messages", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`).want(t, 400).get(t, "error", "message")
	if !strings.Contains(fmt.Sprint(message), "prompt is too long") {
		t.Errorf("Messages: message = %v, want \"prompt is too long\" in it", message)
	}
}

func TestAModelThatTheAccountMayNotUseRestsNoKey(t *testing.T) {
	forbidden := answers(403, `{"error":{"message":"Project does not have access to model","type":"invalid_request_error","code":"model_not_found"}}`)
	g, up := keyedProvider(t, "", map[string]http.Handler{"k1-of-the-provider": forbidden, "k2-of-the-provider": forbidden})
	for range 3 {
		g.post(chatPath, chatRequest).want(t, 404)
	}
	if n := len(up.all()); n != 3 {
		t.Errorf("upstream calls = %d, want 3: nothing rests", n)
	}
}

func TestNoTwoAnswersShareTheirHeaders(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "key-of-the-provider")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		site:      `header >Cache-Control "^(.*)$" "$1,x"`,
	})
	for range 3 {
		if got := g.post(chatPath, chatRequest).want(t, 200).header.Get("Cache-Control"); got != "no-store,x" {
			t.Errorf("Cache-Control = %q, want it changed once", got)
		}
		if got := g.do(request{method: http.MethodGet, path: "/v1/models"}).want(t, 200).header.Get("Cache-Control"); got != "no-store,x" {
			t.Errorf("/v1/models: Cache-Control = %q, want it changed once", got)
		}
	}
}

func TestABrokenBodyIsNoSuccess(t *testing.T) {
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", "http://localhost:1", "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	_ = g
	var dialer net.Dialer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	connection, err := dialer.DialContext(ctx, "tcp", "localhost:9080")
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: localhost:9080\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", chatPath, clientKey)
	got, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, want 400", got.StatusCode)
	}
}

func TestAStreamOfSeveralChoicesEndsWithTheLast(t *testing.T) {
	finished := `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}` + "\n\n"
	up := serve(t, answers(200, finished, "Content-Type", "text/event-stream"))
	t.Setenv("P_API_KEY", "key-of-the-provider")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	one := g.post(chatPath, chatStreamed).want(t, 200)
	if one.body != finished {
		t.Errorf("one choice: body = %q, want it as it came", one.body)
	}
	two := g.post(chatPath, strings.Replace(chatStreamed, `"stream"`, `"n":2,"stream"`, 1)).want(t, 200)
	if !strings.Contains(two.body, `"error"`) {
		t.Errorf("two choices, one of which never came: body = %q, want an error at its end", two.body)
	}
}

func TestAProviderThatBreaksOffIsNoLongerTheFirstChoice(t *testing.T) {
	cut := answers(200, chatStream[:len(chatStream)/2], "Content-Type", "text/event-stream")
	g, a, b := twoProviders(t, cut, answers(200, chatStream, "Content-Type", "text/event-stream"))
	for range 3 { // as many as open the breaker
		g.post(chatPath, chatStreamed).want(t, 200)
	}
	if got := g.post(chatPath, chatStreamed).want(t, 200); got.body != chatStream {
		t.Errorf("fourth stream = %q, want the other provider's", got.body)
	}
	if len(a.all()) != 3 || len(b.all()) != 1 {
		t.Errorf("calls = %d and %d, want 3 and 1", len(a.all()), len(b.all()))
	}
}
