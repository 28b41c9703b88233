package simulated

import (
	"context"
	"math"
	"net/http/httptest"
	"testing"

	"github.com/openai/openai-go/v3"
)

func TestEmbeddingsOfSimilarTextsAreNear(t *testing.T) {
	server := httptest.NewServer(New(Config{}))
	defer server.Close()
	client := openAI(server.URL)
	for _, format := range []openai.EmbeddingNewParamsEncodingFormat{"float", ""} {
		got, err := client.Embeddings.New(context.Background(), openai.EmbeddingNewParams{
			Model: "demo", Dimensions: openai.Int(64), EncodingFormat: format,
			Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"the cat sat on the mat", "a cat sat on a mat", "quarterly revenue forecast"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Data) != 3 || len(got.Data[2].Embedding) != 64 || got.Data[2].Index != 2 || got.Usage.PromptTokens == 0 {
			t.Fatalf("got %s", got.RawJSON())
		}
		near := dot(got.Data[0].Embedding, got.Data[1].Embedding)
		far := dot(got.Data[0].Embedding, got.Data[2].Embedding)
		if one := dot(got.Data[0].Embedding, got.Data[0].Embedding); math.Abs(one-1) > 1e-6 || near <= far {
			t.Errorf("length² %v, similar texts %v, others %v", one, near, far)
		}
	}
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
