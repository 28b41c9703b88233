package logging

import (
	"context"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// maxReaders is how many queries run at the same time. More of them only take from
// the writer.
const maxReaders = 2

// queryTimeout is how long a query may run. While one runs, SQLite's write-ahead
// log cannot begin anew and grows, and PostgreSQL keeps what was deleted.
const queryTimeout = 10 * time.Second

// store is an open database.
type store struct {
	dialect *dialect
	write   *sqlx.DB // one connection, of the writer goroutine
	read    *sqlx.DB // at most maxReaders connections, which cannot write
	inserts inserts  // of the writer
	labels  labelBook
	files   *files // nil: the database is a server's

	// patience bounds a write, and the wait for connections to close. 0: they end
	// by themselves.
	patience time.Duration

	readers sync.RWMutex    // read-locked by every query
	ctx     context.Context // ends when the database is to be closed
	cancel  context.CancelFunc
}

// newStore returns a store without connections.
func newStore(ctx context.Context, d *dialect) *store {
	s := &store{dialect: d}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// prepare brings the schema up to date and prepares the writer's statements.
func (s *store) prepare(ctx context.Context) error {
	outdated, err := s.isOutdated(ctx)
	if err != nil {
		return err
	}
	if outdated {
		migrating, cancel := context.WithTimeout(ctx, migrationPatience)
		defer cancel()
		if err := migrate(migrating, s.write, s.dialect); err != nil {
			return err
		}
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := migrate(ctx, s.write, s.dialect); err != nil {
		return err
	}
	s.inserts, err = prepareInserts(ctx, s.write, s.dialect.groups)
	return err
}

// isOutdated tells whether there are tables of an older version, all rows of which
// may have to be written anew.
func (s *store) isOutdated(ctx context.Context) (bool, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	names, err := migrations.ReadDir("migrations")
	if err != nil {
		return false, err
	}
	version, err := s.dialect.version(ctx, s.write)
	return version > 0 && version < len(names), err
}

// bounded is a context for a write.
func (s *store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.patience == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.patience)
}

// query runs f, which reads, within timeout.
func (s *store) query(ctx context.Context, timeout time.Duration, f func(context.Context, *sqlx.DB) error) error {
	s.readers.RLock()
	defer s.readers.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stop := context.AfterFunc(s.ctx, cancel)
	defer stop()
	return f(ctx, s.read)
}

// close ends all queries and closes the database. SQLite's last connection brings
// the write-ahead log home and deletes it by its name: none may be left when
// another database is opened there. A server that hangs is not waited for.
func (s *store) close() {
	s.cancel()
	s.readers.Lock()
	defer s.readers.Unlock()
	closed := make(chan struct{})
	shut := func() {
		defer close(closed)
		for _, db := range []*sqlx.DB{s.read, s.write} {
			if db != nil {
				_ = db.Close()
			}
		}
	}
	if s.patience == 0 {
		shut()
		return
	}
	go func() {
		defer func() { _ = recover() }() // nothing is left to be done with it
		shut()
	}()
	select {
	case <-closed:
	case <-time.After(closeGrace):
	}
}
