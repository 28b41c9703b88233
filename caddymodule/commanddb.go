package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

func dbCommand() *cobra.Command {
	return group("db", "Looks after the database of the request log", dbStatsCommand(), dbResetCommand())
}

func dbStatsCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "stats [--file <path>]",
		Short: "Tells what is in the request log, and how writing it goes",
		Long: `Tells what is in the request log of the running gateway, and how writing it goes.

With --file it looks into an SQLite database instead, which need not be in use;
nothing is changed in it.

Exits with 1 when the log cannot be written or read now.`,
		Args: noArguments,
	}
	cmd.Flags().StringVar(&file, "file", "", "Look into this SQLite database, without a gateway")
	addAddressFlag(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var answer databaseAnswer
		if file != "" {
			totals, size, err := logging.TotalsOf(cmd.Context(), file)
			if err != nil {
				return err
			}
			answer.databasePlace, answer.SizeBytes = (&Log{SQLite: file}).place(), size
			answer.setTotals(&totals)
		} else if err := askAdmin(cmd, "/llm_proxy/db", "; --file reads an SQLite database without it", &answer); err != nil {
			return err
		}
		if err := show(cmd, answer, func(out *output) { printDatabase(out, &answer) }); err != nil {
			return err
		}
		if answer.Log != nil && !answer.Log.Healthy {
			return errTold
		}
		return nil
	}
	return cmd
}

func dbResetCommand() *cobra.Command {
	var confirmed bool
	cmd := &cobra.Command{
		Use:   "reset [--confirm]",
		Short: "Deletes all requests from the request log",
		Long: `Deletes all requests from the request log of the running gateway, which goes on
with an empty one.

Asks first, and exits with 1 unless the answer is yes. Where nobody can be asked it
takes --confirm.`,
		Args: noArguments,
	}
	cmd.Flags().BoolVarP(&confirmed, "confirm", "y", false, "Delete without a question")
	addAddressFlag(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !confirmed && !isTerminal(cmd.InOrStdin()) {
			return errors.New("nothing is deleted: write --confirm, as nobody can be asked here")
		}
		if !confirmed {
			var answer databaseAnswer
			if err := askAdmin(cmd, "/llm_proxy/db", "", &answer); err != nil {
				return err
			}
			yes, err := saysYes(cmd, fmt.Sprintf("Delete all %s requests from %s?", humanize.Comma(answer.Rows), answer.Where))
			if err != nil {
				return err
			}
			if !yes {
				return errors.New("nothing is deleted")
			}
		}
		var answer databaseReset
		if err := orderAdmin(cmd, http.MethodPost, "/llm_proxy/db/reset", "", &answer); err != nil {
			return err
		}
		return show(cmd, answer, func(out *output) {
			out.printf("deleted %s requests from %s", humanize.Comma(answer.Deleted), answer.Where)
		})
	}
	return cmd
}

func printDatabase(out *output, a *databaseAnswer) {
	out.printf("database   %s, %s, %s", a.Engine, a.Where, humanize.IBytes(uint64(max(a.SizeBytes, 0))))
	t := &a.Totals
	if a.Rows == 0 {
		out.printf("requests   none")
	} else {
		out.printf("requests   %s from %s to %s UTC", humanize.Comma(a.Rows), a.Oldest.Format(time.DateTime), a.Newest.Format(time.DateTime))
		out.printf("ended      %s ok, %s failed (%.2f %%), %s left by the client, after %s attempts", humanize.Comma(t.OK), humanize.Comma(t.Failed),
			100*a.ErrorRate, humanize.Comma(t.ClientClosed), humanize.Comma(t.Attempts))
		out.printf("tokens     %s", inKinds(&t.Tokens))
		out.printf("cost       %s", costInWords(t))
		out.printf("average    %s", inMilliseconds(t.AverageMS))
	}
	if a.Log != nil {
		printWriter(out, a.Log)
	}
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

// costInWords is what requests cost, and of how many that, or the tokens, are not
// known.
func costInWords(t *usageSums) string {
	text := inDollars(t.Cost)
	switch unknown := humanize.Comma(t.CostUnknown); {
	case t.CostUnknown > 0 && t.Cost == 0:
		text = fmt.Sprintf("not known: there is no price for the models of %s requests", unknown)
	case t.CostUnknown > 0:
		text += fmt.Sprintf(", without %s requests for whose models there is no price", unknown)
	}
	if t.Estimated > 0 {
		text += fmt.Sprintf("; the tokens of %s requests are estimated", humanize.Comma(t.Estimated))
	}
	return text
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
	if spill := log.Spill; spill != nil && spill.Waiting > 0 {
		out.printf("spill      %s wait in %s until the database takes them", humanize.Comma(spill.Waiting), spill.File)
	}
	if log.LastError != "" {
		out.printf("trouble    %s, at %s UTC", log.LastError, log.LastErrorAt.UTC().Format(time.DateTime))
	}
	if log.SetAside != "" {
		out.printf("set aside  %s, a database that was damaged; look at it", log.SetAside)
	}
	if log.UncleanEnd {
		out.printf("unclean    the process before this one was killed; requests of its last moments may be missing")
	}
}
