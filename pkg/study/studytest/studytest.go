//go:build unix

// Package studytest gives tests a PostgreSQL server.
package studytest

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
)

var schemas atomic.Int64

// Postgres returns the URL of an empty schema of a PostgreSQL server, which goes when the test ends. Where there is no server, the
// test is skipped.
func Postgres(t *testing.T) string {
	t.Helper()
	server, err := start()
	if err != nil {
		t.Skipf("SKIPPED: no PostgreSQL: %v; set LATENT_TEST_POSTGRES to a URL, or install Debian's postgresql", err)
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("latent_test_%d_%d", os.Getpid(), schemas.Add(1))
	if _, err := db.Exec("CREATE SCHEMA " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("DROP SCHEMA " + name + " CASCADE"); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	return with(t, server, "search_path", name)
}

// with returns the URL with a setting.
func with(t *testing.T, where, setting, value string) string {
	t.Helper()
	at, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	query := at.Query()
	query.Set(setting, value)
	at.RawQuery = query.Encode()
	return at.String()
}

// Stop ends the server that the tests started, if they did.
func Stop() { stop() }

var stop = func() {}

// start returns the URL of a server: that of the environment, or Debian's, which is started in a folder of its own and
// ends with this process.
var start = sync.OnceValues(func() (string, error) {
	if at := os.Getenv("LATENT_TEST_POSTGRES"); at != "" {
		return at, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errors.New("there is no /usr/lib/postgresql/*/bin/initdb")
	}
	bin := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "latent-postgres-")
	if err != nil {
		return "", err
	}
	var as *syscall.Credential
	if os.Getuid() == 0 { // as whom it refuses to run
		owner, err := user.Lookup("postgres")
		if err != nil {
			if owner, err = user.Lookup("nobody"); err != nil {
				return "", err
			}
		}
		uid, _ := strconv.Atoi(owner.Uid)
		gid, _ := strconv.Atoi(owner.Gid)
		as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			return "", err
		}
	}
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as, Setpgid: true}
		return cmd
	}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o644); err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	out, err := command(filepath.Join(bin, "initdb"), "-D", data, "-U", "latent", "-E", "UTF8", "--locale=C", "--no-sync",
		"--auth=scram-sha-256", "--pwfile="+password).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	// The shell ends the server when its input ends, which it does with this process, however that ends.
	var log bytes.Buffer
	cmd := command("/bin/sh", "-c", `"$@" & read line; kill -INT $!; wait`, "sh", filepath.Join(bin, "postgres"), "-D", data, "-k", dir,
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=32MB")
	cmd.Stdout, cmd.Stderr = &log, &log
	input, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stop = func() {
		input.Close()
		cmd.Wait()
		os.RemoveAll(dir)
	}
	where := "postgres://latent:" + Password + "@/postgres?host=" + url.QueryEscape(dir)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		db, err := sql.Open("pgx", where)
		if err == nil {
			err = db.Ping()
			db.Close()
		}
		if err == nil {
			return where, nil
		}
		if time.Now().After(deadline) {
			stop()
			return "", fmt.Errorf("it does not start: %w: %s", err, log.String())
		}
	}
})

// Password is that of the server that is started.
const Password = "pass-word-of-the-test"
