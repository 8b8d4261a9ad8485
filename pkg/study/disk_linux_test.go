package study

import (
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/rundir/smalldisk"
)

// A disk that is full or cannot be written is an error that says so, and what was there before stays.
func TestDisk(t *testing.T) {
	smalldisk.Run(t, 2<<20, func(t *testing.T, disk smalldisk.Disk) {
		where := filepath.Join(disk.Path, "study.db")
		store, err := Open(ctx, where, Options{})
		if err != nil {
			t.Fatal(err)
		}
		s := create(t, store, "disk")
		var full error
		count := 0
		for ; full == nil; count++ {
			_, full = s.Claim(ctx, strings.Repeat("long name", 1000), proposals(1))
		}
		if !strings.Contains(full.Error(), "the disk") {
			t.Errorf("error is %v, want that of the full disk", full)
		}
		if trials, err := s.Trials(ctx); err != nil || len(trials) != count-1 {
			t.Errorf("%d trials are left of %d, %v", len(trials), count-1, err)
		}
		store.Close()
		disk.SetReadOnly(t, true)
		wantOpenError(t, where, Options{}, where, "not writable")
		disk.SetReadOnly(t, false)
	})
}
