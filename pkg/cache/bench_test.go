package cache

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

// Opening a file that the system has in memory, with all its checksums.
func BenchmarkOpen(b *testing.B) {
	const size = 256 << 20
	c := Cache{Dir: b.TempDir()}
	w := create(b, c, Key("bench"), dtypes.Uint8, size)
	defer w.Abort()
	for at := 0; at < size; at += chunkBytes {
		if err := w.Append(numbers(dtypes.Uint8, at, chunkBytes)); err != nil {
			b.Fatal(err)
		}
	}
	entry, err := w.Commit("bench", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer entry.Close()
	b.SetBytes(size)
	for b.Loop() {
		e, err := c.Open(entry.Key)
		if err != nil {
			b.Fatal(err)
		}
		e.Close()
	}
}

// Writing samples of several sizes, without what Commit does.
func BenchmarkWriteAt(b *testing.B) {
	const size = 64 << 20
	for _, sample := range []int{784, 64 * 64 * 3, 256 * 256 * 3} {
		b.Run(fmt.Sprint(sample), func(b *testing.B) {
			w := create(b, Cache{Dir: b.TempDir()}, Key("bench"), dtypes.Uint8, -1)
			defer w.Abort()
			v := array.Make(dtypes.Uint8, sample)
			b.SetBytes(int64(sample))
			for i := 0; b.Loop(); i++ {
				if err := w.WriteAt(v, i%(size/sample)*sample); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
