package logging

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jmoiron/sqlx"
)

// ServerInspection is what can be told of a server's database from outside.
type ServerInspection struct {
	Server string // its version, such as 15.9
	// Version is that of the schema, and Known the one of this program, to which a
	// log brings it when it opens. 0: there are no tables yet.
	Version, Known int
	// Standby tells that the server copies another one, and so takes nothing, and
	// ReadOnly that it takes nothing from this user for whichever reason.
	Standby, ReadOnly bool
	// Allowed tells that the user may do what the log has to: make the tables where
	// they are not there, bring old ones up to date, or else read and change them.
	Allowed bool
}

// ServerError says why a server's database cannot be looked at.
type ServerError struct {
	Problem string // without any secret
	Fix     string // what to do about it; may be empty
}

// Error implements error.
func (e *ServerError) Error() string {
	if e.Fix == "" {
		return e.Problem
	}
	return e.Problem + "; " + e.Fix
}

// InspectServer asks the PostgreSQL server of a DSN about its database, for at most
// 5 s, and changes nothing in it. The error is a *ServerError, or that of a DSN that
// cannot be parsed.
func InspectServer(ctx context.Context, dsn string) (*ServerInspection, error) {
	s, err := newServer(dsn)
	if err != nil {
		return nil, err
	}
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, serverPatience)
	defer cancel()
	db := s.connect(1, serverPatience, nil)
	defer db.Close()
	found := &ServerInspection{Known: len(files)}
	if err := found.ask(ctx, db); err != nil {
		return nil, s.explain(err)
	}
	return found, nil
}

// ask asks a server all of it.
func (i *ServerInspection) ask(ctx context.Context, db *sqlx.DB) (err error) {
	err = db.QueryRowContext(ctx, "SELECT current_setting('server_version'), pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'").
		Scan(&i.Server, &i.Standby, &i.ReadOnly)
	if err != nil {
		return err
	}
	i.Server, _, _ = strings.Cut(i.Server, " ") // a distribution adds its own
	if i.Version, err = postgresDialect.version(ctx, db); err != nil {
		return err
	}
	rights := `SELECT CASE WHEN current_schema() IS NULL THEN has_database_privilege(current_database(), 'CREATE')
		ELSE has_schema_privilege(current_schema(), 'CREATE') END`
	switch {
	case i.Version > i.Known:
		return nil // nobody here knows its tables
	case i.Version > 0 && i.Version < i.Known:
		// Not all of the tables are there yet.
		rights = "SELECT pg_has_role(relowner, 'USAGE') AND has_schema_privilege(relnamespace, 'CREATE') FROM pg_class WHERE oid = to_regclass('requests')"
	case i.Version > 0:
		// Rows are locked too, for which UPDATE is needed.
		rights = "SELECT true"
		for _, table := range []string{"requests", "attempts", "labels", "skips", "bodies"} {
			for _, right := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
				rights += fmt.Sprintf(" AND has_table_privilege('%s', '%s')", table, right)
			}
		}
		for _, numbered := range []string{"'requests', 'seq'", "'labels', 'id'"} {
			rights += fmt.Sprintf(" AND has_sequence_privilege(pg_get_serial_sequence(%s), 'USAGE')", numbered)
		}
	}
	return db.GetContext(ctx, &i.Allowed, rights)
}

// explain says what an error of a server, or of the way to it, means.
func (s *server) explain(err error) *ServerError {
	var unknown *net.DNSError
	var timeout net.Error
	switch state := sqlState(err); {
	case state == "28P01", state == "28000":
		return &ServerError{fmt.Sprintf("PostgreSQL at %s does not let this user in", s), "put user and password of the DSN right, or let the user in by the server's pg_hba.conf"}
	case state == "3D000":
		return &ServerError{fmt.Sprintf("PostgreSQL at %s has no such database", s), "make it with createdb, or put its name in the DSN right"}
	case state == "42501":
		return &ServerError{fmt.Sprintf("PostgreSQL at %s forbids this user to look at the log's tables", s), "grant it the rights, or name their owner in the DSN"}
	case state == "53300":
		return &ServerError{fmt.Sprintf("PostgreSQL at %s has no connection left", s), "raise its max_connections"}
	case state == "57P03":
		return &ServerError{fmt.Sprintf("PostgreSQL at %s is starting or stopping", s), "ask again in a moment"}
	case state != "":
		return &ServerError{fmt.Sprintf("PostgreSQL at %s refuses: %s", s, words(err)), ""}
	case errors.As(err, &unknown):
		return &ServerError{fmt.Sprintf("the host of PostgreSQL at %s is not known", s), "put its name in the DSN right"}
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return &ServerError{fmt.Sprintf("nobody listens for PostgreSQL at %s", s), "start the server, or put host and port of the DSN right"}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &ServerError{fmt.Sprintf("PostgreSQL at %s does not answer in time", s), "look at the server and at the network between"}
	}
	return &ServerError{fmt.Sprintf("PostgreSQL at %s cannot be asked: %s", s, words(err)), ""}
}

// words are an error of the driver in one line, without the user.
func words(err error) string {
	if failed, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		err = failed.Unwrap()
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
