package caddymodule

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

func usageCommand() *cobra.Command {
	by := logging.ByModel
	var since, until string
	cmd := &cobra.Command{
		Use:   "usage [--by model|asked|client|provider|key|endpoint|class|day] [--since <time>]",
		Short: "Sums up requests, tokens and cost",
		Long: `Sums up requests, tokens and cost by what they have in common, from the request log
of the running gateway (log in its block).

Costs are in US dollars, by the prices of the provider and model files. A "?" stands
for those of requests for whose model there are none.

A time is RFC 3339, or how long ago: 90m, 24h, 7d.`,
		Args: noArguments,
	}
	cmd.Flags().Var(aWord(&by, usageGroups...), "by", "What is summed by: model, asked, client, provider, key, endpoint, class or day")
	cmd.Flags().Var(aTime(&since), "since", "Only requests that began then or later")
	cmd.Flags().Var(aTime(&until), "until", "Only requests that began before")
	addAddressFlag(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query := url.Values{"by": {string(by)}}
		if since != "" {
			query.Set("since", since)
		}
		if until != "" {
			query.Set("until", until)
		}
		var answer usageAnswer
		if err := askAdmin(cmd, "/llm_proxy/usage?"+query.Encode(), "", &answer); err != nil {
			return err
		}
		return show(cmd, answer, func(out *output) { printUsage(out, &answer) })
	}
	return cmd
}

// requestID is what an id consists of.
var requestID = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

func explainCommand() *cobra.Command {
	var bodies bool
	cmd := &cobra.Command{
		Use:   "explain <request-id> [--bodies]",
		Short: "Tells the story of one request",
		Long: `Tells the story of one request by its X-Request-Id: who asked for what, what was
tried and passed over and why, and what came of it. From the request log of the
running gateway (log in its block).

--bodies prints the request and its answer, too, where the log keeps them.`,
		Args: justOne("the id of a request"),
	}
	cmd.Flags().BoolVar(&bodies, "bodies", false, "Print the bodies of request and answer, as far as they are kept")
	addAddressFlag(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, arguments []string) error {
		// Dots and slashes would make another path of it.
		if !requestID.MatchString(arguments[0]) {
			return usageError{fmt.Sprintf("%q is no request's id; it is the X-Request-Id of an answer", arguments[0])}
		}
		var answer requestAnswer
		if err := askAdmin(cmd, "/llm_proxy/requests/"+arguments[0], "", &answer); err != nil {
			return err
		}
		kept := answer.Bodies
		if !bodies {
			answer.Bodies = nil // nobody asked to see what was said
		}
		return show(cmd, answer, func(out *output) {
			printStory(out, &answer)
			printBodies(out, kept, bodies)
		})
	}
	return cmd
}

// printBodies tells what is kept of request and answer, and prints it if that is
// wanted.
func printBodies(out *output, b *bodiesReport, wanted bool) {
	if b == nil {
		if wanted {
			out.printf("bodies    none are kept of this request")
		}
		return
	}
	const beginning = " (the beginning)"
	for _, body := range [...]struct {
		name, text string
		cut        bool
	}{{"request", b.Request, b.RequestCut}, {"answer", b.Answer, b.AnswerCut}} {
		cut := ""
		if body.cut {
			cut = beginning
		}
		if !wanted {
			out.printf("kept      %d bytes of the %s%s; --bodies prints them", len(body.text), body.name, cut)
			continue
		}
		out.printf("")
		out.printf("%s%s:", body.name, cut)
		out.WriteString(strings.TrimRight(escapeLines(body.text), "\n") + "\n")
	}
}

// show writes an answer as JSON, where that is wanted, or as text.
func show(cmd *cobra.Command, answer any, text func(*output)) error {
	out := newOutput(cmd)
	if !out.json {
		text(out)
	} else if err := out.printJSON(answer); err != nil {
		return err
	}
	return out.flush(cmd)
}

func printRequests(out *output, requests []requestSummary) {
	if len(requests) == 0 {
		out.printf("no such requests")
		return
	}
	table := out.newTable(requestColumns(out)...)
	for i := range requests {
		table.row(requestCells(out, &requests[i])...)
	}
	table.end()
}

// requestColumns are the names of the columns of requestCells.
func requestColumns(out *output) []any {
	return []any{"BEGAN (UTC)", out.paint(uncoloured, "OUTCOME"), "STATUS", "CLIENT", "ASKED", "PROVIDER", "MODEL", "TRIED", "FIRST", "TOTAL", "IN", "OUT", "COST", "ID"}
}

// requestCells are one request in a list.
func requestCells(out *output, r *requestSummary) []any {
	return []any{
		r.Began.Format(time.DateTime), out.paint(outcomeColour(r.Outcome), r.Outcome), r.Status, r.Client, r.Asked, r.Provider, r.Model,
		r.Attempts, inMilliseconds(r.FirstMS), inMilliseconds(r.TotalMS), r.Tokens.shown(r.Tokens.read()), r.Tokens.shown(r.Tokens.written()), r.cost(), r.ID,
	}
}

// cost is what a request cost, "?" where that is not known, and nothing where it used
// nothing.
func (r *requestSummary) cost() string {
	switch {
	case r.Cost != nil:
		return inDollars(*r.Cost)
	case r.Tokens.read()+r.Tokens.written() > 0:
		return "?"
	}
	return ""
}

// cost is what the requests of a group cost, with a "?" where there is more to it.
func (r *usageSums) cost() string {
	switch {
	case r.CostUnknown == 0:
		return inDollars(r.Cost)
	case r.Cost == 0:
		return "?"
	}
	return inDollars(r.Cost) + " ?"
}

