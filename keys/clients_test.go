package keys

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
)

// authenticate is what a handler does with the two headers.
func authenticate(c *Clients, authorization, xAPIKey []string) (*Client, Problem) {
	credential, problem := Credential(authorization, xAPIKey)
	if problem != ProblemNone {
		return nil, problem
	}
	client, _ := c.Lookup(credential)
	return client, ProblemNone
}

func newClients(t testing.TB, namesAndKeys ...string) *Clients {
	t.Helper()
	c := NewClients()
	for pair := range slices.Chunk(namesAndKeys, 2) {
		if err := c.Add(pair[0], pair[1]); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// The numbers are the rows of the original's black-box cases.
func TestOnlyTheExactKeyInTheFirstHeaderLetsIn(t *testing.T) {
	const ck = "ck-Abc123xyz"
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+ck))
	c := newClients(t, "alice", ck, "bob", "ck-bob")
	for _, tc := range []struct {
		name                   string
		authorization, xAPIKey []string
		want                   string // client; "" is refused
		problem                Problem
	}{
		{"1 bearer", []string{"Bearer " + ck}, nil, "alice", ProblemNone},
		{"2 bare", []string{ck}, nil, "alice", ProblemNone},
		{"4 nothing", nil, nil, "", ProblemMissing},
		{"5 empty Authorization", []string{""}, nil, "", ProblemMissing},
		{"7 case swapped", []string{"Bearer CK-aBC123XYZ"}, nil, "", ProblemNone},
		{"8 without the last character", []string{"Bearer " + ck[:len(ck)-1]}, nil, "", ProblemNone},
		{"10 lower-case scheme", []string{"bearer " + ck}, nil, "alice", ProblemNone},
		{"11 two schemes", []string{"Bearer Bearer " + ck}, nil, "alice", ProblemNone},
		{"13 wrong Authorization, right X-Api-Key", []string{"Bearer wrong"}, []string{ck}, "", ProblemNone},
		{"X-Api-Key", nil, []string{ck}, "alice", ProblemNone},
		{"X-Api-Key with spaces", nil, []string{" " + ck + "\t"}, "alice", ProblemNone},
		{"X-Api-Key with a scheme", nil, []string{"Bearer " + ck}, "", ProblemNone},
		{"empty X-Api-Key", nil, []string{" "}, "", ProblemMissing},
		{"empty Authorization, right X-Api-Key", []string{"  "}, []string{ck}, "alice", ProblemNone},
		{"bearer without a key", []string{"Bearer"}, nil, "", ProblemMissing},
		{"bearer without a key, right X-Api-Key", []string{"Bearer "}, []string{ck}, "alice", ProblemNone},
		{"spaces everywhere", []string{"  bEaReR   " + ck + "  "}, nil, "alice", ProblemNone},
		{"tab after the scheme", []string{"Bearer\t" + ck}, nil, "alice", ProblemNone},
		{"no space after the scheme", []string{"Bearer" + ck}, nil, "", ProblemNone},
		{"another character at the end", []string{"Bearer " + ck + "x"}, nil, "", ProblemNone},
		{"a space in the key", []string{"Bearer ck- Abc123xyz"}, nil, "", ProblemNone},
		{"basic with the right password", []string{basic}, nil, "", ProblemNone},
		{"two in one value", []string{"Bearer wrong, Bearer " + ck}, nil, "", ProblemNone},
		{"two values, wrong and right", []string{"Bearer wrong", "Bearer " + ck}, nil, "", ProblemAmbiguous},
		{"two values, right and wrong", []string{"Bearer " + ck, "Bearer wrong"}, nil, "", ProblemAmbiguous},
		{"two equal values", []string{"Bearer " + ck, "Bearer " + ck}, nil, "", ProblemAmbiguous},
		{"an empty and a right value", []string{"", "Bearer " + ck}, nil, "", ProblemAmbiguous},
		{"two Authorization, right X-Api-Key", []string{"a", "b"}, []string{ck}, "", ProblemAmbiguous},
		{"two X-Api-Key", nil, []string{ck, ck}, "", ProblemAmbiguous},
		{"right Authorization, two X-Api-Key", []string{ck}, []string{"a", "b"}, "alice", ProblemNone},
		{"right Authorization, another's X-Api-Key", []string{"Bearer ck-bob"}, []string{ck}, "bob", ProblemNone},
		{"the hash", []string{"Bearer " + hashOf(ck, 64)}, nil, "", ProblemNone},
		{"21 KB", []string{"Bearer " + strings.Repeat("k", 21<<10)}, nil, "", ProblemNone},
		{"SQL", []string{"Bearer ' OR '1'='1' --"}, nil, "", ProblemNone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client, problem := authenticate(c, tc.authorization, tc.xAPIKey)
			got := ""
			if client != nil {
				got = client.Name
			}
			if got != tc.want || problem != tc.problem {
				t.Errorf("%q and %q: client %q, problem %v, want client %q, problem %v", tc.authorization, tc.xAPIKey, got, problem, tc.want, tc.problem)
			}
		})
	}
}

