package strictjson

import (
	"bufio"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sharedData is where the checked-out repository has its test data beside it.
const sharedData = "../../../shared/"

// badInput is one line of the collection of bad inputs.
type badInput struct {
	ID, Kind, Name, Layer string
	Headers               []string
	Payload               struct {
		Enc      string
		Data     string
		Segments []struct {
			Lit, Rep string
			B64      []byte
			N        int
		}
	}
	Expected struct{ Status []*int }
}

// body builds the bytes of the payload.
func (in badInput) body(t *testing.T) []byte {
	switch in.Payload.Enc {
	case "utf8":
		return []byte(in.Payload.Data)
	case "base64":
		var b []byte
		if err := json.Unmarshal([]byte(`"`+in.Payload.Data+`"`), &b); err != nil {
			t.Fatalf("%s: decoding the payload: %v", in.ID, err)
		}
		return b
	case "segments":
		var b []byte
		for _, s := range in.Payload.Segments {
			b = append(append(b, s.Lit...), s.B64...)
			b = append(b, strings.Repeat(s.Rep, s.N)...)
		}
		return b
	}
	t.Fatalf("%s: unknown encoding %q", in.ID, in.Payload.Enc)
	return nil
}

// only reports whether status is the one expected status.
func (in badInput) only(status int) bool {
	s := in.Expected.Status
	return len(s) == 1 && s[0] != nil && *s[0] == status
}

func TestBadInputsAreRefusedAndGoodOnesAccepted(t *testing.T) {
	file, err := os.Open(sharedData + "reliability/bad_inputs.jsonl")
	if err != nil {
		t.Skipf("no collection of bad inputs: %v", err)
	}
	defer file.Close()
	var refusedCount, acceptedCount int
	kinds := []string{"json-syntax", "json-encoding", "json-ambiguity", "json-resource"}
	var o Object
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var in badInput
		if err := json.Unmarshal(lines.Bytes(), &in); err != nil {
			t.Fatalf("reading a bad input: %v", err)
		}
		if in.Layer != "http-body" || !slices.Contains(kinds, in.Kind) {
			continue
		}
		// A body with a header of its own fails or passes for that reason.
		if len(in.Headers) > 0 {
			continue
		}
		switch {
		case in.only(400):
			refusedCount++
			if o.Parse(in.body(t)) == nil {
				t.Errorf("%s: Parse of %q = nil, want an error", in.ID, in.Name)
			}
		case in.only(200):
			acceptedCount++
			if err := o.Parse(in.body(t)); err != nil {
				t.Errorf("%s: Parse of %q = %v, want nil", in.ID, in.Name, err)
			}
		default:
			_ = o.Parse(in.body(t))
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d had to be refused, %d had to be accepted", refusedCount, acceptedCount)
}

func TestRecordedRequestsAreAccepted(t *testing.T) {
	root := sharedData + "wire/fixtures"
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no recorded requests: %v", err)
	}
	var o Object
	var count int
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".request.json") {
			return err
		}
		doc, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		count++
		if err := o.Parse(doc); err != nil {
			line, column := Line(doc, err.(*Error).Offset)
			t.Errorf("%s:%d:%d: %v", filepath.Base(path), line, column, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests", count)
}
