ALTER TABLE requests ADD COLUMN queue_us BIGINT NOT NULL DEFAULT 0;

CREATE TABLE bodies (
	request        BIGINT  PRIMARY KEY, -- requests.seq
	start_us       BIGINT  NOT NULL, -- as in requests: by it they are deleted
	request_body   BLOB,
	answer_body    BLOB,
	request_is_cut INTEGER NOT NULL,
	answer_is_cut  INTEGER NOT NULL
);

CREATE INDEX bodies_start ON bodies (start_us);
