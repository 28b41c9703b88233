package translate

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// claudeCounts returns, by exchange, how many input tokens Anthropic counted.
func claudeCounts(t *testing.T) map[string]int64 {
	counts := map[string]int64{}
	note := func(pair string, usage gjson.Result) {
		n := usage.Get("input_tokens").Int() + usage.Get("cache_read_input_tokens").Int() + usage.Get("cache_creation_input_tokens").Int()
		if n > 0 && len(usage.Get("iterations").Array()) < 2 {
			counts[pair] = n
		}
	}
	for _, f := range fixtures(t, "response") {
		if f.protocol == Messages {
			note(f.pair, gjson.GetBytes(f.body, "usage"))
			note(f.pair, gjson.ParseBytes(f.body)) // of count_tokens
		}
	}
	for _, f := range fixtures(t, "stream") {
		if f.protocol == Messages {
			for line := range strings.Lines(string(f.body)) {
				if data, ok := strings.CutPrefix(line, "data: "); ok && gjson.Get(data, "type").Str == "message_start" {
					note(f.pair, gjson.Get(data, "message.usage"))
				}
			}
		}
	}
	return counts
}

// TestEstimatesAreNearClaudesCounts holds the estimate to what its comment
// promises.
func TestEstimatesAreNearClaudesCounts(t *testing.T) {
	counts := claudeCounts(t)
	var all, near, plain, plainNear int
	for _, f := range fixtures(t, "request") {
		want := counts[f.pair]
		if want == 0 || f.protocol != Messages {
			continue
		}
		got := EstimateTokens(Messages, f.body)
		isNear := got*4 >= want*3 && got*4 <= want*5
		all++
		if isNear {
			near++
		}
		if dependsOnVendor(f.body) {
			continue
		}
		plain++
		if isNear {
			plainNear++
		} else {
			t.Logf("%s: EstimateTokens = %d, Claude counts %d", f.file, got, want)
		}
	}
	t.Logf("within 25 %%: %d of %d requests, %d of the %d that the vendor adds nothing to", near, all, plainNear, plain)
	if near*100 < all*80 || plainNear*100 < plain*95 {
		t.Errorf("within 25 %%: %d of %d requests, want 80 %%; %d of %d plain ones, want 95 %%", near, all, plainNear, plain)
	}
}

// dependsOnVendor reports whether the vendor adds to a request what it does
// not show: search results, pages behind links, a compacted history.
func dependsOnVendor(body []byte) bool {
	for _, tool := range gjson.GetBytes(body, "tools").Array() {
		if kind := tool.Get("type").Str; kind != "" && kind != "custom" {
			return true
		}
	}
	return gjson.GetBytes(body, "mcp_servers").Exists() || gjson.GetBytes(body, "context_management").Exists() ||
		bytes.Contains(body, []byte(`"https://`)) && bytes.Contains(body, []byte(`"image"`))
}

