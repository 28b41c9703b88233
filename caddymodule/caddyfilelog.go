package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

const logUsage = "log is written as 'log sqlite <file>' or 'log postgres <dsn>', with or without a block, or as 'log off'"

func (h *Handler) unmarshalLog(d *caddyfile.Dispenser) error {
	if h.Log != nil {
		return d.Err("log is written twice")
	}
	h.Log = new(Log)
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == off:
		return nil
	case len(args) == 2 && args[0] == logging.SQLite && args[1] != "":
		h.Log.SQLite = args[1]
	case len(args) == 2 && args[0] == logging.Postgres && args[1] != "":
		h.Log.Postgres = args[1]
	default:
		return d.Err(logUsage)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := h.Log.unmarshalSetting(d); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) unmarshalSetting(d *caddyfile.Dispenser) (err error) {
	switch d.Val() {
	case "retain":
		if l.Retain, err = duration(d); err == nil && l.Retain < caddy.Duration(shortestRetain) {
			return d.Errf("retain: must be at least %v", shortestRetain)
		}
		return err
	case "max_size":
		return size(d, &l.MaxSize)
	case "bodies":
		return l.unmarshalBodies(d)
	case "spill":
		return oneArgument(d, &l.Spill)
	}
	return d.Errf("unrecognized setting '%s' of log; they are retain, max_size, bodies and spill", d.Val())
}

// unmarshalBodies reads what is kept of bodies, with a block or without.
func (l *Log) unmarshalBodies(d *caddyfile.Dispenser) error {
	if l.Bodies != nil {
		return d.Err("bodies is written twice")
	}
	l.Bodies = new(Bodies)
	if err := word(d, &l.Bodies.Mode, bodyModes); err != nil {
		return err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := l.Bodies.unmarshalSetting(d); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bodies) unmarshalSetting(d *caddyfile.Dispenser) (err error) {
	switch d.Val() {
	case "max_size":
		if err = size(d, &b.MaxSize); err == nil && b.MaxSize > maxBodySize {
			return d.Errf("max_size: must be at most %v", Size(maxBodySize))
		}
		return err
	case "sample":
		if err = shareArgument(d, &b.Sample); err == nil && (b.Sample <= 0 || b.Sample > 1) {
			return d.Err("sample: must be above 0 and at most 100%; bodies off keeps none")
		}
		return err
	case "retain":
		if b.Retain, err = duration(d); err == nil && b.Retain < caddy.Duration(shortestRetain) {
			return d.Errf("retain: must be at least %v", shortestRetain)
		}
		return err
	}
	return d.Errf("unrecognized setting '%s' of bodies; they are max_size, sample and retain", d.Val())
}
