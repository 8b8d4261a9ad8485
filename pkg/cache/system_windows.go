package cache

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"latent/pkg/array"
)

const openFlags = 0

// Kinds of locks.
const (
	shared = iota
	exclusive
)

// lock has nothing to do: Windows removes no file that is open.
func lock(*os.File, int) error { return nil }

// removeUnused removes a regular file that nobody has open. A written one is closed for a moment before it gets its name.
func removeUnused(path string) error {
	if info, err := os.Lstat(path); err == nil && filepath.Ext(path) == ".part" && time.Since(info.ModTime()) < time.Minute {
		return ErrInUse
	}
	err := os.Remove(path)
	for _, open := range []error{windows.ERROR_SHARING_VIOLATION, windows.ERROR_LOCK_VIOLATION, windows.ERROR_USER_MAPPED_FILE} {
		if errors.Is(err, open) {
			return ErrInUse
		}
	}
	return err
}

// publish gives a written file its name, in the place of another; where that is open, it stays instead.
func publish(file *os.File, path string) (*os.File, error) {
	if err := file.Close(); err != nil {
		return nil, err
	}
	failed := os.Rename(file.Name(), path)
	opened, err := openRegular(path)
	if failed != nil && err == nil {
		os.Remove(file.Name())
		return opened, nil
	}
	return opened, errors.Join(failed, err)
}

// syncDir has nothing to do: Windows cannot.
func syncDir(string) error { return nil }

// touch says that a file was used.
func touch(path string, now time.Time) error { return os.Chtimes(path, now, now) }

func mapFile(file *os.File, length int) ([]byte, error) {
	section, err := windows.CreateFileMapping(windows.Handle(file.Fd()), nil, windows.PAGE_READONLY, 0, 0, nil)
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(section) // the view keeps it
	address, err := windows.MapViewOfFile(section, windows.FILE_MAP_READ, 0, 0, uintptr(length))
	if err != nil {
		return nil, err
	}
	// Memory that Go does not know: the address is no pointer that it moves.
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&address)), length), nil
}

func unmapFile(mapping []byte) error {
	return windows.UnmapViewOfFile(uintptr(unsafe.Pointer(unsafe.SliceData(mapping))))
}

// isFull says whether an error is that of a full disk, or of a user's part of it.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// freeSpace is how many bytes the disk of a folder has left for this user.
func freeSpace(dir string) int64 {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return unknown
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return unknown
	}
	return int64(min(free, math.MaxInt64))
}

// Scattered says that values of an open entry will be read here and there from now on. Windows takes no such advice.
func Scattered(array.Values) {}

// Ahead lets the system begin to read values of an open entry from the disk. Windows takes no such advice.
func Ahead(array.Values) {}
