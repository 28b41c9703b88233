package caddymodule

import (
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

func logsCommand() *cobra.Command {
	var client, model, provider, class, outcome, since, until, before string
	var trouble, follow bool
	var status int
	limit := 20
	cmd := &cobra.Command{
		Use:   "logs [--follow] [--trouble] [--since <time>] [--client <name>] [--model <name>] ...",
		Short: "Lists what became of requests, the newest first",
		Long: `Lists what became of requests, the newest first, from the request log of the
running gateway (log in its block).

A time is RFC 3339, or how long ago: 90m, 24h, 7d. --before, with the id of the
last request of a list, pages back.

With --follow the list is the other way round, and goes on with each request
that ends, until Ctrl+C. It survives reloads and restarts of the gateway. With
--json each request is one line then.`,
		Args: noArguments,
	}
	flags := cmd.Flags()
	flags.BoolVarP(&follow, "follow", "f", false, "Go on with the requests that end from now on")
	flags.BoolVar(&trouble, "trouble", false, "Only requests that did not end well")
	flags.Var(aTime(&since), "since", "Only requests that began then or later")
	flags.Var(aTime(&until), "until", "Only requests that began before")
	flags.StringVar(&before, "before", "", "Only requests that began before the one with this id")
	flags.StringVar(&client, "client", "", "Only requests of this client")
	flags.StringVar(&model, "model", "", "Only requests that asked for this model")
	flags.StringVar(&provider, "provider", "", "Only requests that this provider answered")
	flags.StringVar(&class, "class", "", "Only requests that failed so, such as rate_limited")
	flags.Var(aWord(&outcome, logging.OutcomeOK, logging.OutcomeError, logging.OutcomePartial, logging.OutcomeClientClosed), "outcome",
		"Only requests that ended so: ok, error, partial or client_closed")
	flags.Var(aNumber(&status, 100, 599), "status", "Only requests that were answered with this status")
	flags.Var(aNumber(&limit, 1, 1000), "limit", "How many, at most 1000")
	addAddressFlag(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query := url.Values{}
		for name, value := range map[string]string{
			"client": client, "asked": model, "provider": provider, "class": class, "outcome": outcome,
			"since": since, "until": until, "before": before,
		} {
			if value != "" {
				query.Set(name, value)
			}
		}
		if cmd.Flags().Changed("status") {
			query.Set("status", strconv.Itoa(status))
		}
		if trouble {
			query.Set("trouble", "true")
		}
		if follow {
			if before != "" || until != "" {
				return usageError{"--follow goes on from now, so it does not go with --before and --until"}
			}
			if since != "" {
				// How long ago moves on: a request that takes longer would be left out.
				began, err := momentIn(since, time.Now())
				if err != nil {
					return err
				}
				query.Set("since", began.Format(time.RFC3339Nano))
			}
			f := follower{cmd: cmd, filter: query, out: newOutput(cmd)}
			return f.follow(limit)
		}
		query.Set("limit", strconv.Itoa(limit))
		var answer requestsAnswer
		if err := askAdmin(cmd, "/llm_proxy/requests?"+query.Encode(), "", &answer); err != nil {
			return err
		}
		return show(cmd, answer, func(out *output) { printRequests(out, answer.Requests) })
	}
	return cmd
}
