package translate

import (
	"strings"
	"testing"
)

func TestShortCallIDsAreNineLettersAndDigits(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{
		"D681PevKs", "call_1", "call_2", "toolu_01A09q90qw90lq917835lq9", "", "aaaa-aaaa", `functions.f:0`, `\u00e9`, strings.Repeat("x", 500),
	} {
		got := string(AppendShortCallID(nil, Text(id)))
		if len(got) != 9 || !alphanumeric(Text(got)) {
			t.Errorf("%q becomes %q, want nine letters and digits", id, got)
		}
		if id == "D681PevKs" && got != id {
			t.Errorf("%q becomes %q, want it as it is", id, got)
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q become the same", id, other)
		}
		seen[got] = id
		signed := AppendSignedCallID(nil, Text(got), Text("sig"))
		if again := string(AppendShortCallID(nil, Text(signed))); again != got {
			t.Errorf("%q with a signature becomes %q", got, again)
		}
	}
}
