package cache

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

var allTypes = []dtypes.DType{dtypes.Uint8, dtypes.Uint16, dtypes.Float32}

// numbers are n values, those of the places from first on of a list that never ends.
func numbers(dtype dtypes.DType, first, n int) array.Values {
	v := array.Make(dtype, n)
	for i := range n {
		x := uint32(first+i) * 2654435761
		switch dtype {
		case dtypes.Uint16:
			v.Uint16[i] = uint16(x >> 16)
		case dtypes.Float32:
			v.Float32[i] = math.Float32frombits(x) // with not-a-numbers among them
		default:
			v.Uint8[i] = uint8(x >> 24)
		}
	}
	return v
}

func create(t testing.TB, c Cache, key string, dtype dtypes.DType, values int) *Writer {
	t.Helper()
	w, err := c.Create(key, dtype, values)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Abort)
	return w
}

// put makes an entry of n values and closes it.
func put(t testing.TB, c Cache, key string, dtype dtypes.DType, n int) {
	t.Helper()
	w := create(t, c, key, dtype, n)
	if err := w.Append(numbers(dtype, 0, n)); err != nil {
		t.Fatal(err)
	}
	entry, err := w.Commit("numbers", map[string]int{"n": n})
	if err != nil {
		t.Fatal(err)
	}
	if err := entry.Close(); err != nil {
		t.Fatal(err)
	}
}

// open opens an entry, and wants these many values in it.
func open(t testing.TB, c Cache, key string, dtype dtypes.DType, n int) *Entry {
	t.Helper()
	entry, err := c.Open(key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { entry.Close() })
	want(t, entry, dtype, n)
	return entry
}

func want(t testing.TB, entry *Entry, dtype dtypes.DType, n int) {
	t.Helper()
	if entry.Values.Type() != dtype || entry.Values.Len() != n || !bytes.Equal(entry.Values.Bytes(), numbers(dtype, 0, n).Bytes()) {
		t.Fatalf("the entry has %d values of %s, want %d of %s, or has others", entry.Values.Len(), entry.Values.Type(), n, dtype)
	}
}

// namesIn lists the files of a folder.
func namesIn(t testing.TB, dir string) []string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		names = append(names, file.Name())
	}
	return names
}

