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
		return "this kind of model cannot generate images from codes alone; use another model.kind, or leave " + picture + " out"
	case !ok && picture != "samples":
		return "this kind of model has no code other than the image; use another model.kind, or leave " + picture + " out"
	case picture == "manifold" && coded.CodeSize(model.Image{}) != 2:
		size := "several for each position of a map"
		if n := coded.CodeSize(model.Image{}); n > 0 {
			size = strconv.Itoa(n)
		}
		return fmt.Sprintf("it needs codes of two values, but this model's have %s; set model.latent: 2, or leave manifold out", size)
	}
	return ""
}