func printUsage(out *output, usage *usageAnswer) {
	if len(usage.Rows) == 0 {
		out.printf("no requests")
		return
	}
	table := out.newTable(strings.ToUpper(string(usage.By)), "REQUESTS", "OK", "FAILED", "LEFT", "TRIED", "INPUT", "CACHE READ", "CACHE WRITE", "OUTPUT", "REASONING", "COST", "AVERAGE")
	row := func(name string, r *usageSums) {
		table.row(name, r.Requests, r.OK, r.Failed, r.ClientClosed, r.Attempts, r.Tokens.Input, r.Tokens.CacheRead, r.Tokens.CacheWrite,
			r.Tokens.Output, r.Tokens.Reasoning, r.cost(), inMilliseconds(r.AverageMS))
	}
	for i := range usage.Rows {
		row(usage.Rows[i].Name, &usage.Rows[i].usageSums)
	}
	if len(usage.Rows) > 1 {
		row("(total)", &usage.Total)
	}
	table.end()
	if usage.More {
		out.printf("(there are more; (total) has them too)")
	}
}

func printStory(out *output, r *requestAnswer) {
	out.printf("request   %s", r.ID)
	out.printf("began     %s", r.Began.Format(time.RFC3339Nano))
	client := "client " + r.Client
	if r.Client == "" {
		client = "an anonymous client"
	}
	kind := "a whole answer"
	if r.Streamed {
		kind = "a stream"
	}
	what := fmt.Sprintf("for model %s (%s), %d bytes", r.Asked, kind, r.BytesIn)
	if r.Asked == "" {
		what = "for no model that could be read"
	}
	out.printf("asked     %s, %s, %s", client, r.Endpoint, what)
	for i, a := range r.Tried {
		out.printf("tried %d   %s, model %s, key %s, %s: %s", i+1, a.Provider, a.Model, a.KeyID, inMilliseconds(a.TookMS), attemptInWords(&a))
	}
	for _, s := range r.Skipped {
		out.printf("skipped   %s, model %s: %s", s.Provider, s.Model, skipInWords(&s))
	}
	ended := fmt.Sprintf("%s, status %d", r.Outcome, r.Status)
	if r.Class != "" {
		ended += ", " + r.Class
	}
	if r.Provider != "" {
		ended += ", answered by " + r.Provider + " with model " + r.Model
	}
	out.printf("ended     %s, after %s, %d bytes", ended, inMilliseconds(r.TotalMS), r.BytesOut)
	if r.FirstMS > 0 {
		out.printf("content   after %s", inMilliseconds(r.FirstMS))
	}
	if r.QueueMS > 0 {
		out.printf("waited    %s until the first upstream was asked", inMilliseconds(r.QueueMS))
	}
	printSpent(out, r)
	if r.Warnings != "" {
		out.printf("lost      %s", r.Warnings)
	}
}

// printSpent tells what a request used and what that cost.
func printSpent(out *output, r *requestAnswer) {
	t := r.Tokens
	if t == (tokenCount{}) {
		return
	}
	estimated := ""
	if t.Estimated {
		estimated = "; an estimate, since the upstream did not tell all of them"
	}
	out.printf("tokens    %d input, %d cache read, %d cache write, %d output, %d reasoning%s", t.Input, t.CacheRead, t.CacheWrite, t.Output, t.Reasoning, estimated)
	if r.Cost == nil {
		out.printf("cost      not known: no file has the prices of this model")
		return
	}
	var parts []string
	for _, part := range r.CostOf {
		if part.Kind == "request" {
			parts = append(parts, "$"+dollars(part.Cost)+" for the request")
			continue
		}
		parts = append(parts, fmt.Sprintf("%d %s x $%s", part.Tokens, strings.ReplaceAll(part.Kind, "_", " "), dollars(part.PerMillion)))
	}
	made := "; the prices have changed since"
	if len(parts) > 0 {
		made = " = " + strings.Join(parts, " + ") + ", per million tokens"
	}
	out.printf("cost      $%s%s", dollars(*r.Cost), made)
}

// attemptInWords is how an upstream call ended.
func attemptInWords(a *attemptReport) string {
	words := a.Class
	if a.Status != 0 {
		words += fmt.Sprintf(", status %d", a.Status)
	}
	if a.Reason != "" {
		words += ": " + a.Reason
	}
	if a.KeyRests > 0 {
		words += fmt.Sprintf("; the key rests for %gs", a.KeyRests)
	}
	return words
}

// skipInWords is why a candidate was passed over.
func skipInWords(s *skipReport) string {
	if s.Reason == "" {
		return s.Why
	}
	return s.Why + ": " + s.Reason
}

func outcomeColour(outcome string) colour {
	switch outcome {
	case "ok":
		return green
	case "error", "partial":
		return red
	}
	return yellow
}

// read is all that the upstream read, written all that it wrote.
func (t tokenCount) read() int64    { return t.Input + t.CacheRead + t.CacheWrite }
func (t tokenCount) written() int64 { return t.Output + t.Reasoning }

// shown is a number of these tokens, marked where it is an estimate.
func (t tokenCount) shown(tokens int64) string {
	if t.Estimated {
		return fmt.Sprintf("~%d", tokens)
	}
	return strconv.FormatInt(tokens, 10)
}

func inMilliseconds(ms float64) string {
	if ms == 0 {
		return ""
	}
	return time.Duration(ms * float64(time.Millisecond)).Round(100 * time.Microsecond).String()
}
