package experiment

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"latent/pkg/model"
	"latent/pkg/train"
	"latent/pkg/weights"
)

// A PyTorch state dict names its tensors after the attributes of a module that nobody here knows; what is known is their order and their
// shapes. So layers are taken one after another, the encoder's before the decoder's:
//
//	Linear          weight [out, in]          our weight [in, out]
//	Conv2d          weight [out, in, h, w]    our weight [h, w, in, out]
//	ConvTranspose2d weight [in, out, h, w]    the same
//	BatchNorm       weight, bias, running_mean, running_var    scale, shift, mean, variance
//	LayerNorm       weight, bias                               scale, shift
//
// A layer without a bias has one of zeros. Where a linear layer takes the values of a map, or gives those of one, PyTorch counts channel by
// channel, and Latent place by place: its values change places.

// layerGroup is the parameters or tensors of one layer, by the last part of their names.
type layerGroup[T any] struct {
	name  string
	parts map[string]T
}

// groupsOf collects what has one name but for its last part, in the order of first appearance.
func groupsOf[T any](all []T, name func(T) string) []layerGroup[T] {
	var groups []layerGroup[T]
	places := map[string]int{}
	for _, one := range all {
		layer := train.LayerOf(name(one))
		part := strings.TrimPrefix(name(one)[len(layer):], ".")
		if part == "" { // a name without a dot
			layer, part = "", name(one)
		}
		place, found := places[layer]
		if !found {
			place = len(groups)
			places[layer] = place
			groups = append(groups, layerGroup[T]{layer, map[string]T{}})
		}
		groups[place].parts[part] = one
	}
	return groups
}

// torchLayers are the layers of a state dict. Where the file does not keep their order, it is that of their names.
func torchLayers(tensors []weights.Tensor, ordered bool) []layerGroup[weights.Tensor] {
	tensors = slices.DeleteFunc(slices.Clone(tensors), func(t weights.Tensor) bool { return strings.HasSuffix(t.Name, "num_batches_tracked") })
	layers := groupsOf(tensors, func(t weights.Tensor) string { return t.Name })
	slices.SortStableFunc(layers, func(a, b layerGroup[weights.Tensor]) int {
		if by := cmp.Compare(half(a.name), half(b.name)); by != 0 || ordered {
			return by
		}
		return compareNatural(a.name, b.name)
	})
	return layers
}

// half is where the layer of a name belongs, by the first of its parts that says so: the encoder, then what does not say, then the decoder.
func half(name string) int {
	for part := range strings.FieldsFuncSeq(strings.ToLower(name), func(r rune) bool { return r == '.' || r == '_' }) {
		switch {
		case strings.HasPrefix(part, "enc"):
			return 0
		case strings.HasPrefix(part, "dec"):
			return 2
		}
	}
	return 1
}

// compareNatural compares names by their parts between points, numbers as such: layers.2 comes before layers.10.
func compareNatural(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		m, errA := strconv.Atoi(a)
		n, errB := strconv.Atoi(b)
		if errA == nil && errB == nil {
			return cmp.Compare(m, n)
		}
		return cmp.Compare(a, b)
	})
}

// fromTorch gives tensors of a state dict the names and shapes of the parameters that they go with. Those that go with none stay as they are.
func fromTorch(tensors []weights.Tensor, ordered bool, params []model.Param) []weights.Tensor {
	theirs := torchLayers(tensors, ordered)
	ours := groupsOf(params, func(p model.Param) string { return p.Name })
	var converted []weights.Tensor
	for _, pair := range pairs(ours, theirs) {
		if pair[0] < 0 {
			for _, t := range theirs[pair[1]].parts {
				converted = append(converted, t)
			}
			continue
		}
		converted = append(converted, turned(ours, pair[0], theirs[pair[1]])...)
	}
	return converted
}

// pairs are the places of layers that go together, ours and theirs; of theirs that go with none, -1 and theirs. Where both know of an encoder
// and a decoder and have not the same number of layers, each half is taken by itself.
func pairs(ours []layerGroup[model.Param], theirs []layerGroup[weights.Tensor]) [][2]int {
	halves := func(h func(int) int, n int) [3][]int {
		var all [3][]int
		for i := range n {
			all[h(i)] = append(all[h(i)], i)
		}
		return all
	}
	own := halves(func(i int) int { return half(ours[i].name) }, len(ours))
	their := halves(func(i int) int { return half(theirs[i].name) }, len(theirs))
	if len(ours) == len(theirs) || len(own[0])*len(own[2])*len(their[0])*len(their[2]) == 0 {
		own, their = halves(func(int) int { return 0 }, len(ours)), halves(func(int) int { return 0 }, len(theirs))
	}
	var list [][2]int
	for h := range own {
		for i, place := range their[h] {
			if i < len(own[h]) {
				list = append(list, [2]int{own[h][i], place})
			} else {
				list = append(list, [2]int{-1, place})
			}
		}
	}
	return list
}

