package caddymodule

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

var asAnthropic = map[string]string{"Anthropic-Version": "2023-06-01"}

// listing is a gateway with models of several kinds.
func listing(t *testing.T) *gateway {
	t.Helper()
	return start(t, setup{
		providers: map[string]string{
			"first":  provider("first", "http://127.0.0.1:1", ""),
			"second": provider("second", "http://127.0.0.1:1", ""),
		},
		models: map[string]string{
			"b":               model("b", `"aliases": ["b-*", "the b"],`, "second/x", "first/y"),
			"a":               model("a", `"display_name": "Model A",`, "first/x"),
			"vendor--c":       model("vendor/c", "", "first/x"),
			"vendor--models":  model("vendor/models/d", "", "first/x"),
			"C":               model("C", "", "first/x"),
			"name with space": model("name with space", "", "first/x"),
		},
	})
}

var listed = []string{"C", "a", "b", "name with space", "vendor/c", "vendor/models/d"}

func TestModelsAreListedInOpenAIsShape80(t *testing.T) {
	got := listing(t).do(request{method: "GET", path: "/v1/models"}).want(t, 200)
	root := members(t, got.body)
	wantMembers(t, root, "data", "object")
	if got.get(t, "object") != "list" {
		t.Errorf("object = %s", root["object"])
	}
	var ids []string
	for i := range got.get(t, "data").([]any) {
		entry := got.get(t, "data", i).(map[string]any)
		if len(entry) != 4 || entry["object"] != "model" || entry["created"].(float64) < 1e9 {
			t.Errorf("entry %d is %v", i, entry)
		}
		owner := "first"
		if entry["id"] == "b" {
			owner = "second"
		}
		if entry["owned_by"] != owner {
			t.Errorf("owner of %v is %v, want its first route's provider, %s", entry["id"], entry["owned_by"], owner)
		}
		ids = append(ids, entry["id"].(string))
	}
	if !slices.Equal(ids, listed) {
		t.Errorf("ids = %q, want %q: sorted, without aliases", ids, listed)
	}
}

func TestModelsAreListedInAnthropicsShape(t *testing.T) {
	got := listing(t).do(request{method: "GET", path: "/v1/models", header: asAnthropic}).want(t, 200)
	wantMembers(t, members(t, got.body), "data", "first_id", "has_more", "last_id")
	for i, id := range listed {
		entry := got.get(t, "data", i).(map[string]any)
		display := id
		if id == "a" {
			display = "Model A"
		}
		if len(entry) != 4 || entry["id"] != id || entry["type"] != "model" || entry["display_name"] != display {
			t.Errorf("entry %d is %v, want %s", i, entry, id)
		}
		if _, err := time.Parse(time.RFC3339, entry["created_at"].(string)); err != nil {
			t.Error(err)
		}
	}
}

func TestAnthropicsModelListHasPages(t *testing.T) {
	g := listing(t)
	for _, tc := range []struct {
		query string
		want  []string
		more  bool
	}{
		{"", listed, false},
		{"limit=6", listed, false},
		{"limit=1000", listed, false},
		{"limit=2", listed[:2], true},
		{"limit=2&after_id=a", listed[2:4], true},
		{"limit=2&after_id=name%20with%20space", listed[4:], false},
		{"after_id=vendor%2Fmodels%2Fd", nil, false},
		{"limit=2&before_id=name%20with%20space", listed[1:3], true},
		{"limit=2&before_id=b", listed[:2], false},
		{"before_id=C", nil, false},
		{"after_id=C&before_id=vendor%2Fc", listed[1:4], false},
		{"limit=1&after_id=C&before_id=vendor%2Fc", listed[3:4], true},
	} {
		got := g.do(request{method: "GET", path: "/v1/models?" + tc.query, header: asAnthropic}).want(t, 200)
		var ids []string
		for _, entry := range got.get(t, "data").([]any) {
			ids = append(ids, entry.(map[string]any)["id"].(string))
		}
		if !slices.Equal(ids, tc.want) || got.get(t, "has_more") != tc.more {
			t.Errorf("%s: %q, more %v, want %q, %v", tc.query, ids, got.get(t, "has_more"), tc.want, tc.more)
		}
		var first, last any
		if len(tc.want) > 0 {
			first, last = tc.want[0], tc.want[len(tc.want)-1]
		}
		if got.get(t, "first_id") != first || got.get(t, "last_id") != last {
			t.Errorf("%s: from %v to %v, want %v to %v", tc.query, got.get(t, "first_id"), got.get(t, "last_id"), first, last)
		}
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=-1", "limit=x", "after_id=none", "before_id=none"} {
		g.do(request{method: "GET", path: "/v1/models?" + query, header: asAnthropic}).wantError(t, translate.Messages, 400, true)
		// OpenAI's list has no pages, so its clients mean nothing by these.
		g.do(request{method: "GET", path: "/v1/models?" + query}).want(t, 200)
	}
}

