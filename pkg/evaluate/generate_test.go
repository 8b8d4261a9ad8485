package evaluate

import (
	stdbytes "bytes"
	"context"
	"image/png"
	"slices"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/model"
)

// The identity's codes are the pixels, and their images the images, whatever their number.
func TestEncodeDecode(t *testing.T) {
	const side = 4
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		m, weights := identity(side * side)
		evaluator, err := New(b.Compute, Spec{Model: m, Loss: model.Loss{Kind: "mse"}}, like(model.Image{Height: side, Width: side, Channels: 1}))
		if err != nil {
			t.Fatal(err)
		}
		images := pictures(block+3, side, side)
		codes, err := evaluator.Encode(context.Background(), weights, images)
		if err != nil {
			t.Fatal(err)
		}
		if codes.Size != side*side || codes.Len() != images.Len() {
			t.Fatalf("%d codes of size %d, want %d of %d", codes.Len(), codes.Size, images.Len(), side*side)
		}
		decoded, err := evaluator.Decode(context.Background(), weights, codes)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(decoded.Values.Uint8, images.Values.Uint8) {
			t.Error("the images of the codes are not the images")
		}
	})
}

// A sheet of five images has two rows of at most three.
func TestDrawSheet(t *testing.T) {
	data, err := DrawSheet(pictures(5, 14, 14), "five")
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(stdbytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	const tile = 14*6 + tileGap
	if got, want := picture.Bounds().Max, 2*sheetMargin-tileGap; got.X != want+3*tile || got.Y != want+2*tile+captionSize+lineGap {
		t.Errorf("the picture is %v", got)
	}
}
