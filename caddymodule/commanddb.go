package caddymodule

import (
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

func dbCommand() *cobra.Command {
	return group("db", "Looks after the database of the request log", dbStatsCommand())
}

func dbStatsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Tells what is in the request log, and how writing it goes",
		Long: `Tells what is in the request log of the running gateway, and how writing it goes.

Exits with 1 when the log cannot be written or read now.`,
		Args: cobra.NoArgs,
	}
	addAddressFlag(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var answer databaseAnswer
		if err := askAdmin(cmd, "/llm_proxy/db", "", &answer); err != nil {
			return err
		}
		if err := show(cmd, answer, func(out *output) { printDatabase(out, &answer) }); err != nil {
			return err
		}
		if !answer.Log.Healthy {
			return errTold
		}
		return nil
	}
	return cmd
}

func printDatabase(out *output, a *databaseAnswer) {
	out.printf("database   %s, %s, %s", a.Engine, a.Where, humanize.IBytes(uint64(max(a.SizeBytes, 0))))
	t := &a.Totals
	if a.Rows == 0 {
		out.printf("requests   none")
	} else {
		out.printf("requests   %s from %s to %s", humanize.Comma(a.Rows), a.Oldest.Format(time.DateTime), a.Newest.Format(time.DateTime))
		out.printf("ended      %s ok, %s failed (%.2f %%), %s left by the client, after %s attempts", humanize.Comma(t.OK), humanize.Comma(t.Failed),
			100*a.ErrorRate, humanize.Comma(t.ClientClosed), humanize.Comma(t.Attempts))
		out.printf("tokens     %s", inKinds(&t.Tokens))
		out.printf("average    %s", inMilliseconds(t.AverageMS))
	}
	printWriter(out, &a.Log)
}

// inKinds are tokens in words.
func inKinds(t *tokenCount) string {
	var parts []string
	for _, kind := range []struct {
		name string
		n    int64
	}{{"input", t.Input}, {"cache read", t.CacheRead}, {"cache write", t.CacheWrite}, {"output", t.Output}, {"reasoning", t.Reasoning}} {
		parts = append(parts, humanize.Comma(kind.n)+" "+kind.name)
	}
	return strings.Join(parts, ", ")
}

// printWriter tells how writing the log goes, since the gateway began.
func printWriter(out *output, log *logging.Stats) {
	state := out.paint(green, "writing")
	if !log.Healthy {
		state = out.paint(red, "not writing")
	}
	out.printf("log        %s; %s written since the start, %s wait, %s were there already", state,
		humanize.Comma(log.Written), humanize.Comma(int64(log.Queued)), humanize.Comma(log.Duplicates))
	if d := &log.Dropped; d.Total() > 0 {
		var why []string
		for _, reason := range []struct {
			n     int64
			words string
		}{
			{d.Queue, "the queue was full"},
			{d.Space, "the disk had too little room"},
			{d.Store, "the database took nothing"},
			{d.Unwritable, "refused by the database"},
			{d.Closed, "came too late"},
		} {
			if reason.n > 0 {
				why = append(why, reason.words+" "+humanize.Comma(reason.n))
			}
		}
		out.printf("dropped    %s (%s)", humanize.Comma(d.Total()), strings.Join(why, ", "))
	}
	if log.LastError != "" {
		out.printf("trouble    %s, at %s", log.LastError, log.LastErrorAt.UTC().Format(time.DateTime))
	}
	if log.SetAside != "" {
		out.printf("set aside  %s, a database that was damaged; look at it", log.SetAside)
	}
	if log.UncleanEnd {
		out.printf("unclean    the process before this one was killed; requests of its last moments may be missing")
	}
}
