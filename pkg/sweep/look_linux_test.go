package sweep_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"latent/pkg/sweep"
)

// Who may only read a sweep's folder sees where it stands, and what is best. Root writes everywhere, so it is another for the while.
func TestLookReadOnly(t *testing.T) {
	s := create(t, searched, "budget.trials=2")
	work(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		for dir := s.Path; dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Setresuid(-1, 65534, -1); err != nil {
			t.Skip("root that cannot be another:", err)
		}
		defer syscall.Setresuid(-1, 0, -1)
	} else {
		if err := os.Chmod(s.Path, 0o555); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(s.Path, 0o755)
	}
	looked, err := sweep.Look(t.Context(), s.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer looked.Close()
	status, err := looked.Status(t.Context())
	if err != nil || status.Counts["done"] != 2 || status.Best == nil {
		t.Errorf("%+v, %v", status, err)
	}
	text, err := looked.Best(t.Context(), -1)
	if err != nil || !strings.Contains(string(text), "# Trial ") {
		t.Errorf("%s, %v", text, err)
	}
	if _, err := looked.WriteBest(t.Context(), -1); err == nil {
		t.Error("the best was written")
	}
	if _, err := sweep.Open(t.Context(), s.Path); err == nil {
		t.Error("it was opened to be gone on with")
	}
}
