//go:build unix

package study

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"latent/pkg/study/studytest"
)

// wantOpenError opens what cannot be, and wants an error of one line with these words.
func wantOpenError(t *testing.T, where string, options Options, words ...string) {
	t.Helper()
	store, err := Open(ctx, where, options)
	if err == nil {
		store.Close()
		t.Errorf("%.60q is opened, want an error with %q", where, words)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error is %q, want one line with %q", err, word)
		}
	}
	if strings.Contains(err.Error(), studytest.Password) || strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, data []byte) string {
		if err := os.WriteFile(path(name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path(name)
	}
	raw := func(name string, statements ...string) string {
		db, err := sql.Open("sqlite", path(name))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, statement := range statements {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		return path(name)
	}
	wantOpenError(t, "", Options{}, "its name is empty")
	wantOpenError(t, dir, Options{}, dir, "it is not a regular file")
	wantOpenError(t, path("none/study.db"), Options{}, path("none"), "create it first")
	wantOpenError(t, "mysql://host/db", Options{}, `"mysql" is not a supported store`, "postgres://")
	wantOpenError(t, write("text", []byte(strings.Repeat("some text, not a database\n", 100))), Options{}, path("text"), "the file is not a store")

	// Another program's database is left as it is: not even its journal's mode is changed.
	other := raw("other", "CREATE TABLE bookmarks (url TEXT)")
	before, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	wantOpenError(t, other, Options{}, other, "database of another program")
	if after, err := os.ReadFile(other); err != nil || string(after) != string(before) {
		t.Errorf("it was changed, %v", err)
	}
	open(t, path("newer"), Options{}).Close()
	wantOpenError(t, raw("newer", "UPDATE latent_schema SET version = 2"), Options{}, "version 2", "use a newer Latent")
	open(t, path("trigger"), Options{}).Close()
	wantOpenError(t, raw("trigger", "CREATE TRIGGER latent_t AFTER INSERT ON latent_trials BEGIN DELETE FROM latent_studies; END"),
		Options{}, "database of another program")

	// Someone holds it.
	store := open(t, path("held"), Options{Patience: 50 * time.Millisecond})
	s := create(t, store, "held")
	holder := open(t, path("held"), Options{})
	err = holder.write(ctx, func(*sql.Tx) error {
		_, err := s.Claim(ctx, "a", nil)
		return err
	})
	if want := "another process has locked the file for more than 50ms"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want %q", err, want)
	}

	// Names that mean something in a URI are only names.
	for _, name := range []string{"100%?mode=memory#1 ü'.db", ":memory:"} {
		t.Chdir(dir)
		open(t, name, Options{}).Close()
		if _, err := os.Stat(path(name)); err != nil {
			t.Error(err)
		}
	}
}

func TestPostgresErrors(t *testing.T) {
	where := studytest.Postgres(t)
	if os.Getenv("LATENT_TEST_POSTGRES") == "" {
		wantOpenError(t, strings.Replace(where, studytest.Password, "wrong-secret", 1), Options{}, "password authentication failed", "PGPASSWORD")
		wantOpenError(t, strings.Replace(where, "/postgres?", "/none?", 1), Options{}, `database "none" does not exist`, "createdb")
	}
	wantOpenError(t, "postgres://latent:wrong-secret@127.0.0.1:1/sweeps", Options{}, "postgres://latent@127.0.0.1:1/sweeps",
		"the server cannot be reached", "check that it is running")
	wantOpenError(t, "postgres://latent:wrong-secret%zz@host/sweeps", Options{}, "the URL cannot be read")
	wantOpenError(t, "postgres://latent@host/sweeps?password=wrong-secret&sslmode=perhaps", Options{}, "postgres://latent@host/sweeps", "is not valid")

	store := open(t, where, Options{Patience: time.Second})
	s := create(t, store, "held")
	other, err := open(t, where, Options{}).Study(ctx, "held")
	if err != nil {
		t.Fatal(err)
	}
	err = other.change(ctx, func(*change) error {
		_, err := s.Claim(ctx, "a", nil)
		return err
	})
	if want := "another process has locked the study for more than 1s"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want %q", err, want)
	}
	if _, err := store.db.Exec("UPDATE latent_schema SET version = 2"); err != nil {
		t.Fatal(err)
	}
	wantOpenError(t, where, Options{}, "version 2", "use a newer Latent")
}

