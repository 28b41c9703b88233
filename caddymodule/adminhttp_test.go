package caddymodule

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// adminMethods are all that anybody might try.
var adminMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace, "BREW",
}

// wantAdminError wants an error as Caddy's administration tells them.
func (r response) wantAdminError(t *testing.T, what string, status int) {
	t.Helper()
	var told struct{ Error string }
	if r.status != status || json.Unmarshal([]byte(r.body), &told) != nil || told.Error == "" || r.header.Get("Content-Type") != "application/json" || len(r.body) > 1<<10 {
		t.Errorf("%s: status %d %s %.2000s, want %d and a JSON error", what, r.status, r.header.Get("Content-Type"), r.body, status)
	}
}

// Each route takes its one method and the parameters that it names, and says so
// about others. A route that somebody adds is tried as well.
func TestEveryRouteOfTheAdministrationRefusesOtherMethodsAndParameters(t *testing.T) {
	g, _ := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
	for _, route := range new(adminAPI).Routes() {
		path := route.Pattern
		var allowed []string
		for _, method := range adminMethods {
			got := admin(t, method, path+"?bogus=1", "")
			if got.status != http.StatusMethodNotAllowed {
				allowed = append(allowed, method)
				got.wantAdminError(t, method+" "+path+"?bogus=1", 400)
				for _, query := range []string{"%zz", "a;b", "bogus", "=", "%00=1", "since=1h&since=2h", strings.Repeat("x", 4000) + "=1"} {
					got := admin(t, method, path+"?"+query, "")
					if got.status != 400 || !strings.HasPrefix(got.body, `{"error":"`) {
						t.Errorf("%s %s?%.40s: %d %s, want 400 and a JSON error", method, path, query, got.status, got.body)
					}
				}
				continue
			}
			if method != http.MethodHead {
				got.wantAdminError(t, method+" "+path, 405)
			}
			if allow := got.header.Get("Allow"); allow != http.MethodGet && allow != http.MethodPost {
				t.Errorf("%s %s: Allow is %q", method, path, allow)
			}
		}
		if len(allowed) != 1 {
			t.Errorf("%s takes %q, want one method", path, allowed)
			continue
		}
		if got := admin(t, http.MethodDelete, path, ""); got.header.Get("Allow") != allowed[0] {
			t.Errorf("%s: Allow is %q, want %s", path, got.header.Get("Allow"), allowed[0])
		}
		// The site itself knows no such path.
		if got := g.do(request{method: allowed[0], path: path}); got.body != "the next handler" {
			t.Errorf("the site answers %s itself: %d %s", path, got.status, got.body)
		}
	}
}

func TestTheAdministrationFindsNoRequestByAHostileID(t *testing.T) {
	g, _ := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
	t.Setenv("CANARY_SECRET", injectionCanary)
	id := g.post(chatPath, chatRequest).want(t, 200).header.Get("X-Request-Id")
	ids := []string{
		"nobody", "a/b", "a/b/../c", "../keys", "..", ".", "/", "", " ", "%", "*", "_", "' OR 1=1--", "x'; DROP TABLE requests;--", "a\x00b", "\xff\xfe",
		"{env.CANARY_SECRET}", "{http.request.uuid}", "\r\nX: y", "\x1b[2J", strings.ToUpper(id), id[:8] + "%", id + " ", id + "\x00", "../requests/" + id,
		strings.Repeat("x", 10_000), "-1", "0x00", "null",
	}
	for _, id := range ids {
		path := "/llm_proxy/requests/" + url.PathEscape(id)
		got := adminRaw(t, "GET "+path+" HTTP/1.1\r\nHost: "+adminAddress+"\r\n\r\n")
		if got.status == http.StatusTemporaryRedirect && strings.HasPrefix(got.header.Get("Location"), "/llm_proxy") && strings.ContainsAny(id, "./") {
			got.status = 404 // net/http tidies paths up
		}
		if got.status != 404 || strings.Contains(got.body, injectionCanary) || len(got.body) > 200 {
			t.Errorf("GET %s: %d %s, want 404", path, got.status, got.body)
		}
		exit := exitFailed
		if !requestID.MatchString(id) {
			exit = exitUsage // it can be nobody's
		}
		run(t, "", "explain", "--address="+adminAddress, "--", id).want(t, exit)
	}
	admin(t, http.MethodGet, "/llm_proxy/requests/"+id, "").want(t, 200)
	admin(t, http.MethodGet, "/llm_proxy/requests/"+id+"/", "").wantAdminError(t, "a slash behind", 404)
	if n := len(rows(t, "")); n != 1 {
		t.Errorf("rows = %d, want 1", n)
	}
	for _, filter := range []string{"client", "asked", "model", "provider", "class", "outcome"} {
		for _, value := range []string{"%", "_", "*", "' OR '1'='1", "x' OR 1=1--", "a\x00b", "\xff", "{env.CANARY_SECRET}", "1;DROP TABLE requests", strings.Repeat("x", 4000)} {
			if n := len(rows(t, "?"+url.Values{filter: {value}}.Encode())); n != 0 {
				t.Errorf("%s=%.40q finds %d requests, want 0", filter, value, n)
			}
		}
	}
	for _, query := range []string{
		"limit=-1", "limit=1000000000", "limit=1e3", "limit=99999999999999999999", "limit=1;DROP", "since=-1h", "since=1", "since=NaN", "since=9999999999999h",
		"since=2026-13-01T00:00:00Z", "until=x", "trouble=2", "trouble=yes",
	} {
		admin(t, http.MethodGet, "/llm_proxy/requests?"+query, "").wantAdminError(t, query, 400)
	}
	for _, query := range []string{"by=id", "by=model,client", "by=1", "by=(SELECT 1)", "by=Model"} {
		admin(t, http.MethodGet, "/llm_proxy/usage?"+strings.ReplaceAll(query, " ", "+"), "").wantAdminError(t, query, 400)
	}
}

