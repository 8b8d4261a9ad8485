package cache

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/rundir/smalldisk"
)

// What the disk has no room for is refused before the first byte where the size is known, and else when it is full; nothing of it is
// left, and what was there before stays.
func TestFullDisk(t *testing.T) {
	smalldisk.Run(t, 2<<20, func(t *testing.T, disk smalldisk.Disk) {
		c := Cache{Dir: disk.Path}
		wantClear := func(err error, parts ...string) {
			t.Helper()
			for _, part := range append(parts, disk.Path, "latent data cache clear", variable) {
				if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error is %v, want one line with %q", err, part)
				}
			}
		}
		put(t, c, Key(0), dtypes.Uint8, 1<<20)
		_, err := c.Create(Key(1), dtypes.Float32, 1<<20)
		wantClear(err, "it needs 4.2 MB", "has 1.0 MB left")

		w := create(t, c, Key(1), dtypes.Float32, -1)
		for err = nil; err == nil; {
			err = w.Append(numbers(dtypes.Float32, 0, 10_000))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("error is %v", err)
		}
		wantClear(err)
		_, err = w.Commit("", nil)
		wantClear(err)
		if names := namesIn(t, c.Dir); len(names) != 1 {
			t.Errorf("the folder has %q", names)
		}

		// Full when only the header is to be written.
		w = create(t, c, Key(1), dtypes.Uint8, -1)
		if err := w.Append(numbers(dtypes.Uint8, 0, 4096)); err != nil {
			t.Fatal(err)
		}
		filler := filepath.Join(disk.Path, "filler")
		if err := os.WriteFile(filler, make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		_, err = w.Commit("", nil)
		wantClear(err)
		os.Remove(filler)
		if names := namesIn(t, c.Dir); len(names) != 1 {
			t.Errorf("the folder has %q", names)
		}

		// An entry that is removed for the limit makes room.
		open(t, c, Key(0), dtypes.Uint8, 1<<20).Close()
		c.Limit = 1 << 20
		put(t, c, Key(2), dtypes.Uint8, 3<<19)
		if _, err := c.Open(Key(0)); err == nil {
			t.Error("the entry over the limit is still there")
		}
	})
}
