package optuna

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// lock is the one that Optuna's JournalFileSymlinkLock and JournalFileOpenLock take before they write: whoever can make the file
// with .lock behind the journal's name has it, until the file is renamed and removed.
type lock struct {
	journal string
	// grace is how long a lock may stay the same before it counts as left behind by a process that died.
	grace time.Duration
	held  fs.FileInfo
}

// optunaGrace is Optuna's grace_period.
const optunaGrace = 30 * time.Second

func (l *lock) path() string { return l.journal + ".lock" }

// acquire waits for the lock, and takes away one that was left behind.
func (l *lock) acquire(ctx context.Context) error {
	var seen fs.FileInfo
	var since time.Time
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := l.create()
		if err == nil {
			l.held, err = os.Lstat(l.path())
			return err
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		// The lock itself is looked at, not what its link leads to as Optuna does it: a link that was made with a relative path leads
		// nowhere, and a dead process's would hold for ever.
		if now, err := os.Lstat(l.path()); err == nil {
			if seen == nil || !same(seen, now) {
				seen, since = now, time.Now()
			} else if time.Since(since) > l.grace {
				l.remove() // where that fails, another process was faster
				seen = nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", l.path(), context.Cause(ctx))
		case <-time.After(wait):
		}
	}
}

// create makes the lock: a link to the journal as by default in Optuna; a file where there are no links.
func (l *lock) create() error {
	target, err := filepath.Abs(l.journal)
	if err != nil {
		return err
	}
	if err := os.Symlink(target, l.path()); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	file, err := os.OpenFile(l.path(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	return file.Close()
}

func same(a, b fs.FileInfo) bool { return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) }

// release gives the lock back. That another process has taken it away, after the grace, is an error.
func (l *lock) release() error {
	if now, err := os.Lstat(l.path()); err != nil || !same(l.held, now) {
		return fmt.Errorf("%s was removed while it was held: more than %v passed", l.path(), l.grace)
	}
	return l.remove()
}

// remove renames first, as Optuna does: of two processes that remove the same lock, one finds it gone.
func (l *lock) remove() error {
	aside := l.path() + rand.Text() + ".rename"
	return cmp.Or(os.Rename(l.path(), aside), os.Remove(aside))
}
