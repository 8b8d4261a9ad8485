package cache

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"sync"
	"time"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

// Writer makes an entry, in a file of its own that nobody takes for one before Commit. Its methods may be called by several
// goroutines at once.
type Writer struct {
	cache  Cache
	key    string
	dtype  dtypes.DType
	values int64 // −1 where only the end tells

	file *os.File // with an exclusive lock: other processes leave it alone

	mu     sync.RWMutex // WriteAt has it with others, all else alone
	closed bool
	sums   []uint32 // of what was appended

	tally     sync.Mutex // of those that have mu with others
	written   int64      // values
	end       int64      // the place behind the last value
	scattered bool       // the values were not all appended, and sums are of no use
	failed    error      // the first of the disk
}

// Create begins an entry of so many values, or of −1 where how many shows only at the end. The error says where the disk has no room for
// them. What killed processes left is removed, and so are entries over the limit, with the new one.
func (c Cache) Create(key string, dtype dtypes.DType, values int) (*Writer, error) {
	path, err := c.path(key)
	if err != nil {
		return nil, err
	}
	w := &Writer{cache: c, key: key, dtype: dtype, values: int64(values)}
	if err := w.begin(path); err != nil {
		return nil, fmt.Errorf("begin cache entry: %w", err)
	}
	return w, nil
}

func (w *Writer) begin(path string) error {
	if typeNames[w.dtype] == "" {
		return fmt.Errorf("values of type %s; must be uint8, uint16 or float32", w.dtype)
	}
	if w.values < -1 || w.values > w.most() {
		return fmt.Errorf("%d values of %s; must be from 0 to %d, or -1", w.values, w.dtype, w.most())
	}
	if err := os.MkdirAll(w.cache.Dir, 0o700); err != nil {
		return fmt.Errorf("%w; set %s to a writable folder", err, variable)
	}
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder; remove it", path)
	}
	w.cache.sweep()
	if w.values > 0 {
		if err := w.cache.makeRoom(w.values*int64(w.dtype.Size()), w.key); err != nil {
			return err
		}
	}
	for range 10 {
		file, err := os.CreateTemp(w.cache.Dir, "."+w.key+".*.part")
		if err != nil {
			return fmt.Errorf("%w; set %s to a writable folder", err, variable)
		}
		// Before it is locked, another process may take it for what a killed one left.
		taken := errors.Is(lock(file, exclusive), ErrInUse)
		now, err := os.Lstat(file.Name())
		if info, failed := file.Stat(); !taken && err == nil && failed == nil && os.SameFile(info, now) {
			w.file = file
			return nil
		}
		file.Close()
		os.Remove(file.Name())
	}
	return fmt.Errorf("other processes keep removing new files in %s; wait for them", w.cache.Dir)
}

// most is how many values a file can have, and this machine map.
func (w *Writer) most() int64 {
	return (math.MaxInt - maxHeader - maxMeta) / int64(w.dtype.Size())
}

// WriteAt puts values at places from at on. Every place is written once, in any order. It returns when the system has the values: it
// keeps no v.
func (w *Writer) WriteAt(v array.Values, at int) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	place := int64(at)
	if err := w.put(v, place); err != nil {
		return err
	}
	w.tally.Lock()
	defer w.tally.Unlock()
	w.scattered = true
	w.written, w.end = w.written+int64(v.Len()), max(w.end, place+int64(v.Len()))
	return nil
}

// Append puts values behind all that were written before. Where none was written by WriteAt, Commit need not read them again for their
// checksums.
func (w *Writer) Append(v array.Values) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.put(v, w.end); err != nil {
		return err
	}
	at := w.end * int64(w.dtype.Size())
	for rest := v.Bytes(); len(rest) > 0 && !w.scattered; {
		if at%chunkBytes == 0 {
			w.sums = append(w.sums, 0)
		}
		part := rest[:min(int64(len(rest)), chunkBytes-at%chunkBytes)]
		last := &w.sums[len(w.sums)-1]
		*last = crc32.Update(*last, castagnoli, part)
		at, rest = at+int64(len(part)), rest[len(part):]
	}
	w.written, w.end = w.written+int64(v.Len()), w.end+int64(v.Len())
	return nil
}

