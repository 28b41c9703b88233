package crossing_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// saying is one thing that somebody says in a conversation, in no protocol. The
// readers of these tests share no code with the codecs, so that the two cannot
// be wrong together.
type saying struct {
	role   string // system, user, assistant, tool
	kind   string // text, image, document, call, result, thinking
	text   string
	id     string // of a call or result, as every protocol takes it
	name   string
	args   string // canonical JSON; of a custom tool {"input":text}
	source string // of an image or document: a hash of its bytes, or its URL
	seal   string // of thinking: what only its issuer can read
	cached bool   // a breakpoint of the prompt cache
}

func (s saying) String() string {
	text := s.text
	if len(text) > 300 {
		text = fmt.Sprintf("%.200s...(%d bytes, %s)", text, len(text), hash([]byte(text)))
	}
	parts := []string{s.role, s.kind}
	for _, field := range []string{s.id, s.name, s.args, s.source, s.seal} {
		if field != "" {
			parts = append(parts, field)
		}
	}
	if s.text != "" {
		parts = append(parts, fmt.Sprintf("%q", text))
	}
	return strings.Join(parts, " ")
}

// offered is a tool that a model may call.
type offered struct {
	name, description string
	schema            string // canonical JSON
	cached            bool
}

// neutral is a request in no protocol.
type neutral struct {
	said     []saying
	tools    []offered
	settings map[string]string
}

// readRequest reads a request of any protocol.
func readRequest(p translate.Protocol, body []byte) *neutral {
	n := &neutral{settings: map[string]string{}}
	root := gjson.ParseBytes(body)
	switch p {
	case translate.Responses:
		n.readResponses(root)
	case translate.Messages:
		n.readMessages(root)
	default:
		n.readChat(root)
	}
	return n
}

func (n *neutral) say(s saying) {
	if s.kind == "text" && strings.TrimSpace(s.text) == "" {
		return // no protocol minds, and some refuse it
	}
	n.said = append(n.said, s)
}

// set notes a setting that is not the default.
func (n *neutral) set(name string, value gjson.Result) {
	if value.Exists() && value.Type != gjson.Null && !(name == "temperature" && value.Num == 1) {
		n.settings[name] = canonical(value.Raw)
	}
}

// demand notes the schema of the answer, without what Messages requires in every
// object and Chat only in strict ones.
func (n *neutral) demand(schema gjson.Result) {
	if schema.IsObject() {
		n.settings["format"] = strings.ReplaceAll(canonical(schema.Raw), `"additionalProperties":false,`, "")
	}
}

// canonical is JSON with sorted members and no white space; other text as it is.
func canonical(text string) string {
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&v) != nil || d.More() {
		return text
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return text
	}
	return strings.TrimSpace(b.String())
}

// arguments are what a tool is called with.
func arguments(text string) string {
	if strings.TrimSpace(text) == "" {
		return "{}"
	}
	if args := canonical(text); strings.HasPrefix(args, "{") {
		return args
	}
	return wrapped(text) // not an object: what else can be made of it
}

// wrapped is the input of a custom tool where there are only functions.
func wrapped(text string) string {
	quoted, _ := json.Marshal(text)
	return canonical(`{"input":` + string(quoted) + `}`)
}

// schemaOf is a function's schema; none is that of a function without
// parameters.
func schemaOf(schema gjson.Result) string {
	if !schema.IsObject() || len(schema.Map()) == 0 {
		return `{"properties":{},"type":"object"}`
	}
	return canonical(schema.Raw)
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// base64Source is the source of bytes that stand in the request.
func base64Source(mediaType, coded string) string {
	decoded, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		decoded = []byte(coded)
	}
	if mediaType == "image/jpg" {
		mediaType = "image/jpeg" // which is what is meant
	}
	return mediaType + " " + hash(decoded)
}

// urlSource is the source of what a URL names.
func urlSource(url string) string {
	if rest, ok := strings.CutPrefix(url, "data:"); ok {
		if mediaType, coded, ok := strings.Cut(rest, ";base64,"); ok {
			return base64Source(mediaType, coded)
		}
	}
	return "url:" + url
}

