//go:build unix

package study

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"latent/pkg/study/studytest"
)

func TestMain(m *testing.M) {
	if os.Getenv(workerVariable) != "" {
		work()
		return
	}
	flag.Parse()
	if os.Getenv("LATENT_LONG") == "" {
		flag.Set("rapid.checks", "25")
	}
	code := m.Run()
	studytest.Stop()
	os.Exit(code)
}

// each runs a test on every kind of store, with one that is new: where is what Open is to be given.
func each(t *testing.T, test func(t *testing.T, where string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "study.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, studytest.Postgres(t)) })
}

// open opens a store, and closes it at the end.
func open(t testing.TB, where string, options Options) *Store {
	t.Helper()
	store, err := Open(context.Background(), where, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}
