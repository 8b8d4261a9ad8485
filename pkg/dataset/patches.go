package dataset

import (
	"context"
	"fmt"

	"latent/pkg/array"
	"latent/pkg/random"
)

// Patches says that samples are parts of pictures of sizes of their own.
type Patches struct {
	// Values are those of one picture after another, each [height, width, channel].
	Values array.Values
	Starts []int // of each picture's values
	Sizes  []Size
	// Each is how many patches of each picture there are: sample i is one of picture i / Each.
	Each int
}

// Size is a picture's.
type Size struct{ Height, Width int }

// Augment says how training pictures are varied: each is drawn anew for every sample.
type Augment struct {
	Flip, Rotate         bool    // mirrored; turned by quarters
	Brightness, Contrast float64 // added, of the model's scale; and multiplied about the picture's mean: at most so much
}

// picture returns picture i, [height, width, channel]: a part, not a copy.
func (s *Samples) picture(i int) (array.Values, Size) {
	p := s.Patches
	size := p.Sizes[i]
	return p.Values.Slice(p.Starts[i], p.Starts[i]+size.Height*size.Width*s.Channels), size
}

// Patch returns a part of the size of samples of the picture that sample i is of: a copy, whose place two random words decide.
func (s *Samples) Patch(i int, words [2]uint32) array.Values {
	picture, size := s.picture(i / s.Patches.Each)
	at := func(word uint32, free int) int { return int(uint64(word) * uint64(free+1) >> 32) }
	return s.cutOut(picture, size, at(words[0], size.Height-s.Height), at(words[1], size.Width-s.Width))
}

// cutOut returns the part of a picture whose upper left corner is at a place.
func (s *Samples) cutOut(picture array.Values, size Size, top, left int) array.Values {
	part, row := array.Make(picture.Type(), s.Size()), s.Width*s.Channels
	for y := range s.Height {
		from := ((top+y)*size.Width + left) * s.Channels
		part.Copy(y*row, picture.Slice(from, from+row))
	}
	return part
}

// still returns sample i as figures of samples of one size need it: of the only patch of a picture, its middle, and else one whose place
// i decides.
func (s *Samples) still(i int) array.Values {
	if s.Patches.Each == 1 {
		picture, size := s.picture(i)
		return s.cutOut(picture, size, (size.Height-s.Height)/2, (size.Width-s.Width)/2)
	}
	return s.Patch(i, random.NewSeed(0).Block(uint32(i), 0))
}

// Whole returns the pictures that the samples are patches of, those of each size together; nil where the samples are no patches.
// Their order is that of the samples.
func (s *Samples) Whole() []*Samples {
	if s.Patches == nil {
		return nil
	}
	var all []*Samples
	known := map[Size]*Samples{}
	for i, size := range s.Patches.Sizes {
		group := known[size]
		if group == nil {
			group = s.Like()
			group.Height, group.Width, group.Patches = size.Height, size.Width, nil
			known[size], all = group, append(all, group)
		}
		picture, _ := s.picture(i)
		group.Values = group.Values.Append(picture)
	}
	if s.Target != nil {
		for i, targets := range s.Target.Whole() { // of the same sizes in the same order
			all[i].Target = targets
		}
	}
	return all
}

// Pictures is how many pictures the samples are patches of; of samples of one size, how many there are.
func (s *Samples) Pictures() int {
	if s == nil || s.Patches == nil {
		return s.Len()
	}
	return len(s.Patches.Sizes)
}

// Picture is picture i of those that the samples are patches of, whole, as the only sample; of samples of one size, sample i. It has no
// target.
func (s *Samples) Picture(i int) *Samples {
	one := s.Like()
	if s.Patches == nil {
		one.Values = s.At(i)
		return one
	}
	values, size := s.picture(i)
	one.Values, one.Height, one.Width = values, size.Height, size.Width
	return one
}

// PicturesAt are the pictures at places, of those that the samples are patches of: as patches, one of each. Of samples of one size they are
// those at places.
func (s *Samples) PicturesAt(places []int) *Samples {
	if s.Patches == nil {
		return s.Select(places)
	}
	return s.patchesOf(places, 1)
}

// patchesOf are patches of pictures at places, so many of each.
func (s *Samples) patchesOf(places []int, each int) *Samples {
	part := s.Like()
	part.Patches = &Patches{Each: each}
	for _, i := range places {
		picture, size := s.picture(i)
		part.Patches.Starts, part.Patches.Sizes = append(part.Patches.Starts, part.Patches.Values.Len()), append(part.Patches.Sizes, size)
		part.Patches.Values = part.Patches.Values.Append(picture)
		for range each {
			if s.Labels != nil {
				part.Labels = append(part.Labels, s.Labels[i*s.Patches.Each])
			}
		}
	}
	if s.Target != nil {
		part.Target = s.Target.patchesOf(places, each)
	}
	return part
}

