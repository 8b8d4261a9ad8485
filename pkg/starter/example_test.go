package starter_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"latent/pkg/starter"
)

// A table has a number of its rows, a class, and a value that is missing.
func Example() {
	dir, err := os.MkdirTemp("", "starter-*")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	text := "row,width,height,kind\n"
	for i := range 100 {
		text += fmt.Sprintf("%d,%d,%d,%s\n", i, i*i%17, i*i*i%23, []string{"bolt", "nut"}[i%2])
	}
	file := filepath.Join(dir, "parts.csv")
	if err := os.WriteFile(file, []byte(strings.Replace(text, "7,15,21,", "7,,21,", 1)), 0o600); err != nil {
		panic(err)
	}
	made, err := starter.Write(context.Background(), []string{file}, starter.Options{})
	if err != nil {
		panic(err)
	}
	fmt.Println(strings.Join(made.Seen, "\n"))
	_, data, _ := strings.Cut(string(made.Text), "\ndata:")
	data, _, _ = strings.Cut(data, "\n\n")
	fmt.Println(strings.Replace(data, dir, "DIR", 1))
	// Output:
	// data     100 rows of 2 numbers, 2 classes in kind
	//          missing values: 1 width
	//          1 column left out
	// model    dense of 404 parameters: values that were swapped are restored
	//
	//   dataset: table
	//   files: DIR/parts.csv
	//   label: kind  # classes, which the model does not see: bolt (50), nut (50)
	//   ignore:  # columns that are left out
	//     - row  # counts the rows: 0, 1, …
	//   missing: median  # 1 value is missing
	//   scale: {kind: standardise}  # each column to a mean of 0 and a standard deviation of 1
	//   test_fraction: 0.1  # measured once, at the end: 8 rows
	//   validation: 9  # held out to choose the best epoch
}
