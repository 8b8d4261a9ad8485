package starter

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/picture"
)

// header is what the header of a file says of its pictures.
type header struct {
	place  int             // of the file in the list
	count  int             // pictures in the file
	frames []picture.Frame // the first mostPages of them
	sizes  []size          // of those that can be read
	err    error
}

type size struct{ height, width int }

// looked is what is in a picture.
type looked struct {
	err      error
	colour   bool // its channels differ
	levels   int  // different values, as far as they were counted
	values   []float64
	nan      bool
	atEnds   int // values that are nearly the least or the greatest of 8 bits
	ofValues int
}

// lookAtPictures looks at the pictures that data means.
func lookAtPictures(ctx context.Context, data []string) (*sight, error) {
	l, err := dataset.List("--data", data)
	if err != nil {
		return nil, err
	}
	v := &view{data: data, Listing: l}
	if err := v.readHeads(ctx); err != nil {
		return nil, err
	}
	if err := v.lookInside(ctx); err != nil {
		return nil, err
	}
	if v.masks() { // without them it is another set of pictures
		if err := v.readHeads(ctx); err != nil {
			return nil, err
		}
		if err := v.lookInside(ctx); err != nil {
			return nil, err
		}
	}
	return v.sight()
}

// view is what was seen of pictures.
type view struct {
	dataset.Listing
	data   []string
	notes  []string
	heads  []header // of some files, evenly spread
	inside map[int]looked
	pages  []page // of heads, all but the last of files with very many
	count  int    // all of heads
	bad    []string
}

// page is a picture of a file.
type page struct {
	head, page int
	frame      picture.Frame
	size
}

// nameOf is what a picture is called in the dataset.
func (v *view) nameOf(p page) string {
	h := v.heads[p.head]
	if h.count > 1 {
		return fmt.Sprintf("%s#%d", v.Names[h.place], p.page+1)
	}
	return v.Names[h.place]
}

// spread returns at most so many of the numbers below n, evenly spread.
func spread(n, most int) []int {
	var places []int
	for i := range min(n, most) {
		places = append(places, i*n/min(n, most))
	}
	return places
}

// readHeads reads the headers of some files.
func (v *view) readHeads(ctx context.Context) error {
	places := spread(len(v.Paths), mostHeads)
	v.heads, v.pages, v.bad, v.count = make([]header, len(places)), nil, nil, 0
	err := dataset.InParallel(ctx, len(places), func(i int) { v.heads[i] = readHead(v.Paths[places[i]], places[i]) })
	if err != nil {
		return err
	}
	for i, h := range v.heads {
		if h.err != nil {
			v.bad = append(v.bad, v.Names[h.place])
			v.count++
			continue
		}
		v.count += h.count
		for k, frame := range h.frames {
			if h.sizes[k].height > 0 {
				v.pages = append(v.pages, page{i, k, frame, h.sizes[k]})
			} else {
				v.bad = append(v.bad, fmt.Sprintf("%s#%d", v.Names[h.place], k+1))
			}
		}
	}
	if v.pages == nil {
		cause := ""
		for _, h := range v.heads {
			if h.err != nil {
				cause = "; " + h.err.Error()
				break
			}
		}
		return fmt.Errorf("look at %s: none of %s can be read%s", few(v.data), counted(len(v.heads), "picture"), cause)
	}
	return nil
}

// readHead reads the header of a file.
func readHead(path string, place int) header {
	h := header{place: place}
	f, err := picture.Open(path)
	if err != nil {
		h.err = err
		return h
	}
	defer f.Close()
	h.count = len(f.Frames())
	h.frames = slices.Clone(f.Frames()[:min(h.count, mostPages)])
	h.sizes = make([]size, len(h.frames))
	for i, frame := range h.frames {
		height, width, err := f.Size(i)
		if err == nil && frame.Channels > 0 {
			h.sizes[i] = size{height, width}
		} else if len(h.frames) == 1 {
			h.err = cmp.Or(err, fmt.Errorf("%s: it cannot be read", path))
		}
	}
	return h
}