// pathOf is where an entry lies.
func pathOf(t testing.TB, c Cache, key string) string {
	t.Helper()
	path, err := c.path(key)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// What is written comes back, of all types, and of sizes about those of chunks.
func TestWrittenAndRead(t *testing.T) {
	for i, dtype := range allTypes {
		chunk := chunkBytes / dtype.Size()
		for j, n := range []int{0, 1, 4095, chunk - 1, chunk, chunk + 1, 2*chunk + 7} {
			known := (i+j)%2 == 0
			c, key := Cache{Dir: filepath.Join(t.TempDir(), "new", "folder")}, Key(n, known)
			values := -1
			if known {
				values = n
			}
			w := create(t, c, key, dtype, values)
			for at, step := 0, 1; at < n; at, step = at+step, 3*step+1 {
				step = min(step, n-at)
				if err := w.Append(numbers(dtype, at, step)); err != nil {
					t.Fatal(err)
				}
			}
			made, err := w.Commit("title", map[string]any{"n": n, "of": []string{"a", "b"}})
			if err != nil {
				t.Fatal(err)
			}
			want(t, made, dtype, n)
			entry := open(t, c, key, dtype, n)
			var meta struct {
				N  int
				Of []string
			}
			if err := entry.Meta(&meta); err != nil || meta.N != n || !slices.Equal(meta.Of, []string{"a", "b"}) {
				t.Errorf("meta is %+v, error %v", meta, err)
			}
			if entry.Title != "title" || entry.Key != key {
				t.Errorf("title %q, key %q", entry.Title, entry.Key)
			}
			if names := namesIn(t, c.Dir); !slices.Equal(names, []string{key + ".values"}) {
				t.Errorf("the folder has %q", names)
			}
			if err := errors.Join(made.Close(), made.Close(), entry.Close()); err != nil {
				t.Error(err)
			}
		}
	}
}

// Several goroutines write in any order; values can be appended behind them.
func TestWriteAt(t *testing.T) {
	c, key, dtype := Cache{Dir: t.TempDir()}, Key(1), dtypes.Uint16
	const sample, samples = 30_011, 1000 // 60 MB, samples across chunks
	w := create(t, c, key, dtype, sample*(samples+1))
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := samples - 1 - worker; i >= 0; i -= 4 {
				if err := w.WriteAt(numbers(dtype, i*sample, sample), i*sample); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := w.Append(numbers(dtype, samples*sample, sample)); err != nil {
		t.Fatal(err)
	}
	made, err := w.Commit("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	w.Abort()
	want(t, made, dtype, sample*(samples+1))
	open(t, c, key, dtype, sample*(samples+1))
}

// Mistakes of the caller are errors, and no entry comes of them.
func TestMistakes(t *testing.T) {
	c, key := Cache{Dir: t.TempDir()}, Key(1)
	for name, try := range map[string]func() error{
		"key":       func() error { _, err := c.Create("../up", dtypes.Uint8, 1); return err },
		"no folder": func() error { _, err := Cache{}.Create(key, dtypes.Uint8, 1); return err },
		"type":      func() error { _, err := c.Create(key, dtypes.Float64, 1); return err },
		"negative":  func() error { _, err := c.Create(key, dtypes.Uint8, -2); return err },
		"huge":      func() error { _, err := c.Create(key, dtypes.Float32, math.MaxInt/2); return err },
		"open key":  func() error { _, err := c.Open("x"); return err },
		"clear key": func() error { _, err := c.Clear(key, strings.Repeat("g", 64)); return err },
	} {
		if err := try(); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	if names := namesIn(t, c.Dir); len(names) > 0 {
		t.Errorf("left are %q", names)
	}

	w := create(t, c, key, dtypes.Uint16, 10)
	for name, err := range map[string]error{
		"type":     w.WriteAt(numbers(dtypes.Uint8, 0, 1), 0),
		"append":   w.Append(numbers(dtypes.Float32, 0, 1)),
		"behind":   w.WriteAt(numbers(dtypes.Uint16, 0, 2), 9),
		"far":      w.WriteAt(numbers(dtypes.Uint16, 0, 2), math.MaxInt),
		"before":   w.WriteAt(numbers(dtypes.Uint16, 0, 2), -1),
		"too many": w.Append(numbers(dtypes.Uint16, 0, 11)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := w.WriteAt(numbers(dtypes.Uint16, 0, 9), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit("", nil); err == nil || !strings.Contains(err.Error(), "9 of 10 values were written") {
		t.Errorf("a gap: error is %v", err)
	}
	if err := w.Append(array.Values{}); err == nil {
		t.Error("appended after the end")
	}
	if _, err := w.Commit("", nil); err == nil {
		t.Error("committed twice")
	}

	w = create(t, c, key, dtypes.Uint16, -1)
	if err := w.WriteAt(numbers(dtypes.Uint16, 0, 9), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit("", nil); err == nil {
		t.Error("a gap of an entry of unknown size is taken")
	}
	w = create(t, c, key, dtypes.Uint16, 0)
	if _, err := w.Commit("", math.NaN()); err == nil {
		t.Error("NaN is no JSON, and is taken")
	}
	if names := namesIn(t, c.Dir); len(names) > 0 {
		t.Errorf("left are %q", names)
	}
	if _, err := c.Open(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want fs.ErrNotExist", err)
	}
	put(t, c, key, dtypes.Uint8, 1)
	if err := open(t, c, key, dtypes.Uint8, 1).Meta(new([]int)); err == nil || !strings.Contains(err.Error(), key) {
		t.Errorf("meta of another form: error is %v", err)
	}
	if w, err := c.Create(key, dtypes.Uint8, math.MaxInt>>8); err == nil {
		w.Abort()
	} else if !strings.Contains(err.Error(), "latent data cache clear") || !strings.Contains(err.Error(), c.Dir) {
		t.Errorf("larger than every disk: error is %v", err)
	} else {
		open(t, c, key, dtypes.Uint8, 1) // nothing was removed in vain
	}
}

func TestKey(t *testing.T) {
	keys := map[string]bool{}
	for _, parts := range [][]any{{}, {""}, {nil}, {"a", "b"}, {"ab"}, {[]string{"a", "b"}}, {"a", "b", 1}, {1}, {"1"}} {
		key := Key(parts...)
		if keys[key] || !keyPattern.MatchString(key) {
			t.Errorf("the key of %v is %q", parts, key)
		}
		keys[key] = true
	}
	if Key(map[string]int{"a": 1, "b": 2}) != Key(map[string]int{"b": 2, "a": 1}) {
		t.Error("the order of a map counts")
	}
	defer func() {
		if recover() == nil {
			t.Error("NaN has a key")
		}
	}()
	Key(math.NaN())
}

func TestDefault(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(variable, dir)
	c, err := Default()
	if err != nil || c.Dir != filepath.Join(dir, "data") {
		t.Errorf("%v, error %v", c, err)
	}
	t.Setenv(variable, "")
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("LocalAppData", dir)
	if c, err = Default(); err != nil || !strings.HasPrefix(c.Dir, dir) || !strings.HasSuffix(c.Dir, filepath.Join("latent", "data")) {
		t.Errorf("%v, error %v", c, err)
	}
}

// Every bit of a file counts: whichever is another, the entry is damaged, removed, and made again.
func TestDamaged(t *testing.T) {
	c, key := Cache{Dir: t.TempDir()}, Key(1)
	path := pathOf(t, c, key)
	put(t, c, key, dtypes.Uint16, 100)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := func(name string, contents []byte) {
		t.Helper()
		if err := os.WriteFile(path, contents, 0o600); err != nil {
			t.Fatal(err)
		}
		wantDamaged(t, c, key, name)
		if names := namesIn(t, c.Dir); len(names) > 0 {
			t.Fatalf("%s: left are %q", name, names)
		}
	}
	for i := range whole {
		other := bytes.Clone(whole)
		other[i] ^= 1 << (i % 8)
		damaged("a bit", other)
	}
	for n := range whole {
		damaged("cut off", whole[:n])
		damaged("its beginning is lost", whole[n+1:])
	}
	damaged("longer", append(bytes.Clone(whole), 0))
	damaged("twice", append(bytes.Clone(whole), whole...))
	put(t, c, Key(2), dtypes.Uint16, 100)
	swapped, err := os.ReadFile(pathOf(t, c, Key(2)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Clear(); err != nil {
		t.Fatal(err)
	}
	damaged("another entry's", swapped)

	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, c, key, dtypes.Uint16, 100)
}

func wantDamaged(t *testing.T, c Cache, key, name string) {
	t.Helper()
	entry, err := c.Open(key)
	if err == nil {
		entry.Close()
	}
	if !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("%s: error is %v, want ErrDamaged in one line", name, err)
	}
	if _, err := c.Open(key); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s: then the error is %v, want fs.ErrNotExist", name, err)
	}
}

// A damaged value beyond the first chunk is told with its place.
func TestDamagedChunk(t *testing.T) {
	c, key := Cache{Dir: t.TempDir()}, Key(1)
	put(t, c, key, dtypes.Uint8, 3*chunkBytes+5)
	file, err := os.OpenFile(pathOf(t, c, key), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	file.WriteAt([]byte{numbers(dtypes.Uint8, 3*chunkBytes+4, 1).Uint8[0] ^ 128}, 3*chunkBytes+4)
	file.Close()
	_, err = c.Open(key)
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "bytes 50331648 to 50331652") {
		t.Errorf("error is %v", err)
	}
}

// forge writes an entry's file with this header, whatever it says, and a right footer.
func forge(t testing.TB, c Cache, key string, front, header []byte) {
	t.Helper()
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pathOf(t, c, key), slices.Concat(front, seal(header)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Headers that are wrong though their checksum is right are no way to read beyond the file, or to take much memory.
func TestHostileHeaders(t *testing.T) {
	c, key := Cache{Dir: t.TempDir()}, Key(1)
	good := header{Key: key, Type: "uint16", Values: 2, Sums: []uint32{0x1234}, MetaBytes: 4, MetaSHA256: sumOf([]byte("null"))}
	front := []byte("abcdnull")
	change := func(change func(h *header)) []byte {
		h := good
		change(&h)
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, text := range map[string][]byte{
		"no JSON":          []byte("{"),
		"empty":            {},
		"null":             []byte("null"),
		"list":             []byte("[]"),
		"type":             change(func(h *header) { h.Type = "float64" }),
		"no type":          change(func(h *header) { h.Type = "" }),
		"negative":         change(func(h *header) { h.Values = -2 }),
		"overflow":         change(func(h *header) { h.Values = math.MaxInt64/2 + 3 }),
		"overflow to zero": change(func(h *header) { h.Values = math.MinInt64 }),
		"more":             change(func(h *header) { h.Values = 3 }),
		"fewer":            change(func(h *header) { h.Values = 1 }),
		"meta":             change(func(h *header) { h.MetaBytes = 1 << 62 }),
		"negative meta":    change(func(h *header) { h.Values, h.MetaBytes = 6, -4 }),
		"no sums":          change(func(h *header) { h.Sums = nil }),
		"many sums":        change(func(h *header) { h.Sums = make([]uint32, 1000) }),
		"key":              change(func(h *header) { h.Key = Key(2) }),
		"sum of meta":      change(func(h *header) { h.MetaSHA256 = "" }),
		"sum":              change(func(h *header) {}),
		"a value too big":  []byte(`{"values": 1e400}`),
	} {
		forge(t, c, key, front, text)
		wantDamaged(t, c, key, name)
	}
	// The length of the header itself.
	for _, length := range []uint64{1, 1 << 20, 1 << 40, 1 << 63, math.MaxUint64} {
		file := slices.Concat(front, seal(change(func(*header) {})))
		copy(file[len(file)-40:], binaryLength(length))
		if err := os.WriteFile(pathOf(t, c, key), file, 0o600); err != nil {
			t.Fatal(err)
		}
		wantDamaged(t, c, key, "header's length")
	}
}

// Entries are listed, the last used first, and cleared; other files of the folder stay.
func TestListAndClear(t *testing.T) {
	c := Cache{Dir: filepath.Join(t.TempDir(), "cache")}
	if list, err := c.List(); err != nil || len(list) > 0 {
		t.Errorf("%v, error %v", list, err)
	}
	if freed, err := c.Clear(); err != nil || freed > 0 {
		t.Errorf("%v, error %v", freed, err)
	}
	a, b, d := Key("a"), Key("b"), Key("d")
	put(t, c, a, dtypes.Uint8, 1000)
	put(t, c, b, dtypes.Float32, 10)
	put(t, c, d, dtypes.Uint8, 10)
	if err := os.Truncate(pathOf(t, c, d), 20); err != nil {
		t.Fatal(err)
	}
	for i, key := range []string{d, a, b} {
		at := time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC)
		if err := os.Chtimes(pathOf(t, c, key), at, at); err != nil {
			t.Fatal(err)
		}
	}
	open(t, c, a, dtypes.Uint8, 1000).Close()
	others := []string{"notes.txt", a + ".valuesx", "x" + a + ".values", strings.ToUpper(b) + ".values", "." + a + ".x.part"}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := c.List()
	if err != nil || len(list) != 3 || list[0].Key != a || list[1].Key != b || list[2].Key != d {
		t.Fatalf("%+v, error %v", list, err)
	}
	if i := list[0]; i.Title != "numbers" || i.State != Whole || i.Type != "uint8" || i.Values != 1000 || i.Bytes < 1000 ||
		time.Since(i.Made) > time.Minute || time.Since(i.Used) > time.Minute {
		t.Errorf("%+v", i)
	}
	if i := list[2]; i.State != Damaged || i.Bytes != 20 {
		t.Errorf("%+v", i)
	}
	if _, err := c.Clear(a, Key("nobody")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want fs.ErrNotExist", err)
	}
	if freed, err := c.Clear(b); err != nil || freed != list[1].Bytes {
		t.Errorf("freed %d, error %v", freed, err)
	}
	held := open(t, c, a, dtypes.Uint8, 1000)
	if freed, err := c.Clear(); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), a) || freed != 20 {
		t.Errorf("freed %d, error %v", freed, err)
	}
	want(t, held, dtypes.Uint8, 1000)
	held.Close()
	if freed, err := c.Clear(); err != nil || freed != list[0].Bytes {
		t.Errorf("freed %d, error %v", freed, err)
	}
	slices.Sort(others)
	if names := namesIn(t, c.Dir); !slices.Equal(names, others) {
		t.Errorf("the folder has %q, want %q", names, others)
	}
}

// A running writer's file is nobody else's to remove, and is told as such.
func TestWriting(t *testing.T) {
	c, key := Cache{Dir: t.TempDir()}, Key(1)
	w := create(t, c, key, dtypes.Uint8, 10)
	if list, err := c.List(); err != nil || len(list) != 1 || list[0].State != Writing || list[0].Key != key {
		t.Errorf("%+v, error %v", list, err)
	}
	if _, err := c.Clear(); !errors.Is(err, ErrInUse) {
		t.Errorf("error is %v", err)
	}
	other := create(t, c, key, dtypes.Uint8, 10) // which removes what was left
	for _, w := range []*Writer{w, other} {
		if err := w.Append(numbers(dtypes.Uint8, 0, 10)); err != nil {
			t.Fatal(err)
		}
		entry, err := w.Commit("", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer want(t, entry, dtypes.Uint8, 10)
	}
	if names := namesIn(t, c.Dir); len(names) != 1 {
		t.Errorf("the folder has %q", names)
	}
}

// Over the limit the entries that were used the longest ago go, but for those that are open.
func TestLimit(t *testing.T) {
	c := Cache{Dir: t.TempDir(), Limit: -1}
	keys := []string{Key(0), Key(1), Key(2), Key(3), Key(4), Key(5)}
	for i, key := range keys[:4] {
		put(t, c, key, dtypes.Uint8, 100_000)
		at := time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC)
		if err := os.Chtimes(pathOf(t, c, key), at, at); err != nil {
			t.Fatal(err)
		}
	}
	held := open(t, c, keys[1], dtypes.Uint8, 100_000)
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(pathOf(t, c, keys[1]), at, at); err != nil {
		t.Fatal(err)
	}
	has := func(want ...string) {
		t.Helper()
		list, err := c.List()
		var got []string
		for _, i := range list {
			got = append(got, i.Key)
		}
		slices.Sort(got)
		want = slices.Sorted(slices.Values(want))
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("left are %q, want %q, error %v", got, want, err)
		}
	}
	has(keys[:4]...)
	c.Limit = 350_000
	put(t, c, keys[4], dtypes.Uint8, 100_000) // 1 is the oldest, and open
	has(keys[1], keys[3], keys[4])
	c.Limit = 10
	w := create(t, c, keys[5], dtypes.Uint8, -1)
	if err := w.Append(numbers(dtypes.Uint8, 0, 100_000)); err != nil {
		t.Fatal(err)
	}
	has(keys[1], keys[3], keys[4], keys[5])
	entry, err := w.Commit("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer entry.Close()
	has(keys[1], keys[5])
	want(t, held, dtypes.Uint8, 100_000)
}

// An aborted writer leaves nothing, and one that has committed is not undone.
func TestAbort(t *testing.T) {
	c := Cache{Dir: t.TempDir()}
	w := create(t, c, Key(1), dtypes.Uint8, 10)
	if err := w.Append(numbers(dtypes.Uint8, 0, 5)); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	w.Abort()
	if err := w.WriteAt(numbers(dtypes.Uint8, 0, 5), 5); err == nil || !strings.Contains(err.Error(), "aborted") {
		t.Errorf("error is %v", err)
	}
	if _, err := w.Commit("", nil); err == nil {
		t.Error("committed what was aborted")
	}
	if names := namesIn(t, c.Dir); len(names) > 0 {
		t.Errorf("the folder has %q", names)
	}
}

// Guard hands on what is not its own.
func TestGuardOthers(t *testing.T) {
	c := Cache{Dir: t.TempDir()}
	put(t, c, Key(1), dtypes.Uint8, 10)
	entry := open(t, c, Key(1), dtypes.Uint8, 10)
	if err := entry.Guard(func() { want(t, entry, dtypes.Uint8, 10) }); err != nil {
		t.Error(err)
	}
	var none *int
	for name, fault := range map[string]func(){
		"index": func() { _ = entry.Values.Uint8[entry.Values.Len()] },
		"text":  func() { panic("mine") },
		"nil":   func() { *none = 1 },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: Guard kept a panic that is not of the file", name)
				}
			}()
			entry.Guard(fault)
		}()
	}
}
