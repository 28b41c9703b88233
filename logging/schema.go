package logging

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// migrations lead from each version of the schema to the next. Their names are
// sorted; those that a release has shipped are never changed.
//
//go:embed migrations/*.sql
var migrations embed.FS

// errNewer is returned for a database that a newer release has written.
var errNewer = errors.New("the database was written by a newer version of this program")

// migrate brings the schema up to date. Another process may do the same at the
// same time.
func migrate(ctx context.Context, db *sqlx.DB) error {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	// The version is read without a transaction first, which would have to wait
	// for another process that writes.
	var version int
	if err := db.GetContext(ctx, &version, "PRAGMA user_version"); err != nil {
		return err
	}
	if version > len(files) {
		return fmt.Errorf("%w: its schema has version %d, this one knows %d", errNewer, version, len(files))
	}
	if version == len(files) {
		return nil
	}
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := tx.GetContext(ctx, &version, "PRAGMA user_version"); err != nil {
		return err
	}
	for ; version < len(files); version++ {
		name := files[version].Name()
		statements, err := migrations.ReadFile("migrations/" + name)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(statements)); err != nil {
			return fmt.Errorf("migrating to %s: %w", name, err)
		}
	}
	// A pragma takes no parameters.
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(files))); err != nil {
		return err
	}
	return tx.Commit()
}
