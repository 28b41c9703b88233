package logging

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestAConnectionIsUsedAgainOnlyAfterWhatPasses(t *testing.T) {
	for _, tc := range []struct {
		state   string
		passing bool
	}{
		{"40001", true},  // serialization_failure
		{"40P01", true},  // deadlock_detected
		{"53100", true},  // disk_full
		{"53200", true},  // out_of_memory
		{"55P03", true},  // lock_not_available
		{"57014", true},  // query_canceled, as by statement_timeout
		{"0A000", false}, // feature_not_supported: cached plan must not change result type
		{"08006", false}, // connection_failure
		{"25006", false}, // read_only_sql_transaction: the server is a standby now
		{"25P02", false}, // in_failed_sql_transaction
		{"26000", false}, // invalid_sql_statement_name: the prepared statement is gone
		{"42501", false}, // insufficient_privilege
		{"42P01", false}, // undefined_table
		{"57P01", false}, // admin_shutdown
		{"XX000", false}, // internal_error
	} {
		if got := passing(&pgconn.PgError{Code: tc.state}); got != tc.passing {
			t.Errorf("passing(%s) = %v, want %v", tc.state, got, tc.passing)
		}
	}
}

// An operator may drop the tables, as any other error may ask for a new connection.
func TestTablesThatAreGoneAreMadeAnew(t *testing.T) {
	l := open(t, onServer(t))
	addAll(l, 0, 10)
	flush(t, l)
	change(t, l, "DROP TABLE requests, attempts, labels, skips, bodies, llm_proxy_schema CASCADE")
	addAll(l, 10, 30)
	home(t, l, 20)
}

// A server that answers, but takes nothing, is not well, however little there is to
// write, and is so once it takes what was spilled.
func TestServerIsNotWellUntilItTakesRows(t *testing.T) {
	l := open(t, onServer(t))
	addAll(l, 0, 10)
	flush(t, l)
	change(t, l, `CREATE FUNCTION full_disk() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room' USING ERRCODE = '53100'; END $$`)
	change(t, l, "CREATE TRIGGER full_disk BEFORE INSERT ON requests EXECUTE FUNCTION full_disk()")
	addAll(l, 10, 30)
	wait(t, "all is in the spill", func() bool { return l.Stats().Spill.Waiting == 20 })
	for end := time.After(3 * time.Second); ; {
		if s := l.Stats(); s.Healthy {
			t.Fatalf("stats %+v, want unhealthy while nothing is taken", s)
		}
		select {
		case <-end:
			change(t, l, "DROP TRIGGER full_disk ON requests")
			home(t, l, 30)
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
