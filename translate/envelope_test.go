package translate

import (
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

func TestEnvelopesKeepWhatIsInThem(t *testing.T) {
	for _, seal := range []string{
		`{"type":"thinking","thinking":"Hm…\n","signature":"s+/="}`,
		`{"type":"reasoning","id":"rs_1","encrypted_content":"` + strings.Repeat("Q", 10_000) + `"}`,
		`[1]`, ``,
	} {
		for _, provider := range []string{"anthropic", "my.provider-1"} {
			var c Conversation
			envelope := AppendEnvelope(nil, provider, Value(seal))
			if !rawjson.Valid(rawjson.AppendText(nil, envelope)) {
				t.Errorf("%.80s is not fit for a string", envelope)
			}
			gotProvider, got, ok := c.OpenEnvelope(envelope)
			if gotProvider != provider || string(got) != seal || !ok {
				t.Errorf("OpenEnvelope(%.80s) = %q, %.80s, %v", envelope, gotProvider, got, ok)
			}
		}
	}
}

func TestOtherSignaturesAreNoEnvelopes(t *testing.T) {
	var c Conversation
	for _, signature := range []string{"", "EqQBCgIYAhIkMDE", "lgw", "LGW1.a.b", "xlgw1.a.b"} {
		if provider, seal, ok := c.OpenEnvelope(Text(signature)); ok || provider != "" || seal != nil {
			t.Errorf("OpenEnvelope(%s) = %q, %s, %v", signature, provider, seal, ok)
		}
	}
}

func TestDamagedEnvelopesAreEmpty(t *testing.T) {
	var c Conversation
	whole := string(AppendEnvelope(nil, "p", Value(`{"a":"b"}`)))
	kept := c.Own([]byte("kept"))
	for _, envelope := range []string{"lgw1.", "lgw1.p", "lgw1.p.!!!", whole[:len(whole)-3], "lgw1.p.e30x", "lgw1.p." + "bm9KU09O"} {
		_, seal, ok := c.OpenEnvelope(Text(envelope))
		if !ok || len(seal) > 0 {
			t.Errorf("OpenEnvelope(%s) = %s, %v", envelope, seal, ok)
		}
	}
	if string(kept) != "kept" {
		t.Errorf("another text became %q", kept)
	}
}

func FuzzOpenEnvelope(f *testing.F) {
	f.Add("lgw1.p.e30")
	f.Add("lgw1..")
	f.Fuzz(func(t *testing.T, s string) {
		var c Conversation
		provider, seal, ok := c.OpenEnvelope(Text(s))
		if ok != strings.HasPrefix(s, EnvelopeMark) || !ok && provider != "" {
			t.Errorf("OpenEnvelope(%q) = %q, %v", s, provider, ok)
		}
		if len(seal) > 0 && !rawjson.Valid(seal) {
			t.Errorf("OpenEnvelope(%q) = %s, want JSON", s, seal)
		}
	})
}
