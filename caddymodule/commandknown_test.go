package caddymodule

import (
	"bytes"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestModelsThatAProviderTellsAreNotedAndOffered(t *testing.T) {
	up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+canaries[0] || r.URL.Path != "/v1/models" {
			answers(401, `{"error": {"message": "no"}}`)(w, r)
			return
		}
		answers(200, `{"data": [{"id": "big\u202e"}, {"id": "small"}, {"id": "`+canaries[0]+`"}]}`)(w, r)
	}))
	g := files(t, map[string]string{"p": provider("p", up.url, ""), "q": provider("q", up.url, "")}, map[string]string{"m": model("m", "", "p/up")})
	run(t, "", words("add model --discover")...).want(t, 2, "--provider is missing")
	run(t, "", words("add model --discover -p nobody")...).want(t, 1, `there is no provider "nobody"`)
	run(t, "", words("add model --discover -p p")...).want(t, 1, "no key of p is set; set P_API_KEY")
	t.Setenv("P_API_KEY", canaries[0])
	t.Setenv("Q_API_KEY", canaries[1])
	run(t, "", words("add model --discover -p p")...).want(t, 1, "p does not tell its models (unclear): its file names no list of models; add endpoints.models")
	for _, name := range []string{"p", "q"} {
		run(t, "", words("edit provider "+name+" --set endpoints.models=/models")...).want(t, 0)
	}
	before := snapshot(t)
	run(t, "", words("add model --discover -p q")...).want(t, 1, "q does not tell its models (dead): the provider refuses it with status 401").wantNoCanary(t)
	wantChanged(t, before)

	got := run(t, "", words("add model --discover -p p")...).want(t, 0)
	got.wantNoCanary(t)
	if want := "added config/models.json: p has 2 models\n"; !strings.HasPrefix(got.stdout, want) {
		t.Errorf("stdout is %q, want %q", got.stdout, want)
	}
	run(t, "", words("add model --custom -p p -m mine")...).want(t, 0)
	text, err := os.ReadFile("config/models.json")
	if err != nil {
		t.Fatal(err)
	}
	wantOutput(t, "known_models.json", string(text), g.dir)
	wantOutput(t, "add_model_list_known.txt", run(t, "", words("add model --list -p p")...).want(t, 0).stdout, g.dir)
	wantOutput(t, "add_model_list_known.json", run(t, "", words("add model --list -p p --json")...).want(t, 0).stdout, g.dir)
	if got := run(t, "", words("add model --list -p q")...).want(t, 0).stdout; got != "no models of q are known; --discover asks it\n" {
		t.Errorf("the list of nothing is %q", got)
	}
	if got, want := completions(t, "add", "model", "--provider", "p", "--model", ""), []string{"mine", "small"}; !slices.Equal(got, want) {
		t.Errorf("the shell is offered %q, want %q", got, want)
	}
	if got, want := completions(t, "add", "model", "--provider", ""), []string{"p", "q"}; !slices.Equal(got, want) {
		t.Errorf("the shell is offered %q, want %q", got, want)
	}
}

// completions is what a shell is offered for the last word of a command.
func completions(t *testing.T, arguments ...string) []string {
	t.Helper()
	ours := &cobra.Command{Use: "llm-proxy"}
	fillCommand(ours)
	var out bytes.Buffer
	ours.SetArgs(append([]string{cobra.ShellCompRequestCmd}, arguments...))
	ours.SetOut(&out)
	ours.SetErr(&bytes.Buffer{})
	if err := ours.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	offered, _, _ := strings.Cut(out.String(), ":") // what follows are directives
	return strings.Fields(offered)
}
