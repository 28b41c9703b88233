package translate

import "testing"

func TestUsageIsDisjointWhateverTheVendorCounts(t *testing.T) {
	for _, tc := range []struct {
		vendor   string
		protocol Protocol
		usage    string
		want     Usage
	}{
		{
			"OpenAI", Chat, `{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":10},"completion_tokens_details":{"reasoning_tokens":20}}`,
			Usage{Input: 30, CacheRead: 60, CacheWrite: 10, Output: 30, Reasoning: 20},
		},
		{"embeddings", Chat, `{"prompt_tokens":8,"total_tokens":8}`, Usage{Input: 8}},
		{
			"xAI: reasoning beside completion", Chat, `{"prompt_tokens":468,"completion_tokens":77,"total_tokens":1127,"prompt_tokens_details":{"cached_tokens":467},"completion_tokens_details":{"reasoning_tokens":582}}`,
			Usage{Input: 1, CacheRead: 467, Output: 77, Reasoning: 582},
		},
		{"Gemini: thoughts in the total only", Chat, `{"prompt_tokens":35,"completion_tokens":12,"total_tokens":109}`, Usage{Input: 35, Output: 12, Reasoning: 62}},
		{"Gemini: nothing but thoughts", Chat, `{"prompt_tokens":35,"total_tokens":109}`, Usage{Input: 35, Reasoning: 74}},
		{"DeepSeek", Chat, `{"prompt_tokens":100,"completion_tokens":1,"total_tokens":101,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}`, Usage{Input: 36, CacheRead: 64, Output: 1}},
		{"Together, Kimi", Chat, `{"prompt_tokens":100,"completion_tokens":1,"total_tokens":101,"cached_tokens":64}`, Usage{Input: 36, CacheRead: 64, Output: 1}},
		{"Mistral: audio beside the prompt", Chat, `{"prompt_audio_seconds":203,"prompt_tokens":4,"completion_tokens":635,"total_tokens":3264}`, Usage{Input: 2629, Output: 635}},
		{"more cached than read", Chat, `{"prompt_tokens":7,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":161}}`, Usage{CacheRead: 7, Output: 8}},
		{"more reasoning than written", Chat, `{"prompt_tokens":43,"completion_tokens":10,"total_tokens":53,"completion_tokens_details":{"reasoning_tokens":11}}`, Usage{Input: 43, Reasoning: 10}},
		{"negative", Chat, `{"prompt_tokens":-5,"completion_tokens":-100000}`, Usage{}},
		{"huge", Chat, `{"prompt_tokens":1e300,"completion_tokens":9223372036854775808}`, Usage{Input: 1 << 40, Output: 1 << 40}},
		{"text", Chat, `{"prompt_tokens":"5","completion_tokens":3}`, Usage{Output: 3}},
		{
			"OpenAI", Responses, `{"input_tokens":100,"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":10},"output_tokens":50,"output_tokens_details":{"reasoning_tokens":20},"total_tokens":150}`,
			Usage{Input: 30, CacheRead: 60, CacheWrite: 10, Output: 30, Reasoning: 20},
		},
		{
			"Anthropic", Messages, `{"input_tokens":30,"cache_read_input_tokens":60,"cache_creation_input_tokens":10,"output_tokens":50,"output_tokens_details":{"thinking_tokens":20}}`,
			Usage{Input: 30, CacheRead: 60, CacheWrite: 10, Output: 30, Reasoning: 20},
		},
		{"Anthropic, nulls", Messages, `{"input_tokens":30,"cache_read_input_tokens":null,"cache_creation_input_tokens":null,"output_tokens":50}`, Usage{Input: 30, Output: 50}},
		{
			"Anthropic, compaction", Messages, `{"input_tokens":229,"output_tokens":5,"iterations":[{"type":"compaction","input_tokens":100,"cache_creation_input_tokens":55096,"output_tokens":131},{"type":"message","input_tokens":229,"output_tokens":5}]}`,
			Usage{Input: 329, CacheWrite: 55096, Output: 136},
		},
		{
			"Anthropic, fallback", Messages, `{"input_tokens":229,"output_tokens":5,"iterations":[{"type":"message","input_tokens":100,"output_tokens":1},{"type":"fallback_message","input_tokens":229,"output_tokens":5}]}`,
			Usage{Input: 229, Output: 5},
		},
		{"Anthropic, no iterations", Messages, `{"input_tokens":229,"output_tokens":5,"iterations":[]}`, Usage{Input: 229, Output: 5}},
	} {
		got, ok := ReadUsage(tc.protocol, []byte(`{"id":"x","usage":`+tc.usage+`}`))
		if !ok || got != tc.want {
			t.Errorf("%s: ReadUsage = %+v, %v, want %+v", tc.vendor, got, ok, tc.want)
		}
	}
}

func TestAnswersWithoutUsageHaveNone(t *testing.T) {
	for _, p := range []Protocol{Chat, Responses, Messages} {
		for _, body := range []string{``, `{}`, `{"usage":null}`, `{"usage":{}}`, `{"usage":7}`, `{"usage":{"cost":1}}`, `not JSON`} {
			if u, ok := ReadUsage(p, []byte(body)); ok || u != (Usage{}) {
				t.Errorf("%s: ReadUsage(%q) = %+v, %v, want none", p, body, u, ok)
			}
		}
	}
}

func TestGroqReportsUsageAside(t *testing.T) {
	got, ok := ReadUsage(Chat, []byte(`{"x_groq":{"id":"r","usage":{"prompt_tokens":2,"completion_tokens":3}}}`))
	if want := (Usage{Input: 2, Output: 3}); !ok || got != want {
		t.Errorf("ReadUsage = %+v, %v, want %+v", got, ok, want)
	}
}

func TestTotalIsTheSumOfAllCounters(t *testing.T) {
	u := Usage{Input: 1, CacheRead: 2, CacheWrite: 4, Output: 8, Reasoning: 16}
	if got := u.Total(); got != 31 {
		t.Errorf("Total() = %d, want 31", got)
	}
}

// TestLaterUsageWinsKeyByKey: GLM counts cached tokens as input in its first
// event and splits them in the last, which may also leave keys out.
func TestLaterUsageWinsKeyByKey(t *testing.T) {
	var w Watcher
	got := watch(&w, Messages, `data: {"type":"message_start","message":{"content":[],"usage":{"input_tokens":100,"cache_creation_input_tokens":7,"output_tokens":1}}}`+"\n\n"+
		`data: {"type":"message_delta","delta":{},"usage":{"input_tokens":40,"cache_read_input_tokens":60,"output_tokens":9}}`+"\n\n")
	if want := (Usage{Input: 40, CacheRead: 60, CacheWrite: 7, Output: 9}); got.usage != want {
		t.Errorf("Usage() = %+v, want %+v", got.usage, want)
	}
}