// put writes values to the file, from a place on. The caller holds mu.
func (w *Writer) put(v array.Values, at int64) error {
	if w.closed {
		return errors.New("write cache entry: it was already committed or aborted")
	}
	most := w.values
	if most < 0 {
		most = w.most()
	}
	switch n := int64(v.Len()); {
	case n > 0 && v.Type() != w.dtype:
		return fmt.Errorf("write cache entry: values of %s to one of %s", v.Type(), w.dtype)
	case at < 0 || at > most || n > most-at:
		return fmt.Errorf("write cache entry: %d values from place %d on to one of %d", n, at, most)
	}
	if _, err := w.file.WriteAt(v.Bytes(), at*int64(w.dtype.Size())); err != nil {
		err = fmt.Errorf("write cache entry: %w", cured(err))
		w.tally.Lock()
		defer w.tally.Unlock()
		if w.failed == nil {
			w.failed = err
		}
		return err
	}
	return nil
}

// cured adds to the error of a full disk what to do.
func cured(err error) error {
	if isFull(err) {
		return fmt.Errorf("%w; %s", err, cures)
	}
	return err
}

// Commit makes what was written an entry, with a title for people, such as "folder photos, 12,345 pictures of 64×64×3", and anything that
// JSON has a form for, of at most 1 GiB. It returns when all is on the disk, and opens the entry. Where it fails, nothing half-written is left.
// The entry takes the place of one of the same key; who has that open keeps it.
func (w *Writer) Commit(title string, meta any) (*Entry, error) {
	defer w.Abort()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.failed != nil:
		return nil, w.failed
	case w.closed:
		return nil, errors.New("commit cache entry: it was already committed or aborted")
	}
	entry, err := w.commit(title, meta)
	if err != nil {
		return nil, fmt.Errorf("commit cache entry: %w", cured(err))
	}
	if info, err := entry.file.Stat(); err == nil {
		w.cache.trim(info.Size(), w.key)
	}
	return entry, nil
}

func (w *Writer) commit(title string, meta any) (*Entry, error) {
	want := w.values
	if want < 0 {
		want = w.end
	}
	if w.written != want {
		return nil, fmt.Errorf("%d of %d values were written; each must be written once", w.written, want)
	}
	text, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	if len(text) > maxMeta {
		return nil, fmt.Errorf("%d bytes beside the values; the limit is %d", len(text), maxMeta)
	}
	bytes := w.end * int64(w.dtype.Size())
	if w.scattered {
		if w.sums, err = checksums(w.file, bytes); err != nil {
			return nil, err
		}
	}
	h := header{Key: w.key, Title: title, Type: typeNames[w.dtype], Values: w.end, Made: time.Now().UTC(), Sums: w.sums,
		MetaBytes: int64(len(text)), MetaSHA256: sumOf(text)}
	tail, err := h.encode()
	if err != nil {
		return nil, err
	}
	if _, err := w.file.WriteAt(append(text, tail...), bytes); err != nil {
		return nil, err
	}
	if err := w.file.Sync(); err != nil {
		return nil, err
	}
	path, err := w.cache.path(w.key)
	if err != nil {
		return nil, err
	}
	file, err := publish(w.file, path)
	if err != nil {
		return nil, err
	}
	w.closed = true
	if err := syncDir(w.cache.Dir); err != nil {
		file.Close()
		return nil, err
	}
	return load(file, path, w.key, false)
}

// Abort removes what was written, and does nothing after Commit: it is for defer.
func (w *Writer) Abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	os.Remove(w.file.Name()) // where an open file can be removed, before its lock ends
	w.file.Close()
	os.Remove(w.file.Name())
}
