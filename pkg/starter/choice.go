package starter

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/message"
	"latent/pkg/model"
)

// choice is what of an experiment follows from what was seen.
type choice struct {
	*sight
	division section
	training int // samples that are trained on
	testing  int

	kind    string
	model   section
	why     string // of the model's sizes
	corrupt section
	damage  string // what it is for
	purpose string // in a few words
	train   section
	effort  string
	output  section
}

// divide chooses how many samples are held out, and looks at what that leaves: which side a sample falls on is decided by its name, so
// that of few none may be left for the test.
func (c *choice) divide() error {
	if c.n < leastSamples {
		return fmt.Errorf("%s; it takes %d to train and to test, and hundreds to learn something", counted(c.n, c.noun()), leastSamples)
	}
	var err error
	for _, fraction := range []float64{0.1, 0.2, 0.3, 0.5} {
		own := dataset.Own{TestFraction: fraction}
		own.Validation = min(int(float64(c.n)*(1-fraction))/10, 5000)
		var validation int
		c.training, validation, c.testing, err = own.Sizes(c.n, c.name)
		if err != nil {
			continue
		}
		about := ""
		switch {
		case !c.exact && c.vectors:
			about = "at least "
		case !c.exact:
			about = "about "
		}
		c.division = section{
			{name: "test_fraction", value: fmt.Sprint(fraction), comment: fmt.Sprintf("measured once, at the end: %s%s", about, counted(c.testing, c.noun()))},
			{name: "validation", value: fmt.Sprint(validation), comment: "held out to choose the best epoch"},
		}
		if validation == 0 {
			c.division[1].comment = "there are too few to hold any out"
		}
		return nil
	}
	return err
}

// noun is what a sample is.
func (c *choice) noun() string {
	if c.vectors {
		return "row"
	}
	return "picture"
}

// budget is how many multiplications a first run may take for passes forward, in training: about a minute and a half on two cores.
const budget = 2.5e11

// Bounds of a first run.
const (
	mostSteps  = 5000
	mostEpochs = 60 // each ends with validation, and a checkpoint
)

// choose chooses the model and how it is trained.
func (c *choice) choose(kind string) error {
	c.kind = kind
	if kind == "" {
		c.kind = c.fitting()
	}
	if c.vectors && model.PictorialBy(model.Kinds[c.kind]()) != "" {
		return fmt.Errorf("--kind=%s: it looks at values beside each other, and the columns of a table have no neighbours; take dense, ae, vae, rae, wae, aae, vqvae, fsq or flow", c.kind)
	}
	rate, batch := 0.001, 128
	switch {
	case c.training < 200:
		batch = 16
	case c.training < 4000:
		batch = 32
	}
	output := "tanh"
	if c.open {
		output = "linear"
	}
	restores := true
	switch c.kind {
	case "dense":
		c.dense(output)
	case "unet":
		batch, rate = c.few(), 0.002
		c.unet()
	case "conv":
		c.conv(output)
	case "pixelflow":
		batch, rate, restores = c.few(), 0.002, false
		c.model = section{{name: "channels", value: numbers(c.levels())}}
	case "ae":
		c.coder(output)
	case "vae", "rae", "wae", "aae", "vqvae", "fsq", "flow":
		restores = false
		c.coder(output)
	default: // a kind of another program: its defaults
	}
	c.model = append(section{{name: "kind", value: c.kind}}, c.model...)
	if restores {
		c.damaged()
	} else if c.purpose = "new pictures, and codes"; c.vectors {
		c.purpose = "codes of rows"
	}
	c.trained(batch, rate)
	return nil
}

// few is a batch for convolutions, whose pictures take longer than a step's other work: small, so that there are many steps.
func (c *choice) few() int {
	switch {
	case c.training < 100:
		return 4
	case c.training < 400:
		return 8
	}
	return 16
}

// fitting is the kind of model that fits: a U-Net, which removes noise best, of small pictures and of few too; for rows, and pictures too
// small to be halved, dense layers.
func (c *choice) fitting() string {
	if c.vectors || min(c.image.Height, c.image.Width) < 8 {
		return "dense"
	}
	return "unet"
}

// dense chooses dense layers.
func (c *choice) dense(output string) {
	code := "relu"
	if c.vectors {
		code = "linear"
	}
	encoder, decoder := c.layers()
	c.why = fmt.Sprintf("Dense layers from %s to a code of %d and back.", c.inputs(), encoder[len(encoder)-1])
	c.model = section{
		{name: "encoder", value: numbers(encoder), comment: "the last is the size of the code"},
		{name: "decoder", value: numbers(decoder)},
		{name: "activation", value: "relu"},
		{name: "latent_activation", value: code},
		{name: "output", value: output},
	}
	if c.open {
		c.model[4].comment = "standardised values have no ends"
	}
}

