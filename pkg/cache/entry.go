package cache

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"
	"unsafe"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

// Entry is an open entry. Its methods but Close may be called by several goroutines at once.
type Entry struct {
	// Key is the entry's, and Title what it is, for people.
	Key, Title string

	// Values are the samples, in the file: reading them reads pages of it, writing to them ends the program. They, and all parts of
	// them, are gone after Close. So they are, with a signal that ends the program (SIGBUS), where the file is cut off while it
	// is open, or its disk fails: [Entry.Guard] makes that an error.
	Values array.Values

	path    string
	meta    []byte
	file    *os.File // with a shared lock
	mapping []byte
}

// Open opens an entry, after it has checked all of it: that takes as long as reading it, in memory of less than a megabyte for each
// processor, beside what meta takes. Where there is none, the error wraps fs.ErrNotExist; one that is damaged is removed, and the error wraps
// ErrDamaged.
func (c Cache) Open(key string) (*Entry, error) {
	path, err := c.path(key)
	if err != nil {
		return nil, err
	}
	file, err := openRegular(path)
	if errors.Is(err, errIrregular) {
		err := fmt.Errorf("read cache entry %s: %w: not a regular file", path, ErrDamaged)
		if failed := os.Remove(path); failed != nil {
			return nil, fmt.Errorf("%w; removing it failed (%w): remove it yourself", err, failed)
		}
		return nil, fmt.Errorf("%w; it was removed", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open cache entry: %w", err)
	}
	lockShared(file)
	opened, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("open cache entry: %w", err)
	}
	entry, err := load(file, path, key, true)
	if err == nil {
		touch(path, time.Now()) // which fails in a cache that may only be read
		return entry, nil
	}
	err = fmt.Errorf("read cache entry %s: %w", path, err)
	if !errors.Is(err, ErrDamaged) {
		return nil, err
	}
	if now, failed := os.Lstat(path); failed == nil && os.SameFile(opened, now) { // else another process was faster
		if failed := os.Remove(path); failed != nil {
			return nil, fmt.Errorf("%w; removing it failed (%w): remove it yourself", err, failed)
		}
	}
	return nil, fmt.Errorf("%w; it was removed", err)
}

// lockShared locks a file as one that is in use. Who removes a file holds the other kind of lock for a moment only. Where it cannot be
// had, the file is read all the same: on Unix it stays readable when its name is removed.
func lockShared(file *os.File) {
	for range 20 {
		if err := lock(file, shared); !errors.Is(err, ErrInUse) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// load maps an entry's file, which it takes over, and closes where it fails; with check, it compares all checksums.
func load(file *os.File, path, key string, check bool) (entry *Entry, err error) {
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	h, err := readHeader(file, info.Size(), key)
	if err != nil {
		return nil, err
	}
	e := &Entry{Key: key, Title: h.Title, path: path, file: file}
	if e.meta, err = h.readMeta(file); err != nil {
		return nil, err
	}
	if check {
		if err := h.check(file); err != nil {
			return nil, err
		}
	}
	if h.Values == 0 { // which systems refuse to map
		e.Values = array.Make(h.dtype(), 0)
		return e, nil
	}
	if e.mapping, err = mapFile(file, int(h.bytes())); err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", h.bytes(), err)
	}
	e.Values = typed(e.mapping, h.dtype())
	return e, nil
}

// typed are bytes, aligned to a page and at least one value, as values.
func typed(mapping []byte, dtype dtypes.DType) array.Values {
	first := unsafe.Pointer(unsafe.SliceData(mapping))
	switch dtype {
	case dtypes.Uint16:
		return array.Values{Uint16: unsafe.Slice((*uint16)(first), len(mapping)/2)}
	case dtypes.Float32:
		return array.Values{Float32: unsafe.Slice((*float32)(first), len(mapping)/4)}
	}
	return array.Values{Uint8: mapping}
}

// Meta decodes what Commit was told beside the values.
func (e *Entry) Meta(into any) error {
	if err := json.Unmarshal(e.meta, into); err != nil {
		return fmt.Errorf("read the description of cache entry %s: %w", e.Key, err)
	}
	return nil
}

// Guard runs a function that reads Values, and makes it an error, which wraps ErrDamaged, if they cannot be read there: the file
// was cut off while it is open, or its disk fails. The function ends where it was then; its locks stay locked unless it unlocks by
// defer. It costs nanoseconds. It guards Go code in the function's own goroutine: not others that it starts, nor code in C, such as
// XLA's, which should be handed a copy.
func (e *Entry) Guard(read func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch caught := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			if !e.has(caught.Addr()) {
				panic(caught)
			}
			err = fmt.Errorf("%s: %w: it was truncated while open, or its disk has failed; remove it, and start again", e.path, ErrDamaged)
		default:
			panic(caught)
		}
	}()
	read()
	return nil
}

// has says whether an address is in the mapping.
func (e *Entry) has(address uintptr) bool {
	first := uintptr(unsafe.Pointer(unsafe.SliceData(e.mapping)))
	return address >= first && address-first < uintptr(len(e.mapping))
}

// Close gives the file back. Values, and what was cut from them, must not be used any more. Closing again does nothing.
func (e *Entry) Close() error {
	if e.file == nil {
		return nil
	}
	e.Values = array.Values{}
	var err error
	if e.mapping != nil {
		err = unmapFile(e.mapping)
	}
	err = errors.Join(err, e.file.Close())
	e.mapping, e.file = nil, nil
	return err
}

// errIrregular is that of a link, a folder or a device where a file should be.
var errIrregular = errors.New("not a regular file")

// openRegular opens a regular file for reading. Opening a pipe would wait for its writer, and a link may lead out of the folder.
func openRegular(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is %w", path, errIrregular)
	}
	file, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, err
	}
	if info, err = file.Stat(); err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is %w", path, errIrregular)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
