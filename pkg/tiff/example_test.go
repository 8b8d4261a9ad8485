package tiff_test

import (
	"bytes"
	"fmt"
	"image"

	"github.com/janpfeifer/must"
	xtiff "golang.org/x/image/tiff"

	"latent/pkg/tiff"
)

// The headers say what the pages are; each is read when it is asked for.
func Example() {
	var data bytes.Buffer
	must.M(xtiff.Encode(&data, &image.Gray16{Pix: []byte{0, 1, 0, 2, 255, 255}, Stride: 6, Rect: image.Rect(0, 0, 3, 1)}, nil))

	f, err := tiff.Open(bytes.NewReader(data.Bytes()), int64(data.Len()))
	must.M(err)
	for i, page := range f.Pages() {
		p, err := f.Read(i)
		must.M(err)
		fmt.Println(page.Height, page.Width, page.Channels, page.Type, p.Values.Uint16)
	}
	// Output: 1 3 1 Uint16 [1 2 65535]
}
