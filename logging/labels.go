package logging

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// labels are what many requests, or attempts, have in common. They are written once,
// by the first that has them.
type labels struct {
	hour int64 // in which the request began, since 1970

	client, clientKey, endpoint, protocol, upstreamProtocol string
	asked, model, provider, keyID, class, outcome           string

	status              int
	streamed, estimated bool
}

// hourOf is the hour of a time in microseconds. Labels serve for an hour only, so that
// those of old requests can be deleted by their time. What clients make up in an hour,
// such as names of models, is small beside their requests.
func hourOf(us int64) int64 { return us / time.Hour.Microseconds() }

// labels are those of the request.
func (r *Record) labels() labels {
	return labels{
		hour:   hourOf(micros(r.Start)),
		client: clean(r.Client, maxName), clientKey: clean(r.ClientKey, maxName), endpoint: clean(r.Endpoint, maxName),
		protocol: clean(r.Protocol, maxName), upstreamProtocol: clean(r.UpstreamProtocol, maxName),
		asked: clean(r.Asked, maxName), model: clean(r.Model, maxName), provider: clean(r.Provider, maxName), keyID: clean(r.KeyID, maxName),
		class: clean(r.Class, maxName), outcome: clean(r.Outcome, maxName), status: statusCode(r.Status),
		streamed: r.Streamed, estimated: r.Tokens.Estimated,
	}
}

// labels are those of the attempt, in a request of an hour.
func (a *Attempt) labels(hour int64) labels {
	return labels{
		hour:  hour,
		model: clean(a.Model, maxName), provider: clean(a.Provider, maxName), keyID: clean(a.KeyID, maxName),
		class: clean(a.Class, maxName), status: statusCode(a.Status),
	}
}

// clone has texts of its own: those of a record may be parts of a body.
func (l labels) clone() labels {
	for _, text := range []*string{
		&l.client, &l.clientKey, &l.endpoint, &l.protocol, &l.upstreamProtocol,
		&l.asked, &l.model, &l.provider, &l.keyID, &l.class, &l.outcome,
	} {
		*text = strings.Clone(*text)
	}
	return l
}

// label is a row of the table labels.
type label struct {
	labels
	id int64 // 0: it is not written yet
}

// maxLabels is how many labels are known without a look into the database. A gateway
// has a few dozen an hour, unless its clients make some up.
const maxLabels = 4096

// labelBook knows the labels that this process has written.
type labelBook struct {
	known map[labels]*label
}

// forget is for when some of them may not be in the database, or not any more.
func (b *labelBook) forget() { b.known = nil }

// use returns the labels of records. fresh are those to be written; oldest are those
// that were written first, of each hour.
func (b *labelBook) use(records []*Record) (of labelUse, fresh, oldest []*label) {
	if b.known == nil || len(b.known) > maxLabels {
		b.known = make(map[labels]*label)
	}
	find := func(key labels) *label {
		l := b.known[key]
		if l == nil {
			key = key.clone()
			l = &label{labels: key}
			b.known[key] = l
			fresh = append(fresh, l)
		}
		if l.id == 0 {
			return l
		}
		at := slices.IndexFunc(oldest, func(o *label) bool { return o.hour == l.hour })
		switch {
		case at < 0:
			oldest = append(oldest, l)
		case l.id < oldest[at].id:
			oldest[at] = l
		}
		return l
	}
	of = labelUse{requests: make([]*label, 0, len(records)), attempts: make([]*label, 0, len(records))}
	for _, r := range records {
		key := r.labels()
		of.requests = append(of.requests, find(key))
		for i := range r.attemptRows() {
			of.attempts = append(of.attempts, find(r.Attempts[i].labels(key.hour)))
		}
	}
	return of, fresh, oldest
}

// labelUse are the labels of records: one for each, and one for each attempt that has
// a row.
type labelUse struct{ requests, attempts []*label }

// useLabels returns the labels of records, all of which are in the database then.
func (s *store) useLabels(ctx context.Context, tx *sqlx.Tx, records []*Record) (labelUse, error) {
	of, fresh, oldest := s.labels.use(records)
	if there, err := s.areThere(ctx, tx, oldest); err != nil {
		return of, err
	} else if !there {
		s.labels.forget()
		of, fresh, _ = s.labels.use(records)
	}
	if len(fresh) == 0 {
		return of, nil
	}
	ids, err := s.dialect.number(ctx, tx, "labels", "id", len(fresh))
	if err != nil {
		return of, err
	}
	values := s.inserts.labels.rows()
	for i, l := range fresh {
		l.id = ids[i]
		values = appendLabel(values, l)
	}
	_, err = s.inserts.labels.insert(ctx, tx, values)
	return of, err
}

// areThere tells whether the labels, and all that were written after them for the
// same hours, are still there, and keeps them there until the transaction ends.
// Another process may have deleted them: of an hour always those first that were
// written first.
func (s *store) areThere(ctx context.Context, tx *sqlx.Tx, oldest []*label) (bool, error) {
	for _, l := range oldest {
		var ids []int64
		if err := tx.SelectContext(ctx, &ids, tx.Rebind("SELECT id FROM labels WHERE id = ?"+s.dialect.keep), l.id); err != nil || len(ids) == 0 {
			return false, err
		}
	}
	return true, nil
}

// deleteLabels deletes up to chunkRows labels of hours that are over for all requests
// there are, and tells whether there may be more. One hour more is left to other
// processes, which may be writing late requests.
func (s *store) deleteLabels(ctx context.Context) (more bool, err error) {
	result, err := s.write.ExecContext(ctx, s.write.Rebind(`DELETE FROM labels WHERE id IN (SELECT id FROM labels
		WHERE hour < (SELECT MIN(start_us) FROM requests) / ? - 1 ORDER BY hour, id LIMIT ?)`), time.Hour.Microseconds(), chunkRows)
	if err != nil {
		return false, err
	}
	deleted, err := result.RowsAffected()
	if err != nil || deleted > 0 {
		s.labels.forget()
	}
	return deleted == chunkRows, err
}

func appendLabel(values []any, l *label) []any {
	return append(values,
		l.id, l.hour, l.client, l.clientKey, l.endpoint, l.protocol, l.upstreamProtocol, l.asked, l.model, l.provider, l.keyID,
		l.status, l.class, l.outcome, flag(l.streamed), flag(l.estimated))
}