// lookInside decodes some of the pictures.
func (v *view) lookInside(ctx context.Context) error {
	places, pixels := spread(len(v.pages), mostDecoded), 0
	for i, place := range places {
		if pixels += v.pages[place].height * v.pages[place].width; pixels > mostPixels && i > 0 {
			places = places[:i]
			break
		}
	}
	found := make([]looked, len(places))
	err := dataset.InParallel(ctx, len(places), func(i int) {
		p := v.pages[places[i]]
		found[i] = look(v.Paths[v.heads[p.head].place], p.page)
	})
	if err != nil {
		return err
	}
	v.inside = map[int]looked{}
	good := 0
	for i, place := range places {
		v.inside[place] = found[i]
		name := v.nameOf(v.pages[place])
		switch {
		case found[i].err != nil:
			v.bad = append(v.bad, name)
		case found[i].nan:
			return fmt.Errorf("look at %s: it has values that are no finite numbers, which a model cannot learn; replace them, or leave the picture out", plain(name))
		default:
			good++
		}
	}
	if good == 0 {
		return fmt.Errorf("look at %s: none of %s that were looked at can be used; %w", few(v.data), counted(len(places), "picture"), found[0].err)
	}
	return nil
}

const mostValues = 4096 // of a picture that are looked at

// look decodes a picture, and looks at points of it that are evenly spread.
func look(path string, page int) (l looked) {
	f, err := picture.Open(path)
	if err != nil {
		return looked{err: err}
	}
	defer f.Close()
	if page >= len(f.Frames()) {
		return looked{err: fmt.Errorf("%s: it was changed while it was read", path)}
	}
	frame := f.Frames()[page]
	levels := map[float64]bool{}
	see := func(channels ...float64) {
		for _, x := range channels {
			l.values = append(l.values, x)
			l.nan = l.nan || math.IsNaN(x) || math.IsInf(x, 0)
			if len(levels) < mostLevels {
				levels[x] = true
			}
		}
	}
	if frame.Image {
		decoded, err := f.Image(page)
		if err != nil {
			return looked{err: err}
		}
		l.look(decoded, frame.Type == dtypes.Uint8, see)
	} else {
		a, err := f.Array(page)
		if err != nil {
			return looked{err: err}
		}
		for _, i := range spread(a.Values.Len(), mostValues) {
			see(a.Values.At(i))
		}
		l.colour = a.Channels > 1
	}
	l.levels = len(levels)
	return l
}

const mostLevels = 256

// look looks at points of an image.
func (l *looked) look(decoded image.Image, bytes bool, see func(...float64)) {
	bounds := decoded.Bounds()
	tolerance, shift := uint32(3<<8), 0
	if bytes {
		shift = 8
	}
	differ := 0
	points := spread(bounds.Dx()*bounds.Dy(), mostValues)
	for _, i := range points {
		x, y := bounds.Min.X+i%bounds.Dx(), bounds.Min.Y+i/bounds.Dx()
		c := decoded.At(x, y)
		r, g, b, _ := c.RGBA()
		if max(r, g, b)-min(r, g, b) > tolerance {
			differ++
		}
		luma := color.Gray16Model.Convert(c).(color.Gray16).Y
		if luma < 0x2000 || luma > 0xdfff {
			l.atEnds++
		}
		l.ofValues++
		see(float64(luma >> shift))
	}
	l.colour = differ > len(points)/200 // the artefacts of JPEG are fewer
}

