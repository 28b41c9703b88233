package caddymodule

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheManualTellsEverySetting(t *testing.T) {
	text := manual(t)
	table := text[strings.Index(text, "### The `llm_proxy` block"):strings.Index(text, "### Provider files")]
	for field := range reflect.TypeFor[Handler]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "client_keys" {
			name = "client_key" // one a line
		}
		if name != "" && !regexp.MustCompile("(?m)^\\| `"+name+"\\b").MatchString(table) {
			t.Errorf("README.md has no row for %s", name)
		}
		settings := field.Type
		if settings.Kind() == reflect.Pointer {
			settings = settings.Elem()
		}
		if settings.Kind() != reflect.Struct || name == "" {
			continue
		}
		for setting := range settings.Fields() {
			name, _, _ := strings.Cut(setting.Tag.Get("json"), ",")
			if words := strings.ReplaceAll(name, "_", "[_ ]"); !regexp.MustCompile(`\b` + words + `\b`).MatchString(table) {
				t.Errorf("README.md does not tell about %s of %s", name, field.Name)
			}
		}
	}
}

func TestTheManualsCaddyfilesAreGood(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```caddyfile\n(.*?)```").FindAllStringSubmatch(manual(t), -1)
	if len(blocks) < 4 {
		t.Fatalf("%d Caddyfiles, want the one of the beginning and those of the matchers", len(blocks))
	}
	for _, block := range blocks {
		if _, err := adapt(block[1]); err != nil {
			t.Errorf("%v in\n%s", err, block[1])
		}
	}
}

func TestTheManualTellsEveryCommand(t *testing.T) {
	text := manual(t)
	_, section, found := strings.Cut(text, "\n## Command line\n")
	if !found {
		t.Fatal("README.md has no section about the command line")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var walk func(cmd *cobra.Command, path string)
	walk = func(cmd *cobra.Command, path string) {
		for _, below := range cmd.Commands() {
			walk(below, strings.TrimSpace(path+" "+below.Name()))
		}
		if !cmd.HasSubCommands() && !strings.Contains(section, "\n| `"+path) {
			t.Errorf("README.md has no row for %s", path)
		}
	}
	ours := &cobra.Command{Use: "llm-proxy"}
	fillCommand(ours)
	walk(ours, "")
}