// readPatches returns all pictures of files at their own sizes, as patches, one of each.
func (d *Folder) readPatches(ctx context.Context, files []file, title string) (contents, error) {
	square := *d
	square.Height, square.Width = d.Patch, d.Patch
	all, frames, err := square.heads(ctx, files)
	if err != nil {
		return contents{}, err
	}
	all.Patches = &Patches{Each: 1}
	failures, total := make([]error, len(frames)), 0
	for i, f := range frames {
		size := f.head.size
		if failures[i] = f.head.err; failures[i] == nil && (size.Height < d.Patch || size.Width < d.Patch) {
			failures[i] = tooSmall(files[f.File].path, size, d.Patch)
		}
		if failures[i] != nil {
			size = Size{}
		}
		all.Patches.Starts, all.Patches.Sizes = append(all.Patches.Starts, total), append(all.Patches.Sizes, size)
		total += size.Height * size.Width * all.Channels
	}
	if bytes := int64(total) * int64(all.Values.Type().Size()); bytes > maxFolderPixels {
		return contents{}, fmt.Errorf("read %s: pictures take %d MB at their own sizes, more than the %d GiB limit; use fewer, or scale them with data.height and data.width instead of data.patch",
			title, bytes>>20, maxFolderPixels>>30)
	}
	all.Patches.Values = array.Make(all.Values.Type(), total)
	read, err := d.decode(ctx, files, title, frames, func(i int) (string, error) {
		if failures[i] != nil {
			return "", failures[i]
		}
		whole := *d
		pixels, size := all.picture(i)
		whole.Height, whole.Width = size.Height, size.Width
		return whole.readOne(files[frames[i].File].path, frames[i], pixels, all.Channels)
	})
	if err != nil {
		return contents{}, err
	}
	read.samples = all
	if read.Places != nil {
		read.samples = all.patchesOf(read.Places, 1)
	}
	return *read, nil
}

// Sizes are those of pictures, as their headers say.
type Sizes struct {
	Smallest, Largest Size // by their pixels
	Side              int  // the least height or width of any
	Pixels            int  // of all
}

// PictureSizes returns the sizes that the pictures have, before they are scaled. Those whose headers cannot be read are left out: reading tells.
func (d *Folder) PictureSizes(ctx context.Context) (Sizes, error) {
	files, _, err := listed("data.dir", d.Dir)
	if err != nil {
		return Sizes{}, err
	}
	whole := *d
	whole.Patch = 1 // whose heads have sizes
	_, frames, err := whole.heads(ctx, files)
	if err != nil {
		return Sizes{}, err
	}
	var s Sizes
	area := func(size Size) int { return size.Height * size.Width }
	for _, f := range frames {
		size := f.head.size
		if f.head.err != nil || area(size) == 0 {
			continue
		}
		if s.Pixels == 0 || area(size) < area(s.Smallest) {
			s.Smallest = size
		}
		if area(size) > area(s.Largest) {
			s.Largest = size
		}
		if side := min(size.Height, size.Width); s.Side == 0 || side < s.Side {
			s.Side = side
		}
		s.Pixels += area(size)
	}
	return s, nil
}

// String is for example "of 40×32" or "from 28×28 to 1024×768", height first.
func (s Sizes) String() string {
	if s.Smallest == s.Largest {
		return fmt.Sprintf("of %d×%d", s.Largest.Height, s.Largest.Width)
	}
	return fmt.Sprintf("from %d×%d to %d×%d", s.Smallest.Height, s.Smallest.Width, s.Largest.Height, s.Largest.Width)
}

// augmentOf reads what a config says.
func augmentOf(words []string) Augment {
	var a Augment
	for _, word := range words {
		switch word {
		case "flip":
			a.Flip = true
		case "rotate90":
			a.Rotate = true
		case "brightness":
			a.Brightness = 0.2
		case "contrast":
			a.Contrast = 0.2
		}
	}
	return a
}

// tooSmall says which picture no patch fits into.
func tooSmall(name string, size Size, patch int) error {
	return fmt.Errorf("%s: %d×%d pixels, but data.patch is %d; lower it, or leave the picture out", name, size.Height, size.Width, patch)
}
