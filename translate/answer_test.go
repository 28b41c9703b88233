package translate

import (
	"errors"
	"strings"
	"testing"
)

func TestRecordedAnswersAreGood(t *testing.T) {
	for _, f := range fixtures(t, "response") {
		op := Generate
		switch {
		case strings.HasPrefix(f.file, "embeddings/"):
			op = Embed
		case strings.Contains(f.file, "count_tokens"), strings.Contains(f.file, "input_tokens"):
			op = CountTokens
		}
		err := CheckAnswer(f.protocol, op, f.body)
		if broken := strings.Contains(f.shows, "error"); (err != nil) != broken {
			t.Errorf("%s (%s): CheckAnswer = %v", f.file, f.shows, err)
		}
	}
}

func TestAnswersThatAreNotWhole(t *testing.T) {
	choices := `"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]`
	for _, tc := range []struct {
		protocol Protocol
		op       Operation
		body     string
		want     string // in the error; none if empty
	}{
		{Chat, Generate, `{` + choices + `}`, ""},
		{Chat, Generate, " \n\n{" + choices + "}\n", ""},
		{Chat, Generate, ``, "not JSON"},
		{Chat, Generate, `{` + choices, "not JSON"},
		{Chat, Generate, `{` + choices + `}{`, "not JSON"},
		{Chat, Generate, `<html>`, "not JSON"},
		{Chat, Generate, strings.Repeat("[", 8_000_000), "not JSON"},
		{Chat, Generate, "data: {}\n\n", "not JSON"},
		{Chat, Generate, `[]`, "not a JSON object"},
		{Chat, Generate, `null`, "not a JSON object"},
		{Chat, Generate, `"choices"`, "not a JSON object"},
		{Chat, Generate, `{"id":"x"}`, "has no choices"},
		{Chat, Generate, `{"choices":[]}`, "has no choices"},
		{Chat, Generate, `{"choices":{}}`, "has no choices"},
		{Chat, Generate, `{"error":{"message":"boom"},` + choices + `}`, "boom"},
		{Chat, Embed, `{"data":[{"embedding":"AA"}]}`, ""},
		{Chat, Embed, `{` + choices + `}`, "has no data"},
		{Messages, Generate, `{"type":"message","content":[]}`, ""},
		{Messages, Generate, `{"type":"message","content":"a"}`, "has no content"},
		{Messages, Generate, `{"content":[]}`, `has no type "message"`},
		{Messages, CountTokens, `{"input_tokens":3}`, ""},
		{Messages, CountTokens, `{"input_tokens":"3"}`, "has no input_tokens"},
		{Responses, Generate, `{"status":"completed","output":[]}`, ""},
		{Responses, Generate, `{"status":"queued","output":[]}`, ""},
		{Responses, Generate, `{"status":"completed"}`, "has no output"},
		{Responses, Generate, `{"status":"failed","error":{"message":"boom"},"output":[]}`, "boom"},
	} {
		err := CheckAnswer(tc.protocol, tc.op, []byte(tc.body))
		if tc.want == "" {
			if err != nil {
				t.Errorf("%s: CheckAnswer(%.60q) = %v, want nil", tc.protocol, tc.body, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, tc.want) || e.Status != 502 {
			t.Errorf("%s: CheckAnswer(%.60q) = %v, want an *Error of status 502 with %q", tc.protocol, tc.body, err, tc.want)
		}
	}
}

func BenchmarkCheckAnswer(b *testing.B) {
	body := []byte(`{"id":"c1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("hello ", 300) +
		`"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":300,"total_tokens":301}}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := CheckAnswer(Chat, Generate, body); err != nil {
			b.Fatal(err)
		}
		if _, ok := ReadUsage(Chat, body); !ok {
			b.Fatal("no usage")
		}
	}
}
