// Package network runs a trained network of the user's, from an ONNX file, on pictures.
//
//	file, err := network.Read("resnet18.onnx")
//	net, err := file.Open(ctx, "")
//	defer net.Close()
//	pixels, err := net.Fit(3, 224, 224) // how it wants them
//	values, err := net.Run(batch, n)
//
// The file is run by onnxruntime, a library that is loaded when the first network is opened: that of ONNXRUNTIME_LIB, or one of the system's,
// or that of Python's package onnxruntime. Reading a file and its checksum needs none of it.
//
// Promised: files are bounded, and what one wants and gives is checked before memory is taken for it; the same file and pixels give the same
// values on one machine. A file is code for onnxruntime: take those that you would run as a program.
//
// What is not here: where pictures come from and what becomes of the values (pkg/dataset), and writing ONNX files (pkg/onnx).
package network

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// MostValues is how many values a network may give for a picture.
const MostValues = 1 << 16

// Network is an opened file, for use by one goroutine at a time. Close frees it.
type Network struct {
	name    string // of the file
	input   tensor
	output  tensor
	session session
	last    bool // channels are the last axis
}

// tensor is an input or an output.
type tensor struct {
	name string
	dims []int64 // negative or 0 where free; nil of what is no tensor
	real bool    // of float32
}

// String writes name and sizes, such as x [?, 3, 224, 224].
func (t tensor) String() string {
	if t.dims == nil {
		return t.name + ", no tensor"
	}
	var sizes []string
	for _, n := range t.dims {
		if n > 0 {
			sizes = append(sizes, fmt.Sprint(n))
		} else {
			sizes = append(sizes, "?")
		}
	}
	return fmt.Sprintf("%s [%s]", t.name, strings.Join(sizes, ", "))
}

// session is a network that onnxruntime has loaded.
type session interface {
	// run returns the output of an input of these sizes, and its sizes.
	run(values []float32, dims []int64) ([]float32, []int64, error)
	close()
}

// Open loads the network. output names what it is to give; "" is its first output.
func (f *File) Open(ctx context.Context, output string) (*Network, error) {
	n := &Network{name: filepath.Base(f.Path)}
	inputs, outputs, err := f.values(ctx)
	if err != nil {
		return nil, err
	}
	if len(inputs) != 1 {
		return nil, fmt.Errorf("%s: it has %d inputs, %s; a network for pictures has one", f.Path, len(inputs), list(inputs))
	}
	n.input = inputs[0]
	i := 0
	if output != "" {
		i = slices.IndexFunc(outputs, func(t tensor) bool { return t.name == output })
	}
	if i < 0 || len(outputs) == 0 {
		return nil, fmt.Errorf("%s: there is no output %q; the outputs are %s", f.Path, output, list(outputs))
	}
	n.output = outputs[i]
	if n.last, err = layout(n.input); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	switch {
	case !n.input.real || !n.output.real:
		return nil, fmt.Errorf("%s: input %s and output %s must both be float32; export it with float32", f.Path, n.input, n.output)
	case len(n.output.dims) < 2:
		return nil, fmt.Errorf("%s: output %s has no axis other than that of the pictures; choose another with output", f.Path, n.output)
	}
	if size := count(n.output.dims[1:]); size > MostValues {
		return nil, n.tooMany(size)
	}
	if n.session, err = f.session(n.input.name, n.output.name); err != nil {
		return nil, err
	}
	return n, nil
}

// list writes inputs or outputs.
func list(all []tensor) string {
	var names []string
	for _, t := range all {
		names = append(names, t.String())
	}
	return strings.Join(names, "; ")
}

// layout finds which axis of the input is that of the channels: the second, as PyTorch has it, or the last.
func layout(t tensor) (last bool, err error) {
	channels := func(n int64) bool { return n == 1 || n == 3 }
	switch d := t.dims; {
	case len(d) != 4:
	case channels(d[1]):
		return false, nil
	case channels(d[3]):
		return true, nil
	case d[1] <= 0:
		return false, nil
	}
	return false, fmt.Errorf("its input %s does not take pictures; it must be [pictures, 1 or 3 channels, height, width], or channels last", t)
}

