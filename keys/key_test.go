package keys

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const canary = "sk-CANARY-0123456789abcdef"

func TestKeyIDIsStableAndDependsOnProviderAndSecretOnly(t *testing.T) {
	k := NewKey("openai", "OPENAI_API_KEY", "sk-1")
	// printf 'openai\0sk-1' | sha256sum
	if want := "08f28bca"; k.ID != want {
		t.Errorf("ID = %q, want %q", k.ID, want)
	}
	if other := NewKey("openai", "ELSEWHERE", "sk-1"); other.ID != k.ID {
		t.Errorf("ID with another source = %q, want %q", other.ID, k.ID)
	}
	if other := NewKey("groq", "OPENAI_API_KEY", "sk-1"); other.ID == k.ID {
		t.Errorf("ID with another provider = %q, want another", other.ID)
	}
}

func TestSecretLosesTheNewlineOfASecretsFile(t *testing.T) {
	for _, in := range []string{"sk-1", "sk-1\n", " sk-1\r\n", "\tsk-1 "} {
		k := NewKey("p", "P_API_KEY", in)
		if k.Secret() != "sk-1" || k.ID != NewKey("p", "", "sk-1").ID {
			t.Errorf("NewKey(%q) = %v with secret %q, want sk-1", in, k, k.Secret())
		}
	}
}

func TestKeyNeverPrintsItsSecret(t *testing.T) {
	k := NewKey("p", "P_API_KEY", canary)
	type exported struct {
		K *Key
		V Key
	}
	type unexported struct {
		k *Key
		v Key
	}
	things := map[string]any{
		"pointer": k, "value": *k, "slice": []*Key{k}, "values": []Key{*k},
		"map": map[string]*Key{"a": k}, "key of map": map[Key]int{*k: 1},
		"exported": exported{k, *k}, "unexported": unexported{k, *k}, "to unexported": &unexported{k, *k},
		"pool":  NewState().Pool("p", []*Key{k}, Limits{}),
		"error": fmt.Errorf("using %v: %w", k, errors.New("refused")),
	}
	for what, thing := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%T", "%t", "%e"} {
			wantNoSecret(t, what+" by "+verb, fmt.Sprintf(verb, thing))
		}
		var text, structured bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("key", "thing", thing)
		slog.New(slog.NewJSONHandler(&structured, nil)).Info("key", "thing", thing)
		wantNoSecret(t, what+" by slog as text", text.String())
		wantNoSecret(t, what+" by slog as JSON", structured.String())
		if out, err := json.Marshal(thing); err == nil { // a map by struct is no JSON
			wantNoSecret(t, what+" by JSON", string(out))
		}
	}
}

func wantNoSecret(t *testing.T, what, out string) {
	t.Helper()
	for _, form := range []string{canary, "CANARY", hex.EncodeToString([]byte(canary))} {
		if strings.Contains(strings.ToLower(out), strings.ToLower(form)) {
			t.Errorf("%s shows the secret: %s", what, out)
		}
	}
}

func TestKeyPrintsAsItsID(t *testing.T) {
	k := NewKey("p", "P_API_KEY", canary)
	asJSON, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ how, got, want string }{
		{"String", k.String(), k.ID},
		{"%v", fmt.Sprintf("%v", k), k.ID},
		{"%+v", fmt.Sprintf("%+v", *k), k.ID},
		{"%#v", fmt.Sprintf("%#v", k), k.ID},
		{"JSON", string(asJSON), `"` + k.ID + `"`},
	} {
		if tc.got != tc.want {
			t.Errorf("by %s: %q, want %q", tc.how, tc.got, tc.want)
		}
	}
}
