package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Usage does not hide that there are more groups than it tells.
func TestUsageTellsThatThereAreMoreGroups(t *testing.T) {
	g, _ := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
	const note = "(there are more; (total) has them too)"
	for n := range 1001 {
		if n == 1000 {
			if said := run(t, "", "usage", "--by", "asked", "--address=localhost:2999").want(t, 0).stdout; strings.Contains(said, note) || strings.Count(said, "\n") != 1002 {
				t.Errorf("usage of 1000 groups has %d lines, with a note: %t", strings.Count(said, "\n"), strings.Contains(said, note))
			}
		}
		g.post(chatPath, strings.Replace(chatRequest, `"m"`, fmt.Sprintf(`"nobody-%d"`, n), 1)).want(t, 404)
	}
	said := run(t, "", "usage", "--by", "asked", "--address=localhost:2999").want(t, 0).stdout
	if !strings.HasSuffix(said, note+"\n") || !strings.Contains(said, "\n(total)      1001 ") {
		t.Errorf("usage of 1001 groups ends in %q", said[max(0, len(said)-300):])
	}
	if body := admin(t, http.MethodGet, "/llm_proxy/usage?by=asked", "").want(t, 200).body; !strings.Contains(body, `"more":true`) {
		t.Errorf("usage of 1001 groups does not tell that there are more: %s", body[:200])
	}
}