// count is the product of sizes that are known, -1 where one is not.
func count(dims []int64) int64 {
	n := int64(1)
	for _, d := range dims {
		if d <= 0 {
			return -1
		}
		if n *= d; n > MostValues {
			return n
		}
	}
	return n
}

func (n *Network) tooMany(values int64) error {
	return fmt.Errorf("%s: output %s has %d values or more for each picture; the limit is %d; choose another with output, such as one after pooling",
		n.name, n.output, values, MostValues)
}

// Form is how a network wants pictures.
type Form struct {
	Channels, Height, Width int
	// Last says that channels are the last axis, [height, width, channels]; else they are the first.
	Last bool
	// Batch is how many pictures are to be given at once.
	Batch int
}

// Size is the number of values of a picture.
func (f Form) Size() int { return f.Channels * f.Height * f.Width }

// mostAtOnce bounds the values that a network of any number of pictures is given at once, and mostPictures their number.
const (
	mostAtOnce   = 4 << 20
	mostPictures = 64
)

// Fit returns how the network wants pictures of a size: those of one channel are repeated to three where it wants three. It is an error
// where they do not fit.
func (n *Network) Fit(channels, height, width int) (Form, error) {
	d := n.input.dims
	wantChannels, wantHeight, wantWidth := d[1], d[2], d[3]
	if n.last {
		wantHeight, wantWidth, wantChannels = d[1], d[2], d[3]
	}
	f := Form{Channels: channels, Height: height, Width: width, Last: n.last, Batch: int(d[0])}
	if wantChannels == 3 && channels == 1 {
		f.Channels = 3
	}
	fits := func(want int64, has int) bool { return want <= 0 || want == int64(has) }
	switch {
	case !fits(wantChannels, f.Channels):
		return Form{}, fmt.Errorf("%s: its input %s has %d channels, but the pictures have %d; set data.colour: %s", n.name, n.input, wantChannels, channels,
			map[bool]string{true: "grey", false: "rgb"}[wantChannels == 1])
	case !fits(wantHeight, height) || !fits(wantWidth, width):
		return Form{}, fmt.Errorf("%s: its input %s has %s pixels, but the pictures have %d×%d; %s", n.name, n.input, pixels(wantHeight, wantWidth), height, width,
			cureOf(wantHeight, wantWidth))
	}
	if f.Batch <= 0 {
		f.Batch = max(1, min(mostPictures, mostAtOnce/f.Size()))
	}
	if int64(f.Batch)*int64(f.Size()) > mostTaken {
		return Form{}, fmt.Errorf("%s: its input %s with pictures of %d×%d has more than %d values; export it for fewer pictures at once, or for smaller ones",
			n.name, n.input, height, width, mostTaken)
	}
	return f, nil
}

// mostTaken bounds the values of an input.
const mostTaken = 1 << 28

// pixels writes the size that a network wants.
func pixels(height, width int64) string {
	text := func(n int64) string {
		if n <= 0 {
			return "any"
		}
		return fmt.Sprint(n)
	}
	return text(height) + "×" + text(width)
}

// cureOf says how pictures come to the size that a network wants.
func cureOf(height, width int64) string {
	if height == width {
		return fmt.Sprintf("set data.features.size: %d", height)
	}
	return "use pictures of that size, or export the network for any size"
}

// Run returns the values of pictures, one picture's after another's, and how many each has. values are of Form.Batch pictures in the form that Fit
// returned, of which the first count.
func (n *Network) Run(values []float32, form Form, count int) (found []float32, size int, err error) {
	dims := []int64{int64(form.Batch), int64(form.Channels), int64(form.Height), int64(form.Width)}
	if form.Last {
		dims = []int64{int64(form.Batch), int64(form.Height), int64(form.Width), int64(form.Channels)}
	}
	found, got, err := n.session.run(values, dims)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", n.name, err)
	}
	if len(got) < 2 || got[0] != dims[0] || len(found)%form.Batch != 0 || len(found) == 0 {
		return nil, 0, fmt.Errorf("%s: output %s has shape %v for %d pictures; choose one with output whose first axis is that of the pictures", n.name, n.output, got, form.Batch)
	}
	size = len(found) / form.Batch
	if size > MostValues {
		return nil, 0, n.tooMany(int64(size))
	}
	return found[:count*size], size, nil
}

// Close frees the network.
func (n *Network) Close() { n.session.close() }
