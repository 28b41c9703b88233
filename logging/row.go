package logging

import "database/sql"

// Row is a request in a list: its attempts and skipped candidates are left out.
type Row struct {
	Record
	// AttemptCount is how many attempts there were.
	AttemptCount int
	// Seq is the place of the row in the order in which rows were written.
	Seq int64
}

// requestRow is a row of the view request_log.
type requestRow struct {
	Seq              int64           `db:"seq"`
	ID               string          `db:"id"`
	Start            int64           `db:"start_us"`
	Total            int64           `db:"total_us"`
	Queue            int64           `db:"queue_us"`
	First            int64           `db:"first_us"`
	Client           string          `db:"client"`
	ClientKey        string          `db:"client_key"`
	Endpoint         string          `db:"endpoint"`
	Protocol         string          `db:"protocol"`
	UpstreamProtocol string          `db:"upstream_protocol"`
	Asked            string          `db:"asked"`
	Model            string          `db:"model"`
	Provider         string          `db:"provider"`
	KeyID            string          `db:"key_id"`
	Status           int             `db:"status"`
	Class            string          `db:"class"`
	Outcome          string          `db:"outcome"`
	Streamed         bool            `db:"streamed"`
	Input            int64           `db:"tokens_input"`
	CacheRead        int64           `db:"tokens_cache_read"`
	CacheWrite       int64           `db:"tokens_cache_write"`
	Output           int64           `db:"tokens_output"`
	Reasoning        int64           `db:"tokens_reasoning"`
	Estimated        bool            `db:"tokens_estimated"`
	Cost             sql.NullFloat64 `db:"cost"`
	BytesIn          int64           `db:"bytes_in"`
	BytesOut         int64           `db:"bytes_out"`
	Warnings         string          `db:"warnings"`
	Attempts         int             `db:"attempts"`
}

// row is what is told of it.
func (r *requestRow) row() Row {
	return Row{
		Seq:          r.Seq,
		AttemptCount: r.Attempts,
		Record: Record{
			ID: r.ID, Start: moment(r.Start), Total: duration(r.Total), Queue: duration(r.Queue), First: duration(r.First),
			Client: r.Client, ClientKey: r.ClientKey,
			Endpoint: r.Endpoint, Protocol: r.Protocol, UpstreamProtocol: r.UpstreamProtocol,
			Asked: r.Asked, Model: r.Model, Provider: r.Provider, KeyID: r.KeyID,
			Status: r.Status, Class: r.Class, Outcome: r.Outcome, Streamed: r.Streamed,
			Tokens: Tokens{
				Input: r.Input, CacheRead: r.CacheRead, CacheWrite: r.CacheWrite,
				Output: r.Output, Reasoning: r.Reasoning, Estimated: r.Estimated,
			},
			Cost: r.Cost.Float64, CostKnown: r.Cost.Valid,
			BytesIn: r.BytesIn, BytesOut: r.BytesOut, Warnings: r.Warnings,
		},
	}
}

// attemptRow is a row of the view attempt_log.
type attemptRow struct {
	Request  int64  `db:"request"`
	Number   int    `db:"number"`
	Provider string `db:"provider"`
	Model    string `db:"model"`
	KeyID    string `db:"key_id"`
	Start    int64  `db:"start_us"`
	Duration int64  `db:"duration_us"`
	Status   int    `db:"status"`
	Class    string `db:"class"`
	Reason   string `db:"reason"`
	Cooled   int64  `db:"cooled_us"`
}

func (a *attemptRow) attempt() Attempt {
	return Attempt{
		Provider: a.Provider, Model: a.Model, KeyID: a.KeyID, Start: moment(a.Start), Duration: duration(a.Duration),
		Status: a.Status, Class: a.Class, Reason: a.Reason, Cooled: duration(a.Cooled),
	}
}

// skipRow is a row of the table skips.
type skipRow struct {
	Request  int64  `db:"request"`
	Number   int    `db:"number"`
	Provider string `db:"provider"`
	Model    string `db:"model"`
	Why      string `db:"why"`
	Reason   string `db:"reason"`
}

func (s *skipRow) skip() Skip {
	return Skip{Provider: s.Provider, Model: s.Model, Why: s.Why, Reason: s.Reason}
}

// bodiesRow is a row of the table bodies.
type bodiesRow struct {
	Request    int64  `db:"request"`
	Start      int64  `db:"start_us"`
	Asked      []byte `db:"request_body"`
	Answer     []byte `db:"answer_body"`
	RequestCut bool   `db:"request_is_cut"`
	AnswerCut  bool   `db:"answer_is_cut"`
}

func (b *bodiesRow) bodies() *Bodies {
	return &Bodies{Request: b.Asked, Answer: b.Answer, RequestCut: b.RequestCut, AnswerCut: b.AnswerCut}
}
