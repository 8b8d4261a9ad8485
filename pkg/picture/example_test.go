package picture_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"

	"github.com/janpfeifer/must"

	"latent/pkg/picture"
)

// Pictures of a folder are found by their endings, and each is checked before it is unpacked.
func Example() {
	dir := must.M1(os.MkdirTemp("", "photos"))
	defer os.RemoveAll(dir)
	var data bytes.Buffer
	must.M(png.Encode(&data, image.NewGray(image.Rect(0, 0, 40, 30))))
	must.M(os.WriteFile(filepath.Join(dir, "good.png"), data.Bytes(), 0o644))
	must.M(os.WriteFile(filepath.Join(dir, "half.png"), data.Bytes()[:data.Len()/2], 0o644))
	must.M(os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("no picture"), 0o644))

	names, others := must.M2(picture.List(dir))
	fmt.Println(picture.Others(others, "left out: "))
	for _, name := range names {
		p, err := picture.Read(filepath.Join(dir, name))
		if err != nil {
			fmt.Println(name, "cannot be read")
			continue
		}
		fmt.Println(name, p.Bounds().Dx(), "×", p.Bounds().Dy())
	}
	// Output:
	// left out: 1 .txt
	// good.png 40 × 30
	// half.png cannot be read
}
