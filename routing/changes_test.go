package routing

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// folder is a directory of configuration files that a test changes.
type folder struct {
	t   *testing.T
	dir string
}

func (f *folder) write(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) remove(name string) {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) dirs() (providers, models string) {
	return filepath.Join(f.dir, "providers"), filepath.Join(f.dir, "models")
}

func (f *folder) load() *Catalog {
	f.t.Helper()
	providers, models := f.dirs()
	catalog, _, err := Load(LoadOptions{ProvidersDir: providers, ModelsDir: models})
	if err != nil {
		f.t.Fatal(err)
	}
	return catalog
}

const (
	someProvider = `{"name": "NAME", "enabled": true, "endpoints": {"base_url": "http://up", "completions": "/c"}, "authentication": {"type": "bearer"}}`
	someModel    = `{"logical_name": "NAME", "model_routings": [{"provider": "p", "model": "x"}]}`
)

func called(name, text string) string {
	return strings.ReplaceAll(text, "NAME", name)
}

func TestChangesNameWhatCameWentAndIsDifferent(t *testing.T) {
	f := &folder{t, t.TempDir()}
	f.write("providers/p.json", called("p", someProvider))
	f.write("providers/q.json", called("q", someProvider))
	f.write("models/b.json", called("b", someModel))
	f.write("models/sub/c.json", called("sub/c", someModel))
	f.write("models/d.json", called("d", someModel))
	before := f.load()
	if changes := f.load().Since(before); changes.Models.Any() || changes.Providers.Any() {
		t.Errorf("without a change: %+v", changes)
	}

	f.remove("providers/q.json")
	f.write("providers/a.json", called("a", someProvider))
	f.write("models/a.json", called("a", someModel))
	f.write("models/z.json", called("z", someModel))
	f.write("models/sub/c.json", called("sub/c", someModel)+"\n")
	f.remove("models/d.json")
	// The same text in another file is the same model.
	f.remove("models/b.json")
	f.write("models/sub/b.json", called("b", someModel))
	want := Changes{
		Providers: Difference{Added: []string{"a"}, Removed: []string{"q"}, Changed: []string{}},
		Models:    Difference{Added: []string{"a", "z"}, Removed: []string{"d"}, Changed: []string{"sub/c"}},
	}
	if got := f.load().Since(before); !reflect.DeepEqual(got, want) {
		t.Errorf("Since = %+v, want %+v", got, want)
	}
}

func TestTheDigestOfFilesIsThatOfTheirCatalogAsLongAsNothingChanges(t *testing.T) {
	f := &folder{t, t.TempDir()}
	f.write("providers/p.json", called("p", someProvider))
	f.write("models/a.json", called("a", someModel))
	seen := map[Digest]string{}
	for _, step := range []struct {
		what   string
		change func()
		same   bool
	}{
		{"nothing", func() {}, false},
		{"another file", func() { f.write("models/b.json", called("b", someModel)) }, false},
		{"a space", func() { f.write("models/b.json", called("b", someModel)+" ") }, false},
		{"a name of the same text", func() {
			f.remove("models/b.json")
			f.write("models/c.json", called("b", someModel)+" ")
		}, false},
		{"a provider", func() { f.write("providers/p.json", called("p", someProvider)+"\n") }, false},
		{"a directory that is no file", func() { f.write("providers/x.json/y", "") }, false},
		{"what is not read", func() { f.write("models/notes.txt", "x"); f.write("models/.a.json.swp", "x") }, true},
		{"the same text again", func() { f.write("models/a.json", called("a", someModel)) }, true},
	} {
		step.change()
		digest := FilesDigest(f.dirs())
		if digest != f.load().Digest() {
			t.Errorf("%s: the digest of the files is not that of their catalog", step.what)
		}
		if earlier, known := seen[digest]; known != step.same {
			t.Errorf("%s: the digest was there before (%q): %t, want %t", step.what, earlier, known, step.same)
		}
		seen[digest] = step.what
	}
	// What cannot be read is told apart, too.
	f.remove("models/a.json")
	f.remove("models/c.json")
	providers, models := f.dirs()
	empty, none := FilesDigest(providers, models), FilesDigest(providers, filepath.Join(models, "none"))
	if _, known := seen[empty]; known || empty == none {
		t.Errorf("an empty directory and one that is not there have digests that others have")
	}
}
