package routing

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/tidwall/sjson"
)

// pattern is n bytes that show where they were cut or mixed up.
func pattern(n int) []byte {
	text := make([]byte, n)
	for i := range text {
		text[i] = byte('a' + i*7%26)
	}
	return text
}

func TestABodyIsReadWholeWhateverItsSize(t *testing.T) {
	sizes := []int{0, 1, 511}
	for _, class := range bodySizes {
		sizes = append(sizes, class-1, class, class+1)
	}
	sizes = append(sizes, 3<<20)
	for _, size := range sizes {
		text := pattern(size)
		for name, reader := range map[string]func(io.Reader) io.Reader{
			"plain":         func(r io.Reader) io.Reader { return r },
			"half":          iotest.HalfReader,
			"data with EOF": iotest.DataErrReader,
		} {
			for _, room := range []int{0, 512, size, size + 1, 1 << 20} {
				b := NewBody(room)
				n, err := b.ReadFrom(reader(bytes.NewReader(text)))
				if err != nil || n != int64(size) || !bytes.Equal(b.Bytes(), text) {
					t.Errorf("%s: ReadFrom of %d bytes into room for %d = %d, %v and %d bytes", name, size, room, n, err, len(b.Bytes()))
				}
				b.Release()
			}
		}
	}
}

func TestABodyOfExactlyTheLimitNeedsNoMoreRoom(t *testing.T) {
	const limit = 4 << 20
	for name, r := range map[string]io.Reader{
		"whole":  bytes.NewReader(pattern(limit)),
		"larger": http.MaxBytesReader(nil, io.NopCloser(bytes.NewReader(pattern(limit+1))), limit),
	} {
		b := NewBody(0)
		if _, err := b.ReadFrom(r); (err != nil) != (name == "larger") || len(b.Bytes()) != limit {
			t.Errorf("%s: %d bytes, %v", name, len(b.Bytes()), err)
		}
		if c := cap(b.Bytes()); c != limit {
			t.Errorf("%s: room for %d bytes is made, want %d", name, c, limit)
		}
		b.Release()
	}
}

func TestABodyThatBreaksOffIsAnError(t *testing.T) {
	broken := errors.New("connection reset")
	b := NewBody(0)
	defer b.Release()
	n, err := b.ReadFrom(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)))
	if n != 3 || err != broken {
		t.Errorf("ReadFrom = %d, %v, want 3, %v", n, err, broken)
	}
}

func TestALentBodyIsEmpty(t *testing.T) {
	for range 100 {
		b := NewBody(10)
		if len(b.Bytes()) != 0 {
			t.Fatalf("a new body holds %q of another one", b.Bytes())
		}
		_, _ = b.ReadFrom(strings.NewReader("secret of one client"))
		b.Release()
	}
}

// A body that is sent in one write is a copy; a longer one is the client's own.
func TestBodiesAreSentWholeOnBothSidesOfTheSmallOnes(t *testing.T) {
	for size := smallBody - 3; size <= smallBody+3; size++ {
		text := pattern(size)
		b := NewBody(size)
		_, _ = b.ReadFrom(bytes.NewReader(text))
		sent, length := upstreamBody(b, []edit{{1, 2, []byte("xy")}, {size, size, []byte("z")}})
		want := string(text[:1]) + "xy" + string(text[2:]) + "z"
		if got, err := io.ReadAll(sent); err != nil || string(got) != want || length != int64(len(want)) {
			t.Errorf("a body of %d bytes is sent as %d, %v, want %d", size, len(got), err, len(want))
		}
		sent.Close()
		b.Release()
		if n := b.refs.Load(); n != 0 {
			t.Errorf("a body of %d bytes is held %d times", size, n)
		}
	}
}

func TestMemoryIsNotLentAgainWhileAnAttemptStillSends(t *testing.T) {
	text := pattern(20 << 10)
	b := NewBody(len(text))
	_, _ = b.ReadFrom(bytes.NewReader(text))
	sending := newSplice(b, nil)
	// The answer has come and the request is over, but the transport goes on
	// sending.
	b.Release()
	for range 50 {
		other := NewBody(len(text))
		_, _ = other.ReadFrom(strings.NewReader(strings.Repeat("#", len(text))))
		defer other.Release()
	}
	sent, err := io.ReadAll(sending)
	if err != nil || !bytes.Equal(sent, text) {
		t.Errorf("the attempt sends other bytes than its client's: %.40q, %v", sent, err)
	}
	if n := b.refs.Load(); n != 1 {
		t.Errorf("holds before Close = %d, want 1", n)
	}
	for range 3 { // transports close twice
		sending.Close()
	}
	if n := b.refs.Load(); n != 0 {
		t.Errorf("holds after Close = %d, want 0", n)
	}
	if n, err := sending.Read(make([]byte, 1)); n != 0 || err != http.ErrBodyReadAfterClose {
		t.Errorf("Read after Close = %d, %v", n, err)
	}
}

