//go:build unix

// Package postgrestest runs a PostgreSQL server for tests, if one is installed.
package postgrestest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

const (
	// variable names a server to use instead of one that the tests start. Tests
	// that stop the server are skipped then.
	variable = "LLM_TEST_POSTGRES"
	// required makes a test without a server fail.
	required = "LLM_TEST_POSTGRES_REQUIRED"
)

// Server is a PostgreSQL server that belongs to a test.
type Server struct {
	directory string // of the socket and the data
	program   string // the postgres binary
	as        *syscall.Credential
	process   *exec.Cmd
	output    *bytes.Buffer
}

// schemas numbers the schemas of a test binary.
var schemas atomic.Int64

// shared is the server of all tests of a binary that do not stop it.
var shared struct {
	sync.Mutex
	*Server
}

// Run runs the tests of a binary, and then stops the server that they shared.
func Run(m *testing.M) int {
	defer func() {
		if shared.Server != nil {
			shared.remove()
		}
	}()
	return m.Run()
}

// DSN returns a data source name with a schema of its own, on the server that the
// environment names, or else on one that runs until Run ends.
func DSN(t testing.TB) string {
	t.Helper()
	if dsn := os.Getenv(variable); dsn != "" {
		return withSchema(t, dsn)
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.Server == nil {
		shared.Server = start(t)
	}
	return shared.DSN(t)
}

// Start starts a server of the test's own, which ends with it.
func Start(t testing.TB) *Server {
	t.Helper()
	if os.Getenv(variable) != "" {
		t.Skip("the server that " + variable + " names is not ours to stop")
	}
	s := start(t)
	t.Cleanup(s.remove)
	return s
}

// start starts a server, which the caller must remove.
func start(t testing.TB) *Server {
	t.Helper()
	program, err := find("postgres")
	if err != nil {
		skip(t, "no PostgreSQL is installed: neither below /usr/lib/postgresql nor on the PATH")
	}
	// Not t.TempDir: the path of a socket has little room.
	directory, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{directory: directory, program: program}
	if err := s.initialize(); err != nil {
		s.remove()
		t.Fatal(err)
	}
	s.Launch(t)
	return s
}

// remove ends the server and deletes its files.
func (s *Server) remove() {
	s.Kill()
	_ = os.RemoveAll(s.directory) // in the directory for what is temporary
}

// skip skips a test, unless tests must not be skipped.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv(required) != "" {
		t.Fatal(why + "; " + required + " is set")
	}
	t.Skip(why)
}

// find returns the path of one of PostgreSQL's programs, of the newest version.
func find(name string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err == nil && len(found) > 0 {
		slices.Sort(found)
		return found[len(found)-1], nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path) // initdb looks for postgres beside itself
}

// initialize makes the files of a server. Root may not run one: an account of no
// importance does.
func (s *Server) initialize() error {
	if os.Geteuid() == 0 {
		for _, name := range []string{"postgres", "nobody"} {
			account, err := user.Lookup(name)
			if err != nil {
				continue
			}
			uid, _ := strconv.Atoi(account.Uid)
			gid, _ := strconv.Atoi(account.Gid)
			s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
			if err := os.Chown(s.directory, uid, gid); err != nil {
				return err
			}
			break
		}
		if s.as == nil {
			return errors.New("PostgreSQL does not run as root, and there is no other account")
		}
	}
	output, err := s.command(filepath.Join(filepath.Dir(s.program), "initdb"),
		"-D", s.data(), "-U", "tests", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, output)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.directory, "data") }

// command is a program that runs as the server does.
func (s *Server) command(program string, arguments ...string) *exec.Cmd {
	cmd := exec.Command(program, arguments...)
	cmd.Dir = s.directory
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Setpgid: true}
	endWithUs(cmd.SysProcAttr)
	return cmd
}

// Launch starts the server again, on the files that it has, and waits until it
// answers.
func (s *Server) Launch(t testing.TB) {
	t.Helper()
	_ = os.Remove(filepath.Join(s.data(), "postmaster.pid")) // of one that was killed
	s.process = s.command(s.program, "-D", s.data(), "-k", s.directory, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB")
	s.output = new(bytes.Buffer)
	s.process.Stdout, s.process.Stderr = s.output, s.output
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	db := connect(t, s.dsn())
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for db.PingContext(ctx) != nil {
		select {
		case <-ctx.Done():
			t.Fatal("the server does not answer")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// dsn is where the server is.
func (s *Server) dsn() string {
	return "postgres:///postgres?user=tests&host=" + url.QueryEscape(s.directory)
}

// DSN returns a data source name with a schema of its own.
func (s *Server) DSN(t testing.TB) string {
	t.Helper()
	return withSchema(t, s.dsn())
}

// withSchema makes a schema and returns a data source name that uses it.
func withSchema(t testing.TB, dsn string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), schemas.Add(1))
	db := connect(t, dsn)
	defer db.Close()
	if _, err := db.Exec("CREATE SCHEMA " + name); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(dsn, "://") {
		return dsn + " search_path=" + name
	}
	if strings.Contains(dsn, "?") {
		return dsn + "&search_path=" + name
	}
	return dsn + "?search_path=" + name
}

func connect(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// Kill ends the server at once, as a power cut would.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	s.signal(syscall.SIGKILL)
	_ = s.process.Wait() // it was killed
	s.process = nil
}

// Stop ends the server in order, though with its clients.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.process.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = s.process.Wait() // its status does not matter
	s.process = nil
}

// Freeze stops all processes of the server: connections stay, and nothing answers.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets them go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

// signal reaches the server and all its processes. Those for connections have
// groups of their own, so they are found by their parent.
func (s *Server) signal(which syscall.Signal) {
	server := s.process.Process.Pid
	for _, pid := range append([]int{server}, children(server)...) {
		_ = syscall.Kill(pid, which) // it may be gone
	}
}

// children are the processes that a process has started.
func children(parent int) (pids []int) {
	output, _ := exec.Command("ps", "-o", "pid=", "--ppid", strconv.Itoa(parent)).Output() // none: an error
	for _, field := range strings.Fields(string(output)) {
		if pid, err := strconv.Atoi(field); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
