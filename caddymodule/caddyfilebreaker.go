package caddymodule

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// off is the argument that does without a setting.
const off = "off"

const breakerUsage = "breaker is written with a block of settings, or as 'breaker off'"

func (h *Handler) unmarshalBreaker(d *caddyfile.Dispenser) error {
	if h.Breaker == nil {
		h.Breaker = new(Breaker)
	}
	b := h.Breaker
	if d.NextArg() {
		if d.Val() != off || d.NextArg() {
			return d.Err(breakerUsage)
		}
		b.Failures, b.Ratio = new(0), new(0.0)
		return nil
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := b.unmarshalSetting(d); err != nil {
			return err
		}
	}
	if *b == (Breaker{}) {
		return d.Err(breakerUsage)
	}
	// Here, and not only at load, the mistake has a line. What is filled in for
	// that stays out of the JSON.
	settled := *b
	if err := settled.setDefaults(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (b *Breaker) unmarshalSetting(d *caddyfile.Dispenser) (err error) {
	switch d.Val() {
	case "failures":
		b.Failures = new(int)
		return wholeNumber(d, b.Failures, 0)
	case "requests":
		return wholeNumber(d, &b.Requests, 1)
	case "ratio":
		b.Ratio = new(float64)
		return shareArgument(d, b.Ratio)
	case "window":
		b.Window, err = breakerTime(d)
	case "open":
		b.Open, err = breakerTime(d)
	case "max_open":
		b.MaxOpen, err = breakerTime(d)
	default:
		err = d.Errf("unrecognized breaker setting '%s'; the settings are failures, ratio, requests, window, open and max_open", d.Val())
	}
	return err
}

// breakerTime is duration, but takes no 0, which in JSON is the default.
func breakerTime(d *caddyfile.Dispenser) (caddy.Duration, error) {
	name := d.Val()
	value, err := duration(d)
	if err == nil && value == 0 {
		return 0, d.Errf("%s: must be from 1s to 24h; to have no breaker write 'breaker off'", name)
	}
	return value, err
}

func (h *Handler) unmarshalRetryBudget(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 || args[0] == off && len(args) > 1 {
		return d.ArgErr()
	}
	if args[0] == off {
		h.RetryBudget = &RetryBudget{Off: true}
		return nil
	}
	budget := new(RetryBudget)
	ratio, ok := share(args[0])
	if !ok {
		return d.Errf("retry_budget: '%s' is no share; write e.g. 0.2 or 20%%, or off", args[0])
	}
	budget.Ratio = &ratio
	if len(args) == 2 {
		perSecond, err := strconv.ParseFloat(args[1], 64)
		if err != nil {
			return d.Errf("retry_budget: '%s' is no number of attempts per second; write e.g. 10", args[1])
		}
		budget.PerSecond = &perSecond
	}
	settled := *budget
	if err := settled.setDefaults(); err != nil {
		return d.WrapErr(err)
	}
	h.RetryBudget = budget
	return nil
}

func (h *Handler) unmarshalAffinity(d *caddyfile.Dispenser) error {
	var text string
	if err := oneArgument(d, &text); err != nil {
		return err
	}
	if text != "on" && text != off {
		return d.Errf("affinity: '%s' is neither on nor off", text)
	}
	h.Affinity = new(text == "on")
	return nil
}

func (h *Handler) unmarshalState(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == "memory":
		h.State = new(State)
	case len(args) == 2 && args[0] == "file" && args[1] != "":
		h.State = &State{File: args[1]}
	default:
		return d.Err("state is written as 'state memory' or 'state file <path>'")
	}
	return nil
}

// wholeNumber reads the one argument of the current subdirective.
func wholeNumber(d *caddyfile.Dispenser, to *int, least int) error {
	name := d.Val()
	var text string
	if err := oneArgument(d, &text); err != nil {
		return err
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || int(n) < least {
		return d.Errf("%s: '%s' is no whole number from %d on", name, text, least)
	}
	*to = int(n)
	return nil
}

// shareArgument reads the one argument of the current subdirective.
func shareArgument(d *caddyfile.Dispenser, to *float64) error {
	name := d.Val()
	var text string
	if err := oneArgument(d, &text); err != nil {
		return err
	}
	value, ok := share(text)
	if !ok {
		return d.Errf("%s: '%s' is no share; write e.g. 0.5 or 50%%", name, text)
	}
	*to = value
	return nil
}

// share reads a share: 0.5 and 50% are the same. Whoever means more than all says
// so with a percent sign, because a 20 is a forgotten one. What is not a number
// for strconv only, such as NaN, is none here.
func share(text string) (value float64, ok bool) {
	number, percent := strings.CutSuffix(text, "%")
	value, err := strconv.ParseFloat(number, 64)
	most := 1.0
	if percent {
		value /= 100
		most = maxRetryRatio
	}
	return value, err == nil && value >= 0 && value <= most
}
