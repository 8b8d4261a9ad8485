package dataset

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

// Mask marks the anomalous pixels of a picture.
type Mask struct {
	Height, Width int
	// Marked says of each pixel, row by row, whether it is anomalous.
	Marked []bool
}

// Of is the mask of a picture of so many pixels: the mask itself, or where a picture has none, which is nil, nothing marked.
func (m *Mask) Of(pixels int) []bool {
	if m == nil {
		return make([]bool, pixels)
	}
	return m.Marked
}

// maskEnding may stand at the end of a mask's name, as in the data sets that have 000.png and 000_mask.png.
const maskEnding = "_mask"

// stem is a file's name without its ending.
func stem(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

// readMasks reads the masks of pictures, as the pictures themselves are brought to their size; nil for a picture without one. files are
// those that the frames are of.
func (d *Folder) readMasks(ctx context.Context, files []file, frames []frame) ([]*Mask, error) {
	found, _, err := listed("data.masks", d.Masks)
	if err != nil {
		return nil, err
	}
	byStem := map[string]file{}
	for _, f := range found {
		name := strings.TrimSuffix(stem(f.name), maskEnding)
		if other, twice := byStem[name]; twice {
			return nil, fmt.Errorf("data.masks: %s and %s may both be the mask of %s; remove one, or name a pattern that leaves one out", other.path, f.path, name)
		}
		byStem[name] = f
	}
	var owners, masks []file
	of := make([]int, len(frames)) // each frame's place among the masks
	for i, f := range frames {
		mask, has := byStem[stem(files[f.File].name)]
		if of[i] = -1; !has {
			continue
		}
		if k := len(owners) - 1; k >= 0 && owners[k] == files[f.File] { // another page of the same file
			of[i] = k
			continue
		}
		of[i] = len(masks)
		owners, masks = append(owners, files[f.File]), append(masks, mask)
	}
	if len(masks) == 0 {
		return nil, fmt.Errorf("data.masks: none of %d files has the name of one of the %d test pictures; the mask of good/a.jpg is good/a.png or good/a%s.png", len(found), len(frames), maskEnding)
	}
	if err := checkSizes(ctx, "mask", owners, masks); err != nil {
		return nil, err
	}
	read, failures := make([]*Mask, len(frames)), make([]error, len(frames))
	err = InParallel(ctx, len(frames), func(i int) {
		if of[i] >= 0 {
			read[i], failures[i] = d.readMask(masks[of[i]], frames[i])
		}
	})
	if err != nil {
		return nil, err
	}
	failures = slices.DeleteFunc(failures, func(err error) bool { return err == nil })
	return read, several(failures, len(frames), "have masks that cannot be read; repair or remove them")
}

// readMask reads the mask of a picture. What is above half of the highest value is marked.
func (d *Folder) readMask(mask file, of frame) (*Mask, error) {
	as := Folder{Height: d.Height, Width: d.Width, Fit: d.Fit, Colour: "grey"}
	if d.Patch > 0 {
		as.Height, as.Width = of.head.size.Height, of.head.size.Width
	}
	pixels := array.Make(dtypes.Uint16, as.Height*as.Width) // which hold 0 and 1 of either depth
	if _, err := as.readOne(mask.path, frame{Page: of.Page}, pixels, 1); err != nil {
		return nil, err
	}
	m := &Mask{Height: as.Height, Width: as.Width, Marked: make([]bool, len(pixels.Uint16))}
	highest := int(slices.Max(pixels.Uint16))
	for i, value := range pixels.Uint16 {
		m.Marked[i] = 2*int(value) > highest
	}
	return m, nil
}
