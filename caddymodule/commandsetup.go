package caddymodule

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// setupFlags are the flags of setup.
type setupFlags struct {
	quick, resume, status, overwrite bool
	answers                          string
}

// answersFile is what --answers names: the answers, and the secrets that the
// wizard would ask for.
type answersFile struct {
	wizardAnswers
	// Keys are the values of variables that providers want.
	Keys map[string]string `json:"keys"`
	// ClientKey is what clients shall use. Default: one is made.
	ClientKey string `json:"client_key"`
	// TestKeys asks the providers whether their keys work.
	TestKeys bool `json:"test_keys"`
}

// setupResult is what setup has done, as --json prints it.
type setupResult struct {
	URL     string   `json:"url"`
	Models  []string `json:"models"`
	Written []string `json:"written"`
	Kept    []string `json:"kept"` // that were there and say something else
	// Missing are variables that chosen providers still need.
	Missing []string `json:"missing"`
	// Serves says whether the Caddyfile that is there now has an llm_proxy block.
	Serves bool `json:"serves"`
}

func setupCommand() *cobra.Command {
	var flags setupFlags
	cmd := &cobra.Command{
		Use:   "setup [--quick | --answers <file>] [--resume] [--overwrite]",
		Short: "Leads to a gateway that works, by questions",
		Long: `Asks which providers, keys and models the gateway shall have and where it shall
serve, and writes a Caddyfile, config/providers, config/models and .env into the
working directory, all at the end. Files that are there already remain, unless you
say otherwise.

Without a terminal, or with ACCESSIBLE=1, the questions are lines, and the answers
are read from the standard input. --quick asks nothing: it takes the providers
whose keys are set, or else the simulated one. --answers takes the answers from a
file of JSON:

  {"providers": ["openai", "demo"], "models": ["demo", "openai/gpt-6.1-sol"],
   "keys": {"OPENAI_API_KEY": "..."}, "client_key": "...", "test_keys": true,
   "address": "127.0.0.1:9876", "request_log": "llm.db"}

where each has a default. What is broken off with Ctrl+C or the end of the input
has written nothing, exits with 1, and goes on with --resume; keys have to be
entered again.`,
		Args: noArguments,
	}
	cmd.Flags().BoolVarP(&flags.quick, "quick", "q", false, "Ask nothing, and take the defaults")
	cmd.Flags().BoolVarP(&flags.resume, "resume", "r", false, "Go on with a setup that was broken off")
	cmd.Flags().BoolVar(&flags.status, "status", false, "Tell how far this directory is set up, and do nothing")
	cmd.Flags().BoolVar(&flags.overwrite, "overwrite", false, "Replace files that are there already")
	cmd.Flags().StringVar(&flags.answers, "answers", "", "File of answers, in JSON")
	cmd.MarkFlagsMutuallyExclusive("quick", "answers", "resume")
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return setUp(cmd, &flags) }
	return cmd
}

