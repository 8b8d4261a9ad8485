package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"latent/pkg/array"
	"latent/pkg/backend"
	"latent/pkg/config"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/picture"
	"latent/pkg/scale"
	"latent/pkg/tiff"
)

func newDataCorrupt(c *console) *cobra.Command {
	var out string
	var seed int64
	var span []float64
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "corrupt CORRUPTION FOLDER",
		Short: "Write the pictures of a folder once more, damaged",
		Long: `Corrupt damages each picture of a folder once, and writes it below another folder, as a TIFF file of the same name: what real
pictures with noise are like, which no program makes anew for each epoch. With data.target, such a folder and the clean one are pairs to
train on, as are two of them with different seeds (Noise2Noise); blind-spot learns from one alone (Noise2Void).

CORRUPTION is what a config has under corrupt, or a config file that has it. What is drawn depends on the seed and a picture's place in
the folder. Files have the type of numbers that they were read with, or floats, in the same units, where the damage leaves their range,
as noise with clip: false does. Pictures of floats need --range, the values of black and white. Alpha is left out.`,
		Example: `  latent data corrupt '{kind: gaussian, sigma: 25, clip: false}' photos -o noisy --seed 1
  latent data corrupt configs/photos/bsd.yaml photos -o noisy`,
		Args: cobra.ExactArgs(2),
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "folder for the damaged pictures; must be given")
	cmd.Flags().Int64Var(&seed, "seed", 1, "decides every draw")
	cmd.Flags().Float64SliceVar(&span, "range", nil, "values of black and white of pictures of floats, such as 0,255")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was written as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case out == "":
			return usageError{errors.New("--out: missing; name the folder for the damaged pictures")}
		case span != nil && (len(span) != 2 || !(span[0] < span[1])):
			return usageError{fmt.Errorf("--range=%v: want two numbers, black below white, such as 0,255", span)}
		case seed < 0:
			return usageError{fmt.Errorf("--seed=%d: want 0 or more", seed)}
		}
		chain, err := chainOf(args[0])
		if err != nil {
			return experiment.InputError{Err: err}
		}
		list, err := dataset.List("FOLDER", args[1:])
		if err != nil {
			return experiment.InputError{Err: err}
		}
		if err := canWrite(out); err != nil {
			return experiment.InputError{Err: fmt.Errorf("write to the folder %s: %w; choose another with --out", out, err)}
		}
		// Pure Go compiles at once, whatever the pictures' sizes.
		b, err := backend.OpenInstalled("go", backend.Options{})
		if err != nil {
			return err
		}
		defer b.Close()
		d := damager{b.Compute, chain, seed, span, false}
		if d.floats, err = d.overshoots(); err != nil {
			return err
		}
		files, err := d.all(cmd.Context(), list, out)
		if err != nil {
			return experiment.InputError{Err: err}
		}
		kind := "the files' own numbers"
		if d.floats {
			kind = "floats, for the damage leaves their range"
		}
		fmt.Fprintf(c.stderr, "%s, seed %d: %s in %s, of %s\n", chain.Caption(), seed, message.Count(len(files), "file"), out, kind)
		if asJSON {
			return printJSON(c, corruptedJSON{Dir: out, Corruption: chain.Caption(), Seed: seed, Floats: d.floats, Files: files})
		}
		return nil
	}
	return cmd
}

// corruptedJSON is what was written, for programs.
type corruptedJSON struct {
	Dir        string   `json:"dir"`
	Corruption string   `json:"corruption"`
	Seed       int64    `json:"seed"`
	Floats     bool     `json:"floats"`
	Files      []string `json:"files"`
}

// chainOf reads a corruption: YAML, or the one of a config file.
func chainOf(text string) (corrupt.Chain, error) {
	var e *config.Experiment
	var err error
	if _, missing := os.Stat(text); missing == nil {
		e, err = config.Load(text)
	} else {
		if !strings.ContainsAny(text, "{[") {
			text = "{kind: " + text + "}"
		}
		e, err = config.Parse("", []byte("name: corruption"), "corrupt="+text)
	}
	if err != nil {
		return nil, err
	}
	if e.Corrupt.Identity() {
		return nil, fmt.Errorf("%s: it damages nothing; write a corruption, such as {kind: gaussian, sigma: 25}", text)
	}
	if e.Corrupt.Collective() {
		return nil, fmt.Errorf("%s: it takes values from other samples, and each picture is damaged by itself; choose another", e.Corrupt.Caption())
	}
	return e.Corrupt, nil
}

