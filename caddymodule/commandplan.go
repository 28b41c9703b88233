package caddymodule

import (
	"errors"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func planCommand() *cobra.Command {
	protocol, handler := translate.Chat, -1
	var stream bool
	cmd := &cobra.Command{
		Use:   "plan <model> [--protocol openai|responses|anthropic] [--stream]",
		Short: "Shows where a request for a model would go now, and why",
		Long: `Shows where a request for a model would go now, and why.

Asks the running gateway. The routes are in the order in which they would be
tried, those that would not at the end or where they stand, with the reason.

Exits with 1 when the model is not known, or when nothing would be asked.`,
		Args: justOne("a model"),
	}
	cmd.Flags().Var(aProtocol(&protocol), "protocol", "What the client speaks: openai, responses or anthropic")
	cmd.Flags().BoolVar(&stream, "stream", false, "The client wants a stream")
	cmd.Flags().Var(aNumber(&handler, 0, math.MaxInt), "handler", "Number of the llm_proxy block that is asked, -1: all")
	addAddressFlag(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, arguments []string) error {
		query := url.Values{"model": {arguments[0]}, "protocol": {string(protocol)}, "stream": {strconv.FormatBool(stream)}}
		if handler >= 0 {
			query.Set("handler", strconv.Itoa(handler))
		}
		var answer planAnswer
		if err := askAdmin(cmd, "/llm_proxy/plan?"+query.Encode(), "", &answer); err != nil {
			return err
		}
		out := newOutput(cmd)
		if err := printPlans(out, &answer, time.Now()); err != nil {
			return err
		}
		if err := out.flush(cmd); err != nil {
			return err
		}
		for _, plan := range answer.Plans {
			for _, c := range plan.Candidates {
				if c.Verdict != routing.VerdictSkipped {
					return nil
				}
			}
		}
		return errors.New("nothing would be asked; every route is skipped, for the reasons above")
	}
	return cmd
}

func printPlans(out *output, answer *planAnswer, now time.Time) error {
	if out.json {
		return out.printJSON(answer)
	}
	for i, plan := range answer.Plans {
		if i > 0 {
			out.printf("")
		}
		if len(answer.Plans) > 1 {
			out.printf("llm_proxy block %d, %s", plan.Handler, plan.Directory)
		}
		out.printf("model %s, policy %s", plan.Model, string(plan.Policy))
		table := out.newTable("#", out.paint(uncoloured, "VERDICT"), "PROVIDER", "MODEL", "PROTOCOL", "KEYS", "WHY")
		for n, c := range plan.Candidates {
			table.row(n+1, out.paint(verdictColours[c.Verdict], string(c.Verdict)), c.Provider, c.Model, string(c.Protocol), c.Keys, planReason(&c, now))
		}
		table.end()
	}
	return nil
}

var verdictColours = map[routing.Verdict]colour{
	routing.VerdictNext:       green,
	routing.VerdictStandby:    uncoloured,
	routing.VerdictLastResort: yellow,
	routing.VerdictSkipped:    red,
}

// planReason is why a candidate stands where it stands.
func planReason(c *routing.CandidateReport, now time.Time) string {
	var reasons []string
	if c.Via != "" {
		reasons = append(reasons, "fallback "+c.Via)
	}
	if c.Purpose != "" {
		reasons = append(reasons, "only after "+string(c.Purpose))
	}
	if c.Detail != "" {
		reasons = append(reasons, c.Detail)
	}
	if c.Until != nil {
		reasons = append(reasons, "for "+roundUp(c.Until.Sub(now)))
	}
	return strings.Join(reasons, "; ")
}

// roundUp is a wait in words, never less than a second.
func roundUp(d time.Duration) string {
	return max(d.Truncate(time.Second)+time.Second, time.Second).String()
}
