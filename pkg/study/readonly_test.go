package study

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A store is read without a trace: none is left beside it, and it is not changed.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	where := filepath.Join(dir, "study.db")
	written := filled(t, where, 3)
	look := func() []*Trial {
		t.Helper()
		store, err := Open(t.Context(), where, Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		s, err := store.Study(t.Context(), written.Name)
		if err != nil {
			t.Fatal(err)
		}
		trials, err := s.Trials(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Create(t.Context(), "another", ""); err == nil {
			t.Error("it was written to")
		}
		return trials
	}
	if got := look(); len(got) != 3 { // while another has it open
		t.Errorf("%d trials, want 3", len(got))
	}
	if err := written.store.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(where)
	if err != nil {
		t.Fatal(err)
	}
	if got := look(); len(got) != 3 {
		t.Errorf("%d trials, want 3", len(got))
	}
	after, err := os.ReadFile(where)
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("the file was changed, or %v", err)
	}
	if files, _ := filepath.Glob(where + "-*"); len(files) > 0 {
		t.Errorf("left beside it: %v", files)
	}
	missing := filepath.Join(dir, "missing.db")
	if _, err := Open(t.Context(), missing, Options{ReadOnly: true}); err == nil || !strings.Contains(err.Error(), "missing.db") {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("it was made")
	}
}
