package train

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/dataset"
	"latent/pkg/model"
)

// streamed are images that training reads a window at a time, among others that lie in the same place.
func streamed(images *dataset.Samples) *dataset.Samples {
	mixed := *images
	mixed.Values, mixed.Streamed = images.Values.Slice(0, 0), true
	for i := range images.Len() {
		mixed.Values = mixed.Values.Append(images.At(images.Len() - 1 - i)) // the other way round
		mixed.Places = append(mixed.Places, int32(images.Len()-1-i))
	}
	return &mixed
}

// Images that are streamed give the bits that resident ones give, however long the windows are, in a group too, and when a run is
// restored.
func TestStream(t *testing.T) { testStream(t) }

// So do those that are dealt out on the disk in the order of each epoch, whole or as what is left of it; nothing is left of them.
func TestDeal(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("LATENT_CACHE_DIR", dir)
	defer func(before struct {
		above         int64
		chunk, buffer int
	}) {
		dealing = before
	}(dealing)
	dealing.above, dealing.chunk, dealing.buffer = 1, 1000, 300 // some images each
	testStream(t)
	left, err := filepath.Glob(filepath.Join(dir, "*", ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if made, err := os.Stat(filepath.Join(dir, "data")); err != nil || !made.IsDir() {
		t.Errorf("nothing was dealt: %v", err)
	}
}

// Where the disk takes nothing, or the training was stopped, nothing is dealt, and images are read here and there; what was stopped is dealt
// when it goes on.
func TestDealFails(t *testing.T) {
	images := streamed(blobs(blobCount))
	order := make([]int32, images.Len())
	for i := range order {
		order[i] = int32(images.Len() - 1 - i)
	}
	row := len(images.Row(0).Bytes())
	d := &dealer{images: images, order: func(int) []int32 { return order }, epochs: 1, ended: &atomic.Bool{}}
	t.Setenv("LATENT_CACHE_DIR", t.TempDir())
	d.ended.Store(true)
	if dealt, err := d.read(0, 0, 3, make([]byte, 3*row)); dealt || err != nil || d.failed {
		t.Errorf("stopped: dealt %v, %v", dealt, err)
	}
	d.ended.Store(false)
	rows := make([]byte, 3*row)
	if dealt, err := d.read(0, 1, 3, rows); !dealt || err != nil {
		t.Errorf("gone on: dealt %v, %v", dealt, err)
	}
	for k := range 3 {
		if !slices.Equal(rows[k*row:][:row], images.Row(int(order[1+k])).Bytes()) {
			t.Errorf("image %d of the epoch is another", 1+k)
		}
	}
	d.close()

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LATENT_CACHE_DIR", file) // no folder
	d = &dealer{images: images, order: func(int) []int32 { return order }, epochs: 1, ended: &atomic.Bool{}}
	if dealt, err := d.read(0, 0, 3, rows); dealt || err != nil || !d.failed {
		t.Errorf("without a disk: dealt %v, %v", dealt, err)
	}
}

func testStream(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		images := blobs(blobCount)
		for name, m := range map[string]model.Model{"dense": nil, "vae": model.Kinds["vae"]()} {
			s, other := spec(), spec()
			if m != nil {
				s.Model, other.Model = m, m
			}
			other.Seed += 5
			resident := start(t, b, images, s)
			finish(t, resident)
			want := stateOf(t, resident.Runs[0]).Checksum()

			group := start(t, b, streamed(images), s, other)
			if group.program.stream == nil {
				t.Fatal("the images are not streamed")
			}
			for n := 1; group.Runs[0].step < group.Runs[0].steps; n = n%7 + 2 {
				if _, err := group.Advance(n); err != nil {
					t.Fatal(err)
				}
			}
			if got := stateOf(t, group.Runs[0]).Checksum(); got != want {
				t.Errorf("%s: streamed in windows of changing length: weights %s, resident %s", name, got, want)
			}

			half := start(t, b, streamed(images), s)
			if _, err := half.Advance(3); err != nil {
				t.Fatal(err)
			}
			state := stateOf(t, half.Runs[0])
			again := start(t, b, streamed(images), s)
			if _, err := again.Advance(1); err != nil { // what it gathers after this is not what it needs
				t.Fatal(err)
			}
			if err := again.Runs[0].Restore(state); err != nil {
				t.Fatal(err)
			}
			for _, err := range again.Windows(context.Background()) {
				if err != nil {
					t.Fatal(err)
				}
			}
			if got := stateOf(t, again.Runs[0]).Checksum(); got != want {
				t.Errorf("%s: restored: weights %s, want %s", name, got, want)
			}
		}
	})
}
