package simulated

import (
	"reflect"
	"testing"
	"time"
)

func TestWordsOfAModelNameAreUnderstood(t *testing.T) {
	for _, tc := range []struct {
		model string
		want  behaviour
	}{
		{"demo", behaviour{}},
		{"demo-", behaviour{}},
		{"gpt-6-429", behaviour{}},
		{"demo-tools+parallel+text", behaviour{tools: true, parallel: true, preface: true}},
		{"demo-THINKING+Json", behaviour{thinking: true, json: true}},
		{"demo-slow", behaviour{pace: pace{2 * time.Second, 100 * time.Millisecond}}},
		{"demo-slow-7", behaviour{pace: pace{7 * time.Millisecond, 7 * time.Millisecond}}},
		{"demo-slow-7-8+tools", behaviour{tools: true, pace: pace{7 * time.Millisecond, 8 * time.Millisecond}}},
		{"demo-slow-99999999", behaviour{pace: pace{10 * time.Minute, 10 * time.Minute}}},
		{"demo-long", behaviour{long: 2000}},
		{"demo-long-9999999", behaviour{long: maxCount}},
		{"demo-bench-5-3", behaviour{bench: 5, pace: pace{gap: 3 * time.Millisecond}}},
		{"demo-429", behaviour{failure: "429", wait: -1}},
		{"demo-429-0", behaviour{failure: "429", wait: 0}},
		{"demo-cut-early", behaviour{fault: fault{cut, beforeContent}}},
		{"demo-flaky", behaviour{flaky: 1}},
		{"demo-silent-250", behaviour{fault: fault{silence, beforeContent}, ping: 250 * time.Millisecond}},
		{"demo-html", behaviour{page: htmlPage}},
		{"demo-tolls", behaviour{unknown: "tolls"}},
		{"demo-tools-3", behaviour{unknown: "tools-3"}},
		{"demo-slow-1-2-3", behaviour{unknown: "slow-1-2-3"}},
		{"demo-429-1-2", behaviour{unknown: "429-1-2"}},
		{"demo-200", behaviour{unknown: "200"}},
		{"demo--5", behaviour{unknown: "-5"}},
		{"demo-slow-", behaviour{unknown: "slow-"}},
	} {
		var got behaviour
		got.applyModel(tc.model)
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("applyModel(%q) = %+v, want %+v", tc.model, got, tc.want)
		}
	}
}

func TestADirectiveIsALineOfTheTextThatBeginsWithDemo(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"Hello", ""},
		{"demo: tools", "tools"},
		{"Hello\n  demo:  tools, slow-5 \nBye", "tools, slow-5"},
		{"demo: a\ndemo: b", "a"},
		{"This is a demo: nothing more", ""},
		{"demo:", ""},
	} {
		if got := directive(tc.text); got != tc.want {
			t.Errorf("directive(%q) = %q, want %q", tc.text, got, tc.want)
		}
	}
}

func TestWordsOfADirectiveAreUnderstood(t *testing.T) {
	for _, tc := range []struct {
		line string
		want behaviour
	}{
		{"tools, thinking", behaviour{tools: true, thinking: true}},
		{"call weather", behaviour{call: "weather"}},
		{`thinking call weather {"city": "Oslo, N"}`, behaviour{thinking: true, call: "weather", args: `{"city": "Oslo, N"}`}},
		{`call weather {"city"`, behaviour{unknown: `{"city"`}},
		{"recall this", behaviour{unknown: "recall"}},
	} {
		var got behaviour
		got.applyLine(tc.line)
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("applyLine(%q) = %+v, want %+v", tc.line, got, tc.want)
		}
	}
}
