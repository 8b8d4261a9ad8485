package dataset

import (
	"context"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// TestMNIST reads the real files and compares them with what is known of them: the counts of each digit, the first labels,
// and the mean and standard deviation that PyTorch's MNIST example scales by (0.1307 and 0.3081).
func TestMNIST(t *testing.T) {
	if os.Getenv(dirVariable) == "" {
		t.Skip("LATENT_DATA_DIR does not name a folder with MNIST's four files")
	}
	source := Kinds["mnist"]().(*IDX)
	source.Validation = 0
	split, err := source.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var counts [10]int
	for _, label := range split.Train.Labels {
		counts[label]++
	}
	if want := [10]int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}; counts != want {
		t.Errorf("training images of each digit: %v, want %v", counts, want)
	}
	if want := []uint8{5, 0, 4, 1, 9, 2, 1, 3, 1, 4}; !slices.Equal(split.Train.Labels[:10], want) {
		t.Errorf("the first labels are %v, want %v", split.Train.Labels[:10], want)
	}
	var total, squares float64
	for _, pixel := range split.Train.Values.Uint8 {
		x := float64(pixel) / 255
		total, squares = total+x, squares+x*x
	}
	n := float64(60000 * 784)
	mean := total / n
	if deviation := math.Sqrt(squares/n - mean*mean); math.Abs(mean-0.1307) > 5e-5 || math.Abs(deviation-0.3081) > 5e-5 {
		t.Errorf("mean %.4f, standard deviation %.4f, want 0.1307 and 0.3081", mean, deviation)
	}
	if split.Test.Len() != 10000 || split.Test.Labels[0] != 7 {
		t.Errorf("%d test images, the first a %d, want 10000 and a 7", split.Test.Len(), split.Test.Labels[0])
	}
	if got, want := split.Checksums["train-images-idx3-ubyte.gz"], mnist.files[trainImages].sha256; got != want {
		t.Errorf("recorded checksum %s, want %s", got, want)
	}
}

// TestIDXDownloadsOnce goes the whole way, with files of the published shape, from a mirror to the cache to images.
func TestIDXDownloadsOnce(t *testing.T) {
	pixels, labels := make([]uint8, 60000*784), make([]uint8, 60000)
	for i := range labels {
		pixels[i*784], labels[i] = uint8(i), uint8(i%10)
	}
	f, good := publish(t, [4][]byte{
		gzipped(t, idx(pixels, 60000, 28, 28)), gzipped(t, idx(labels, 60000)),
		gzipped(t, idx(pixels[:10000*784], 10000, 28, 28)), gzipped(t, idx(labels[:10000], 10000)),
	})
	var requests atomic.Int32
	f.mirrors = []string{mirror(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		good(w, r)
	})}
	cache := t.TempDir()
	t.Setenv(dirVariable, "")
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	source := newIDX(f)
	source.Limit = 500
	for range 2 {
		split, err := source.Load(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if split.Train.Len() != source.TrainImages() || split.Validation.Len() != source.ValidationImages() || split.Test.Len() != 10000 {
			t.Errorf("%d, %d, %d images", split.Train.Len(), split.Validation.Len(), split.Test.Len())
		}
		for i, label := range split.Test.Labels {
			if split.Test.At(i).Uint8[0] != uint8(i) || label != uint8(i%10) {
				t.Fatalf("test image %d is not what was published", i)
			}
		}
		if len(split.Checksums) != 4 {
			t.Errorf("checksums %v", split.Checksums)
		}
	}
	if n := requests.Load(); n != 4 {
		t.Errorf("%d requests for 4 files", n)
	}
}

func TestIDXFolder(t *testing.T) {
	f, _ := publish(t, small)
	f.mirrors = []string{mirror(t, func(http.ResponseWriter, *http.Request) { t.Error("the network was asked") })}
	published, changed := f.files[trainImages].name, "truncated, modified or from another dataset"
	unpacked := strings.TrimSuffix(published, ".gz")
	for name, c := range map[string]struct {
		dir, variable string // in a temporary folder
		files         map[string][]byte
		want          string // in the error
	}{
		"data.dir without files":     {dir: "mine", want: published + " is missing, and so is the unpacked " + unpacked},
		"data.dir before variable":   {dir: "mine", variable: "all", files: map[string][]byte{"all/" + published: small[0]}, want: filepath.Join("mine", published) + " is missing"},
		"data.dir, changed":          {dir: "mine", files: map[string][]byte{"mine/" + published: small[1]}, want: "instead of 30000 with " + sum(small[0]) + ": it is " + changed},
		"data.dir, a folder instead": {dir: "mine", files: map[string][]byte{"mine/" + published + "/x": nil}, want: "not a regular file"},
		"variable, one file":         {variable: "all", files: map[string][]byte{"all/" + published: small[0]}, want: filepath.Join("all", "train-labels-idx1-ubyte.gz") + " is missing"},
		"variable, subfolder":        {variable: "all", files: map[string][]byte{"all/test/x": nil, "all/" + published: small[0]}, want: filepath.Join("all", "test", published) + " is missing"},
		"variable, another dataset":  {variable: "all", files: map[string][]byte{"all/" + published: small[1]}, want: changed},
		"variable, unpacked":         {variable: "all", files: map[string][]byte{"all/" + unpacked: small[0]}, want: "contains neither a folder test nor " + published},
		"variable, nothing there":    {variable: "nowhere", want: "unset LATENT_DATA_DIR to download them"},
		"unpacked, of another shape": {dir: "mine", files: map[string][]byte{
			"mine/" + unpacked: idx(make([]uint8, 8), 2, 2, 2), "mine/train-labels-idx1-ubyte": idx([]uint8{0, 1}, 2),
			"mine/t10k-images-idx3-ubyte": idx(make([]uint8, 8), 2, 2, 2), "mine/t10k-labels-idx1-ubyte": idx([]uint8{0, 1}, 2),
		}, want: "training images: 2 of 2×2 instead of 60000 of 28×28"},
		"not IDX at all": {dir: "mine", files: map[string][]byte{
			"mine/" + published: small[0], "mine/" + f.files[1].name: small[1], "mine/" + f.files[2].name: small[2], "mine/" + f.files[3].name: small[3],
		}, want: "training images: not an IDX file"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for name, data := range c.files {
				saveFile(t, root, name, data)
			}
			source := newIDX(f)
			if c.dir != "" {
				source.Dir = filepath.Join(root, c.dir)
			}
			t.Setenv(dirVariable, "")
			if c.variable != "" {
				t.Setenv(dirVariable, filepath.Join(root, c.variable))
			}
			_, err := source.Load(context.Background(), Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
		})
	}
}

func BenchmarkMNIST(b *testing.B) {
	if os.Getenv(dirVariable) == "" {
		b.Skip("LATENT_DATA_DIR does not name a folder with MNIST's four files")
	}
	for b.Loop() {
		if _, err := Kinds["mnist"]().Load(b.Context(), Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