// damager damages pictures.
type damager struct {
	backend compute.Backend
	chain   corrupt.Chain
	seed    int64
	span    []float64 // black and white of floats; nil where that was not said
	floats  bool      // what is written
}

// overshoots says whether the damage makes values below black or above white, by what it does to such pictures.
func (d damager) overshoots() (bool, error) {
	const side, rounding = 64, 1e-4
	probe := &dataset.Samples{Height: side, Width: side, Channels: 1, Values: array.Make(dtypes.Uint8, side*side)}
	for _, value := range []uint8{0, 255} {
		for i := range probe.Values.Uint8 {
			probe.Values.Uint8[i] = value
		}
		damaged, err := evaluate.DamageOne(d.backend, d.chain, d.seed, 0, 0, probe)
		if err != nil {
			return false, err
		}
		if slices.Min(damaged) < -1-rounding || slices.Max(damaged) > 1+rounding {
			return true, nil
		}
	}
	return false, nil
}

// all damages the pictures of a list, and returns the files.
func (d damager) all(ctx context.Context, list dataset.Listing, out string) ([]string, error) {
	files, taken := make([]string, len(list.Paths)), map[string]string{}
	for i, name := range list.Names {
		files[i] = filepath.Join(out, filepath.FromSlash(strings.TrimSuffix(name, path.Ext(name))+".tif"))
		if other, found := taken[files[i]]; found {
			return nil, fmt.Errorf("%s and %s would both be %s; rename one", other, list.Paths[i], files[i])
		}
		taken[files[i]] = list.Paths[i]
		if _, err := os.Stat(files[i]); err == nil {
			return nil, fmt.Errorf("%s is there already; remove it, or choose another folder with --out", files[i])
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, from := range list.Paths {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return d.file(i, from, files[i])
		})
	}
	return files, group.Wait()
}

// file damages the pages of a file, which has a number among all.
func (d damager) file(number int, from, to string) error {
	file, err := picture.Open(from)
	if err != nil {
		return err
	}
	defer file.Close()
	var pages []picture.Array
	for i := range file.Frames() {
		p, err := file.Array(i)
		if err != nil {
			return err
		}
		page, err := d.page(number, i, p)
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		pages = append(pages, page)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("make a folder for %s: %w", to, err)
	}
	return writeFile(to, func(f *os.File) error {
		w, err := picture.NewWriter(f, "tiff", 4*file.Bytes())
		for i := 0; i < len(pages) && err == nil; i++ {
			err = w.Add(pages[i], picture.Metadata{})
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", to, err)
		}
		return nil
	})
}

// page damages a page of the file of a number.
func (d damager) page(number, page int, p picture.Array) (picture.Array, error) {
	s := &dataset.Samples{Height: p.Height, Width: p.Width, Channels: p.Channels, Values: p.Values}
	if p.Alpha != tiff.NoAlpha {
		s.Channels--
		s.Values = array.Make(p.Values.Type(), p.Height*p.Width*s.Channels)
		for i := range p.Height * p.Width {
			s.Values.Copy(i*s.Channels, p.Values.Slice(i*p.Channels, i*p.Channels+s.Channels))
		}
	}
	options := scale.Options{Kind: "range", Open: true}
	switch dtype := s.Values.Type(); {
	case dtype == dtypes.Float32 && d.span == nil:
		return picture.Array{}, errors.New("it has floats; say which values are black and white, such as --range 0,255")
	case dtype == dtypes.Float32:
		options.Low, options.High = d.span[0], d.span[1]
	}
	var err error
	if s.Scale, err = options.Find(scale.Data{Type: s.Values.Type(), Channels: s.Channels}); err != nil {
		return picture.Array{}, err
	}
	damaged, err := evaluate.DamageOne(d.backend, d.chain, d.seed, number, page, s)
	if err != nil {
		return picture.Array{}, err
	}
	dtype := s.Values.Type()
	if d.floats {
		dtype = dtypes.Float32
	}
	written := picture.Array{Height: s.Height, Width: s.Width, Channels: s.Channels, Values: array.Make(dtype, s.Size())}
	for i, x := range damaged {
		written.Values.Set(i, s.Scale.Value(i, float64(x)))
	}
	return written, nil
}
