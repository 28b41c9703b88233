package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

const smallBody = `{"model":"gpt-5.1","messages":[{"role":"system","content":"You are a helpful assistant."},` +
	`{"role":"user","content":"Say hello to the reader in three words."}],"temperature":0.7,"max_tokens":64,"stream":true}`

// language is what the long texts of a benchmark's body are made of: its words
// in random order, so that the processor cannot learn where the escapes are.
type language struct {
	words   []string
	between func(r *rand.Rand) string
}

func sentences(r *rand.Rand) string {
	return []string{" ", " ", " ", " ", " ", " ", " ", " ", ", ", ". ", ".\n"}[r.IntN(11)]
}

var (
	english = language{strings.Fields(`when a provider says that its quota is used up the key rests for as long as the answer
		asks and another one of that pool takes over`), sentences}
	german = language{strings.Fields(`über jeden Schlüssel führt das Gateway Buch läuft sein Kontingent ab so ruht er für die
		genannte Zeit und ein anderer übernimmt`), sentences}
	russian = language{strings.Fields(`шлюз держит набор ключей для каждого провайдера когда квота исчерпана ключ отдыхает
		столько сколько сказано в ответе`), sentences}
	chinese = language{
		strings.Fields(`网关为每个提供商 保留一个密钥池 当某个密钥的 配额已用完时 该密钥将按照 回答所说的时间 休息`),
		func(r *rand.Rand) string { return []string{"", "", "", ",", "。", "。\n"}[r.IntN(6)] },
	}
	sourceCode = language{
		strings.Fields(`if err != nil return key until pool.resting[id] fmt.Errorf("reading %s: %w", ok := now.After(t)
		func (p *Pool) Pick() "\t" 'x' range keys continue`),
		func(r *rand.Rand) string {
			if r.IntN(6) > 0 {
				return " "
			}
			return fmt.Sprintf("\n%6d%s", r.IntN(1000), "\t\t\t\t"[r.IntN(4):])
		},
	}
)

// quoted returns about n bytes of text as a JSON string, with escapes as
// clients write them.
func (l language) quoted(r *rand.Rand, n int) string {
	var text strings.Builder
	for text.Len() < n {
		text.WriteString(l.words[r.IntN(len(l.words))])
		text.WriteString(l.between(r))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text.String())
	return strings.TrimSpace(b.String())
}

// agentBody is a request of about 120 KB as a coding agent sends it: long
// instructions, tool schemas, and a history of tool calls and results in the
// language l.
func agentBody(l language) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	fmt.Fprintf(&b, `{"model":"claude-sonnet-4-5","max_tokens":32000,"stream":true,"system":[{"type":"text","text":%s,`+
		`"cache_control":{"type":"ephemeral"}}],"tools":[`, english.quoted(r, 12_000))
	for i := range 20 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"tool_%d","description":%s,"input_schema":{"type":"object","properties":{`+
			`"file_path":{"type":"string","description":%s},"offset":{"type":"number","minimum":0},`+
			`"limit":{"type":"integer","exclusiveMinimum":0,"maximum":9007199254740991}},"required":["file_path"],"additionalProperties":false}}`,
			i, english.quoted(r, 1000), english.quoted(r, 80))
	}
	b.WriteString(`],"messages":[{"role":"user","content":"Fix the key pool."}`)
	for i := 0; b.Len() < 118_000; i++ {
		fmt.Fprintf(&b, `,{"role":"assistant","content":[{"type":"text","text":%s},`+
			`{"type":"tool_use","id":"toolu_%024d","name":"tool_1","input":{"file_path":"/src/keys/pool.go","offset":%d,"limit":200}}]}`+
			`,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_%024d","content":%s,"is_error":false}]}`,
			english.quoted(r, 160), i, i*200, i, l.quoted(r, 1000+r.IntN(4000)))
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

// manyMessages is a body of many short members and no long strings.
func manyMessages() []byte {
	return []byte(`{"model":"m","messages":[` + strings.Repeat(`{"role":"user","content":"hi"},`, 4000) + `{"role":"user","content":"x"}]}`)
}

// BenchmarkParse compares Parse and Valid with the check of gjson, which looks
// at the grammar only.
func BenchmarkParse(b *testing.B) {
	for _, body := range []struct {
		name string
		doc  []byte
	}{
		{"small", []byte(smallBody)},
		{"agent-code", agentBody(sourceCode)},
		{"agent-english", agentBody(english)},
		{"agent-german", agentBody(german)},
		{"agent-russian", agentBody(russian)},
		{"agent-chinese", agentBody(chinese)},
		{"many-messages", manyMessages()},
	} {
		var o Object
		for _, reader := range []struct {
			name   string
			accept func(doc []byte) bool
		}{
			{"Parse", func(doc []byte) bool { return o.Parse(doc) == nil }},
			{"Valid", func(doc []byte) bool { return Valid(doc) == nil }},
			{"gjson", gjson.ValidBytes},
		} {
			b.Run(body.name+"/"+reader.name, func(b *testing.B) {
				b.SetBytes(int64(len(body.doc)))
				b.ReportAllocs()
				for b.Loop() {
					if !reader.accept(body.doc) {
						b.Fatalf("%s refused the body", reader.name)
					}
				}
			})
		}
	}
}
