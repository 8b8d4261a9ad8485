// Package cache keeps decoded samples in mapped files in the user's cache folder, so that training sets larger than memory can be
// streamed.
//
//	c, err := cache.Default()
//	key := cache.Key("folder", 1, names, checksums, 64, 64)          // all that decides the contents
//	entry, err := c.Open(key)                                        // or, with fs.ErrNotExist or cache.ErrDamaged:
//	w, err := c.Create(key, dtypes.Uint8, 12345*64*64)
//	defer w.Abort()
//	err = w.WriteAt(picture, 64*64*i)                                // each value once, by several goroutines
//	entry, err = w.Commit("folder photos, 12,345 pictures", meta)    // entry.Values are in the file
//
// Promised: an entry is whole or absent, whenever a process dies or the disk fills up; processes that make the same entry at the
// same time all get it, and one is kept; what an entry is made of is checked when it is opened, sizes and checksums, so that a
// damaged one is removed instead of used; one that is open stays usable until it is closed, whatever other processes do to the cache;
// only files of the cache's own names, in its folder, are ever removed, and links never followed.
//
// Checksums tell of accidents. Who may write to the folder can write entries too. The locks by which processes tell what is in use are
// those of the file system: where a network's has none, Clear and the limit remove nothing.
//
// What is not here: what the values mean (pkg/dataset), and who decides what is worth keeping.
package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Cache is a folder of entries. Of its files none is read or written but by this package; processes share it.
type Cache struct {
	// Dir is where entries lie. It is made where it is missing, for the user alone.
	Dir string

	// Limit is how many bytes all entries may take together; 0 is [DefaultLimit], and below 0 there is no limit. Where a new entry
	// exceeds it, those that were used the longest ago are removed, but for entries that are open. The new one stays, however large.
	Limit int64
}

// DefaultLimit is how many bytes the entries of a cache may take unless it says otherwise: 64 GiB.
const DefaultLimit = 64 << 30

// variable names the folder in which the cache is, instead of the user's cache folder.
const variable = "LATENT_CACHE_DIR"

// Errors of this package, which others wrap.
var (
	// ErrDamaged is that of an entry that is cut off, changed or no entry at all. It has been removed, where that was possible: make
	// it again.
	ErrDamaged = errors.New("damaged cache entry")

	// ErrInUse is that of an entry that stays, for it is open or being written.
	ErrInUse = errors.New("in use")
)

// Default is the user's cache, in the folder data below LATENT_CACHE_DIR, where that is set, or below latent in the user's cache
// folder, such as ~/.cache/latent/data.
func Default() (Cache, error) {
	if dir := os.Getenv(variable); dir != "" {
		dir, err := filepath.Abs(dir)
		return Cache{Dir: filepath.Join(dir, "data")}, err
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return Cache{}, fmt.Errorf("find a cache folder for samples: %w; set %s", err, variable)
	}
	return Cache{Dir: filepath.Join(dir, "latent", "data")}, nil
}

