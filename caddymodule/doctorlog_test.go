package caddymodule

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/postgrestest"
)

// saidOfLog is what doctor says of a request log that a Caddyfile has in place of the one
// of setup.
func saidOfLog(t *testing.T, log string, exit int) string {
	t.Helper()
	writeIn(t, ".", "Caddyfile", strings.Replace(read(t, "Caddyfile"), "log sqlite llm.db", log, 1))
	got := run(t, "", "doctor", "--address", startAdmin).want(t, exit)
	got.wantNoCanary(t)
	var said []string
	for _, found := range regexp.MustCompile(`(?m)^(\w+) +log +(.*)$`).FindAllStringSubmatch(got.stdout, -1) {
		said = append(said, found[1]+" "+found[2])
	}
	return strings.Join(said, "\n")
}

// order runs statements on a server.
func order(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// The server is asked itself, and what it says told without the password.
func TestDoctorAsksThePostgreSQLOfTheLog(t *testing.T) {
	server := postgrestest.Start(t)
	dsn := server.DSN(t)
	// Only these have to tell a password.
	order(t, dsn,
		"CREATE ROLE known LOGIN PASSWORD '"+canaries[0]+"'",
		"CREATE ROLE reader LOGIN", "ALTER ROLE reader SET default_transaction_read_only = on",
		"CREATE ROLE guest LOGIN",
		`DO $$ BEGIN EXECUTE format('COPY (VALUES (''local all known scram-sha-256''), (''local all all trust'')) TO %L', current_setting('hba_file')); END $$`,
		"SELECT pg_reload_conf()")
	as := func(user, more string) string {
		return strings.Replace(dsn, "user=tests", "user="+user, 1) + more
	}
	for _, tc := range []struct {
		name, dsn string
		exit      int
		want      string
	}{
		{"no tables yet", dsn, 0, "answers; the tables will be made when the gateway starts"},
		{"a wrong password", as("known", "&password="+canaries[1]), 1, "does not let this user in"},
		{"the right password, but no rights", as("known", "&password="+canaries[0]), 1, "does not let this user make the tables"},
		{"an unknown user", as("nobody-"+canaries[2], ""), 1, "does not let this user in"},
		{"no such database", strings.Replace(dsn, ":///postgres?", ":///nothing?", 1), 1, "has no such database"},
		{"a user who only reads", as("reader", ""), 1, "lets this user only read"},
		{"nobody there", "postgres://me:" + canaries[0] + "@127.0.0.1:1/llm", 1, "failure nobody listens for PostgreSQL at 127.0.0.1:1/llm"},
		{"no such host", "postgres://me:" + canaries[0] + "@db.invalid/llm", 1, "failure the host of PostgreSQL at db.invalid:5432/llm is not known"},
		{"no DSN", "postgres://me:" + canaries[0] + "@127.0.0.1:one/llm", 1, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sound(t)
			comesTrue(t, "doctor does not say "+tc.want, func() bool { // the server reads its settings anew in its own time
				t.Setenv("LOG_DSN", tc.dsn)
				return strings.Contains(saidOfLog(t, "log postgres {env.LOG_DSN} {\n\t\t\tspill spill.db\n\t\t}", tc.exit), tc.want)
			})
		})
	}
	t.Run("tables", func(t *testing.T) {
		sound(t)
		t.Setenv("LOG_DSN", dsn)
		log := "log postgres {env.LOG_DSN} {\n\t\t\tspill spill.db\n\t\t}"
		saidOfLog(t, log, 0)
		makeLog(t)
		said := saidOfLog(t, log, 0)
		sound := regexp.MustCompile(`^ok PostgreSQL [0-9.]+ at .*/postgres search_path=test_\w+ answers, with schema version ([0-9]+)$`).FindStringSubmatch(said)
		if sound == nil {
			t.Fatalf("of tables that are there doctor says\n%s", said)
		}
		_, schema, _ := strings.Cut(dsn, "search_path=")
		order(t, dsn, "GRANT USAGE ON SCHEMA "+schema+" TO guest", "GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA "+schema+" TO guest", "GRANT USAGE ON ALL SEQUENCES IN SCHEMA "+schema+" TO guest")
		t.Setenv("LOG_DSN", as("guest", ""))
		if said := saidOfLog(t, log, 1); !strings.Contains(said, "does not let this user read and change the tables") {
			t.Errorf("of tables whose rows the user cannot lock doctor says\n%s", said)
		}
		order(t, dsn, "GRANT UPDATE ON ALL TABLES IN SCHEMA "+schema+" TO guest")
		if said := saidOfLog(t, log, 0); !strings.HasSuffix(said, "answers, with schema version "+sound[1]) {
			t.Errorf("of tables that the user may change doctor says\n%s", said)
		}
		// Those of a version before are fewer.
		order(t, dsn, "UPDATE llm_proxy_schema SET version = version - 1", "ALTER TABLE labels RENAME TO others")
		if said := saidOfLog(t, log, 1); !strings.Contains(said, "does not let this user bring the tables from schema version ") {
			t.Errorf("of old tables of somebody else doctor says\n%s", said)
		}
		t.Setenv("LOG_DSN", dsn)
		if said := saidOfLog(t, log, 0); !strings.Contains(said, "; the tables go from schema version ") {
			t.Errorf("of old tables doctor says\n%s", said)
		}
		order(t, dsn, "UPDATE llm_proxy_schema SET version = 99")
		if said := saidOfLog(t, log, 1); !strings.Contains(said, "have schema version 99, and this program knows ") {
			t.Errorf("of newer tables doctor says\n%s", said)
		}
		server.Freeze()
		defer server.Thaw()
		if said := saidOfLog(t, log, 1); !strings.Contains(said, "does not answer in time") {
			t.Errorf("of a server that hangs doctor says\n%s", said)
		}
	})
}

func TestDoctorTellsWhetherTheFileOfTheLogCanBeWritten(t *testing.T) {
	for _, tc := range []struct {
		name  string
		place func(t *testing.T) string
		exit  int
		want  string
	}{
		{"a directory in its place", func(t *testing.T) string {
			if err := os.Mkdir("llm.db", 0o700); err != nil {
				t.Fatal(err)
			}
			return "llm.db"
		}, 1, "failure llm.db cannot be written: is a directory"},
		{"a file as its directory", func(t *testing.T) string { return "Caddyfile/llm.db" }, 1, "failure the directory Caddyfile of the request log cannot be written to: not a directory"},
		{"too little room", func(t *testing.T) string {
			disk := smallDisk(t)
			if err := os.WriteFile(filepath.Join(disk, "rest"), make([]byte, 200<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(disk, "llm.db")
		}, 0, "/llm.db has 200 MiB left; with less than 256 the log stops\nok "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sound(t)
			if said := saidOfLog(t, "log sqlite "+tc.place(t), tc.exit); !strings.Contains(said, tc.want) {
				t.Errorf("doctor says\n%s\nwant %q", said, tc.want)
			}
		})
	}
}