func TestASpliceIsTheBodyWithItsEdits(t *testing.T) {
	const text = `{"model":"m","n":1}`
	for _, tc := range []struct {
		name  string
		edits []edit
		want  string
	}{
		{"none", nil, text},
		{"in the middle", []edit{{9, 12, []byte(`"gpt"`)}}, `{"model":"gpt","n":1}`},
		{"added", []edit{{18, 18, []byte(`,"x":2`)}}, `{"model":"m","n":1,"x":2}`},
		{"removed", []edit{{12, 18, nil}}, `{"model":"m"}`},
		{"two", []edit{{9, 12, []byte(`"gpt"`)}, {18, 18, []byte(`,"x":2`)}}, `{"model":"gpt","n":1,"x":2}`},
		{"neighbours", []edit{{9, 12, []byte(`A`)}, {12, 12, []byte(`B`)}}, `{"model":AB,"n":1}`},
		{"more than there is room for", []edit{{0, 1, []byte("1")}, {2, 3, []byte("2")}, {4, 5, []byte("3")}, {6, 7, []byte("4")}, {8, 9, []byte("5")}}, `1"2o3e4"5"m","n":1}`},
		{"at both ends", []edit{{0, 0, []byte("<")}, {19, 19, []byte(">")}}, "<" + text + ">"},
		{"all of it", []edit{{0, 19, []byte("x")}}, "x"},
		{"nothing left", []edit{{0, 19, nil}}, ""},
	} {
		b := NewBody(0)
		_, _ = b.ReadFrom(strings.NewReader(text))
		s := newSplice(b, tc.edits)
		if err := iotest.TestReader(s, []byte(tc.want)); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if s.length != int64(len(tc.want)) {
			t.Errorf("%s: length = %d, want %d", tc.name, s.length, len(tc.want))
		}
		if string(b.Bytes()) != text {
			t.Errorf("%s: the body itself has changed to %q", tc.name, b.Bytes())
		}
		s.Close()
		b.Release()
	}
}

// HTTP/2 closes an aborted request's body while another goroutine is inside
// Read; this is for the race detector.
func TestASpliceMayBeClosedWhileItIsRead(t *testing.T) {
	text := pattern(100 << 10)
	for range 50 {
		b := NewBody(len(text))
		_, _ = b.ReadFrom(bytes.NewReader(text))
		s := newSplice(b, nil)
		var wait sync.WaitGroup
		begun := make(chan struct{})
		begin := sync.OnceFunc(func() { close(begun) })
		wait.Go(func() {
			got := 0
			for p := make([]byte, 512); ; {
				n, err := s.Read(p)
				if !bytes.Equal(p[:n], text[got:got+n]) {
					t.Error("the attempt sends other bytes than its client's")
				}
				got += n
				if got == len(p) {
					begin()
				}
				if err != nil {
					return
				}
			}
		})
		<-begun
		s.Close()
		b.Release()
		other := NewBody(len(text))
		_, _ = other.ReadFrom(strings.NewReader(strings.Repeat("#", len(text))))
		wait.Wait()
		other.Release()
	}
}

// FuzzSplice compares splices with the same edits made one after the other.
func FuzzSplice(f *testing.F) {
	f.Add([]byte(`{"model":"m"}`), []byte{9, 12, 0, 0, 3, 1}, uint8(3))
	f.Add([]byte(``), []byte{0, 0, 5}, uint8(1))
	f.Add([]byte(`0123456789`), []byte{1, 1, 2, 1, 3, 0, 9, 10, 1}, uint8(200))
	f.Fuzz(func(t *testing.T, text, plan []byte, buffer uint8) {
		// plan holds, for each edit, how far it is from the last one, how much
		// it takes out and how much it puts in.
		var edits []edit
		at := 0
		for part := range slices.Chunk(plan, 3) {
			if len(part) < 3 {
				break
			}
			start := min(at+int(part[0]), len(text))
			end := min(start+int(part[1]), len(text))
			edits = append(edits, edit{start, end, pattern(int(part[2]))})
			at = end
		}
		want := slices.Clone(text)
		for _, e := range slices.Backward(edits) {
			want = slices.Replace(want, e.start, e.end, e.text...)
		}
		b := NewBody(0)
		defer b.Release()
		if _, err := b.ReadFrom(bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		s := newSplice(b, edits)
		defer s.Close()
		length := s.length
		var got []byte
		for p := make([]byte, int(buffer)+1); ; {
			n, err := s.Read(p)
			got = append(got, p[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil || n == 0 {
				t.Fatalf("Read = %d, %v", n, err)
			}
		}
		if !bytes.Equal(got, want) || length != int64(len(want)) {
			t.Errorf("%q with %v = %q of length %d, want %q", text, edits, got, length, want)
		}
		sent, n := upstreamBody(b, edits)
		defer sent.Close()
		if got, err := io.ReadAll(sent); err != nil || !bytes.Equal(got, want) || n != int64(len(want)) {
			t.Errorf("upstreamBody of %q with %v = %q of length %d, %v, want %q", text, edits, got, n, err, want)
		}
	})
}

// BenchmarkEdit compares a splice with sjson for the edit that nearly every
// request needs: another model name in an agent's 120 KB.
func BenchmarkEdit(b *testing.B) {
	text := []byte(`{"model":"m","messages":[{"role":"user","content":"` + string(pattern(120<<10)) + `"}]}`)
	body := NewBody(len(text))
	_, _ = body.ReadFrom(bytes.NewReader(text))
	defer body.Release()
	b.Run("splice", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			s := newSplice(body, []edit{{9, 12, []byte(`"gpt-6"`)}})
			if _, err := io.CopyBuffer(io.Discard, s, make([]byte, 4<<10)); err != nil {
				b.Fatal(err)
			}
			s.Close()
		}
	})
	b.Run("sjson", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			edited, err := sjson.SetBytes(text, "model", "gpt-6")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.CopyBuffer(io.Discard, bytes.NewReader(edited), make([]byte, 4<<10)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
