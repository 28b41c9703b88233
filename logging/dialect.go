package logging

import (
	"context"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// dialect is what differs between the SQL of the databases. All other statements
// are the same for all.
type dialect struct {
	// rewrite makes the database's own of a migration, which is written for
	// SQLite.
	rewrite *strings.Replacer

	// groups are how many rows one statement inserts, the most first and 1 the
	// last. A statement for hundreds spares a distant server hundreds of round
	// trips; few sizes spare it statements to prepare.
	groups []int

	// claim ends the query for rows that are to be deleted.
	claim string

	// keep ends the query for rows that must be there until the transaction ends.
	keep string

	// number returns so many numbers that no row of a table has in a column.
	number func(ctx context.Context, tx *sqlx.Tx, table, column string, n int) ([]int64, error)

	// version reads the schema's version, which is 0 in an empty database.
	version func(context.Context, sqlx.QueryerContext) (int, error)
	// begin makes other processes wait that would migrate too, until the
	// transaction ends.
	begin func(context.Context, *sqlx.Tx) error
	// setVersion writes the schema's version.
	setVersion func(context.Context, *sqlx.Tx, int) error

	// now is the clock of a server. nil: there is none.
	now func(context.Context, *sqlx.DB) (time.Time, error)
	// size is what the rows take on a server's disk, in bytes. nil: the files tell.
	size func(context.Context, *sqlx.DB) (int64, error)
	// surplus returns how many of the oldest requests are to be deleted, at the
	// least, so that the rows take no more than most bytes.
	surplus func(ctx context.Context, db *sqlx.DB, most int64) (requests int64, err error)
}
