package logging

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// migrations lead from each version of the schema to the next. Their names are
// sorted; those that a release has shipped are never changed. They are written for
// SQLite; the dialects of other databases rewrite them.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrationPatience is for a migration of tables that may have millions of rows.
const migrationPatience = 10 * time.Minute

// errNewer is returned for a database that a newer release has written.
var errNewer = errors.New("the database was written by a newer version of this program")

// migrate brings the schema up to date. Another process may do the same at the
// same time.
func migrate(ctx context.Context, db *sqlx.DB, d *dialect) error {
	names, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	// The version is read without a transaction first, which would have to wait
	// for another process that writes.
	version, err := d.version(ctx, db)
	if err != nil {
		return err
	}
	if version > len(names) {
		return fmt.Errorf("%w: its schema has version %d, this one knows %d", errNewer, version, len(names))
	}
	if version == len(names) {
		return nil
	}
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := d.begin(ctx, tx); err != nil {
		return err
	}
	if version, err = d.version(ctx, tx); err != nil || version >= len(names) {
		return err // or somebody else was faster
	}
	for ; version < len(names); version++ {
		name := names[version].Name()
		statements, err := migrations.ReadFile("migrations/" + name)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, d.rewrite.Replace(string(statements))); err != nil {
			return fmt.Errorf("migrating to %s: %w", name, err)
		}
	}
	if err := d.setVersion(ctx, tx, len(names)); err != nil {
		return err
	}
	return tx.Commit()
}
