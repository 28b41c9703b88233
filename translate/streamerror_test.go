package translate

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	openaioption "github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

// sdkClients reads streams with the vendors' own SDKs.
type sdkClients struct {
	stream    string // what the server answers
	openai    openai.Client
	anthropic anthropic.Client
}

func newSDKClients(t *testing.T) *sdkClients {
	c := new(sdkClients)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Write([]byte(c.stream))
	}))
	t.Cleanup(server.Close)
	c.openai = openai.NewClient(openaioption.WithBaseURL(server.URL), openaioption.WithAPIKey("k"), openaioption.WithMaxRetries(0))
	c.anthropic = anthropic.NewClient(anthropicoption.WithBaseURL(server.URL), anthropicoption.WithAPIKey("k"), anthropicoption.WithMaxRetries(0))
	return c
}

// read returns the error with which p's SDK ends the stream, nil if to it the
// stream is a success.
func (c *sdkClients) read(p Protocol, stream string) error {
	c.stream = stream
	switch p {
	case Messages:
		s := c.anthropic.Messages.NewStreaming(context.Background(), anthropic.MessageNewParams{
			Model: "m", MaxTokens: 10, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("x"))},
		})
		defer s.Close()
		for s.Next() {
		}
		return s.Err()
	case Responses:
		s := c.openai.Responses.NewStreaming(context.Background(), responses.ResponseNewParams{Model: "m"})
		defer s.Close()
		var failure error
		for s.Next() {
			if failed, ok := s.Current().AsAny().(responses.ResponseFailedEvent); ok {
				failure = errors.New(string(failed.Response.Error.Code) + ": " + failed.Response.Error.Message)
			}
		}
		return errors.Join(s.Err(), failure)
	}
	s := c.openai.Chat.Completions.NewStreaming(context.Background(), openai.ChatCompletionNewParams{
		Model: "m", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("x")},
	})
	defer s.Close()
	for s.Next() {
	}
	return s.Err()
}

func TestSDKsTakeTheWholeStreamsForSuccess(t *testing.T) {
	clients := newSDKClients(t)
	for _, s := range ownStreams {
		if err := clients.read(s.protocol, s.bytes); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		var w Watcher
		got := watch(&w, s.protocol, s.bytes)
		want := Usage{Input: 6, CacheRead: 4, Output: 4, Reasoning: 2}
		if s.protocol == Messages {
			want = Usage{Input: 6, CacheRead: 4, CacheWrite: 3, Output: 9}
		}
		if !got.complete || !got.ended || got.fail || got.usage != want {
			t.Errorf("%s: %+v, want it whole, with usage %+v", s.name, got, want)
		}
	}
}

// TestTruncatedStreamNeverEndsLikeASuccess cuts streams at every byte. Neither
// the Watcher nor a client may take what is left for an answer, whether the
// client got all bytes before the cut or only those of whole events.
func TestTruncatedStreamNeverEndsLikeASuccess(t *testing.T) {
	clients := newSDKClients(t)
	const message = `the "upstream" broke off`
	step := 1
	if testing.Short() {
		step = 17
	}
	for _, s := range ownStreams {
		whole := strings.Index(s.bytes, s.last) + len(s.last)
		for cut := 0; cut < len(s.bytes); cut += step {
			var w Watcher
			w.Reset(s.protocol)
			w.Write([]byte(s.bytes[:cut]))
			unfinished := w.Unfinished()
			w.Close()
			if got := w.Complete(); got != (cut >= whole) {
				t.Fatalf("%s cut at %d: Complete() = %v, whole from %d on", s.name, cut, got, whole)
			}
			if cut >= whole {
				continue
			}
			ending := string(w.AppendStreamError(nil, &Error{Status: 502, Message: message}))
			if err := clients.read(s.protocol, s.bytes[:cut]+ending); err == nil {
				t.Fatalf("%s cut at %d: the SDK takes it for a success", s.name, cut)
			}
			err := clients.read(s.protocol, s.bytes[:cut-unfinished]+ending)
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `\"`, `"`), message) {
				t.Fatalf("%s cut at %d without the %d unfinished bytes: the SDK reports %v, want %q in it", s.name, cut, unfinished, err, message)
			}
		}
	}
}

// TestClientsOfMessagesPassOverHalfAnEvent: they get our error even when the
// relay has passed on half an event.
func TestClientsOfMessagesPassOverHalfAnEvent(t *testing.T) {
	clients := newSDKClients(t)
	s := ownStreams[1]
	cut := strings.Index(s.bytes, "partial_json") + 20
	var w Watcher
	w.Reset(s.protocol)
	w.Write([]byte(s.bytes[:cut]))
	ending := string(w.AppendStreamError(nil, &Error{Status: 529, Message: "try again"}))
	err := clients.read(s.protocol, s.bytes[:cut]+ending)
	var apiError *anthropic.Error
	if !errors.As(err, &apiError) || !strings.Contains(apiError.RawJSON(), `"overloaded_error"`) {
		t.Errorf("the SDK reports %v, want an API error of type overloaded_error", err)
	}
}

func TestFailedResponseContinuesTheStream(t *testing.T) {
	s := ownStreams[2]
	var w Watcher
	w.Reset(s.protocol)
	w.Write([]byte(s.bytes[:strings.Index(s.bytes, "event: response.completed")]))
	got := string(w.AppendStreamError([]byte("before|"), &Error{Status: 429, Message: "a\nb"}))
	want := "before|event: response.failed\n" +
		`data: {"type":"response.failed","sequence_number":4,"response":{"id":"resp_1","object":"response","created_at":1700000000,"status":"failed",` +
		`"error":{"code":"rate_limit_exceeded","message":"a\nb"},"incomplete_details":null,"instructions":null,"max_output_tokens":null,"metadata":{},"model":"m","output":[],` +
		`"parallel_tool_calls":true,"previous_response_id":null,"reasoning":null,"store":false,"temperature":null,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],` +
		`"top_p":null,"truncation":"disabled","usage":null}}` + "\n\n"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStreamErrorOfAnEmptyStream(t *testing.T) {
	for _, tc := range []struct {
		protocol Protocol
		want     string
	}{
		{Chat, `data: {"error":{"message":"m","type":"server_error","param":null,"code":null}}` + "\n\n"},
		{Messages, "event: error\n" + `data: {"type":"error","error":{"type":"api_error","message":"m"}}` + "\n\n"},
	} {
		var w Watcher
		w.Reset(tc.protocol)
		if got := string(w.AppendStreamError(nil, &Error{Message: "m"})); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.protocol, got, tc.want)
		}
	}
}