// callID is an id in the form that all protocols take.
func callID(id string) string {
	return string(translate.AppendCallID(nil, translate.Text(canonicalText(id))))
}

// canonicalText is a string as the inside of a JSON string.
func canonicalText(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)
	quoted := bytes.TrimSpace(b.Bytes())
	return quoted[1 : len(quoted)-1]
}

// toolName is the name under which all protocols can have a tool.
func toolName(namespace, name string) string {
	var c translate.Conversation
	return c.SentName(translate.Chat, canonicalText(namespace), canonicalText(name)).String()
}

// choose notes a tool choice. forced names the tool of mode "one".
func (n *neutral) choose(mode, forced string) {
	switch mode {
	case "required":
		mode = "any"
	case "function", "tool", "custom":
		mode = "one " + toolName("", forced)
	}
	if mode != "" && mode != "auto" && len(n.tools) > 0 {
		n.settings["tool_choice"] = mode
	}
}

// cacheMarks tells which of what is said and offered ends in a breakpoint. Chat
// cannot have one behind a call.
func (n *neutral) cacheMarks() []string {
	var marks []string
	for _, tool := range n.tools {
		if tool.cached {
			marks = append(marks, "tool "+tool.name)
		}
	}
	for _, s := range n.said {
		if s.cached && s.kind != "call" {
			s.cached = false
			marks = append(marks, s.String())
		}
	}
	return marks
}

// turns splits what is said wherever the speaker changes; tools answer for the
// user. Thinking is left out: see [TestReasoningReturnsToItsIssuerOnly].
func (n *neutral) turns() [][]saying {
	var turns [][]saying
	last := ""
	for _, s := range n.said {
		if s.kind == "thinking" {
			continue
		}
		role := s.role
		if role == "tool" {
			role = "user"
		}
		if role != last {
			turns, last = append(turns, nil), role
		}
		turns[len(turns)-1] = append(turns[len(turns)-1], s)
	}
	return turns
}

// toolLines lists the tools. A custom tool is one that takes a text, which is what
// becomes of it where there are only functions; its grammar is then told in words.
func (n *neutral) toolLines() []string {
	var lines []string
	for _, tool := range n.tools {
		description, _, _ := strings.Cut(tool.description, "The input must follow this ")
		schema := tool.schema
		if schema == `{"additionalProperties":false,"properties":{"input":{"type":"string"}},"required":["input"],"type":"object"}` {
			schema = inputSchema
		}
		lines = append(lines, fmt.Sprintf("%s %q %s", tool.name, squeezed(description), schema))
	}
	return lines
}

// placeholders stand in Chat's tool messages for images and files, which follow in
// a message of the user.
var placeholders = regexp.MustCompile(`\[(image|file) \d+\]( \(in the next message\))?\n?`)

// flat is the conversation in an order that both sides can have: in each turn
// results come first, in Chat calls come last, and neighbouring texts are one.
func (n *neutral) flat(inChat bool) []string {
	var lines []string
	for _, turn := range n.turns() {
		slices.SortStableFunc(turn, func(a, b saying) int { return rank(a, inChat) - rank(b, inChat) })
		var texts strings.Builder
		role := ""
		flush := func() {
			if text := squeezed(texts.String()); text != "" {
				lines = append(lines, role+" text "+text)
			}
			texts.Reset()
		}
		for _, s := range turn {
			s.cached = false
			switch s.kind {
			case "text":
				if s.role != role {
					flush()
				}
				role = s.role
				texts.WriteString(s.text)
				texts.WriteByte('\n')
			default:
				flush()
				lines = append(lines, s.String())
			}
		}
		flush()
	}
	return lines
}

func rank(s saying, inChat bool) int {
	switch {
	case s.kind == "result":
		return 0
	case s.kind == "call" && inChat:
		return 2
	}
	return 1
}

// squeezed is text without white space: between parts, and at the end of
// turns, each protocol has its own.
func squeezed(text string) string {
	text = strings.Join(strings.Fields(placeholders.ReplaceAllString(text, "")), "")
	if len(text) > 300 {
		return fmt.Sprintf("%.200s...(%d bytes, %s)", text, len(text), hash([]byte(text)))
	}
	return text
}