// turned are the tensors of a layer of PyTorch's as those of one of ours, as far as they are of its kind.
func turned(ours []layerGroup[model.Param], place int, theirs layerGroup[weights.Tensor]) []weights.Tensor {
	layer, left := ours[place].parts, maps.Clone(theirs.parts)
	var list []weights.Tensor
	take := func(part string, from string, change func(weights.Tensor) weights.Tensor) {
		param, wanted := layer[part]
		t, found := left[from]
		if !wanted || !found {
			return
		}
		t = change(t)
		t.Name = param.Name
		list = append(list, t)
		delete(left, from)
	}
	// What our layer has no place for keeps its name, and is told.
	all := func() []weights.Tensor {
		for _, part := range slices.Sorted(maps.Keys(left)) {
			list = append(list, left[part])
		}
		return list
	}
	same := func(t weights.Tensor) weights.Tensor { return t }
	weight, weighs := layer["weight"]
	if !weighs {
		for part, from := range map[string]string{"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var"} {
			take(part, from, same)
		}
		return all()
	}
	rows, columns := 1, 1 // the channels of maps that a linear layer's values are of
	if len(weight.Dims) == 2 {
		rows = channels(weight.Dims[0], 1, slices.Backward(ours[:place]))
		columns = channels(weight.Dims[1], 0, slices.All(ours[place+1:]))
	}
	take("weight", "weight", func(t weights.Tensor) weights.Tensor {
		switch {
		case len(t.Dims) == 2:
			return permuted(permuted(transposed(t, 1, 0), 0, rows), 1, columns)
		case len(t.Dims) == 4 && weight.Transposed:
			return transposed(t, 2, 3, 0, 1)
		case len(t.Dims) == 4:
			return transposed(t, 2, 3, 1, 0)
		}
		return t
	})
	if bias, wanted := layer["bias"]; wanted && len(theirs.parts) == 1 && len(list) == 1 {
		return append(list, weights.Tensor{Name: bias.Name, Dims: bias.Dims, Values: make([]float32, bias.Size())})
	}
	take("bias", "bias", func(t weights.Tensor) weights.Tensor { return permuted(t, 0, columns) })
	return all()
}

// channels is the number of channels of the map that a linear layer takes the values of, or gives those of: of the nearest convolution among its
// neighbours on that side, whose weights have the map's channels on the axis 2 + side; 1 where the neighbour is a linear layer of so many values.
func channels(values, side int, neighbours iter.Seq2[int, layerGroup[model.Param]]) int {
	for _, layer := range neighbours {
		switch dims := layer.parts["weight"].Dims; {
		case len(dims) == 2 && dims[side] == values:
			return 1
		case len(dims) == 4 && values%dims[2+side] == 0:
			return dims[2+side]
		case len(dims) == 4:
			return 1
		}
	}
	return 1
}

// transposed has the axes of a tensor in another order: axis i is axis order[i] of t.
func transposed(t weights.Tensor, order ...int) weights.Tensor {
	strides := make([]int, len(t.Dims)) // of t
	size := 1
	for axis := len(t.Dims) - 1; axis >= 0; axis-- {
		strides[axis] = size
		size *= t.Dims[axis]
	}
	turned := weights.Tensor{Name: t.Name, Values: make([]float32, 0, size)}
	for _, axis := range order {
		turned.Dims = append(turned.Dims, t.Dims[axis])
	}
	if size == 0 {
		return turned
	}
	var walk func(axis, at int)
	walk = func(axis, at int) {
		if axis == len(order) {
			turned.Values = append(turned.Values, t.Values[at])
			return
		}
		for i := range turned.Dims[axis] {
			walk(axis+1, at+i*strides[order[axis]])
		}
	}
	walk(0, 0)
	return turned
}

// permuted brings an axis from the order channel by channel into that of place by place. What does not divide stays as it is.
func permuted(t weights.Tensor, axis, channels int) weights.Tensor {
	if channels <= 1 || axis >= len(t.Dims) || t.Dims[axis]%channels != 0 || t.Dims[axis] == channels {
		return t
	}
	dims := slices.Concat(t.Dims[:axis], []int{channels, t.Dims[axis] / channels}, t.Dims[axis+1:])
	order := make([]int, len(dims))
	for i := range order {
		order[i] = i
	}
	order[axis], order[axis+1] = axis+1, axis
	turned := transposed(weights.Tensor{Dims: dims, Values: t.Values}, order...)
	return weights.Tensor{Name: t.Name, Dims: t.Dims, Values: turned.Values}
}

// describeTorch lists the layers of a state dict for an error: "encoder.0 784 → 128, encoder.2 128 → 32".
func describeTorch(tensors []weights.Tensor, ordered bool) string {
	return describe(torchLayers(tensors, ordered), func(t weights.Tensor) []int {
		if len(t.Dims) == 2 {
			return []int{t.Dims[1], t.Dims[0]}
		}
		return t.Dims
	})
}

// describeLayers lists the layers of a model in the same way.
func describeLayers(params []model.Param) string {
	return describe(groupsOf(params, func(p model.Param) string { return p.Name }), func(p model.Param) []int { return p.Dims })
}

// describe lists layers with the shapes of their weights, [in, out] of linear ones.
func describe[T any](layers []layerGroup[T], shape func(T) []int) string {
	var texts []string
	for _, layer := range layers {
		text := layer.name
		if weight, found := layer.parts["weight"]; found {
			if dims := shape(weight); len(dims) == 2 {
				text += fmt.Sprintf(" %d → %d", dims[0], dims[1])
			} else {
				text += fmt.Sprintf(" %v", dims)
			}
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}