func setUp(cmd *cobra.Command, flags *setupFlags) error {
	vars, err := readVariables(cmd)
	if err != nil {
		return err
	}
	out := newOutput(cmd)
	if flags.status {
		status := statusOf(&vars)
		if out.json {
			err = out.printJSON(status)
		} else {
			status.print(out)
		}
		return errors.Join(err, out.flush(cmd))
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	w := &wizard{ctx: ctx, out: cmd.ErrOrStderr(), vars: vars, secrets: make(map[string]string), testKeys: true}
	if err := flags.prepare(cmd, w); err != nil {
		return err
	}
	if w.stock, err = takeStock(); err != nil {
		return err
	}
	result, err := w.finish(flags.overwrite)
	switch {
	case errors.Is(err, errCancelled):
		hint := ""
		if len(w.done) > 0 {
			hint = "; --resume goes on where it was, but for keys, which were not kept"
		} else if ctx.Err() == nil && !isTerminal(cmd.InOrStdin()) {
			hint = "; where nobody can be asked, --quick takes the defaults and --answers a file"
		}
		return errors.New("setup is cancelled, and nothing was written" + hint)
	case err != nil:
		return err
	case out.json:
		err = out.printJSON(result)
	default:
		result.print(out, w)
	}
	return errors.Join(err, out.flush(cmd))
}

// prepare chooses who answers, and which answers there are.
func (f *setupFlags) prepare(cmd *cobra.Command, w *wizard) error {
	switch {
	case f.answers != "":
		w.prompt = unattended{}
		return w.readAnswers(f.answers)
	case f.quick:
		w.prompt, w.testKeys = unattended{}, false
		return nil
	}
	in, out := cmd.InOrStdin(), cmd.ErrOrStderr()
	if isTerminal(in) && drawsForms(out) && os.Getenv("TERM") != "dumb" && os.Getenv("ACCESSIBLE") == "" {
		w.prompt = &forms{w.ctx, in, out, coloured(out, os.Getenv)}
	} else {
		w.prompt = newLines(w.ctx, in, out)
	}
	w.keep = true
	status := newOutput(cmd)
	statusOf(&w.vars).print(status)
	w.tell("%s", cell{status.String()})
	progress := readProgress()
	goOn := f.resume
	if !f.resume && len(progress.CompletedSteps) > 0 {
		var err error
		if goOn, err = w.prompt.confirm("A setup was broken off here. Go on with it?", true); err != nil {
			return errors.New("setup is cancelled, and nothing was written")
		}
	}
	if goOn {
		w.done, w.answers = progress.CompletedSteps, progress.Answers
	}
	return nil
}

// readAnswers takes the answers, and the secrets, from a file.
func (w *wizard) readAnswers(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return usageError{fmt.Sprintf("reading the answers: %v", err)}
	}
	defer file.Close()
	text, err := readAtMost(file, maxGivenFile)
	if err != nil {
		return fmt.Errorf("reading the answers in %s: %w", path, cause(err))
	}
	var answers answersFile
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&answers); err != nil {
		return fmt.Errorf("reading the answers in %s: %w", path, err)
	}
	w.answers, w.testKeys = answers.wizardAnswers, answers.TestKeys
	for name, value := range answers.Keys {
		if !isVariable(name) || name == "" {
			return fmt.Errorf("reading the answers in %s: %q in keys is no name of a variable", path, name)
		}
		w.secrets[name] = value
	}
	if answers.ClientKey != "" {
		if why := weakness(answers.ClientKey); why != "" {
			return fmt.Errorf("reading the answers in %s: client_key %s", path, why)
		}
		w.secrets[clientKeyVariable] = answers.ClientKey
	}
	return nil
}

// finish asks, shows what is going to be done, and does it.
func (w *wizard) finish(overwrite bool) (*setupResult, error) {
	if err := w.run(); err != nil {
		return nil, err
	}
	plan, err := w.plan()
	if err != nil {
		return nil, err
	}
	w.summarize(plan)
	replace := overwrite
	if differing := plan.differing(); len(differing) > 0 && !overwrite {
		if replace, err = w.prompt.confirm(fmt.Sprintf("Other files are there already: %s. Replace them?", firstOf(differing, 5)), false); err != nil {
			return nil, err
		}
	}
	write, err := w.prompt.confirm("Write these files?", true)
	if err != nil {
		return nil, err
	}
	if !write || w.ctx.Err() != nil {
		return nil, errCancelled
	}
	chosen := plan.chosen(replace)
	if plan.keeps(defaultCaddyfile, chosen) {
		// It says itself where it serves.
		for _, name := range placeVariables {
			delete(w.secrets, name)
		}
	}
	if err := w.write(chosen); err != nil {
		return nil, err
	}
	result := &setupResult{URL: plan.site.url(), Models: plan.models, Written: []string{}, Kept: []string{}, Missing: w.missing()}
	for _, f := range plan.files {
		if slices.Contains(chosen, f) {
			result.Written = append(result.Written, f.path)
		} else {
			result.Kept = append(result.Kept, f.path)
		}
	}
	if len(w.secrets) > 0 {
		result.Written = append(result.Written, defaultEnvFile)
	}
	// A Caddyfile that was kept may be about something else, or be broken.
	config, err := findConfiguration("")
	result.Serves = err == nil && config != nil
	return result, forgetProgress()
}