func TestEstimateCountsWhatTheModelReads(t *testing.T) {
	base := `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hello"}]}`
	least := EstimateTokens(Messages, []byte(base))
	prose := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 40) // 400 tokens
	for _, tc := range []struct {
		name     string
		protocol Protocol
		body     string
		min, max int64 // more than without
	}{
		{"system string", Messages, `{"system":"` + prose + `","messages":[{"role":"user","content":"Hello"}]}`, 360, 480},
		{"system blocks", Messages, `{"system":[{"type":"text","text":"` + prose + `","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"Hello"}]}`, 360, 480},
		{"text block", Messages, `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"text","text":"` + prose + `"}]}]}`, 360, 480},
		{"thinking", Messages, `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"thinking","thinking":"` + prose + `","signature":"` + strings.Repeat("QUJD", 999) + `"}]}]}`, 360, 480},
		{"tool input", Messages, `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"tool_use","id":"t","name":"f","input":{"a":{"b":["` + prose + `",1,true]}}}]}]}`, 390, 540},
		{"tool result string", Messages, `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"tool_result","tool_use_id":"t","content":"` + prose + `"}]}]}`, 380, 500},
		{"tool result blocks", Messages, `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"` + prose + `"}]}]}]}`, 380, 500},
		{"text document", Messages, `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"document","title":"T","source":{"type":"text","media_type":"text/plain","data":"` + prose + `"}}]}]}`, 360, 480},
		{"first tool", Messages, `{"messages":[{"role":"user","content":"Hello"}],"tools":[{"name":"f","description":"` + prose + `","input_schema":{"type":"object"}}]}`, 800, 960},
		{"schema", Messages, `{"messages":[{"role":"user","content":"Hello"}],"tools":[{"name":"f","input_schema":{"type":"object","properties":{"a":{"description":"` + prose + `"}}}}]}`, 800, 980},
		{"forced tool", Messages, `{"messages":[{"role":"user","content":"Hello"}],"tool_choice":{"type":"any"}}`, 80, 100},
		{"answer schema", Messages, `{"messages":[{"role":"user","content":"Hello"}],"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}}`, 150, 230},
		{"image by link", Messages, `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}]}]}`, 1590, 1620},
		{"file by id", Messages, `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"document","source":{"type":"file","file_id":"file_1"}}]}]}`, 1590, 1620},
		{"PDF", Messages, `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0xLjQK"}}]}]}`, 1590, 1620},
		{"redacted thinking", Messages, `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"redacted_thinking","data":"` + strings.Repeat("QUJD", 999) + `"}]}]}`, 0, 5},
		{"settings", Messages, `{"model":"` + prose + `","metadata":{"user_id":"` + prose + `"},"messages":[{"role":"user","content":"Hello"}],"stop_sequences":["` + prose + `"]}`, 0, 0},

		{"Chat parts", Chat, `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"text","text":"` + prose + `"}]}]}`, 360, 480},
		{"Chat tool", Chat, `{"messages":[{"role":"user","content":"Hello"}],"tools":[{"type":"function","function":{"name":"f","description":"` + prose + `","parameters":{"type":"object"}}}]}`, 370, 500},
		{"Chat call", Chat, `{"messages":[{"role":"user","content":"Hello","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"` + prose + `"}}]}]}`, 380, 520},
		{"Chat image", Chat, `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]}`, 1590, 1620},
		{"Responses string", Responses, `{"input":"Hello","instructions":"` + prose + `"}`, 360, 480},
		{"Responses items", Responses, `{"input":[{"role":"user","content":"Hello"},{"type":"function_call_output","call_id":"c","output":"` + prose + `"}]}`, 380, 500},
		{"Responses image", Responses, `{"input":[{"role":"user","content":[{"type":"input_text","text":"Hello"},{"type":"input_image","image_url":"https://example.com/a.png"}]}]}`, 1590, 1620},
	} {
		got := EstimateTokens(tc.protocol, []byte(tc.body)) - least
		if got < tc.min || got > tc.max {
			t.Errorf("%s adds %d tokens, want %d to %d", tc.name, got, tc.min, tc.max)
		}
	}
}

func TestTextCostsWhatItsKindCosts(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		min, max   float64 // characters per token
	}{
		// Escapes count as written, hence the many characters of code and JSON.
		{"prose", "Tokenizers cut common English prose into whole words, and rare ones into pieces.", 4, 5.2},
		{"code", `func add(a, b int) int {\n\t\tif a > 0 {\n\t\t\treturn a + b\n\t\t}\n\t\treturn b\n}`, 2.5, 3.8},
		{"JSON", `{\"name\": \"get_weather\", \"parameters\": {\"type\": \"object\", \"count\": 12}}`, 2.5, 3.6},
		{"base64", "c2lnbmF0dXJlIG9mIHNvbWUgdGhpbmtpbmcgYmxvY2sgdGhhdCBpcyBub3QgdGV4dA", 1.2, 3},
		{"Chinese", "快速的棕色狐狸跳过了懒狗", 0.6, 1},
		{"Chinese, escaped", `\u5feb\u901f\u7684\u68d5\u8272`, 0.6 * 6, 1 * 6},
		{"Japanese", "素早い茶色の狐がのろまな犬を飛び越える", 0.6, 1},
		{"emoji", "😀😃😄", 0.3, 0.7},
		{"emoji, escaped", `\ud83d\ude00\ud83d\ude03`, 0.3 * 12, 0.7 * 12},
		{"Cyrillic", "Быстрая коричневая лиса перепрыгивает через ленивую собаку", 1.7, 2.6},
		{"broken", "\xff\xfe\xfd", 0.5, 4},
		{"cut escapes", `a\u12`, 1, 9},
	} {
		got := float64(len([]rune(tc.text))) * 100 / float64(textSize([]byte(tc.text)))
		if got < tc.min || got > tc.max {
			t.Errorf("%s: %.2f characters per token, want %v to %v", tc.name, got, tc.min, tc.max)
		}
	}
}

func TestLongTextsCostWhatTheirPartsCost(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob = %v, %v", files, err)
	}
	var sampled, whole int64
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := rawjson.AppendEscaped(nil, source)
		sampled += textSize(text)
		whole += meterText(text)
		for _, size := range []int{minSplit - 1, minSplit, minSample - 1, minSample} {
			if len(text) < size {
				continue
			}
			got, want := textSize(text[:size]), meterText(text[:size])
			if got*4 < want*3 || got*4 > want*5 {
				t.Errorf("%s, %d bytes: %d, want about %d", file, size, got, want)
			}
		}
	}
	if diff := sampled - whole; diff*20 > whole || diff*20 < -whole {
		t.Errorf("all: %d, want %d", sampled, whole)
	}
	t.Logf("all: %d for %d", sampled, whole)
}

