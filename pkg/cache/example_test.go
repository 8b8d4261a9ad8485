package cache_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gomlx/compute/dtypes"
	"github.com/janpfeifer/must"

	"latent/pkg/array"
	"latent/pkg/cache"
)

// An entry is opened where there is one, and else made.
func Example() {
	c := cache.Cache{Dir: must.M1(os.MkdirTemp("", "cache"))} // or cache.Default()
	defer os.RemoveAll(c.Dir)

	squares := func(n int) *cache.Entry {
		key := cache.Key("squares", 1, n)
		entry, err := c.Open(key)
		if err == nil {
			fmt.Println("found:", entry.Title)
			return entry
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, cache.ErrDamaged) {
			panic(err)
		}
		w := must.M1(c.Create(key, dtypes.Uint16, n))
		defer w.Abort()
		for i := range n {
			must.M(w.WriteAt(array.Values{Uint16: []uint16{uint16(i * i)}}, i))
		}
		return must.M1(w.Commit(fmt.Sprintf("squares of 0 to %d", n-1), map[string]int{"classes": 3}))
	}
	must.M(squares(5).Close())

	entry := squares(5)
	defer entry.Close()
	var meta struct{ Classes int }
	must.M(entry.Meta(&meta))
	fmt.Println(entry.Values.Uint16, meta.Classes)
	// Output:
	// found: squares of 0 to 4
	// [0 1 4 9 16] 3
}
