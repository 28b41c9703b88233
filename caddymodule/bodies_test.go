package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/simulated"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// bodiesGateway keeps bodies as the setting says, of what one upstream answers.
func bodiesGateway(t *testing.T, setting string, up http.Handler) (*gateway, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "requests.db")
	server := serve(t, up)
	t.Setenv("UP_API_KEY", "upstream-secret-key")
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", server.url, "")},
		models:    map[string]string{"demo": model("demo", `"aliases": ["demo-*", "m"],`, "up/*")},
		directive: fmt.Sprintf("cooldown 0\n log sqlite %s {\n%s\n}", file, setting),
	})
	return g, file
}

// explained is what is known about a request.
func explained(t *testing.T, id string) (answer requestAnswer) {
	t.Helper()
	if err := json.Unmarshal([]byte(admin(t, http.MethodGet, "/llm_proxy/requests/"+id, "").want(t, 200).body), &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestBodiesAreKeptAsTheClientSentAndGotThem(t *testing.T) {
	g, _ := bodiesGateway(t, "bodies full", simulated.New(simulated.Config{}))
	for _, path := range []string{chatPath, "/v1/responses", "/v1/messages"} {
		for _, model := range []string{"demo-long-5", "demo-tools", "demo-400", "demo-eof+long-9"} {
			for _, stream := range []bool{false, true} {
				request := asking(goodRequests[path], model)
				if stream {
					request = streamed(request)
				}
				got := g.post(path, request)
				kept := explained(t, got.header.Get("X-Request-Id")).Bodies
				if kept == nil || kept.Request != request || kept.Answer != got.body || kept.RequestCut || kept.AnswerCut {
					t.Errorf("%s %s stream=%v: kept %+v, want\n%s\n%s", path, model, stream, kept, request, got.body)
				}
			}
		}
	}
	got := g.post(chatPath, `{"model":`)
	if kept := explained(t, got.header.Get("X-Request-Id")).Bodies; kept == nil || kept.Request != `{"model":` || kept.Answer != got.body {
		t.Errorf("of a bad request %+v is kept", kept)
	}
}

func TestRedactedBodiesTellNothingThatWasSaid(t *testing.T) {
	g, file := bodiesGateway(t, "bodies redacted", simulated.New(simulated.Config{}))
	for _, path := range []string{chatPath, "/v1/responses", "/v1/messages"} {
		for _, stream := range []bool{false, true} {
			request := strings.Replace(asking(goodRequests[path], "demo-thinking"), `"hi"`, `"a canary that sings"`, 1)
			if stream {
				request = streamed(request)
			}
			got := g.post(path, request).want(t, 200)
			kept := explained(t, got.header.Get("X-Request-Id")).Bodies
			if kept == nil || !strings.Contains(kept.Request, `"model":"demo-thinking"`) || !strings.Contains(kept.Request, `"[19 characters]"`) ||
				!strings.Contains(kept.Answer, "characters]") || !strings.Contains(kept.Answer, `"model":"demo-thinking"`) {
				t.Errorf("%s stream=%v: kept %+v", path, stream, kept)
			}
			if n := strings.Count(got.body, "\n\n"); stream && strings.Count(kept.Answer, "\n\n") != n {
				t.Errorf("%s: the answer had %d events, kept is %s", path, n, kept.Answer)
			}
			for _, said := range []string{"canary", "sings", "simulated"} {
				if strings.Contains(kept.Request+kept.Answer, said) {
					t.Errorf("%s stream=%v: kept is %q: %+v", path, stream, said, kept)
				}
			}
		}
	}
	for _, name := range []string{file, file + "-wal"} {
		if text, err := os.ReadFile(name); err != nil || strings.Contains(string(text), "canary") {
			t.Errorf("%s has what was said, or is missing: %v", filepath.Base(name), err)
		}
	}
}

// Both of these keys are known here, so neither is kept, wherever it stands.
func TestKeysAreNotKeptInBodies(t *testing.T) {
	for _, setting := range []string{"bodies full", "bodies redacted", "bodies full {\n max_size 60\n}"} {
		echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answers(200, strings.Replace(chatAnswer, "hello", r.Header.Get("Authorization")+" "+clientKey, 1))(w, r)
		})
		g, file := bodiesGateway(t, setting, echo)
		request := strings.Replace(chatRequest, `"hi"`, `"`+clientKey+` upstream-secret-key","name":"upstream-secret-key"`, 1)
		id := g.post(chatPath, request).want(t, 200).header.Get("X-Request-Id")
		kept := explained(t, id).Bodies
		database, err := os.ReadFile(file + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{clientKey, "upstream-secret-key", "upstream-secret", clientKey[:len(clientKey)-1]} {
			if kept == nil || strings.Contains(kept.Request+kept.Answer, key) || strings.Contains(string(database), key) {
				t.Errorf("%s: %q is kept: %+v", setting, key, kept)
			}
		}
	}
}

// A model that repeats a key says it in pieces, and a client may write it with escapes.
func TestKeysAreNotKeptInPieces(t *testing.T) {
	const key, quoted = "upstream-secret-key", `\u0075pstream-\u0073ecret-key`
	deltas := func(before, after string) string {
		var b strings.Builder
		for _, said := range []string{"it is upst", "ream-secret", "-k", "ey, yes"} {
			b.WriteString("data: " + before + said + after + "\n\n")
		}
		return b.String()
	}
	events := map[string]string{
		chatPath: deltas(`{"id":"a","object":"chat.completion.chunk","model":"up","choices":[{"index":0,"delta":{"content":"`, `"}}]}`) + "data: [DONE]\n\n",
		"/v1/messages": "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n" +
			"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n" +
			strings.ReplaceAll(deltas(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"`, `"}}`), "data:", "event: content_block_delta\ndata:") +
			"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n" +
			"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n" +
			"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
	}
	g, file := bodiesGateway(t, "bodies full", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		said := events[chatPath]
		if strings.HasSuffix(r.URL.Path, "/messages") {
			said = events["/v1/messages"]
		}
		_, _ = w.Write([]byte(said)) // the client judges
	}))
	for path, said := range events {
		got := g.post(path, streamed(strings.Replace(goodRequests[path], `"hi"`, `"`+quoted+`"`, 1))).want(t, 200)
		if got.body != said {
			t.Fatalf("%s: the client got\n%s\nwant\n%s", path, got.body, said)
		}
		kept := explained(t, got.header.Get("X-Request-Id")).Bodies
		want := strings.NewReplacer("it is upst", "it is [key removed]", "ream-secret", "", `"-k"`, `""`, "ey, yes", ", yes").Replace(said)
		if kept == nil || kept.Answer != want || !strings.Contains(kept.Request, `"[key removed]"`) || strings.Contains(kept.Request, "ecret") {
			t.Errorf("%s: kept is %+v, want the answer\n%s", path, kept, want)
		}
	}
	if text, err := os.ReadFile(file + "-wal"); err != nil || strings.Contains(string(text), "ream-secret") || strings.Contains(string(text), key) {
		t.Errorf("the database has the key, or is missing: %v", err)
	}
}

func TestBodiesAreCutAtTheirSize(t *testing.T) {
	g, _ := bodiesGateway(t, "bodies full {\n max_size 100\n}", simulated.New(simulated.Config{}))
	request := streamed(strings.Replace(asking(chatRequest, "demo-long-50"), `"hi"`, `"`+strings.Repeat("x", 200)+`"`, 1))
	got := g.post(chatPath, request).want(t, 200)
	kept := explained(t, got.header.Get("X-Request-Id")).Bodies
	if kept == nil || kept.Request != request[:100] || kept.Answer != got.body[:100] || !kept.RequestCut || !kept.AnswerCut {
		t.Errorf("kept is %+v, want the first 100 bytes of each", kept)
	}
}

func TestTheSameShareOfRequestsIsSampledEverywhere(t *testing.T) {
	g, _ := bodiesGateway(t, "bodies full {\n sample 25%\n}", answers(200, chatAnswer))
	keeper := bodyKeeper{settings: Bodies{Sample: 0.25}}
	with, without := 0, 0
	for range 60 {
		id := g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
		kept := explained(t, id).Bodies != nil
		if kept != keeper.samples(id) {
			t.Errorf("request %s: kept = %v, want %v", id, kept, !kept)
		}
		if kept {
			with++
		} else {
			without++
		}
	}
	if with == 0 || without == 0 {
		t.Errorf("%d of 60 requests were kept, want some 15", with)
	}
	n := 0
	for i := range 100_000 {
		if keeper.samples(fmt.Sprintf("01234567-89ab-cdef-0123-%012d", i)) {
			n++
		}
	}
	if n < 24_000 || n > 26_000 {
		t.Errorf("%d of 100000 are sampled, want a quarter", n)
	}
}

func TestNothingIsKeptUnlessItIsWanted(t *testing.T) {
	for _, setting := range []string{"retain 7d", "bodies off"} {
		g, _ := bodiesGateway(t, setting, answers(200, chatAnswer))
		if answer := explained(t, g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")); answer.Bodies != nil {
			t.Errorf("%s: kept is %+v", setting, answer.Bodies)
		}
	}
}

// Streams outlive the configuration that they began with, and their bodies are kept
// all the same, as it says.
func TestBodiesOfRequestsInFlightSurviveAReload(t *testing.T) {
	s := &slowly{first: chatStream[:len(chatStream)/2], rest: chatStream[len(chatStream)/2:], goOn: make(chan struct{})}
	g, _ := bodiesGateway(t, "bodies full", s)
	_, reader := g.dial(request{path: chatPath, body: chatStreamed})
	readUntil(t, reader, "hel")
	g.config = strings.Replace(g.config, "bodies full", "bodies off", 1)
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	close(s.goOn)
	readUntil(t, reader, "[DONE]")
	comesTrue(t, "the stream has no row with bodies", func() bool {
		all := rows(t, "")
		return len(all) == 1 && explained(t, all[0].ID).Bodies != nil
	})
	id := g.post(chatPath, chatRequest).header.Get("X-Request-Id")
	if answer := explained(t, id); answer.Bodies != nil {
		t.Errorf("bodies are kept after they were switched off: %+v", answer.Bodies)
	}
}

func TestBodiesThatCannotBeRedactedInTimeAreLeftOut(t *testing.T) {
	g, _ := bodiesGateway(t, "bodies full", answers(200, chatAnswer))
	k := live.all()[0].current.Load().bodies
	k.waiting.Store(maxBodyBytesQueued)
	id := g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	if answer := explained(t, id); answer.Bodies != nil || answer.Status != 200 {
		t.Errorf("row = %+v, want one without bodies", answer)
	}
	k.waiting.Store(0)
	id = g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	if answer := explained(t, id); answer.Bodies == nil {
		t.Error("no bodies are kept when there is room again")
	}
}

func TestExplainPrintsBodiesWhereThatIsWanted(t *testing.T) {
	g, _ := bodiesGateway(t, "bodies full", answers(200, strings.Replace(chatAnswer, "hello", "\\u001b[2J\x7f said", 1)))
	id := g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	const address = "--address=localhost:2999"
	told := run(t, "", "explain", id, address).want(t, 0).stdout
	if !strings.Contains(told, fmt.Sprintf("kept      %d bytes of the request; --bodies prints them\n", len(chatRequest))) || strings.Contains(told, `"messages"`) {
		t.Errorf("explain prints\n%s", told)
	}
	told = run(t, "", "explain", id, "--bodies", address).want(t, 0).stdout
	if !strings.Contains(told, "\nrequest:\n"+chatRequest+"\n\nanswer:\n") || !strings.Contains(told, `\x7f said`) || strings.Contains(told, "\x7f") {
		t.Errorf("explain --bodies prints\n%s", told)
	}
	if told = run(t, "", "explain", id, "--json", address).want(t, 0).stdout; strings.Contains(told, "bodies") {
		t.Errorf("explain --json prints\n%s", told)
	}
	var answer requestAnswer
	if err := json.Unmarshal([]byte(run(t, "", "explain", id, "--json", "--bodies", address).want(t, 0).stdout), &answer); err != nil || answer.Bodies == nil || answer.Bodies.Request != chatRequest {
		t.Errorf("explain --json --bodies: %+v, %v", answer.Bodies, err)
	}
}

// Across protocols it is the client's words that are kept, not what the upstream was
// sent.
func TestBodiesOfTranslatedRequestsAreTheClients(t *testing.T) {
	g, _ := bodiesGateway(t, "bodies full", simulated.New(simulated.Config{}))
	g.write("models", "demo", wired("demo", `"aliases": ["demo-*"],`, "up", translate.Messages))
	g.wantReload(t, "")
	request := streamed(asking(chatRequest, "demo-long-5"))
	got := g.post(chatPath, request).want(t, 200)
	if kept := explained(t, got.header.Get("X-Request-Id")).Bodies; kept == nil || kept.Request != request || kept.Answer != got.body {
		t.Errorf("kept is %+v, want\n%s\n%s", kept, request, got.body)
	}
}