func hashOf(key string, digits int) string {
	c := NewClients()
	_ = c.Add("x", key)
	return strings.Repeat(c.byName["x"].Hash, digits/16)
}

func TestClientsRefuseNamesAndKeysThatCannotWork(t *testing.T) {
	const secret = "ck-CANARY"
	for _, tc := range []struct{ name, client, key, want string }{
		{"empty key", "bob", "", "key is empty"},
		{"blank key", "bob", " \n\t", "key is empty"},
		{"empty name", "", "k", "name is empty"},
		{"name taken", "alice", "other", `"alice"`},
		{"key taken", "bob", secret, `client "bob": key is already that of client "alice"`},
		{"key taken, untrimmed", "bob", secret + "\n", `client "alice"`},
		{"newline inside", "bob", "ck-CANARY\nx", "control character"},
		{"NUL inside", "bob", "ck-CANARY\x00x", "control character"},
		{"DEL inside", "bob", "ck-CANARY\x7fx", "control character"},
		{"scheme before the key", "bob", "Bearer ck-CANARY2", "Bearer"},
		{"scheme alone", "bob", "bearer", "Bearer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newClients(t, "alice", secret)
			err := c.Add(tc.client, tc.key)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("Add(%q, %q) = %v, want an error with %q", tc.client, tc.key, err, tc.want)
			}
			if strings.Contains(err.Error(), "CANARY") {
				t.Errorf("error shows the key: %v", err)
			}
			if c.Len() != 1 {
				t.Errorf("Len() = %d after a refused client, want 1", c.Len())
			}
		})
	}
}

func TestClientKeysMayBeShortAndAreTrimmed(t *testing.T) {
	c := newClients(t, "a", "x", "b", " ck-b\n")
	for credential, want := range map[string]string{"x": "a", "ck-b": "b"} {
		if client, ok := c.Lookup(credential); !ok || client.Name != want {
			t.Errorf("Lookup(%q) = %v, %v, want %s", credential, client, ok, want)
		}
	}
	for _, credential := range []string{"", " x", "x ", "X", "ck-b\n"} {
		if client, ok := c.Lookup(credential); ok || client != nil {
			t.Errorf("Lookup(%q) = %v, %v, want nobody", credential, client, ok)
		}
	}
}

func TestClientNamesAreSorted(t *testing.T) {
	c := newClients(t, "carol", "1", "alice", "2", "bob", "3")
	if got, want := strings.Join(c.Names(), " "), "alice bob carol"; got != want {
		t.Errorf("Names() = %s, want %s", got, want)
	}
}

func TestNobodyIsKnownWhenNoClientIs(t *testing.T) {
	c := NewClients()
	for _, credential := range []string{"", "x", "None", "null"} {
		if _, ok := c.Lookup(credential); ok {
			t.Errorf("Lookup(%q) let somebody in", credential)
		}
	}
}

func TestKeysThatShareAHashPrefixStayDifferent(t *testing.T) {
	c := newClients(t, "alice", "ck-alice", "bob", "ck-bob")
	// No two keys with the same 8 bytes can be found, so bob's identity is put
	// where a search for alice looks.
	for prefix, ids := range c.byPrefix {
		if ids[0].client.Name == "alice" {
			c.byPrefix[prefix] = []identity{{client: c.byName["bob"]}, ids[0]}
		}
	}
	if client, ok := c.Lookup("ck-alice"); !ok || client.Name != "alice" {
		t.Errorf("Lookup = %v, %v, want alice", client, ok)
	}
}

func TestClientHashIsThatOfItsKey(t *testing.T) {
	c := newClients(t, "alice", "ck-alice")
	client, _ := c.Lookup("ck-alice")
	if want := "214a711fea74e1c8"; client.Hash != want { // printf ck-alice | sha256sum
		t.Errorf("Hash = %q, want %q", client.Hash, want)
	}
	if out := fmt.Sprintf("%+v %+v", client, c); strings.Contains(out, "ck-alice") {
		t.Errorf("printed clients show a key: %s", out)
	}
}