// Files with bytes changed, cut off or added are an error or work, and nothing panics or goes on for ever.
func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole.db")
	store, err := Open(ctx, whole, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := create(t, store, "filled")
	for range 60 {
		trial := claimOne(t, s, "host-1")
		if err := s.Report(ctx, trial.Claim(), 1, 0.5); err != nil {
			t.Fatal(err)
		}
		if trial.Number%2 == 0 {
			if err := s.Finish(ctx, trial.Claim(), Result{State: Done, Values: []float64{0.5}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	store.Close()
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	failures := 0
	for seed := range uint64(150) {
		draw := rand.New(rand.NewPCG(seed, 7))
		damaged := append([]byte(nil), data...)
		switch seed % 3 {
		case 0:
			for range 1 + draw.IntN(20) {
				damaged[draw.IntN(len(damaged))] = byte(draw.IntN(256))
			}
		case 1:
			damaged = damaged[:draw.IntN(len(damaged))]
		case 2:
			from, to := draw.IntN(len(damaged)/4096)*4096, draw.IntN(len(damaged)/4096)*4096
			copy(damaged[to:to+4096], data[from:from+4096])
		}
		path := filepath.Join(dir, fmt.Sprint(seed, ".db"))
		if err := os.WriteFile(path, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		if err := useAll(limited, path); err != nil {
			failures++
			if strings.Contains(err.Error(), "\n") || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("seed %d: error is %q, want one line", seed, err)
			}
		}
		cancel()
	}
	if failures < 50 {
		t.Errorf("%d of 150 damaged files are an error: too few for this test", failures)
	}
}

// useAll calls everything, until something fails.
func useAll(ctx context.Context, path string) error {
	store, err := Open(ctx, path, Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	if _, err := store.Names(ctx); err != nil {
		return err
	}
	s, err := store.Study(ctx, "filled")
	if err != nil {
		return err
	}
	if _, err := s.Trials(ctx); err != nil {
		return err
	}
	if _, err := s.Claim(ctx, "a", proposals(1)); err != nil {
		return err
	}
	if err := s.Report(ctx, Claim{1, 1}, 1, 2); err != nil {
		return err
	}
	if err := s.Finish(ctx, Claim{1, 1}, Result{State: Failed}); err != nil {
		return err
	}
	if _, err := s.Release(ctx, "host-1"); err != nil {
		return err
	}
	if err := s.Requeue(ctx, 0); err != nil {
		return err
	}
	_, err = store.Create(ctx, "another", "")
	return err
}

// Values that SQLite takes, and no store of ours writes.
func TestHostileRows(t *testing.T) {
	for name, statement := range map[string]string{
		"its state is":              `UPDATE latent_trials SET state = 'dancing'`,
		"and no trial 0":            `UPDATE latent_trials SET number = 9000000000000000000`,
		"is damaged: stack":         `UPDATE latent_trials SET stack = -1`,
		"is damaged: a value":       `UPDATE latent_trials SET objectives = '1 two'`,
		"is damaged: its attribute": `UPDATE latent_trials SET attrs = '['`,
		"parameters of 1 bytes":     `UPDATE latent_trials SET params = '{'`,
	} {
		store := open(t, filepath.Join(t.TempDir(), "study.db"), Options{})
		s := create(t, store, "hostile")
		claimOne(t, s, "a")
		if _, err := store.db.Exec(statement); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Trials(ctx); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error with %q", statement, err, name)
		}
	}
}
