package runs

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"latent/pkg/rundir"
)

// A folder that is for others' eyes is told of, and hides nothing. Root reads everything, so it is another for the while.
func TestListUnread(t *testing.T) {
	dir := t.TempDir()
	create(t, filepath.Join(dir, "a/one"), manifestOf("a", 1, rundir.Done))
	create(t, filepath.Join(dir, "b/closed/two"), manifestOf("b", 2, rundir.Done))
	closed := filepath.Join(dir, "b/closed")
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(closed, 0o755)
	if os.Geteuid() == 0 {
		if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setresuid(-1, 65534, -1); err != nil {
			t.Skip("root that cannot be another:", err)
		}
		defer syscall.Setresuid(-1, 0, -1)
	}
	entries, unread, err := List(dir)
	if err != nil || len(entries) != 1 || entries[0].ID() != "one" {
		t.Errorf("%v, %v", entries, err)
	}
	if len(unread) != 1 || !strings.Contains(unread[0].Error(), closed) {
		t.Errorf("unread: %v, want %s", unread, closed)
	}
}