// inputs says what of a sample there is.
func (c *choice) inputs() string {
	if c.vectors {
		return counted(c.image.Size(), "column")
	}
	return counted(c.image.Size(), "pixel value")
}

// layers are the sizes of dense layers, to the code and back: for pictures those of the seed; for rows a code of a quarter of the columns,
// at most 64.
func (c *choice) layers() (encoder, decoder []int) {
	if !c.vectors {
		return []int{256, 128, 64}, []int{128, 256}
	}
	features := c.image.Size()
	code := min(max((features+3)/4, min(features, 2)), 64)
	first := min(max(power(2*features), 16), 256)
	second := max(first/2, power(code+1))
	return []int{first, second, code}, []int{second, first}
}

// power is the least power of two that is at least n.
func power(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

// unet chooses a U-Net.
func (c *choice) unet() {
	c.why = "A U-Net, which adds to the damaged picture what takes the damage away."
	c.model = section{
		{name: "channels", value: numbers(c.levels()), comment: "of each level; more learn more, and take longer"},
		{name: "residual", value: "true"},
		{name: "output", value: "linear"},
	}
}

// levels are a U-Net's channels: the most for which the budget pays for enough pictures.
func (c *choice) levels() []int {
	enough := min(8_000, c.training*mostEpochs)
	var channels []int
	for _, first := range []int{24, 16, 12, 8, 4} {
		channels = []int{first}
		for side := min(c.image.Height, c.image.Width); side >= 8 && len(channels) < 3; side /= 2 {
			channels = append(channels, 2*channels[len(channels)-1])
		}
		if c.affordable(section{{name: "kind", value: c.kind}, {name: "channels", value: numbers(channels)}}) >= enough {
			break
		}
	}
	return channels
}

// affordable is how many samples may pass through a model in training.
func (c *choice) affordable(keys section) int {
	m, err := parsed(keys)
	if err != nil {
		return 0
	}
	products := 1
	for _, layer := range m.Layers(c.image) {
		products += layer.Products
	}
	return int(budget / float64(products))
}

// parsed is the model that keys say.
func parsed(keys section) (model.Model, error) {
	var w writer
	w.section("model", "", keys)
	e, err := config.Parse("experiment.yaml", w.bytes())
	if err != nil {
		return nil, err
	}
	return e.Model, nil
}

// halvings are the channels of convolutions that halve height and width: of as many as leave some places.
func (c *choice) halvings() []int {
	channels := []int{16}
	for side := min(c.image.Height, c.image.Width) / 2; side > 8 && len(channels) < 4; side /= 2 {
		channels = append(channels, min(2*channels[len(channels)-1], 64))
	}
	return channels
}

// conv chooses strided convolutions.
func (c *choice) conv(output string) {
	channels := c.halvings()
	latent := 64
	if c.image.Size() > 32*32*3 {
		latent = 128
	}
	c.why = fmt.Sprintf("Convolutions that halve height and width, down to a code of %d, and back.", latent)
	c.model = section{
		{name: "channels", value: numbers(channels)},
		{name: "latent", value: fmt.Sprint(latent), comment: "the size of the code"},
		{name: "output", value: output},
	}
}

// mostDense is how many values a picture has at most whose layers are dense: more than those of a digit.
const mostDense = 1024

// coder chooses the layers about a code of the kinds that take any backbone: convolutions for pictures larger than digits.
func (c *choice) coder(output string) {
	encoder, decoder := c.layers()
	latent := encoder[len(encoder)-1]
	encoder = encoder[:len(encoder)-1]
	if !c.vectors {
		encoder, decoder = []int{400, 400}, []int{400, 400}
		latent = map[string]int{"vae": 20, "vqvae": 64, "fsq": 64, "ae": 64}[c.kind]
		if latent == 0 {
			latent = 16
		}
	}
	c.why = fmt.Sprintf("A code of %s of %s.", message.Count(latent, "value"), c.inputs())
	if c.vectors {
		switch c.kind {
		case "vqvae":
			c.model = append(c.model, key{name: "entry_size", value: "1"})
		case "fsq":
			c.model = append(c.model, key{name: "levels", value: "[8]"})
		}
	}
	code := key{name: "latent", value: fmt.Sprint(latent), comment: "the size of the code"}
	if !c.vectors && c.image.Size() > mostDense {
		c.why += " Convolutions that halve height and width lie between."
		c.model = append(section{{name: "backbone", value: fmt.Sprintf("{kind: conv, channels: %s}", numbers(c.halvings()))}, code}, c.model...)
	} else {
		c.model = append(section{{name: "encoder", value: numbers(encoder)}, code, {name: "decoder", value: numbers(decoder)}}, c.model...)
	}
	switch {
	case c.kind != "vae":
		c.model = append(c.model, key{name: "output", value: output})
	case c.open:
		c.model = append(c.model, key{name: "likelihood", value: "gaussian"}, key{name: "deviation", value: "0.5", comment: "of standardised values"})
	case c.binary:
		c.model = append(c.model, key{name: "likelihood", value: "bernoulli", comment: "most pixels are black or white"})
	default:
		c.model = append(c.model, key{name: "likelihood", value: "gaussian"}, key{name: "deviation", value: "0.2", comment: "of pixels in [-1, 1]"})
	}
}

// damaged chooses what the model takes away.
func (c *choice) damaged() {
	if c.vectors {
		c.purpose = "values that were swapped are restored"
		c.damage = "Of each row, some values are replaced by those of other rows; the target is the row as it was. Take the section out for a plain autoencoder."
		c.corrupt = section{{name: "kind", value: "swap"}, {name: "probability", value: "0.15"}}
		return
	}
	c.purpose = "removes noise"
	c.damage = "What is done to the pictures, and the model undoes. There are blur, downscale, watermark and more."
	c.corrupt = section{{name: "kind", value: "gaussian"}, {name: "noise_factor", value: "0.3", comment: "of pixels from -1 to 1"}}
}

// trained chooses batch, epochs and learning rate.
func (c *choice) trained(batch int, rate float64) {
	for batch > 1 && batch > c.training/2 {
		batch /= 2
	}
	affordable := min(c.affordable(c.model), mostSteps*batch)
	epochs := min(max(affordable/c.training, 1), mostEpochs)
	if affordable < c.training {
		const several = 3 // so that there is something to choose from, and to see
		c.training, epochs = max(rounded(affordable/several), batch), several
		c.division = append(c.division, key{name: "limit", value: fmt.Sprint(c.training),
			comment: "for a first run of a minute or two; take it out to train on all"})
	}
	c.effort = "Sized for a first run of a minute or two on two cores; more epochs learn more."
	c.train = section{
		{name: "batch_size", value: fmt.Sprint(batch)},
		{name: "epochs", value: fmt.Sprint(epochs), comment: counted((c.training+batch-1)/batch*epochs, "step")},
		{name: "learning_rate", value: fmt.Sprint(rate)},
		{name: "schedule", value: "cosine"},
	}
	c.shown(epochs)
}

// shown chooses the pictures that a run leaves.
func (c *choice) shown(epochs int) {
	if epochs > 10 {
		c.output = append(c.output, key{name: "grid", value: fmt.Sprintf("{every: %d}", epochs/5), comment: "a sample picture every so many epochs"})
	}
	const least = 50 // of pictures of codes, whose mixture has ten components
	generates := slices.Contains([]string{"vae", "rae", "wae", "aae", "vqvae", "fsq", "flow", "pixelflow"}, c.kind)
	if generates && !c.vectors && c.testing >= least && c.training >= least {
		c.output = append(c.output, key{name: "show", value: "[samples]", comment: "new pictures, at the run's end"})
	}
}

// rounded keeps the first two digits.
func rounded(n int) int {
	unit := 1
	for n/unit >= 100 {
		unit *= 10
	}
	return n / unit * unit
}

// numbers is a list in YAML.
func numbers(list []int) string { return strings.ReplaceAll(fmt.Sprint(list), " ", ", ") }

// frequent lists words as each says them with their number, the most frequent first.
func frequent(counts map[string]int, each func(word string, n int) string) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	const most = 12
	var text []string
	for _, name := range names[:min(most, len(names))] {
		text = append(text, each(name, counts[name]))
	}
	if more := len(names) - most; more > 0 {
		text = append(text, fmt.Sprintf("%d others", more))
	}
	return strings.Join(text, ", ")
}

// class is a class with how many samples it has.
func class(name string, n int) string { return fmt.Sprintf("%s (%s)", plain(name), grouped(n)) }