func TestUnknownKeysLeaveNothingBehind(t *testing.T) {
	c := newClients(t, "alice", "ck-alice")
	n := 0
	allocs := testing.AllocsPerRun(10_000, func() {
		n++
		if _, ok := c.Lookup(randomKeys[n%len(randomKeys)]); ok {
			t.Fatal("a random key was let in")
		}
	})
	if allocs != 0 || c.Len() != 1 || len(c.byPrefix) != 1 {
		t.Errorf("%v allocations per unknown key, %d clients, %d hashes, want 0, 1, 1", allocs, c.Len(), len(c.byPrefix))
	}
}

var randomKeys = func() []string {
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprintf("RANDOM-%0*d", 40+i%400, i)
	}
	return keys
}()

// TestSharedAuthCases runs the auth cases of the shared corpus of bad inputs as far
// as they concern who is let in.
func TestSharedAuthCases(t *testing.T) {
	const corpus = "../../shared/reliability/bad_inputs.jsonl"
	file, err := os.Open(corpus)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is not there: it belongs to the shared data beside the repository", corpus)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	c := newClients(t, "good", "GOOD-KEY")
	ran := 0
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var entry struct {
			ID, Kind, Name string
			Headers        []string
			Expected       struct{ Status []int }
		}
		// Some cases of other kinds have members of other types.
		if err := json.Unmarshal(lines.Bytes(), &entry); err != nil || entry.Kind != "auth" {
			continue
		}
		ran++
		var authorization, xAPIKey []string
		for _, header := range entry.Headers {
			name, value, _ := strings.Cut(header, ":")
			switch strings.ToLower(name) {
			case "authorization":
				authorization = append(authorization, strings.TrimSpace(value))
			case "x-api-key":
				xAPIKey = append(xAPIKey, strings.TrimSpace(value))
			}
		}
		client, problem := authenticate(c, authorization, xAPIKey)
		if want := slices.Contains(entry.Expected.Status, 200); (client != nil) != want {
			t.Errorf("%s (%s): let in = %v with problem %v, want %v", entry.ID, entry.Name, client != nil, problem, want)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if ran == 0 {
		t.Errorf("no case of kind auth in %s", corpus)
	}
}

func FuzzCredential(f *testing.F) {
	f.Add("Bearer k", "", byte(0x11))
	f.Add("bearer Bearer\tbearer", "k", byte(0x11))
	f.Add("", " k ", byte(0x21))
	f.Add("Basic dTpw", "k", byte(0x12))
	f.Fuzz(func(t *testing.T, authorization, xAPIKey string, counts byte) {
		first := slices.Repeat([]string{authorization}, int(counts&3))
		second := slices.Repeat([]string{xAPIKey}, int(counts>>4&3))
		credential, problem := Credential(first, second)
		if (problem == ProblemNone) != (credential != "") {
			t.Fatalf("Credential(%q, %q) = %q, %v", first, second, credential, problem)
		}
		if credential != strings.TrimSpace(credential) {
			t.Errorf("Credential(%q, %q) = %q, which is not trimmed", first, second, credential)
		}
		if len(first) > 1 && problem != ProblemAmbiguous {
			t.Errorf("Credential(%q, %q) = %v, want ambiguous", first, second, problem)
		}
		if len(first) == 0 && len(second) == 0 && problem != ProblemMissing {
			t.Errorf("Credential() = %v, want missing", problem)
		}
		if len(first) == 1 && problem == ProblemNone {
			again, _ := Credential([]string{"Bearer " + authorization}, nil)
			if without, _ := Credential(first, nil); without != again {
				t.Errorf("Credential(%q) = %q, but with another scheme %q", first, without, again)
			}
		}
		if c := NewClients(); problem == ProblemNone && c.Add("x", credential) == nil {
			if _, ok := c.Lookup(credential); !ok {
				t.Errorf("the key %q does not let in its own client", credential)
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	c := NewClients()
	for i := range 1000 {
		if err := c.Add(fmt.Sprint("client", i), fmt.Sprintf("ck-%048d", i)); err != nil {
			b.Fatal(err)
		}
	}
	for name, credential := range map[string]string{"known": fmt.Sprintf("ck-%048d", 500), "unknown": fmt.Sprintf("no-%048d", 500)} {
		header := []string{"Bearer " + credential}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				presented, _ := Credential(header, nil)
				if _, ok := c.Lookup(presented); ok != (name == "known") {
					b.Fatal("wrong answer")
				}
			}
		})
	}
}
