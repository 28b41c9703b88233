package routing

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var updateConfigGolden = flag.Bool("update-config", false, "rewrite the golden files of configuration messages")

// compareGolden wants text to be what a file of testdata holds.
func compareGolden(t *testing.T, path, text string) {
	t.Helper()
	if *updateConfigGolden {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs; run with -update-config and look at the difference. Got:\n%s", path, text)
	}
}

func TestEverythingThatIsWrongIsToldAtOnce(t *testing.T) {
	t.Chdir("testdata")
	_, _, err := Load(LoadOptions{ProvidersDir: "broken/providers", ModelsDir: "broken/models"})
	if err == nil {
		t.Fatal("the broken directory loads")
	}
	compareGolden(t, "broken.golden", err.Error()+"\n")
	if strings.Contains(err.Error(), "very-secret") {
		t.Error("the messages tell a secret")
	}
}
