package sweep_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/sweep"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for i, study := range []string{"rate/2026-11-24T10-01-00-aaaa", "rate/2026-11-24T10-02-00-bbbb", "depth/2026-11-25T10-01-00-cccc"} {
		path := filepath.Join(dir, study)
		record := fmt.Sprintf(`{"version": 1, "study": %q, "store": "study.db", "started": "2026-11-24T10:0%d:00Z"}`, study, i)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "sweep.json"), []byte(record), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"rate": "rate/2026-11-24T10-02-00-bbbb", // the newest
		"aaaa": "rate/2026-11-24T10-01-00-aaaa",
		filepath.Join(dir, "rate/2026-11-24T10-01-00-aaaa"): "rate/2026-11-24T10-01-00-aaaa",
		"depth/2026-11-25":            "depth/2026-11-25T10-01-00-cccc",
		"2026-11-24":                  "error: 2 sweeps below",
		"rat":                         "error: no sweep rat",
		"":                            "error: no sweep",
		"../../etc":                   "error: no sweep",
		filepath.Join(dir, "depth"):   "error: open sweep: " + filepath.Join(dir, "depth") + " has no sweep.json",
		filepath.Join(dir, "nothing"): "error: no sweep",
	} {
		got, err := sweep.Find(dir, name)
		if err != nil {
			got = "error: " + err.Error()
		} else if got, err = filepath.Rel(dir, got); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}