// masks says that beside the pictures lie masks, of the same names with another ending and of two values each: the pictures are then
// named by their ending alone.
func (v *view) masks() bool {
	if v.Classes != nil || len(v.data) != 1 {
		return false
	}
	info, err := os.Stat(v.data[0])
	if err != nil || !info.IsDir() {
		return false
	}
	endings := map[string]int{}
	stems := map[string]int{}
	for _, name := range v.Names {
		if strings.Contains(name, "/") {
			return false
		}
		endings[path.Ext(name)]++
		stems[strings.TrimSuffix(name, path.Ext(name))]++
	}
	if len(endings) != 2 || 2*len(stems) > len(v.Names)+len(v.Names)/10 {
		return false
	}
	flat := map[string]bool{}
	for ending := range endings {
		flat[ending] = true
	}
	for place, l := range v.inside {
		if ending := path.Ext(v.Names[v.heads[v.pages[place].head].place]); l.err == nil && l.levels > 2 {
			flat[ending] = false
		}
	}
	for ending := range endings {
		var other string
		for other = range endings {
			if other != ending {
				break
			}
		}
		pattern := filepath.Join(v.data[0], "*"+other)
		if !flat[ending] || flat[other] || strings.ContainsAny(v.data[0], `*?[\`) {
			continue
		}
		l, err := dataset.List("--data", []string{pattern})
		if err != nil {
			return false
		}
		v.notes = append(v.notes, fmt.Sprintf("%s have the names of pictures and two values each, and look like masks: they are left out; for all, write dir: %s",
			counted(endings[ending], ending+" file"), quoted(v.data[0])))
		v.data, v.Listing = []string{pattern}, l
		return true
	}
	return false
}

// sight chooses what of the dataset fits.
func (v *view) sight() (*sight, error) {
	s := &sight{notes: v.notes, exact: len(v.heads) == len(v.Paths) && v.count <= len(v.pages)+len(v.bad)}
	var names []string // of what can be used
	for i, p := range v.pages {
		if v.inside[i].err == nil {
			names = append(names, v.nameOf(p))
		}
	}
	s.n, s.name = len(names), func(i int) string { return names[i] }
	if !s.exact { // about, by what was looked at
		s.n = int(float64(v.count) / float64(len(v.heads)) * float64(len(v.Paths)))
		s.name = strconv.Itoa
	}

	endings := map[string]int{}
	for _, name := range v.Names {
		endings[strings.ToLower(path.Ext(name))]++
	}
	s.summary = frequent(endings, func(ending string, n int) string {
		return grouped(n) + " " + cmp.Or(plain(ending), "files without an ending")
	})
	if v.count > len(v.heads) {
		s.summary += fmt.Sprintf(" with %s", counted(max(s.n, len(v.pages)), "page"))
	}
	s.data = section{{name: "dataset", value: "folder"}, list("dir", v.data)}
	if text := picture.Others(v.LeftOut, "left out: "); text != "" {
		s.notes = append(s.notes, text)
	}
	if v.Classes != nil {
		s.notes = append(s.notes, fmt.Sprintf("classes by folder: %s", frequent(v.Classes, class)))
	}
	if !s.exact {
		s.notes = append(s.notes, fmt.Sprintf("looked at: the headers of %s, evenly spread", counted(len(v.heads), "file")))
	}
	if len(v.inside) < len(v.pages) || !s.exact {
		s.notes = append(s.notes, fmt.Sprintf("looked into: %s, evenly spread", counted(len(v.inside), "picture")))
	}
	channels, err := v.colour(s)
	if err != nil {
		return nil, err
	}
	v.sizes(s, channels)
	if err := v.scale(s); err != nil {
		return nil, err
	}
	switch {
	case len(v.bad) > 0:
		s.notes = append(s.notes, fmt.Sprintf("cannot be used: %s", few(v.bad)))
		s.data = append(s.data, key{name: "on_bad", value: "skip", comment: "leave out what cannot be used, and name it in the report"})
	case len(v.inside) < len(v.pages) || !s.exact:
		s.data = append(s.data, key{name: "on_bad", value: "skip", comment: "not all were looked into; one that is damaged is named in the report"})
	}
	return s, nil
}

// colour chooses the channels.
func (v *view) colour(s *sight) (channels int, err error) {
	counts, kinds, other := map[int]int{}, map[string]int{}, false // other: neither grey nor RGB
	for _, p := range v.pages {
		counts[p.frame.Channels]++
		kinds[fmt.Sprint(p.frame.Channels)]++
		colours := p.frame.Channels
		if p.frame.Alpha {
			colours--
		}
		other = other || colours != 1 && colours != 3
	}
	if other {
		if len(counts) > 1 {
			return 0, fmt.Errorf("look at %s: pictures have different channels, of which they have (how many do) %s; name those of one kind by a pattern",
				few(v.data), frequent(kinds, class))
		}
		channels = v.pages[0].frame.Channels
		s.summary += fmt.Sprintf(", %d channels", channels)
		s.data = append(s.data, key{name: "colour", value: "all", comment: fmt.Sprintf("all %d channels", channels)})
		return channels, nil
	}
	coloured, seen := 0, 0
	for _, l := range v.inside {
		if l.err == nil {
			seen++
			if l.colour {
				coloured++
			}
		}
	}
	if coloured > 0 {
		s.summary += ", in colour"
		comment := ""
		if coloured < seen {
			comment = fmt.Sprintf("%d of %d that were looked into are in colour", coloured, seen)
		}
		s.data = append(s.data, key{name: "colour", value: "rgb", comment: comment})
		return 3, nil
	}
	s.summary += ", grey"
	comment := ""
	if counts[1] < len(v.pages) {
		comment = "the files have colours, which are all grey"
	}
	s.data = append(s.data, key{name: "colour", value: "grey", comment: comment})
	return 1, nil
}

// Sides and area of pictures that are chosen, in pixels.
const (
	mostSide   = 128
	targetSide = 64
	leastSide  = 8
	mostMemory = 2 << 30 // of all pictures, in bytes
)

// sizes chooses height and width.
func (v *view) sizes(s *sight, channels int) {
	byArea := slices.Clone(v.pages)
	slices.SortStableFunc(byArea, func(a, b page) int { return cmp.Compare(a.height*a.width, b.height*b.width) })
	var heights, widths []int
	for _, p := range v.pages {
		heights, widths = append(heights, p.height), append(widths, p.width)
	}
	slices.Sort(heights)
	slices.Sort(widths)
	least, most := byArea[0].size, byArea[len(byArea)-1].size
	median := size{heights[len(heights)/2], widths[len(widths)/2]}
	alike := heights[0] == heights[len(heights)-1] && widths[0] == widths[len(widths)-1]
	var why string
	chosen := median
	if alike {
		s.summary += fmt.Sprintf(", all %d×%d", median.width, median.height)
		why = "as the pictures are"
	} else {
		s.summary += fmt.Sprintf(", from %d×%d to %d×%d, half of them at most %d wide and %d high", least.width, least.height, most.width, most.height, median.width, median.height)
	}
	if !alike || max(median.height, median.width) > mostSide {
		chosen = fit(median)
		why = fmt.Sprintf("of %d×%d, for a first run", median.width, median.height)
	}
	s.image = model.Image{Height: chosen.height, Width: chosen.width, Channels: channels}
	for s.n > mostMemory/(4*s.image.Size()) && min(s.image.Height, s.image.Width) > leastSide {
		s.image.Height, s.image.Width = s.image.Height/2, s.image.Width/2
		why = "so that all fit into memory"
	}
	s.data = append(s.data,
		key{name: "height", value: fmt.Sprint(s.image.Height), comment: why},
		key{name: "width", value: fmt.Sprint(s.image.Width)})
}

// fit is a size of the shape of another and of about 64×64 pixels, or of its own where that is less, in multiples of 8 where there are
// enough. The shape is at most 1 to 4.
func fit(s size) size {
	shape := min(max(float64(s.height)/float64(s.width), 0.25), 4)
	root := math.Sqrt(shape)
	side := func(x float64, most int) int {
		n := int(math.Round(x/8)) * 8
		if n > most {
			n = most / 4 * 4
		}
		return max(n, min(leastSide, max(most, 1)))
	}
	return size{side(targetSide*root, s.height), side(targetSide/root, s.width)}
}

// depth is how types are called.
var depth = map[dtypes.DType]string{dtypes.Uint8: "8 bits", dtypes.Uint16: "16 bits", dtypes.Float32: "float32"}

// scale chooses how values map to the model's, of pictures of more than 8 bits.
func (v *view) scale(s *sight) error {
	dtype := dtypes.Uint8
	for _, p := range v.pages {
		if p.frame.Type == dtypes.Float32 || p.frame.Type == dtypes.Uint16 && dtype == dtypes.Uint8 {
			dtype = p.frame.Type
		}
	}
	var values []float64
	ends, points := 0, 0
	for _, place := range spread(len(v.pages), len(v.pages)) {
		if l, seen := v.inside[place]; seen {
			values = append(values, l.values...)
			ends, points = ends+l.atEnds, points+l.ofValues
		}
	}
	s.binary = points > 0 && ends > points*4/5
	s.summary += ", " + depth[dtype]
	return s.scale(values, dtype)
}

// scale chooses the scale of pictures by some of their values.
func (s *sight) scale(values []float64, dtype dtypes.DType) error {
	if dtype == dtypes.Uint8 {
		return nil // as it is
	}
	slices.Sort(values)
	at := func(percent float64) float64 { return values[int(percent/100*float64(len(values)-1))] }
	const low, high = 0.1, 99.9
	least, most := at(0), at(100)
	s.notes = append(s.notes, fmt.Sprintf("values go from %.6g to %.6g, %g %% of them from %.6g to %.6g", least, most, high-low, at(low), at(high)))
	full, wide := most-least, at(high)-at(low)
	if dtype == dtypes.Uint16 {
		full = math.MaxUint16
	}
	switch {
	case least == most:
		return fmt.Errorf("all values that were looked at are %g: there is nothing to learn", least)
	case wide == 0:
		s.data = append(s.data, key{name: "scale", value: fmt.Sprintf("{kind: range, low: %g, high: %g}", least, most), comment: "nearly all values are the same"})
	case wide < full/2:
		s.data = append(s.data, key{name: "scale", value: fmt.Sprintf("{kind: percentile, low: %g, high: %g}", low, high),
			comment: fmt.Sprintf("values use %.2g %% of their range", 100*wide/full)})
	}
	return nil
}