// What is meant for one key must not be done to all of them.
func TestAResetThatIsNotUnderstoodResetsNothing(t *testing.T) {
	operated(t)
	id := resting(t, "a", "rate_limited")
	for _, body := range []string{
		"null x", `{} {"provider":"a"}`, `{"provider":"b"} trailing`, `[]`, `"a"`, `1`, `{"provider":1}`, `{"provider":["a"]}`, `{"key":null}x`, "{", "\x00", "\xff",
		`{"provider":"` + strings.Repeat("x", 10<<20) + `"}`, strings.Repeat("[", 1<<20), strings.Repeat(" ", 10<<20) + "{}",
	} {
		grown := memoryUse(func() {
			admin(t, http.MethodPost, "/llm_proxy/keys/reset", body).wantAdminError(t, fmt.Sprintf("a body that begins with %.20q", body), 400)
		})
		if grown > 64 {
			t.Errorf("a body of %d bytes: memory grew by %d MB", len(body), grown)
		}
	}
	if now := resting(t, "a", "rate_limited"); now != id {
		t.Errorf("the key that rests is %s, want %s still", now, id)
	}
	// A reload takes no body, and does not read one.
	admin(t, http.MethodPost, "/llm_proxy/reload", strings.Repeat("x", 10<<20)).want(t, 200)
}

// adminRaw sends bytes to the administration endpoint and reads the answer.
func adminRaw(t *testing.T, text string) response {
	t.Helper()
	conn, err := net.Dial("tcp", adminAddress)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	return response{got.StatusCode, got.Header, string(body), err}
}

// Caddy keeps other people's web pages away from its administration; our routes
// must be behind that too.
func TestAWebPageCannotUseTheAdministration(t *testing.T) {
	keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
	for _, route := range new(adminAPI).Routes() {
		for _, head := range []string{
			"Host: evil.test\r\n", "Host: 127.0.0.1.evil.test:2999\r\n", "Host: localhost\r\n", "Host: localhost:2999\r\nOrigin: http://evil.test\r\n", "Host: localhost:2999\r\nOrigin: null\r\n",
			"Host: localhost:2999\r\nSec-Fetch-Mode: no-cors\r\n", "Host: localhost:2999\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
		} {
			for _, method := range []string{"GET", "POST", "OPTIONS"} {
				got := adminRaw(t, method+" "+route.Pattern+" HTTP/1.1\r\n"+head+"Content-Length: 0\r\n\r\n")
				if got.status != 403 && got.status != 400 {
					t.Errorf("%s %s with %q: status %d: %s", method, route.Pattern, head, got.status, got.body)
				}
				for name := range got.header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s %s with %q: %s is told", method, route.Pattern, head, name)
					}
				}
			}
		}
	}
}

// The cases write the administration as a part of the site, with a key of its own.
// Here it is Caddy's, on a listener of its own; the site has none of its paths.
func TestB5AdminCases(t *testing.T) {
	type adminCase struct {
		ID, Name string
		Payload  struct{ Data string }
		Expected struct {
			Status        []int
			MaxRSSDeltaMB int64 `json:"max_rss_delta_mb"`
		}
	}
	cases := casesOf[adminCase](t, "admin-http")
	g, _ := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
	g.post(chatPath, chatRequest).want(t, 200)
	rows(t, "")
	for _, c := range cases {
		t.Run(c.ID+" "+c.Name, func(t *testing.T) {
			text := strings.NewReplacer("/llm-admin/config", "/config/", "/llm-admin/logs", "/llm_proxy/requests", "ADMIN-KEY", clientKey).Replace(c.Payload.Data)
			if slices.Contains(c.Expected.Status, 200) {
				// Who may ask calls the endpoint by its name.
				text = strings.Replace(text, "Host: gw", "Host: "+adminAddress, 1)
			}
			var got response
			if grown := memoryUse(func() { got = adminRaw(t, text) }); c.Expected.MaxRSSDeltaMB > 0 && grown > c.Expected.MaxRSSDeltaMB {
				t.Errorf("memory grew by %d MB", grown)
			}
			if !slices.Contains(c.Expected.Status, got.status) {
				t.Errorf("status %d, want one of %v: %s", got.status, c.Expected.Status, got.body)
			}
			for _, secret := range []string{"upstream-secret-a", "upstream-secret-b", clientKey} {
				if strings.Contains(got.body, secret) || len(secret) > 8 && strings.Contains(got.body, secret[len(secret)-8:]) {
					t.Errorf("the answer has the key %s, or a part of it: %s", secret, got.body)
				}
			}
			if origin := got.header.Get("Access-Control-Allow-Origin"); origin != "" {
				t.Errorf("Access-Control-Allow-Origin is %q", origin)
			}
			if strings.Contains(c.Name, "SQL") && !strings.Contains(got.body, `"requests":[]`) {
				t.Errorf("the filter finds %s, want nothing", got.body)
			}
			// And on the site, with a client's key.
			line, _, _ := strings.Cut(text, " HTTP/1.1")
			method, path, _ := strings.Cut(line, " ")
			if here := g.do(request{method: method, path: path}); here.status != 404 || here.body != "the next handler" {
				t.Errorf("the site answers %d %s", here.status, here.body)
			}
		})
	}
	if n := len(rows(t, "")); n != 1 {
		t.Errorf("rows = %d, want 1", n)
	}
}
