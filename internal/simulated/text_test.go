package simulated

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPiecesAreWordsAndLoseNothing(t *testing.T) {
	for _, tc := range []struct {
		s    string
		want []string
	}{
		{"", nil},
		{"one", []string{"one"}},
		{"one two  three", []string{"one ", "two ", " ", "three"}},
		{strings.Repeat("x", 30), []string{strings.Repeat("x", 24), strings.Repeat("x", 6)}},
		{"日本語日本語日本語", []string{"日本語日本語日本", "語"}},
	} {
		got := slices.Collect(pieces(tc.s, textPiece))
		if !slices.Equal(got, tc.want) || countPieces(tc.s, textPiece) != len(got) {
			t.Errorf("pieces(%q) = %q, want %q", tc.s, got, tc.want)
		}
	}
}

func FuzzPiecesLoseNothing(f *testing.F) {
	f.Add("a b  日本語日本語日本語 \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			t.Skip("texts come out of JSON and are valid")
		}
		for _, size := range []int{argsPiece, textPiece} {
			var b strings.Builder
			for p := range pieces(s, size) {
				if p == "" || len(p) > size || !utf8.ValidString(p) {
					t.Fatalf("a piece of %q is %q", s, p)
				}
				b.WriteString(p)
			}
			if b.String() != s {
				t.Fatalf("the pieces of %q are %q", s, b.String())
			}
		}
	})
}

func TestExcerptIsOneShortLine(t *testing.T) {
	for _, tc := range []struct {
		s    string
		n    int
		want string
	}{
		{"", 5, ""},
		{"short", 5, "short"},
		{"longer", 5, "longe…"},
		{"  a\n\n b\t", 9, "a b"},
		{"日本語", 2, "日本…"},
	} {
		if got := excerpt(tc.s, tc.n); got != tc.want {
			t.Errorf("excerpt(%q, %d) = %q, want %q", tc.s, tc.n, got, tc.want)
		}
	}
}

func FuzzQuoteIsTheStringInJSON(f *testing.F) {
	for _, s := range []string{"", "a\"b\\c\n\r\t\x00\x1f", "<&>", "日本\u2028😀", "\xff\xfe\xc3\x28a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got, want string
		if err := json.Unmarshal(quote(nil, s), &got); err != nil {
			t.Fatalf("quote(%q) = %s: %v", s, quote(nil, s), err)
		}
		reference, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(reference, &want); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("quote(%q) reads back as %q, want %q", s, got, want)
		}
	})
}