func TestTheModelListHasTwentyToAPage(t *testing.T) {
	models := map[string]string{}
	for i := range 45 {
		name := fmt.Sprintf("m%02d", i)
		models[name] = model(name, "", "p/x")
	}
	g := start(t, setup{providers: map[string]string{"p": provider("p", "http://127.0.0.1:1", "")}, models: models})
	seen, after := 0, ""
	for _, want := range []int{20, 20, 5} {
		got := g.do(request{method: "GET", path: "/v1/models?after_id=" + after, header: asAnthropic}).want(t, 200)
		n := len(got.get(t, "data").([]any))
		if seen += n; n != want || got.get(t, "has_more") != (seen < 45) {
			t.Errorf("after %q: %d models, more %v", after, n, got.get(t, "has_more"))
		}
		after = got.get(t, "last_id").(string)
	}
}

func TestAModelIsFoundByItsNameAndByItsAliases(t *testing.T) {
	g := listing(t)
	for name, want := range map[string]string{
		"a": "a", "b": "b", "b-2026": "b", "the b": "b", "vendor/c": "vendor/c", "vendor/models/d": "vendor/models/d",
		"name with space": "name with space", "C": "C",
	} {
		path := "/v1/models/" + (&url.URL{Path: name}).EscapedPath()
		for _, path := range []string{path, "/v1/models/" + url.PathEscape(name)} {
			if got := g.do(request{method: "GET", path: path}).want(t, 200); got.get(t, "id") != want || got.get(t, "object") != "model" {
				t.Errorf("%s: %s", path, got.body)
			}
			if got := g.do(request{method: "GET", path: path, header: asAnthropic}).want(t, 200); got.get(t, "id") != want || got.get(t, "type") != "model" {
				t.Errorf("%s: %s", path, got.body)
			}
		}
	}
	for _, name := range []string{"c", "A", "vendor", "vendor/c/", "models", "a%00", "..%2Fproviders"} {
		path := "/v1/models/" + name
		told := g.do(request{method: "GET", path: path}).wantError(t, translate.Chat, 404, true)
		if told.code != "model_not_found" || told.param != "model" {
			t.Errorf("%s: %+v", path, told)
		}
		if told := g.do(request{method: "GET", path: path, header: asAnthropic}).wantError(t, translate.Messages, 404, true); told.kind != "not_found_error" {
			t.Errorf("%s: %+v", path, told)
		}
	}
}

func TestTheModelListIsForClientsOnly(t *testing.T) {
	g := listing(t)
	for _, path := range []string{"/v1/models", "/v1/models/a", "/v1/models/unknown"} {
		for _, key := range []string{"-", "wrong"} {
			got := g.do(request{method: "GET", path: path, key: key})
			if got.wantError(t, translate.Chat, 401, true); strings.Contains(got.body, "vendor") {
				t.Errorf("%s: %s", path, got.body)
			}
			g.do(request{method: "GET", path: path, key: key, header: asAnthropic}).wantError(t, translate.Messages, 401, true)
			g.do(request{method: "DELETE", path: path, key: key, header: asAnthropic}).wantError(t, translate.Messages, 405, true)
		}
	}
}
