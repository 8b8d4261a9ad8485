package network_test

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"latent/pkg/network"
	"latent/pkg/network/networktest"
)

func read(t *testing.T, path string) *network.File {
	t.Helper()
	file, err := network.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// The checksum is that of the file alone, and with weights beside it changes with each.
func TestChecksum(t *testing.T) {
	net := networktest.Means(0, 3, 0, 0)
	sum := sha256.Sum256(net.Bytes())
	if got := read(t, net.Write(t)).SHA256; got != hex.EncodeToString(sum[:]) {
		t.Errorf("SHA-256 %s, want that of the bytes, %x", got, sum)
	}
	net.External = "w.bin"
	path := net.Write(t)
	if _, err := network.Read(path); err == nil || !strings.Contains(err.Error(), "weights of") || !strings.Contains(err.Error(), "w.bin") {
		t.Errorf("without the file of the weights: %v", err)
	}
	sums := map[string]bool{}
	for _, weights := range []string{"abcd", "abce"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "w.bin"), []byte(weights), 0o644); err != nil {
			t.Fatal(err)
		}
		sums[read(t, path).SHA256] = true
	}
	if len(sums) != 2 {
		t.Error("other weights have the same checksum")
	}
}

// Files that are none are refused without being loaded: no folder, no pipe, nothing that is no ONNX, no weights from elsewhere.
func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sparse := write("huge.onnx", nil)
	if err := os.Truncate(sparse, 1<<31); err != nil {
		t.Fatal(err)
	}
	outside := networktest.Means(0, 1, 0, 0)
	outside.External = "../../etc/passwd"
	whole := networktest.Means(0, 1, 0, 0).Bytes()
	for path, want := range map[string]string{
		filepath.Join(dir, "none.onnx"): "no such file",
		dir:                             "not a regular file",
		sparse:                          "the limit is 2147483647",
		write("text.onnx", []byte("no network\n")): "not an ONNX file",
		write("cut.onnx", whole[:len(whole)-3]):    "not an ONNX file",
		write("outside.onnx", outside.Bytes()):     "which is not in the same folder",
	} {
		if _, err := network.Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// Whatever a file holds, reading it ends without a panic.
func FuzzRead(f *testing.F) {
	net := networktest.Means(4, 3, 8, 8)
	f.Add(net.Bytes())
	net.External = "w.bin"
	f.Add(net.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x.onnx")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		network.Read(path)
	})
}

// Means and pixels of two pictures, by networks that take any number of them, or four at once.
func TestRun(t *testing.T) {
	networktest.Runtime(t)
	for _, batch := range []int{0, 4} {
		file := read(t, networktest.Means(batch, 3, 2, 2).Write(t))
		for output, want := range map[string][]float32{
			"":       {2.5, 6.5, 10.5, 12.5, 8.5, 4.5},
			"pixels": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3},
		} {
			net, err := file.Open(t.Context(), output)
			if err != nil {
				t.Fatal(err)
			}
			defer net.Close()
			form, err := net.Fit(3, 2, 2)
			if err != nil {
				t.Fatal(err)
			}
			if batch > 0 && form.Batch != batch || form.Last {
				t.Errorf("pictures are wanted as %+v", form)
			}
			values := make([]float32, form.Batch*form.Size())
			for i := range 12 {
				values[i], values[12+i] = float32(i+1), float32(14-i)
			}
			got, size, err := net.Run(values, form, 2)
			if err != nil {
				t.Fatal(err)
			}
			if size != len(want)/2 || !slices.Equal(got, want) {
				t.Errorf("%q, batches of %d: %v, want %v", output, batch, got, want)
			}
		}
	}
}

// What a network cannot do with pictures is said before it is run, with the cure.
func TestUnfit(t *testing.T) {
	networktest.Runtime(t)
	plain := func(input, output networktest.Value) networktest.Net {
		return networktest.Net{Inputs: []networktest.Value{input}, Outputs: []networktest.Value{output},
			Nodes: []networktest.Node{{Op: "Identity", Inputs: []string{input.Name}, Outputs: []string{output.Name}}}}
	}
	picture := networktest.Value{Name: "x", Dims: []int{0, 3, 224, 224}}
	two := networktest.Means(0, 1, 0, 0)
	two.Inputs = append(two.Inputs, networktest.Value{Name: "z", Dims: []int{0, 1}})
	for name, c := range map[string]struct {
		net    networktest.Net
		output string
		want   string
	}{
		"output":   {networktest.Means(0, 1, 0, 0), "codes", `no output "codes"; the outputs are means [?, 1, 1, 1]; pixels [?, 1, ?, ?]`},
		"inputs":   {two, "", "it has 2 inputs, x [?, 1, ?, ?]; z [?, 1]; a network for pictures has one"},
		"rank":     {plain(networktest.Value{Name: "x", Dims: []int{0, 784}}, networktest.Value{Name: "y", Dims: []int{0, 784}}), "", "input x [?, 784] does not take pictures"},
		"channels": {plain(networktest.Value{Name: "x", Dims: []int{0, 12, 4, 4}}, networktest.Value{Name: "y", Dims: []int{0, 12, 4, 4}}), "", "it must be [pictures, 1 or 3 channels, height, width]"},
		"type":     {plain(networktest.Value{Name: "x", Dims: []int{0, 1, 4, 4}, Type: 2}, networktest.Value{Name: "y", Dims: []int{0, 1, 4, 4}, Type: 2}), "", "must both be float32"},
		"huge":     {plain(picture, networktest.Value{Name: "y", Dims: []int{0, 3, 224, 224}}), "", "has 150528 values or more for each picture; the limit is 65536"},
		"unknown":  {networktest.Net{Inputs: []networktest.Value{picture}, Outputs: []networktest.Value{{Name: "y", Dims: []int{0, 3}}}, Nodes: []networktest.Node{{Op: "Nothing", Inputs: []string{"x"}, Outputs: []string{"y"}}}}, "", "rejects it"},
	} {
		net, err := read(t, c.net.Write(t)).Open(t.Context(), c.output)
		if err == nil {
			net.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}

	net, err := read(t, networktest.Means(0, 3, 224, 224).Write(t)).Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	for want, dims := range map[string][3]int{
		"set data.features.size: 224": {3, 28, 28},
		"set data.colour: rgb":        {4, 224, 224},
	} {
		if _, err := net.Fit(dims[0], dims[1], dims[2]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pictures of %v: %v, want %q", dims, err, want)
		}
	}
	if form, err := net.Fit(1, 224, 224); err != nil || form.Channels != 3 || form.Batch < 1 || form.Batch*form.Size() > math.MaxInt32 {
		t.Errorf("grey pictures: %+v, %v", form, err)
	}
}

// A library that is none, and a variable that names nothing, are told with the cure. What a process has loaded stays, so that this is
// said only where it has not yet.
func TestNoRuntime(t *testing.T) {
	t.Setenv("ONNXRUNTIME_LIB", filepath.Join(t.TempDir(), "none.so"))
	_, err := network.Libraries(t.Context())
	if err == nil || !strings.Contains(err.Error(), "ONNXRUNTIME_LIB: ") || !strings.Contains(err.Error(), "name onnxruntime's library") {
		t.Errorf("%v", err)
	}
	t.Setenv("ONNXRUNTIME_LIB", "")
	t.Setenv("LATENT_PYTHON", filepath.Join(t.TempDir(), "python3"))
	if found, err := network.Libraries(t.Context()); err == nil {
		t.Logf("of the system: %v", found)
	} else if !strings.Contains(err.Error(), "pip install onnxruntime, or set ONNXRUNTIME_LIB") {
		t.Error(err)
	}
}
