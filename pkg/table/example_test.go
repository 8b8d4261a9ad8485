package table_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"latent/pkg/table"
)

// A file of two features and a column of labels.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "iris.csv")
	if err := os.WriteFile(path, []byte("length,width,species\n5.1,3.5,setosa\n6.2,,virginica\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	f, err := table.Open(path, table.Options{Label: "species", Missing: true})
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	fmt.Println(f.Names(), f.Dims(), f.Type(), f.Len())
	err = f.Each(context.Background(), func(rows table.Rows) error {
		fmt.Println(rows.Values.Float32, rows.Labels)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// [length width] [2] Float32 -1
	// [5.1 3.5 6.2 NaN] [setosa virginica]
}
