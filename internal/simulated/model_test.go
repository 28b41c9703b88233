package simulated

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
)

func TestModelsAreListedInBothShapes(t *testing.T) {
	server := httptest.NewServer(New(Config{Models: []string{"demo", "vendor/models/large"}}))
	defer server.Close()
	oai, ant := openAI(server.URL), anthropicClient(server.URL)
	want := []string{"demo", "vendor/models/large"}

	var names []string
	for list := oai.Models.ListAutoPaging(context.Background()); list.Next(); {
		names = append(names, list.Current().ID)
	}
	if !slices.Equal(names, want) {
		t.Errorf("OpenAI's list is %q, want %q", names, want)
	}
	names = nil
	for list := ant.Models.ListAutoPaging(context.Background(), anthropic.ModelListParams{}); list.Next(); {
		names = append(names, list.Current().ID)
	}
	if !slices.Equal(names, want) {
		t.Errorf("Anthropic's list is %q, want %q", names, want)
	}
	if m, err := oai.Models.Get(context.Background(), "vendor/models/large"); err != nil || m.ID != "vendor/models/large" {
		t.Errorf("Get = %v, %v", m, err)
	}
	if _, err := ant.Models.Get(context.Background(), "demo-nonsense", anthropic.ModelGetParams{}); err == nil || !strings.Contains(err.Error(), "not_found_error") {
		t.Errorf("Get of an unknown model = %v, want a not_found_error", err)
	}
}