// Key names an entry: the SHA-256 of the parts as JSON and of this package's format, in hex. The parts are all that decides the
// entry's contents, the version of the code that makes it included. It panics on what JSON has no form for, such as NaN or a
// channel; and JSON has only valid UTF-8, so that file names of other bytes should be quoted (%q) first.
func Key(parts ...any) string {
	text, err := json.Marshal(append([]any{magic}, parts...))
	if err != nil {
		panic(fmt.Errorf("cache.Key: %w", err)) // a mistake of the program
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// The names of files: KEY.values is an entry, .KEY.NUMBER.part one that is written or was left by a killed process.
var (
	keyPattern   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	entryPattern = regexp.MustCompile(`^([0-9a-f]{64})\.values$`)
	partPattern  = regexp.MustCompile(`^\.([0-9a-f]{64})\.[0-9]+\.part$`)
)

// path is where an entry lies.
func (c Cache) path(key string) (string, error) {
	if c.Dir == "" {
		return "", errors.New("the cache has no folder; use cache.Default()")
	}
	if !keyPattern.MatchString(key) {
		return "", fmt.Errorf("invalid cache key %.80q; a key has 64 hex digits, as cache.Key returns", key)
	}
	return filepath.Join(c.Dir, key+".values"), nil
}

// State is what became of an entry's file.
type State string

// States of entries.
const (
	Whole   State = "whole"   // sizes and header are right; only Open looks at the values
	Damaged State = "damaged" // Open will remove it
	Writing State = "writing" // a process is making it
	Left    State = "left"    // the process that made it was killed; the next Create removes it
)

// Info is what List tells of an entry. Only of a whole one title, type, values and time of making are known.
type Info struct {
	Key    string    `json:"key"`
	Title  string    `json:"title"` // what it is, for people
	State  State     `json:"state"`
	Type   string    `json:"type,omitempty"` // uint8, uint16 or float32
	Values int64     `json:"values"`
	Bytes  int64     `json:"bytes"` // of the file
	Made   time.Time `json:"made,omitzero"`
	Used   time.Time `json:"used"` // when it was opened last, or written

	path string
}

// List tells of all entries, the last used first, also of those that are being written. A folder that is not there has none.
func (c Cache) List() ([]Info, error) {
	files, err := c.files()
	if err != nil {
		return nil, err
	}
	for i := range files {
		files[i].look()
	}
	slices.SortFunc(files, func(a, b Info) int {
		if order := b.Used.Compare(a.Used); order != 0 {
			return order
		}
		return strings.Compare(a.path, b.path)
	})
	return files, nil
}

// files lists the files of the cache in the order of their names, without looking into them.
func (c Cache) files() ([]Info, error) {
	if c.Dir == "" {
		return nil, errors.New("the cache has no folder; use cache.Default()")
	}
	names, err := os.ReadDir(c.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the cache: %w", err)
	}
	var files []Info
	for _, name := range names {
		entry, part := entryPattern.FindStringSubmatch(name.Name()), partPattern.FindStringSubmatch(name.Name())
		if entry == nil && part == nil {
			continue
		}
		info, err := name.Info()
		if err != nil {
			continue // another process has just removed it
		}
		file := Info{State: Damaged, Used: info.ModTime(), path: filepath.Join(c.Dir, name.Name())}
		if info.Mode().IsRegular() {
			file.Bytes = info.Size()
		}
		if entry != nil {
			file.Key = entry[1]
		} else {
			file.Key, file.State = part[1], Left
		}
		files = append(files, file)
	}
	return files, nil
}

// look finds out the state of a file, and what its header says.
func (f *Info) look() {
	file, err := openRegular(f.path)
	if err != nil {
		return
	}
	defer file.Close()
	if f.State == Left {
		if err := lock(file, shared); errors.Is(err, ErrInUse) {
			f.State = Writing
		}
		return
	}
	if h, err := readHeader(file, f.Bytes, f.Key); err == nil {
		f.State, f.Title, f.Type, f.Values, f.Made = Whole, h.Title, h.Type, h.Values, h.Made
	}
}

// Clear removes entries by their keys, or all, and what killed processes left of them; freed are the bytes. Those that are open, in
// this or another process, and those that are being written stay, and the error wraps ErrInUse. A key that there is no entry of
// is an error that wraps fs.ErrNotExist.
func (c Cache) Clear(keys ...string) (freed int64, err error) {
	for _, key := range keys {
		if _, err := c.path(key); err != nil {
			return 0, err
		}
	}
	files, err := c.files()
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		if !slices.ContainsFunc(files, func(f Info) bool { return f.Key == key }) {
			return 0, fmt.Errorf("the cache %s has no entry %s: %w", c.Dir, key, fs.ErrNotExist)
		}
	}
	var busy []string
	var failed error
	for _, file := range files {
		if len(keys) > 0 && !slices.Contains(keys, file.Key) {
			continue
		}
		switch err := remove(file.path); {
		case err == nil:
			freed += file.Bytes
		case errors.Is(err, ErrInUse):
			busy = append(busy, file.Key)
		case failed == nil:
			failed = fmt.Errorf("clear the cache: %w", err)
		}
	}
	if failed == nil && busy != nil {
		failed = fmt.Errorf("clear the cache: %w, so it is kept: %s", ErrInUse, strings.Join(busy, ", "))
	}
	return freed, failed
}

// remove removes a file, or a link or an empty folder that is in its place, unless it is in use.
func remove(path string) error {
	info, err := os.Lstat(path)
	if err == nil {
		if info.Mode().IsRegular() {
			err = removeUnused(path)
		} else {
			err = os.Remove(path)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process was faster
	}
	return err
}

// sweep removes what killed processes left. What cannot be removed is in nobody's way.
func (c Cache) sweep() {
	files, _ := c.files()
	for _, file := range files {
		if file.State == Left {
			remove(file.path)
		}
	}
}

// others are the entries but for one, those first that were used the longest ago, and the bytes of all.
func (c Cache) others(key string) (entries []Info, sum int64) {
	files, _ := c.files()
	for _, file := range files {
		if file.State != Left && file.Key != key {
			entries = append(entries, file)
			sum += file.Bytes
		}
	}
	slices.SortStableFunc(entries, func(a, b Info) int { return a.Used.Compare(b.Used) })
	return entries, sum
}

// trim removes entries until they and that of a key, of so many bytes, are within the limit, first those that were used the longest
// ago. Where all others are in use, it stays exceeded.
func (c Cache) trim(need int64, key string) {
	limit := c.Limit
	switch {
	case limit < 0:
		return
	case limit == 0:
		limit = DefaultLimit
	}
	entries, sum := c.others(key)
	for _, entry := range entries {
		if sum <= limit-need {
			return
		}
		if remove(entry.path) == nil {
			sum -= entry.Bytes
		}
	}
}

// cures is what can be done where the disk is full.
const cures = "remove entries with latent data cache clear, set " + variable + " to a folder on another disk, or reduce the data"

// makeRoom removes what is over the limit with so many bytes more, and refuses what the disk has no room for.
func (c Cache) makeRoom(need int64, key string) error {
	fits := func(more int64) error {
		if free := freeSpace(c.Dir); free < need-more {
			return fmt.Errorf("it needs %s, and %s has %s left: %s", amount(need), c.Dir, amount(free), cures)
		}
		return nil
	}
	_, others := c.others(key)
	if err := fits(others); err != nil { // were all of them removed; so none is in vain
		return err
	}
	c.trim(need, key)
	return fits(0)
}

// Fits says whether the disk has room for so many bytes beside what is there.
func (c Cache) Fits(bytes int64) bool { return freeSpace(c.Dir) >= bytes }

// amount is a number of bytes for people.
func amount(bytes int64) string {
	x, unit := float64(bytes), "B"
	for _, larger := range []string{"kB", "MB", "GB", "TB"} {
		if x < 1000 {
			break
		}
		x, unit = x/1000, larger
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", x, unit)
}

// unknown is the free space of a disk that does not tell.
const unknown = math.MaxInt64
