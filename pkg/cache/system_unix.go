//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"latent/pkg/array"
)

// openFlags refuse links, and do not wait for who writes to a pipe.
const openFlags = unix.O_NOFOLLOW | unix.O_NONBLOCK

// Kinds of locks.
const (
	shared    = unix.LOCK_SH
	exclusive = unix.LOCK_EX
)

// lock locks an open file, until it is closed, or fails at once: with ErrInUse where another lock forbids it. Locks are between open
// files, in this process too.
func lock(file *os.File, kind int) error {
	for {
		err := unix.Flock(int(file.Fd()), kind|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrInUse
		case err != nil:
			return fmt.Errorf("lock %s: %w", file.Name(), err)
		}
		return nil
	}
}

// removeUnused removes a regular file that nobody has locked.
func removeUnused(path string) error {
	// For writing, as network file systems want it for an exclusive lock.
	file, err := os.OpenFile(path, os.O_RDWR|openFlags, 0)
	if err != nil {
		return err
	}
	defer file.Close() // only then does the lock end
	if err := lock(file, exclusive); err != nil {
		return err
	}
	opened, err := file.Stat()
	if err != nil {
		return err
	}
	now, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(opened, now) {
		return ErrInUse // another process has just made it anew
	}
	return os.Remove(path)
}

// publish gives a written file its name, in the place of another. Its lock becomes a shared one.
func publish(file *os.File, path string) (*os.File, error) {
	if err := os.Rename(file.Name(), path); err != nil {
		return nil, err
	}
	lockShared(file)
	return file, nil
}

// syncDir makes a new name last through a power cut, where the file system can.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// touch says that a file was used, and follows no link.
func touch(path string, now time.Time) error {
	spec, err := unix.TimeToTimespec(now)
	if err != nil {
		return err
	}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{spec, spec}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "touch", Path: path, Err: err}
	}
	return nil
}

func mapFile(file *os.File, length int) ([]byte, error) {
	return unix.Mmap(int(file.Fd()), 0, length, unix.PROT_READ, unix.MAP_SHARED)
}

func unmapFile(mapping []byte) error { return unix.Munmap(mapping) }

// isFull says whether an error is that of a full disk, or of a user's part of it.
func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// Scattered says that values of an open entry will be read here and there from now on: the system then reads from the disk what is asked
// for, and not what lies around it too, which would drive out other parts.
func Scattered(v array.Values) { advise(v.Bytes(), unix.MADV_RANDOM) }

// Ahead lets the system begin to read values of an open entry from the disk, and does not wait for them.
func Ahead(v array.Values) { advise(v.Bytes(), unix.MADV_WILLNEED) }

// advise tells of the pages that some bytes of a mapping lie in. What the system makes of it changes no value, and so its errors neither.
func advise(b []byte, advice int) {
	if len(b) == 0 {
		return
	}
	before := uintptr(unsafe.Pointer(unsafe.SliceData(b))) % uintptr(os.Getpagesize())
	page := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), -int(before))), len(b)+int(before))
	_ = unix.Madvise(page, advice)
}
