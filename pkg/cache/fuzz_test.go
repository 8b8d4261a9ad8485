package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

// seal is a header with a footer of right length and checksum.
func seal(header []byte) []byte {
	sum := sha256.Sum256(header)
	return slices.Concat(header, []byte(magic), binaryLength(uint64(len(header))), sum[:])
}

func binaryLength(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

// opens opens a file of any contents: it is an entry that agrees with its own header, or damaged and gone.
func opens(t *testing.T, c Cache, key string) {
	path := pathOf(t, c, key)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.List(); err != nil {
		t.Fatal(err)
	}
	entry, err := c.Open(key)
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			t.Fatalf("error is %v, want ErrDamaged", err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("the damaged file is still there: %v", err)
		}
		return
	}
	defer entry.Close()
	if int64(len(entry.Values.Bytes())+len(entry.meta)) > info.Size() {
		t.Fatalf("%d values of %s and %d bytes, of a file of %d", entry.Values.Len(), entry.Values.Type(), len(entry.meta), info.Size())
	}
	var any any
	_ = entry.Meta(&any)
	if err := entry.Guard(func() { crc32.ChecksumIEEE(entry.Values.Bytes()) }); err != nil {
		t.Fatal(err)
	}
}

// Files of any contents.
func FuzzOpen(f *testing.F) {
	c, key := Cache{Dir: f.TempDir()}, Key(1)
	for _, dtype := range allTypes {
		put(f, c, key, dtype, 3)
		file, err := os.ReadFile(pathOf(f, c, key))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Add([]byte{})
	f.Add(seal([]byte("{}")))
	f.Fuzz(func(t *testing.T, file []byte) {
		c := Cache{Dir: t.TempDir()}
		if err := os.WriteFile(pathOf(t, c, key), file, 0o600); err != nil {
			t.Fatal(err)
		}
		opens(t, c, key)
	})
}

// Headers of any contents, with the right checksum, behind any values.
func FuzzHeader(f *testing.F) {
	key := Key(1)
	for _, dtype := range allTypes {
		v := numbers(dtype, 0, 3).Bytes()
		text, err := json.Marshal(header{Key: key, Title: "t", Type: typeNames[dtype], Values: 3, Sums: []uint32{crc32.Checksum(v, castagnoli)},
			MetaBytes: 4, MetaSHA256: sumOf([]byte("null"))})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(slices.Concat(v, []byte("null")), text)
	}
	f.Fuzz(func(t *testing.T, front, header []byte) {
		c := Cache{Dir: t.TempDir()}
		forge(t, c, key, front, header)
		opens(t, c, key)
	})
}

// What is written in any pieces comes back.
func FuzzWriter(f *testing.F) {
	f.Add([]byte("some values"), uint8(0), uint8(3), true)
	f.Add([]byte{}, uint8(1), uint8(1), false)
	f.Fuzz(func(t *testing.T, values []byte, kind, step uint8, appended bool) {
		c, key := Cache{Dir: t.TempDir()}, Key(1)
		dtype := allTypes[int(kind)%len(allTypes)]
		n := len(values) / dtype.Size()
		if n == 0 {
			dtype, n = dtypes.Uint8, len(values)
		}
		v := typed(append(make([]byte, 0, len(values)+8), values...), dtype)
		w := create(t, c, key, dtype, n)
		for at := 0; at < n; at += int(step) + 1 {
			part := v.Slice(at, min(at+int(step)+1, n))
			write := w.Append
			if !appended {
				write = func(part array.Values) error { return w.WriteAt(part, at) }
			}
			if err := write(part); err != nil {
				t.Fatal(err)
			}
		}
		made, err := w.Commit("", values)
		if err != nil {
			t.Fatal(err)
		}
		defer made.Close()
		entry, err := c.Open(key)
		if err != nil {
			t.Fatal(err)
		}
		defer entry.Close()
		var meta []byte
		if err := entry.Meta(&meta); err != nil || !bytes.Equal(meta, values) {
			t.Fatalf("meta is %q, error %v", meta, err)
		}
		if entry.Values.Type() != dtype || !bytes.Equal(entry.Values.Bytes(), v.Slice(0, n).Bytes()) {
			t.Fatalf("%d values of %s, want %d of %s", entry.Values.Len(), entry.Values.Type(), n, dtype)
		}
	})
}
