package corrupt_test

import (
	"bytes"
	"context"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/random"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// shown are the chains of the picture, a row each.
var shown = []corrupt.Chain{
	{&corrupt.None{}},
	{&corrupt.Gaussian{NoiseFactor: corrupt.Range{0.1, 0.8}, Clip: true}},
	{&corrupt.SaltAndPepper{Amount: corrupt.Range{0.05, 0.3}, Salt: 0.5}},
	{&corrupt.Masking{Probability: corrupt.Fixed(0.5), Patch: 1, Value: -0.5}},
	{&corrupt.Masking{Probability: corrupt.Fixed(0.75), Patch: 4, Value: 0}},
	{&corrupt.Erase{Count: 2, Side: corrupt.Range{0.2, 0.5}, Value: 0}},
	{&corrupt.Blur{Sigma: corrupt.Range{0, 3}}},
	{&corrupt.Downscale{Factor: 4, Upscale: "nearest"}},
	{&corrupt.Downscale{Factor: 4, Upscale: "bilinear"}},
	{&corrupt.Quantise{Levels: 3}},
	{corrupt.Kinds["watermark"]()},
	{&corrupt.Watermark{Texts: []string{"SAMPLE", "top secret", "© 2026"}, Scale: corrupt.Range{0.9, 1.3},
		Rotation: corrupt.Range{-90, 90}, Opacity: corrupt.Range{0.5, 0.9}, Brightness: corrupt.Fixed(1)}},
	{tiled},
	{picture},
	{&corrupt.Blur{Sigma: corrupt.Fixed(0.7)}, &corrupt.Downscale{Factor: 2, Upscale: "bilinear"}, corrupt.Kinds["gaussian"]()},
}

var (
	tiled = &corrupt.Watermark{Texts: []string{"draft"}, Tiled: true, Scale: corrupt.Range{0.4, 0.8},
		Rotation: corrupt.Range{-45, 45}, Opacity: corrupt.Range{0.4, 0.9}, Brightness: corrupt.Range{0, 1}}
	picture = &corrupt.Watermark{Image: "testdata/stamp.png", Scale: corrupt.Range{0.3, 0.7},
		Rotation: corrupt.Range{-180, 180}, Opacity: corrupt.Fixed(0.8)}
)

// TestPicture draws every corruption on eight glyphs, a row each, as testdata/corruptions.png shows them.
func TestPicture(t *testing.T) {
	const columns, side, scale, top, gap = 8, 28, 3, 16, 4
	split, err := (&dataset.Glyphs{Train: 1, Test: columns}).Load(context.Background(), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rowHeight := top + side*scale + gap
	canvas := image.NewGray(image.Rect(0, 0, gap+columns*(side*scale+gap), len(shown)*rowHeight))
	parsed, err := opentype.Parse(goregular.TTF)
	if err != nil {
		t.Fatal(err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: 12, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		t.Fatal(err)
	}
	b := backendtest.XLA(t)
	for row, chain := range shown {
		for i, v := range apply(t, b, chain, asFloats(split.Test.Values.Uint8), random.NewSeed(5), columns, side, side, 1) {
			n, y, x := i/(side*side), i/side%side, i%side
			corner := image.Pt(gap+n*(side*scale+gap)+x*scale, row*rowHeight+top+y*scale)
			grey := color.Gray{Y: uint8(min(max((v+1)/2, 0), 1)*255 + 0.5)}
			draw.Draw(canvas, image.Rectangle{corner, corner.Add(image.Pt(scale, scale))}, image.NewUniform(grey), image.Point{}, draw.Src)
		}
		drawer := font.Drawer{Dst: canvas, Src: image.White, Face: face, Dot: fixed.P(gap, row*rowHeight+top-4)}
		drawer.DrawString(chain.Caption())
	}

	const path = "testdata/corruptions.png"
	if *update {
		var file bytes.Buffer
		if err := png.Encode(&file, canvas); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if want.Bounds() != canvas.Bounds() {
		t.Fatalf("the picture is %v, want %v; rewrite it with -update", canvas.Bounds(), want.Bounds())
	}
	for i, v := range canvas.Pix {
		// Rounding may turn a byte, and a quarter of a grey level of the fonts' edges on another processor.
		if old := want.(*image.Gray).Pix[i]; max(int(v)-int(old), int(old)-int(v)) > 3 {
			t.Fatalf("pixel (%d, %d) is %d, want %d; look at the picture after -update", i%canvas.Stride, i/canvas.Stride, v, old)
		}
	}
}
