-- What many requests have in common is kept once: a row of requests or attempts is
-- small then, and so is the work of writing it. request_log and attempt_log show
-- whole rows.

CREATE TABLE labels (
	id                INTEGER PRIMARY KEY,
	hour              BIGINT  NOT NULL, -- in which the requests began, since 1970: by it they are deleted
	client            TEXT    NOT NULL,
	client_key        TEXT    NOT NULL,
	endpoint          TEXT    NOT NULL,
	protocol          TEXT    NOT NULL,
	upstream_protocol TEXT    NOT NULL,
	asked             TEXT    NOT NULL,
	model             TEXT    NOT NULL,
	provider          TEXT    NOT NULL,
	key_id            TEXT    NOT NULL,
	status            INTEGER NOT NULL,
	class             TEXT    NOT NULL,
	outcome           TEXT    NOT NULL,
	streamed          INTEGER NOT NULL,
	tokens_estimated  INTEGER NOT NULL
);

CREATE INDEX labels_hour ON labels (hour);

CREATE TABLE new_requests (
	seq                INTEGER PRIMARY KEY, -- the order in which rows were written
	id                 TEXT    NOT NULL,
	start_us           BIGINT  NOT NULL,
	total_us           BIGINT  NOT NULL,
	queue_us           BIGINT  NOT NULL,
	first_us           BIGINT  NOT NULL,
	labels             BIGINT  NOT NULL, -- labels.id
	tokens_input       BIGINT  NOT NULL,
	tokens_cache_read  BIGINT  NOT NULL,
	tokens_cache_write BIGINT  NOT NULL,
	tokens_output      BIGINT  NOT NULL,
	tokens_reasoning   BIGINT  NOT NULL,
	cost               DOUBLE PRECISION, -- NULL: not known
	bytes_in           BIGINT  NOT NULL,
	bytes_out          BIGINT  NOT NULL,
	warnings           TEXT, -- NULL: none
	attempts           INTEGER NOT NULL,
	only_us            BIGINT -- how long the only attempt took; NULL: they are in attempts
);

CREATE TABLE new_attempts (
	request     BIGINT  NOT NULL, -- requests.seq
	number      INTEGER NOT NULL, -- from 1
	labels      BIGINT  NOT NULL, -- labels.id; there are no others in it than attempt_log has
	start_us    BIGINT  NOT NULL,
	duration_us BIGINT  NOT NULL,
	reason      TEXT, -- NULL: none
	cooled_us   BIGINT  NOT NULL,
	PRIMARY KEY (request, number)
) WITHOUT ROWID;

INSERT INTO labels (hour, client, client_key, endpoint, protocol, upstream_protocol, asked, model, provider, key_id,
		status, class, outcome, streamed, tokens_estimated)
	SELECT DISTINCT start_us / 3600000000, client, client_key, endpoint, protocol, upstream_protocol, asked, model, provider, key_id,
		status, class, outcome, streamed, tokens_estimated
	FROM requests;

INSERT INTO new_requests
	SELECT r.seq, r.id, r.start_us, r.total_us, r.queue_us, r.first_us, l.id,
		r.tokens_input, r.tokens_cache_read, r.tokens_cache_write, r.tokens_output, r.tokens_reasoning,
		r.cost, r.bytes_in, r.bytes_out, NULLIF(r.warnings, ''), r.attempts, NULL
	FROM requests AS r JOIN labels AS l ON l.hour = r.start_us / 3600000000 AND l.client = r.client AND l.client_key = r.client_key
		AND l.endpoint = r.endpoint AND l.protocol = r.protocol AND l.upstream_protocol = r.upstream_protocol
		AND l.asked = r.asked AND l.model = r.model AND l.provider = r.provider AND l.key_id = r.key_id
		AND l.status = r.status AND l.class = r.class AND l.outcome = r.outcome
		AND l.streamed = r.streamed AND l.tokens_estimated = r.tokens_estimated;

INSERT INTO labels (hour, client, client_key, endpoint, protocol, upstream_protocol, asked, model, provider, key_id,
		status, class, outcome, streamed, tokens_estimated)
	SELECT DISTINCT r.start_us / 3600000000, '', '', '', '', '', '', a.model, a.provider, a.key_id, a.status, a.class, '', 0, 0
	FROM attempts AS a JOIN requests AS r ON r.seq = a.request;

INSERT INTO new_attempts
	SELECT a.request, a.number, l.id, a.start_us, a.duration_us, NULLIF(a.reason, ''), a.cooled_us
	FROM attempts AS a JOIN requests AS r ON r.seq = a.request
		JOIN labels AS l ON l.hour = r.start_us / 3600000000 AND l.endpoint = '' AND l.outcome = ''
		AND l.model = a.model AND l.provider = a.provider AND l.key_id = a.key_id AND l.status = a.status AND l.class = a.class;

DROP TABLE requests;
DROP TABLE attempts;
ALTER TABLE new_requests RENAME TO requests;
ALTER TABLE new_attempts RENAME TO attempts;
-- postgres: SELECT setval(pg_get_serial_sequence('requests', 'seq'), COALESCE(MAX(seq), 1)) FROM requests;

-- By it a request is known to be there already. An index that begins with the ID
-- would be written at a random place for every request.
CREATE UNIQUE INDEX requests_start ON requests (start_us, id);

CREATE VIEW request_log AS
	SELECT seq, requests.id, start_us, total_us, queue_us, first_us, requests.labels,
		client, client_key, endpoint, protocol, upstream_protocol, asked, model, provider, key_id,
		status, class, outcome, streamed,
		tokens_input, tokens_cache_read, tokens_cache_write, tokens_output, tokens_reasoning, tokens_estimated,
		cost, bytes_in, bytes_out, COALESCE(warnings, '') AS warnings, attempts
	FROM requests CROSS JOIN labels ON labels.id = requests.labels;

-- An only attempt that tells no more than its request has no row of its own.
CREATE VIEW attempt_log AS
	SELECT request, number, provider, model, key_id, start_us, duration_us, status, class, COALESCE(reason, '') AS reason, cooled_us
	FROM attempts CROSS JOIN labels ON labels.id = attempts.labels
	UNION ALL
	SELECT seq, 1, provider, model, key_id, start_us + queue_us, only_us, status, class, '', 0
	FROM requests CROSS JOIN labels ON labels.id = requests.labels
	WHERE only_us IS NOT NULL;
