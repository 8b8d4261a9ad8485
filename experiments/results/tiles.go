package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat"

	"latent/pkg/anomaly"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/experiment"
	"latent/pkg/picture"
	"latent/pkg/random"
	"latent/pkg/ranking"
	"latent/pkg/restore"
)

const (
	tilesConfig = "configs/anomaly/tiles.yaml"
	// tilesBar is how far above each baseline both AUROCs were asked to be.
	tilesBar = 0.05
	// The baseline of patches: pixels on a side, from one to the next, and how many of each training picture.
	patchSide, patchStep, patchesEach = 16, 2, 20
	// tilesSmooth is that of the config's heat maps, in pixels.
	tilesSmooth = 2
)

// located is how well a method finds defective pictures and the defects on them.
type located struct{ picture, pixel, pro float64 }

// tilesTrial is a run on tiles with a seed, which decides which good ones are trained on, too.
func tilesTrial(seed int) trial {
	return trial{"tiles", tilesConfig, []string{fmt.Sprintf("data.split_seed=%d", seed), "name=anomaly-tiles-" + strconv.Itoa(seed)}}
}

// tiles measures defects of surfaces with all seeds, and writes a table of them.
func (b *bench) tiles(ctx context.Context, out *bytes.Buffer) error {
	found := map[string][]located{}
	var sizes []float64
	for seed := range b.seeds {
		fmt.Fprintf(b.options.Log, "\ntiles, seed %d\n", seed)
		t := tilesTrial(seed)
		o, err := obtain(ctx, t, int64(seed), b.runs, b.train, b.options)
		if err != nil {
			return err
		}
		if o == nil {
			return nil
		}
		for name, kind := range map[string]string{ownScore: "whitened-peak", plainScore: "peak"} {
			one, err := b.locate(ctx, o.path, kind)
			if err != nil {
				return err
			}
			found[name] = append(found[name], one)
		}
		e, err := config.Load(t.config, t.overrides...)
		if err != nil {
			return err
		}
		split, err := e.Data.Load(ctx, dataset.Options{})
		if err != nil {
			return err
		}
		s := surfaces{split: split, marks: defective(split)}
		for name, of := range map[string]func(context.Context) (located, error){nearestPixels: s.nearest, patchPCA: s.patches} {
			one, err := of(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			found[name] = append(found[name], one)
		}
		auroc, err := s.sizes(ctx)
		if err != nil {
			return err
		}
		sizes = append(sizes, auroc)
	}
	writeTiles(out, found, sizes)
	return nil
}

// locate measures a run's score of a kind, and its heat maps.
func (b *bench) locate(ctx context.Context, run, kind string) (located, error) {
	trained, err := experiment.Open(ctx, run, []string{"evaluate.anomaly.score=" + kind, "evaluate.anomaly.baselines=[]"}, b.options)
	if err != nil {
		return located{}, err
	}
	defer trained.Close()
	result, _, err := trained.Evaluate(ctx, "", b.options)
	if err != nil {
		return located{}, err
	}
	a := result.Anomaly
	if a == nil || a.Pixels == nil {
		return located{}, fmt.Errorf("%s has no figures of pixels", run)
	}
	return located{float64(a.Figures["auroc"].Value), float64(a.Pixels.AUROC), float64(a.Pixels.PRO)}, nil
}

// Names of methods, in tables.
const (
	ownScore      = "Latent"
	plainScore    = "the same model, errors not whitened (`peak`)"
	nearestPixels = "nearest training picture, raw pixels"
	patchPCA      = "PCA of patches of 16×16"
)

// surfaces are pictures of surfaces, some of which are defective.
type surfaces struct {
	split *dataset.Split
	marks []bool
}

// defective says which test pictures have a defect.
func defective(split *dataset.Split) []bool {
	marks := make([]bool, split.Test.Len())
	for i := range marks {
		marks[i] = !strings.Contains(split.Classes[split.Test.Labels[i]], "Free")
	}
	return marks
}

// measure measures the heat map and the score of each test picture.
func (s surfaces) measure(of func(i int) (heat []float32, score float64)) (located, error) {
	var pixels ranking.Pixels
	test := s.split.Test
	scores := make([]float64, test.Len())
	for i := range scores {
		heat, score := of(i)
		scores[i] = score
		if err := pixels.Add(heat, s.split.Masks[i].Of(len(heat)), test.Width); err != nil {
			return located{}, err
		}
	}
	ranked, err := ranking.New(scores, s.marks)
	if err != nil {
		return located{}, err
	}
	figures, err := pixels.Figures()
	return located{ranked.AUROC().Value, figures.AUROC, figures.PRO}, err
}

// nearest scores by the squared distance to the nearest training picture, and maps what differs from it.
func (s surfaces) nearest(context.Context) (located, error) {
	train, size := s.split.Train.Scaled(0, s.split.Train.Len()), s.split.Train.Size()
	return s.measure(func(i int) ([]float32, float64) {
		picture := s.split.Test.Scaled(i, i+1)
		var heat []float32
		least := -1.0
		for at := 0; at < len(train); at += size {
			sum, differences := 0.0, make([]float32, size)
			for j, x := range picture {
				d := x - train[at+j]
				differences[j] = d * d
				sum += float64(d * d)
			}
			if least < 0 || sum < least {
				least, heat = sum, differences
			}
		}
		restore.Smooth(heat, s.split.Test.Width, s.split.Test.Height, tilesSmooth)
		return heat, least
	})
}

// patches scores by the reconstruction error of patches' principal components: the mean of those that cover a pixel, and the highest place.
func (s surfaces) patches(ctx context.Context) (located, error) {
	seed := random.NewSeed(0)
	train, test := s.split.Train, s.split.Test
	reference := anomaly.Rows{Features: patchSide * patchSide}
	for i := range train.Len() {
		picture := train.Scaled(i, i+1)
		for k := range patchesEach {
			words := seed.Child(i).Block(uint32(k), 0)
			top := int(uint64(words[0]) * uint64(train.Height-patchSide+1) >> 32)
			left := int(uint64(words[1]) * uint64(train.Width-patchSide+1) >> 32)
			reference.Values = append(reference.Values, patchAt(picture, train.Width, top, left)...)
		}
	}
	scorer, err := anomaly.PCA{}.Fit(ctx, reference, seed)
	if err != nil {
		return located{}, err
	}
	var failure error
	found, err := s.measure(func(i int) ([]float32, float64) {
		picture := test.Scaled(i, i+1)
		rows := anomaly.Rows{Features: patchSide * patchSide}
		var corners [][2]int
		for top := 0; top+patchSide <= test.Height; top += patchStep {
			for left := 0; left+patchSide <= test.Width; left += patchStep {
				rows.Values = append(rows.Values, patchAt(picture, test.Width, top, left)...)
				corners = append(corners, [2]int{top, left})
			}
		}
		scores, err := scorer.Score(ctx, rows)
		if err != nil {
			failure = err
			return make([]float32, len(picture)), 0
		}
		heat := meanOver(corners, scores, test.Height, test.Width)
		restore.Smooth(heat, test.Width, test.Height, tilesSmooth)
		return heat, float64(slices.Max(heat))
	})
	if failure != nil {
		err = failure
	}
	return found, err
}

// patchAt is the patch of a picture whose upper left corner is at a place.
func patchAt(picture []float32, width, top, left int) (patch []float32) {
	for y := range patchSide {
		patch = append(patch, picture[(top+y)*width+left:][:patchSide]...)
	}
	return patch
}

// meanOver is for each pixel the mean score of the patches that cover it.
func meanOver(corners [][2]int, scores []float64, height, width int) []float32 {
	sums, counts := make([]float64, height*width), make([]float64, height*width)
	for k, corner := range corners {
		for y := corner[0]; y < corner[0]+patchSide; y++ {
			for x := corner[1]; x < corner[1]+patchSide; x++ {
				sums[y*width+x] += scores[k]
				counts[y*width+x]++
			}
		}
	}
	heat := make([]float32, len(sums))
	for i := range heat {
		if counts[i] > 0 {
			heat[i] = float32(sums[i] / counts[i])
		}
	}
	return heat
}

// sizes returns the AUROC of a score that knows the pictures' own sizes alone: how far they are from those of good ones that are not in the
// test.
func (s surfaces) sizes(ctx context.Context) (float64, error) {
	root := filepath.Join(os.Getenv("LATENT_DATA_DIR"), "tiles")
	sizeOf := func(name string) ([]float32, error) {
		file, err := picture.Open(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		defer file.Close()
		height, width, err := file.Size(0)
		return []float32{float32(height), float32(width)}, err
	}
	good, err := filepath.Glob(filepath.Join(root, "MT_Free", "Imgs", "*.jpg"))
	if err != nil {
		return 0, err
	}
	reference, rows := anomaly.Rows{Features: 2}, anomaly.Rows{Features: 2}
	for _, path := range good {
		name, err := filepath.Rel(root, path)
		if err != nil {
			return 0, err
		}
		if name = filepath.ToSlash(name); slices.Contains(s.split.Names, name) {
			continue
		}
		size, err := sizeOf(name)
		if err != nil {
			return 0, err
		}
		reference.Values = append(reference.Values, size...)
	}
	for _, name := range s.split.Names {
		size, err := sizeOf(name)
		if err != nil {
			return 0, err
		}
		rows.Values = append(rows.Values, size...)
	}
	scorer, err := anomaly.Neighbours{K: 5, Mean: true}.Fit(ctx, reference, random.NewSeed(0))
	if err != nil {
		return 0, err
	}
	scores, err := scorer.Score(ctx, rows)
	if err != nil {
		return 0, err
	}
	ranked, err := ranking.New(scores, s.marks)
	if err != nil {
		return 0, err
	}
	return ranked.AUROC().Value, nil
}

// writeTiles writes the table of tiles.
func writeTiles(out *bytes.Buffer, found map[string][]located, sizes []float64) {
	mean := func(all []located, of func(located) float64) float64 {
		var values []float64
		for _, one := range all {
			values = append(values, of(one))
		}
		return stat.Mean(values, nil)
	}
	fmt.Fprintf(out, `
## Defects of surfaces

`+"`%s`"+`: magnetic tiles (Huang et al. 2020), trained on 80 %% of the good ones without those held out, tested on the other good ones and all
392 defective ones, with masks; mean over seeds, %d here, each with its own split. All pictures are stretched to 64×64. The baselines use
the same pictures, and their maps are smoothed like the model's, by %d pixels.

| | AUROC of pictures | AUROC of pixels | PRO |
| --- | ---: | ---: | ---: |
`, tilesTrial(0).command(), len(sizes), tilesSmooth)
	best := located{}
	var own located
	for _, name := range []string{ownScore, plainScore, nearestPixels, patchPCA} {
		one := located{mean(found[name], func(l located) float64 { return l.picture }), mean(found[name], func(l located) float64 { return l.pixel }),
			mean(found[name], func(l located) float64 { return l.pro })}
		fmt.Fprintf(out, "| %s | %.3f | %.3f | %.3f |\n", name, one.picture, one.pixel, one.pro)
		switch name {
		case ownScore:
			own = one
		case nearestPixels, patchPCA:
			best.picture, best.pixel = max(best.picture, one.picture), max(best.pixel, one.pixel)
		}
	}
	fmt.Fprintf(out, `
Bar: both AUROCs at least %g above both baselines, which is %.3f of pictures and %.3f of pixels: **%s**. The gain comes from
whitening errors by what is usual at each position and around it. File sizes are informative, too: a score that uses only
them (distance to the five nearest sizes of good ones) has an AUROC of pictures of %.3f.
`, tilesBar, best.picture+tilesBar, best.pixel+tilesBar, verdict(own.picture >= best.picture+tilesBar && own.pixel >= best.pixel+tilesBar), stat.Mean(sizes, nil))
}
