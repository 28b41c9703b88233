package simulated

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	defaultDimensions = 256
	maxDimensions     = 4096
	maxInputs         = 2048 // as the real service
)

// embed answers a request for embeddings.
func (x *exchange) embed(b *behaviour, body string) {
	f := gjson.GetMany(body, "input", "dimensions", "encoding_format", "model")
	inputs := embeddingInputs(f[0])
	dimensions := defaultDimensions
	if f[1].Exists() {
		dimensions = int(f[1].Int())
	}
	var problem *failure
	switch {
	case len(inputs) == 0:
		problem = invalid("missing_required_parameter", "input", "'input' must be a string or an array of strings or tokens, and not empty.")
	case len(inputs) > maxInputs:
		problem = invalid("invalid_value", "input", "'input' must not have more than 2048 entries.")
	case dimensions < 1 || dimensions > maxDimensions:
		problem = invalid("invalid_value", "dimensions", "'dimensions' must be between 1 and 4096.")
	}
	if problem != nil {
		x.fail(*problem, -1)
		return
	}
	dst := []byte(`{"object":"list","data":[`)
	length := 0
	for i, in := range inputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"object":"embedding","index":`...)
		dst = strconv.AppendInt(dst, int64(i), 10)
		dst = append(dst, `,"embedding":`...)
		dst = appendVector(dst, vector(in, dimensions), f[2].Str == "base64")
		dst = append(dst, '}')
		length += len(in)
	}
	n := strconv.Itoa(tokens(length))
	dst = append(dst, `],"model":`...)
	dst = quote(dst, f[3].String())
	dst = append(dst, `,"usage":{"prompt_tokens":`+n+`,"total_tokens":`+n+`}}`...)
	x.reply(b, dst)
}

// embeddingInputs returns the texts of an input; a list of tokens counts as the
// text of its numbers. It returns nil if there are none or one is empty.
func embeddingInputs(v gjson.Result) []string {
	list := []gjson.Result{v}
	if v.IsArray() {
		list = v.Array()
		if len(list) > 0 && list[0].Type == gjson.Number {
			list = []gjson.Result{v}
		}
	}
	out := make([]string, 0, len(list))
	for _, in := range list {
		text := ""
		switch {
		case in.Type == gjson.String:
			text = in.String()
		case in.IsArray():
			text = strings.NewReplacer("[", "", "]", "", ",", " ").Replace(in.Raw)
		}
		if strings.TrimSpace(text) == "" {
			return nil
		}
		out = append(out, text)
	}
	return out
}

// vector returns a vector of length 1 that depends on the words of a text, so
// that texts with common words are near each other.
func vector(text string, dimensions int) []float32 {
	v := make([]float32, dimensions)
	h := fnv.New64a()
	sum := 0.0
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		h.Reset()
		_, _ = h.Write([]byte(word)) // never fails
		n := h.Sum64()
		if n>>63 == 0 {
			v[n%uint64(dimensions)]++
		} else {
			v[n%uint64(dimensions)]--
		}
	}
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	if sum == 0 { // the words cancel each other
		v[0], sum = 1, 1
	}
	for i := range v {
		v[i] = float32(float64(v[i]) / math.Sqrt(sum))
	}
	return v
}

func appendVector(dst []byte, v []float32, asBase64 bool) []byte {
	if asBase64 {
		raw := make([]byte, 0, 4*len(v))
		for _, f := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
		}
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, raw)
		return append(dst, '"')
	}
	dst = append(dst, '[')
	for i, f := range v {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(dst, float64(f), 'g', -1, 32)
	}
	return append(dst, ']')
}
