-- Times are microseconds since 1970, durations microseconds, cost US dollars.

CREATE TABLE requests (
	seq                INTEGER PRIMARY KEY, -- the order in which rows were written
	id                 TEXT    NOT NULL UNIQUE,
	start_us           BIGINT  NOT NULL,
	total_us           BIGINT  NOT NULL,
	first_us           BIGINT  NOT NULL,
	client             TEXT    NOT NULL,
	client_key         TEXT    NOT NULL,
	endpoint           TEXT    NOT NULL,
	protocol           TEXT    NOT NULL,
	upstream_protocol  TEXT    NOT NULL,
	asked              TEXT    NOT NULL,
	model              TEXT    NOT NULL,
	provider           TEXT    NOT NULL,
	key_id             TEXT    NOT NULL,
	status             INTEGER NOT NULL,
	class              TEXT    NOT NULL,
	outcome            TEXT    NOT NULL,
	streamed           INTEGER NOT NULL,
	tokens_input       BIGINT  NOT NULL,
	tokens_cache_read  BIGINT  NOT NULL,
	tokens_cache_write BIGINT  NOT NULL,
	tokens_output      BIGINT  NOT NULL,
	tokens_reasoning   BIGINT  NOT NULL,
	tokens_estimated   INTEGER NOT NULL,
	cost               DOUBLE PRECISION, -- NULL: not known
	bytes_in           BIGINT  NOT NULL,
	bytes_out          BIGINT  NOT NULL,
	warnings           TEXT    NOT NULL,
	attempts           INTEGER NOT NULL
);

CREATE INDEX requests_start ON requests (start_us, id);
CREATE INDEX requests_client ON requests (client, start_us, id);
CREATE INDEX requests_model ON requests (model, start_us, id);
CREATE INDEX requests_provider ON requests (provider, start_us, id);
-- Most requests end well, so this one stays small.
CREATE INDEX requests_trouble ON requests (start_us, id) WHERE outcome <> 'ok';

CREATE TABLE attempts (
	request     BIGINT  NOT NULL, -- requests.seq
	number      INTEGER NOT NULL, -- from 1
	provider    TEXT    NOT NULL,
	model       TEXT    NOT NULL,
	key_id      TEXT    NOT NULL,
	start_us    BIGINT  NOT NULL,
	duration_us BIGINT  NOT NULL,
	status      INTEGER NOT NULL,
	class       TEXT    NOT NULL,
	reason      TEXT    NOT NULL,
	cooled_us   BIGINT  NOT NULL,
	PRIMARY KEY (request, number)
) WITHOUT ROWID;

CREATE TABLE skips (
	request  BIGINT  NOT NULL, -- requests.seq
	number   INTEGER NOT NULL, -- from 1
	provider TEXT    NOT NULL,
	model    TEXT    NOT NULL,
	why      TEXT    NOT NULL,
	reason   TEXT    NOT NULL,
	PRIMARY KEY (request, number)
) WITHOUT ROWID;
