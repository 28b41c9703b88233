package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

// checkLog looks at the request log of a block.
func (x *examination) checkLog(block *Handler) {
	switch {
	case block.Log.Postgres != "":
		x.checkServer(block.Log.dsn)
		x.checkPlace(block.Log.Spill) // what is in it is looked after by whoever opens it
	case block.Log.SQLite != "" && x.checkPlace(block.Log.SQLite):
		x.checkDatabase(block.Log.SQLite)
	}
}

// checkServer asks a PostgreSQL server whether it takes the log.
func (x *examination) checkServer(dsn string) {
	place, err := logging.Place(dsn)
	if err != nil {
		x.fail("log", err.Error(), "", nil)
		return
	}
	found, err := logging.InspectServer(x.ctx, dsn)
	if err != nil {
		problem, fix := err.Error(), ""
		if said, ok := errors.AsType[*logging.ServerError](err); ok {
			problem, fix = said.Problem, said.Fix
		}
		x.fail("log", problem, fix, nil)
		return
	}
	at := fmt.Sprintf("PostgreSQL %s at %s", found.Server, place)
	switch {
	case found.Standby:
		x.fail("log", at+" is a standby, and takes nothing", "name the primary server in the DSN", nil)
	case found.ReadOnly:
		x.fail("log", at+" lets this user only read", "set default_transaction_read_only to off for the user and the database", nil)
	case found.Version > found.Known:
		x.fail("log", fmt.Sprintf("the tables in %s have schema version %d, and this program knows %d", at, found.Version, found.Known), "use the program that made them, or another search_path", nil)
	case found.Version == 0 && !found.Allowed:
		x.fail("log", at+" does not let this user make the tables", "grant it CREATE on the database, or on the schema of search_path", nil)
	case found.Version < found.Known && !found.Allowed:
		x.fail("log", fmt.Sprintf("%s does not let this user bring the tables from schema version %d to %d", at, found.Version, found.Known), "let a gateway start once with their owner in the DSN", nil)
	case !found.Allowed:
		x.fail("log", at+" does not let this user read and change the tables", "grant it SELECT, INSERT, UPDATE and DELETE on all of them and USAGE on their sequences, or name their owner in the DSN", nil)
	case found.Version == 0:
		x.ok("log", "%s answers; the tables will be made when the gateway starts", at)
	case found.Version < found.Known:
		x.ok("log", "%s answers; the tables go from schema version %d to %d when the gateway starts", at, found.Version, found.Known)
	default:
		x.ok("log", "%s answers, with schema version %d", at, found.Version)
	}
}

// checkPlace looks at where a file of the log is, or will be, and reports whether it is
// there and can be written.
func (x *examination) checkPlace(path string) bool {
	directory := filepath.Dir(path)
	probe, err := os.CreateTemp(directory, ".llm-proxy-*")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.fail("log", fmt.Sprintf("the directory %s of the request log is not there", directory), "make it", func() (string, error) {
			return "made the directory " + directory, os.MkdirAll(directory, 0o700)
		})
		return false
	case err != nil:
		x.fail("log", fmt.Sprintf("the directory %s of the request log cannot be written to: %v", directory, cause(err)), "let the user of the gateway write to it", nil)
		return false
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	if free, floor := logging.Room(directory); free < floor {
		x.warn("log", fmt.Sprintf("the disk of %s has %d MiB left; with less than %d the log stops", path, free>>20, floor>>20), "make room")
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		x.ok("log", "%s will be made when the gateway starts", path)
		return false
	}
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		x.fail("log", fmt.Sprintf("%s has mode %04o, so others can read who asked for what", path, info.Mode().Perm()), "chmod 600 "+path, func() (string, error) {
			return "took the permissions of others from " + path, os.Chmod(path, 0o600)
		})
	}
	// SQLite opens a file that cannot be written, too, and fails later.
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		x.fail("log", fmt.Sprintf("%s cannot be written: %v", path, cause(err)), "let the user of the gateway read and write it", nil)
		return false
	}
	_ = file.Close()
	return true
}

// checkDatabase looks into the SQLite database of a log.
func (x *examination) checkDatabase(path string) {
	found, err := logging.Inspect(x.ctx, path)
	switch {
	case err != nil:
		x.fail("log", err.Error(), "let the user of the gateway read and write it", nil)
	case found.Damage != "":
		x.fail("log", fmt.Sprintf("%s is damaged: %s", path, found.Damage), "rename it; the gateway makes a new one", func() (string, error) {
			aside, err := logging.SetAside(path, x.now)
			return fmt.Sprintf("renamed the damaged %s to %s", path, filepath.Base(aside)), err
		})
	case found.Version > found.Known:
		x.fail("log", fmt.Sprintf("%s has schema version %d, and this program knows %d", path, found.Version, found.Known), "use the program that wrote it, or another file", nil)
	default:
		x.ok("log", "%s is sound, with schema version %d", path, found.Version)
	}
}
