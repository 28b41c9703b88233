package routing

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// FuzzConfigFile wants every text to be read or refused, with messages of one
// line each.
func FuzzConfigFile(f *testing.F) {
	for _, pattern := range []string{"../config/*/*.json", "testdata/broken/*/*.json", "testdata/broken/*/*/*.json"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l := &loader{env: environmentOf([]string{"A=b"}), providers: make(map[string]*providerFile)}
		file := configFile{name: "x", path: "x.json", text: text}

		p := &providerFile{newDocument(file, providerHome), &Provider{ID: "x"}, nil}
		if !p.broken {
			p.decode(p.Provider)
			checkProvider(p.Provider, p.document)
		}
		l.providers["x"] = p
		m := &modelFile{newDocument(file, modelHome), &Model{}, "x"}
		if !m.broken {
			m.decode(m.Model)
			checkModel(m.Model, m.document, "x")
		}
		l.models = append(l.models, m)
		l.take(p.document)
		l.checkModels()
		l.fillInProviders()
		if !p.broken && !m.broken {
			l.connect()
		}
		for _, said := range problemTexts(append(l.errors, l.warnings...)) {
			if strings.ContainsAny(said, "\n\r") {
				t.Errorf("a message has two lines: %q", said)
			}
		}
		if (p.broken || m.broken) && len(l.errors) == 0 {
			t.Error("a file is refused without a reason")
		}
		if !p.broken {
			r := Route{Provider: p.Provider, Owner: new(Model)}
			r.CapabilitiesFor(string(text[:min(len(text), 100)]))
			for _, protocol := range wireProtocols {
				if !p.Speaks(r.ProtocolFor(translate.Protocol(protocol))) {
					t.Errorf("requests in %q are sent in a protocol that the provider does not speak", protocol)
				}
			}
			for _, protocol := range wireProtocols {
				path := p.Path(translate.Protocol(protocol), true)
				if _, err := EndpointURL("http://h/v1", path, "m"); err != nil {
					t.Errorf("path %q: %v", path, err)
				}
			}
		}
	})
}