// summarize tells what is going to be written.
func (w *wizard) summarize(plan *setupPlan) {
	w.tell("")
	w.tell("providers  %s", firstOf(w.answers.Providers, 5))
	w.tell("models     %s", firstOf(plan.models, 5))
	w.tell("serves     %s", plan.site.url())
	w.tell("log        %s", w.answers.RequestLog)
	if names := w.secretNames(); len(names) > 0 {
		w.tell(".env       %s", strings.Join(names, ", "))
	}
	var fresh []string
	for _, f := range plan.files {
		if !f.present {
			fresh = append(fresh, f.path)
		}
	}
	slices.Sort(fresh)
	w.tell("new files  %s", cmp.Or(firstOf(fresh, 5), "none"))
}

// missing are the variables that chosen providers still need.
func (w *wizard) missing() []string {
	var missing []string
	vars := variables{environ: w.environ()}
	for _, p := range w.providers() {
		for _, v := range vars.ofProvider(w.stock.catalog, p).Variables {
			if !v.Set && !v.Optional && !strings.HasPrefix(v.For, "key of model") {
				missing = append(missing, v.Name)
			}
		}
	}
	return append([]string{}, distinct(missing)...)
}

// print tells what was done and how to go on.
func (r *setupResult) print(out *output, w *wizard) {
	for _, path := range r.Written {
		out.printf("%s  %s", out.paint(green, "written"), path)
	}
	for _, path := range r.Kept {
		out.printf("%s     %s, as it was", out.paint(yellow, "kept"), path)
	}
	for _, name := range r.Missing {
		out.printf("%s    %s, in .env or in the environment", out.paint(yellow, "to do"), name)
	}
	if !r.Serves {
		out.printf("%s    the Caddyfile has no llm_proxy block: write one, or call setup --overwrite", out.paint(yellow, "to do"))
	}
	load := ""
	if w.secrets[clientKeyVariable] != "" || w.vars.from(clientKeyVariable) != "" {
		load = "set -a; . ./.env; set +a\n"
	}
	out.WriteString(fmt.Sprintf(nextSteps, calledAs(os.Args[0]), load, escape(r.URL), quotedJSON(r.Models[0])))
	out.WriteString(fmt.Sprintf(clientSettings, escape(r.URL), escape(r.Models[0])))
}

// calledAs is how to call this program again, by what it was called as: one that lies
// in the working directory is not found by its name.
func calledAs(path string) string {
	if filepath.Base(path) != "caddy" || strings.ContainsFunc(path, special) {
		return "caddy"
	}
	return path
}

// quotedJSON is a text as JSON has it, safe in the single quotes of a shell.
func quotedJSON(text string) string {
	quoted, _ := json.Marshal(text) // a string always has a form in JSON
	return strings.ReplaceAll(string(quoted), "'", `\u0027`)
}

const nextSteps = `
Start the gateway:

%s llm-proxy start

and in another terminal, in this directory, ask it:

%scurl %s/v1/chat/completions -H "Authorization: Bearer $CLIENT_API_KEY" -H "Content-Type: application/json" -d '{"model": %s, "messages": [{"role": "user", "content": "Hello!"}]}'
`

const clientSettings = `
Clients, with the value of CLIENT_API_KEY as their key:

Claude Code     ANTHROPIC_BASE_URL=%[1]s ANTHROPIC_AUTH_TOKEN=$CLIENT_API_KEY claude --model %[2]s
OpenAI SDKs     OPENAI_BASE_URL=%[1]s/v1 OPENAI_API_KEY=$CLIENT_API_KEY
Anthropic SDKs  ANTHROPIC_BASE_URL=%[1]s ANTHROPIC_API_KEY=$CLIENT_API_KEY
Codex           in ~/.codex/config.toml: model = "%[2]s", model_provider = "gateway", and
                [model_providers.gateway] with base_url = "%[1]s/v1", env_key = "CLIENT_API_KEY", wire_api = "responses"
`