func TestImagesCostByTheirSize(t *testing.T) {
	picture := image.NewPaletted(image.Rect(0, 0, 640, 480), color.Palette{color.Black, color.White})
	var asPNG, asJPEG, asGIF bytes.Buffer
	for _, err := range []error{png.Encode(&asPNG, picture), jpeg.Encode(&asJPEG, picture, nil), gif.Encode(&asGIF, picture, nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	exif := "\xFF\xD8\xFF\xE1\x00\x10" + strings.Repeat("e", 14) + asJPEG.String()[2:]
	webP := func(chunk string) string { return "RIFF\x00\x00\x00\x00WEBP" + chunk }
	const want = 640 * 480 / 750
	for name, tc := range map[string]struct {
		file string
		want int64
	}{
		"PNG":            {asPNG.String(), want},
		"JPEG":           {asJPEG.String(), want},
		"JPEG with Exif": {exif, want},
		"GIF":            {asGIF.String(), want},
		"WebP, lossy":    {webP("VP8 \x00\x00\x00\x00\x00\x00\x00\x9d\x01\x2a\x80\x02\xe0\x01"), want},
		"WebP, lossless": {webP("VP8L\x00\x00\x00\x00\x2f\x7f\xc2\x77\x00\x00\x00\x00\x00\x00"), want},
		"WebP, extended": {webP("VP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x7f\x02\x00\xdf\x01\x00"), want},
		"huge PNG":       {"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\xff\xff\xff\xff\xff\xff\xff\xff", 1600},
		"cut PNG":        {"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", 1600},
		"cut JPEG":       {"\xFF\xD8\xFF\xE0\xFF", 1600},
		"endless JPEG":   {"\xFF\xD8" + strings.Repeat("\xFF", 90_000), 1600},
	} {
		encoded := base64.StdEncoding.EncodeToString([]byte(tc.file))
		for _, source := range []string{
			`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + encoded + `"}}`,
			`{"type":"image_url","image_url":{"url":"data:image/png;base64,` + encoded + `"}}`,
		} {
			without := EstimateTokens(Messages, []byte(`{"messages":[{"role":"user","content":[]}]}`))
			got := EstimateTokens(Messages, []byte(`{"messages":[{"role":"user","content":[`+source+`]}]}`)) - without
			if got != tc.want {
				t.Errorf("%s in %.20s: %d tokens, want %d", name, source, got, tc.want)
			}
		}
	}
}

func TestEstimateIsNeverZero(t *testing.T) {
	for _, body := range []string{"", "{}", "null", "[", "]", "}}}}", `"x`, `{"messages":[]}`, strings.Repeat("[", 100_000), strings.Repeat(`{"messages":`, 1000)} {
		if got := EstimateTokens(Messages, []byte(body)); got < 1 {
			t.Errorf("EstimateTokens(%.20q) = %d", body, got)
		}
	}
}

func FuzzEstimateTokens(f *testing.F) {
	f.Add([]byte(`{"system":"s","messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","data":"iVBORw0KGgo"}}]}],"tools":[{"name":"f","input_schema":{"a":[1,true]}}]}`))
	f.Add([]byte(`{"input":["\ud83d\u12`))
	f.Add([]byte(`{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,/9j/4AAA"}}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, p := range []Protocol{Chat, Responses, Messages} {
			got := EstimateTokens(p, body)
			// The dearest byte is one of a file's shortest link.
			if got < 1 || got > 1000+1800*int64(len(body)) {
				t.Fatalf("EstimateTokens = %d for %d bytes", got, len(body))
			}
		}
	})
}

// agentRequest is a request of that size as an agent sends it after some turns:
// sources of this package are what its tools have read.
func agentRequest(tb testing.TB, size int) []byte {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		tb.Fatalf("Glob = %v, %v", files, err)
	}
	body := []byte(`{"model":"m","max_tokens":32000,"stream":true,"system":[{"type":"text","text":"You are an agent.","cache_control":{"type":"ephemeral"}}],"messages":[`)
	const most = 3000 // what a tool returns of a file
	for i := 0; len(body) < size; i++ {
		source, err := os.ReadFile(files[i%len(files)])
		if err != nil {
			tb.Fatal(err)
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"role":"assistant","content":[{"type":"text","text":"Let me look at the next file."},{"type":"tool_use","id":"t","name":"Read","input":{"path":"next.go"}}]},`...)
		body = append(body, `{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":`...)
		body = rawjson.AppendString(body, source[:min(len(source), most)])
		body = append(body, `}]}`...)
	}
	return append(body, `],"tools":[{"name":"Read","description":"Reads a file.","input_schema":{"type":"object","properties":{"path":{"type":"string"}}}}]}`...)
}

func BenchmarkEstimateTokens(b *testing.B) {
	body := agentRequest(b, 120<<10)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if EstimateTokens(Messages, body) < 1000 {
			b.Fatal("too few")
		}
	}
}
