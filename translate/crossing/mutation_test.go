package crossing_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// TestDamagedStreamsKeepTheLawOfTheClientsProtocol damages recorded streams in
// every way that a vendor might think of. Random bytes rarely get past the reader
// of events; these do.
func TestDamagedStreamsKeepTheLawOfTheClientsProtocol(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, f := range fixtures(t, "stream") {
		for range mutations {
			stream := damagedStream(random, f.body)
			for _, to := range others(f.protocol) {
				p := pair{f.protocol, to}
				got := relay(asking(p, true), stream)
				told, err := readStream(p.to, got.bytes)
				if err != nil || !told.failed && !got.whole {
					t.Fatalf("%s %s: whole %v, failed %v, %v\n%s\nbecame\n%s", p, f.file, got.whole, told.failed, err, stream, got.bytes)
				}
			}
		}
	}
}

// TestDamagedAnswersStayAnswers damages recorded answers. What a client's check of
// answers lets pass must be an answer in the other protocols.
func TestDamagedAnswersStayAnswers(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, f := range fixtures(t, "response") {
		for range mutations {
			body := damaged(random, f.body)
			if translate.CheckAnswer(f.protocol, translate.Generate, body) != nil {
				continue
			}
			for _, to := range others(f.protocol) {
				p := pair{f.protocol, to}
				if err := translate.CheckAnswer(p.to, translate.Generate, whole(p, body).bytes); err != nil {
					t.Fatalf("%s %s: %v\n%s\nbecame\n%s", p, f.file, err, body, whole(p, body).bytes)
				}
			}
		}
	}
}

// TestDamagedRequestsCrossOrAreRefusedByName damages recorded requests.
func TestDamagedRequestsCrossOrAreRefusedByName(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var o strictjson.Object
	crossed, refused := 0, 0
	for _, f := range fixtures(t, "request") {
		for range mutations {
			body := damaged(random, f.body)
			if o.Parse(body) != nil || translate.CheckRequest(f.protocol, translate.Generate, &o) != nil {
				continue
			}
			for _, to := range others(f.protocol) {
				for _, target := range allTargets {
					r, e := crossing.Translate(nil, f.protocol, body, target.of(to))
					if e != nil {
						refused++
						if e.Param == "" || e.Status != 400 {
							t.Fatalf("%s for %s: the error names no field: %v\n%s", f.file, apiName(to), e, body)
						}
						continue
					}
					crossed++
					if problems := illFormed(to, r.Body); problems != nil {
						t.Fatalf("%s for %s (%s): %v\n%s\nbecame\n%s", f.file, apiName(to), target.name, problems, body, r.Body)
					}
				}
			}
		}
	}
	t.Logf("%d crossed, %d were refused", crossed, refused)
}

// damagedStream drops, doubles, swaps or cuts events, or damages one's data.
func damagedStream(random *rand.Rand, stream []byte) []byte {
	all := strings.SplitAfter(strings.ReplaceAll(string(stream), "\r\n", "\n"), "\n\n")
	for range 1 + random.IntN(3) {
		i, j := random.IntN(len(all)), random.IntN(len(all))
		switch random.IntN(8) {
		case 0:
			all[i] = ""
		case 1:
			all[i] += all[i]
		case 2:
			all[i], all[j] = all[j], all[i]
		case 3:
			all = all[:i+1]
		default:
			if head, data, ok := strings.Cut(all[i], "data:"); ok {
				all[i] = head + "data: " + string(damaged(random, []byte(strings.TrimSpace(data)))) + "\n\n"
			}
		}
	}
	return []byte(strings.Join(all, ""))
}

// damaged changes a JSON document in one place or a few: a value is gone, becomes
// one of another type, or that of its neighbour.
func damaged(random *rand.Rand, doc []byte) []byte {
	for range 1 + random.IntN(3) {
		spans := valueSpans(doc)
		if len(spans) == 0 {
			return doc
		}
		s, other := spans[random.IntN(len(spans))], spans[random.IntN(len(spans))]
		substitutes := []string{
			`null`, `true`, `false`, `0`, `-1`, `1e3`, `12345678901234567890`, `""`, `" "`, `"x"`, `"\ud83d"`, `"\u0000\\\""`, `[]`, `[null]`, `["x"]`, `[[]]`,
			`{}`, `{"type":"x"}`, `{"type":"text","text":"x"}`, `[{"type":"text","text":"x"}]`, `[{}]`, string(doc[other.from:other.to]),
		}
		substitute := substitutes[random.IntN(len(substitutes))]
		doc = bytes.Join([][]byte{doc[:s.from], []byte(substitute), doc[s.to:]}, nil)
	}
	return doc
}

type span struct{ from, to int }

// valueSpans lists the values inside of a document.
func valueSpans(doc []byte) []span {
	var spans []span
	var visit func(v gjson.Result, at int)
	visit = func(v gjson.Result, at int) {
		v.ForEach(func(_, value gjson.Result) bool {
			from := at + value.Index - v.Index
			spans = append(spans, span{from, from + len(value.Raw)})
			if value.IsObject() || value.IsArray() {
				visit(value, from)
			}
			return true
		})
	}
	if root := gjson.ParseBytes(doc); gjson.ValidBytes(doc) && root.IsObject() {
		visit(root, bytes.IndexByte(doc, '{'))
	}
	return spans
}
