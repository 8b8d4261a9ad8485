package evaluate

import (
	"fmt"
	"strconv"

	"latent/pkg/model"
)

// Pictures are what can be drawn of a model's codes, in the order of a report:
//
//   - samples: images of codes that are drawn at random
//   - interpolation: images of codes between those of two images
//   - traversal: images of a code with one value changed at a time
//   - manifold: images of all of a plane of codes of two values
//   - map: the codes of test images on a plane
var Pictures = []string{"samples", "interpolation", "traversal", "manifold", "map"}

// Inapplicable says why a model has no picture of this name, and what to do; "" where it has one.
func Inapplicable(picture string, m model.Model) string {
	_, decodes := m.(model.Decoder)
	coded, ok := m.(model.Coded)
	switch {
	case !decodes:
		return "this kind of model makes no images of codes alone; take another model.kind, or leave " + picture + " out"
	case !ok && picture != "samples":
		return "this kind of model has no code but the image; take another model.kind, or leave " + picture + " out"
	case picture == "manifold" && coded.CodeSize(model.Image{}) != 2:
		size := "so many for each place of a map"
		if n := coded.CodeSize(model.Image{}); n > 0 {
			size = strconv.Itoa(n)
		}
		return fmt.Sprintf("it is of codes of two values, and this model's have %s; make it two, or leave manifold out", size)
	}
	return ""
}
