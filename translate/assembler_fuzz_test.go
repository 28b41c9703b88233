package translate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

type script struct {
	a      *Assembler
	blocks []*scripted
	byKey  [4]*scripted
}

type scripted struct {
	kind Kind
	name string
	text Text
}

func (s *script) step(op, key byte, n int) {
	key %= byte(len(s.byKey))
	b := s.byKey[key]
	switch op % 9 {
	case 0, 1:
		b = &scripted{kind: [...]Kind{KindText, KindThinking, KindToolCall, KindToolCall}[op/9%4]}
		if b.kind == KindToolCall && op/9%4 == 2 {
			b.name = "f" + strconv.Itoa(n)
		}
		s.a.Open(int(key), Head{Kind: b.kind, ID: Text("id" + strconv.Itoa(n%3)), Name: Text(b.name)})
		s.blocks = append(s.blocks, b)
		s.byKey[key] = b
	case 2, 3, 4, 5, 6:
		delta := Text(fmt.Sprintf("<%d>", n))
		switch op / 9 % 4 {
		case 1:
			delta = Text(`\ud83d`)
		case 2:
			delta = Text(`\ude00`)
		}
		s.a.Delta(int(key), delta)
		if b != nil {
			b.text = append(b.text, delta...)
		}
	case 7:
		s.a.Close(int(key))
		s.byKey[key] = nil
	case 8:
		name := "r" + strconv.Itoa(n)
		s.a.Rename(int(key), nil, Text(name))
		if b != nil && b.kind == KindToolCall && b.name == "" {
			b.name = name
		}
	}
}

func (s *script) told() (blocks []*scripted) {
	for _, b := range s.blocks {
		if b.kind == KindText && len(b.text) == 0 || b.kind == KindToolCall && b.name == "" {
			continue
		}
		blocks = append(blocks, b)
	}
	return blocks
}

func FuzzAssembler(f *testing.F) {
	f.Add([]byte{0, 0, 2, 0, 20, 1, 2, 1, 2, 0, 7, 0, 7, 1}, false)
	f.Add([]byte{30, 0, 2, 0, 0, 1, 2, 1, 7, 1, 8, 0, 12, 0, 22, 0}, false)
	f.Add([]byte{10, 0, 12, 0, 1, 0, 2, 0, 2, 3, 9, 0}, true)
	f.Fuzz(func(t *testing.T, data []byte, fails bool) {
		s := script{a: traced(&Asked{})}
		for n := 0; n+1 < len(data) && n < 400; n += 2 {
			s.step(data[n], data[n+1], n)
		}
		if fails {
			s.a.Fail(&Error{Message: "gone"})
		} else {
			s.a.End(Usage{}, true)
		}
		trace := string(s.a.Take())
		blocks := s.told()
		count := checkTrace(t, trace, fails)
		if count > len(blocks) || !fails && count != len(blocks) {
			t.Fatalf("%d blocks, want %d, in\n%s", count, len(blocks), trace)
		}
		ids := map[string]bool{}
		for i, b := range blocks[:count] {
			got, want := deltas(trace, i).Paired().String(), b.text.String()
			if got != want && !(fails && strings.HasPrefix(want, strings.TrimSuffix(got, "\uFFFD"))) {
				t.Errorf("block %d says %q, want %q, in\n%s", i, got, want, trace)
			}
			if b.kind != KindToolCall {
				continue
			}
			head := trace[strings.Index(trace, fmt.Sprintf("open %d call ", i)):]
			fields := strings.Fields(head[:strings.IndexByte(head, '\n')])
			if fields[4] != b.name || ids[fields[3]] {
				t.Errorf("call %d is %q, want the name %s and an id of its own", i, fields, b.name)
			}
			ids[fields[3]] = true
		}
	})
}

func checkTrace(t *testing.T, trace string, failed bool) (blocks int) {
	t.Helper()
	open, begun, over := -1, false, false
	for line := range strings.Lines(trace) {
		fields := strings.Fields(line)
		index := -1
		if slices.Contains([]string{"open", "delta", "seal", "close", "cite"}, fields[0]) {
			index, _ = strconv.Atoi(fields[1])
		}
		ok := begun && !over
		switch fields[0] {
		case "start":
			ok = !begun
			begun = true
		case "open":
			ok = ok && open < 0 && index == blocks
			open = index
			blocks++
		case "delta", "seal", "cite":
			ok = ok && index == open
		case "close":
			ok = ok && index == open
			open = -1
		case "usage", "stop":
			ok = ok && open < 0 && !failed
		case "end":
			ok = ok && open < 0 && !failed
			over = true
		case "failed":
			ok = ok && failed
			over = true
		}
		if !ok {
			t.Fatalf("%q is out of order in\n%s", strings.TrimSpace(line), trace)
		}
	}
	if !over {
		t.Fatalf("no end in\n%s", trace)
	}
	return blocks
}
