package translate

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestMarksAreFoundWhereverTheyStand(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	letters := []byte("lgw1._sig ")
	for range 100_000 {
		text := make([]byte, random.IntN(12))
		for i := range text {
			text[i] = letters[random.IntN(len(letters))]
		}
		if random.IntN(2) == 0 {
			mark := []string{EnvelopeMark, signedCallID}[random.IntN(2)]
			text = append(text, mark[:random.IntN(len(mark)+1)]...)
		}
		want := bytes.Contains(text, []byte(EnvelopeMark)) || bytes.Contains(text, []byte(signedCallID))
		if got := Marked(text); got != want {
			t.Fatalf("Marked(%q) = %v, want %v", text, got, want)
		}
	}
}

func BenchmarkMarked(b *testing.B) {
	const line = `{"type":"tool_result","tool_use_id":"toolu_01AbCdEf","content":"func (s *Stream) next_event() ([]byte, error) { return s.read_all(16) } // long lines are all right\n"},`
	body := bytes.Repeat([]byte(line), 120<<10/len(line))
	for name, marked := range map[string]func([]byte) bool{
		"by the rare byte": Marked,
		"by bytes.Contains": func(body []byte) bool {
			return bytes.Contains(body, []byte(signedCallID)) || bytes.Contains(body, []byte(EnvelopeMark))
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if marked(body) {
					b.Fatal("marked")
				}
			}
		})
	}
}
