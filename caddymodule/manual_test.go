package caddymodule

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// manuals are README.md and those of the rooms by their paths, without what
// stands in fences.
func manuals(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"../README.md", "../*/README.md", "../internal/*/README.md"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v, %v", pattern, paths, err)
		}
		for _, path := range paths {
			found[path] = fenced.ReplaceAllString(manual(t, path), "")
		}
	}
	return found
}

// fenced is a block of code: its language and what is in it.
var fenced = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// blocks are what the fences of a language hold in all manuals.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	var found []string
	for path := range manuals(t) {
		for _, block := range fenced.FindAllStringSubmatch(manual(t, path), -1) {
			if block[1] == language {
				found = append(found, block[2])
			}
		}
	}
	return found
}

func manual(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section is what stands below a heading, up to the next one of its level.
func section(t *testing.T, path, heading string) string {
	t.Helper()
	_, below, found := strings.Cut(manual(t, path), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no section %q", path, heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	below, _, _ = strings.Cut(below, "\n"+level+" ")
	return below
}

func TestTheManualTellsEverySetting(t *testing.T) {
	table := section(t, "../README.md", "### The `llm_proxy` block")
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
	found := blocks(t, "caddyfile")
	if len(found) < 4 {
		t.Fatalf("%d Caddyfiles, want the one of the beginning and those of the matchers", len(found))
	}
	for _, block := range found {
		if _, err := adapt(block); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}

func TestTheManualsJSONIsGood(t *testing.T) {
	found := blocks(t, "json")
	if len(found) < 4 {
		t.Fatalf("%d blocks of JSON, want those of the files", len(found))
	}
	for _, block := range found {
		if !json.Valid([]byte(block)) {
			t.Errorf("no JSON:\n%s", block)
		}
	}
}

func TestTheManualTellsEveryCommand(t *testing.T) {
	table := section(t, "../README.md", "## Command line")
	var walk func(cmd *cobra.Command, path string)
	walk = func(cmd *cobra.Command, path string) {
		for _, below := range cmd.Commands() {
			walk(below, strings.TrimSpace(path+" "+below.Name()))
		}
		if !cmd.HasSubCommands() && !strings.Contains(table, "\n| `"+path) {
			t.Errorf("README.md has no row for %s", path)
		}
	}
	ours := &cobra.Command{Use: "llm-proxy"}
	fillCommand(ours)
	walk(ours, "")
}

func TestTheManualTellsEveryRouteOfTheAdministration(t *testing.T) {
	table := section(t, "README.md", "## Admin API")
	for _, route := range new(adminAPI).Routes() {
		if !regexp.MustCompile("(?m)^\\| `(GET|POST) " + regexp.QuoteMeta(route.Pattern)).MatchString(table) {
			t.Errorf("caddymodule/README.md has no row for %s", route.Pattern)
		}
	}
}

// What the administration answers has no field of which the manuals say nothing.
func TestTheManualTellsEveryFieldOfTheAdministration(t *testing.T) {
	told := section(t, "README.md", "## Admin API") + section(t, "../logging/README.md", "## The state of the log")
	checked := map[reflect.Type]bool{}
	var check func(what reflect.Type, path string)
	check = func(what reflect.Type, path string) {
		for what.Kind() == reflect.Pointer || what.Kind() == reflect.Slice || what.Kind() == reflect.Map {
			what = what.Elem()
		}
		if what.Kind() != reflect.Struct || checked[what] {
			return
		}
		checked[what] = true
		for _, field := range reflect.VisibleFields(what) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" || name == "-" {
				continue
			}
			if !regexp.MustCompile("[`\"]" + name + "[`\"]").MatchString(told) {
				t.Errorf("the manuals do not tell about %s.%s", path, name)
			}
			check(field.Type, path+"."+name)
		}
	}
	for _, answer := range []any{
		fullHealth{},
		modelsAnswer{},
		keysAnswer{},
		planAnswer{},
		resetAnswer{},
		reloadAnswer{},
		reloadRefusal{},
		requestsAnswer{},
		requestAnswer{},
		usageAnswer{},
		databaseAnswer{},
		databaseReset{},
	} {
		check(reflect.TypeOf(answer), reflect.TypeOf(answer).Name())
	}
}

// Every link within the manuals leads to a heading or a file that is there.
func TestTheManualsLinksLeadSomewhere(t *testing.T) {
	texts := manuals(t)
	for path, text := range texts {
		for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(link[1], "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link %s: %v", path, link[1], err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(texts[target]), anchor) {
				t.Errorf("%s: the link %s leads to no heading", path, link[1])
			}
		}
	}
}

// anchors are what GitHub makes of the headings of a manual.
func anchors(text string) []string {
	var found []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		plain := regexp.MustCompile(`[^a-z0-9_ -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		found = append(found, strings.ReplaceAll(plain, " ", "-"))
	}
	return found
}

// A row that is wider than a screen is read by nobody: what does not fit belongs
// into a paragraph.
func TestTheManualsTablesCanBeRead(t *testing.T) {
	const width = 160
	for path, text := range manuals(t) {
		for row := range strings.Lines(text) {
			if length := len([]rune(strings.TrimSpace(row))); row[0] == '|' && length > width {
				t.Errorf("%s has a row of %d characters, want %d at most: %.60s", path, length, width, row)
			}
		}
	}
}
