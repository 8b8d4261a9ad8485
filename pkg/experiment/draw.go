package experiment

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/mat"

	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/model"
	"latent/pkg/projection"
)

// Drawing is how the pictures of a model's codes are made; see [evaluate.Pictures].
type Drawing struct {
	// Generation is how samples are drawn. Its Class is the label of all generated images of the other pictures too, for a
	// model that is given labels; "" takes that of the test image they start from, or of a manifold the first.
	Generation
	// Between are the places of two test images, from 0: an interpolation is between their codes, and a traversal starts from
	// the first's. nil takes the first two with different labels; of a model that is given labels, the first two with the same.
	Between []int
}

// DefaultDrawing is how the pictures at a run's end are made.
func DefaultDrawing() Drawing {
	return Drawing{Generation: Generation{Images: 64, Seed: 1, Sampler: "auto", Components: 10}}
}

// leastDrawn is the least number of training and test images that pictures are made of: the mixture has so many components.
const leastDrawn = 10

// Sizes of the pictures.
const (
	between       = 11   // images of an interpolation, both ends among them
	traversed     = 10   // dimensions of a traversal
	manifoldSide  = 20   // images of a manifold, in each direction
	mapped        = 2000 // test images on a map
	mappedSlowly  = 1000 // of these, what t-SNE lays out: its time grows with the square
	manifoldTicks = 5    // columns, and rows, of a manifold for each that is labelled
)

// positions are those of a traversal, in standard deviations.
var positions = []float64{-3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3}

// Draw returns a picture of the model's codes, one of [evaluate.Pictures], as a PNG.
func (t *Trained) Draw(ctx context.Context, picture string, d Drawing, options Options) ([]byte, error) {
	options = options.withDefaults()
	if problem := evaluate.Inapplicable(picture, t.Experiment.Model); problem != "" {
		return nil, InputError{t.Experiment.Problem("model", "no %s: %s", picture, problem)}
	}
	if picture == "samples" {
		images, caption, err := t.generated(ctx, d.Generation, options, false)
		if err != nil {
			return nil, err
		}
		return evaluate.DrawSheet(images, caption)
	}
	g, err := t.gallery(ctx, d, options)
	if err != nil {
		return nil, err
	}
	switch picture {
	case "interpolation":
		return g.interpolation(ctx)
	case "traversal":
		return g.traversal(ctx)
	case "manifold":
		return g.manifold(ctx)
	case "map":
		return g.drawMap(ctx, options)
	}
	return nil, fmt.Errorf("no picture %q; want one of %s", picture, strings.Join(evaluate.Pictures, ", "))
}

// caption says whose picture it is, and which weights made it.
func (t *Trained) caption() string {
	if result := t.Manifest.Result; result.Weights != "" {
		return fmt.Sprintf("%s · epoch %d", t.Experiment.Name, result.Epoch)
	}
	return fmt.Sprintf("%s · step %s", t.Experiment.Name, thousands(t.Step))
}

// label returns the class of a name, or of a number where no class has that name; -1 of "".
func (t *Trained) label(class string) (int, error) {
	if class == "" {
		return -1, nil
	}
	conditions := model.Conditions(t.Experiment.Model)
	if conditions == 0 {
		return 0, InputError{t.Experiment.Problem("model", "this model is given no labels, and cannot make images of class %s alone; leave the class out", class)}
	}
	if i := slices.Index(t.Manifest.Data.Classes, class); i >= 0 {
		return i, nil
	}
	if i, err := strconv.Atoi(class); err == nil && i >= 0 && i < conditions {
		return i, nil
	}
	return 0, InputError{fmt.Errorf("no class %q; want 0 to %d, or one of %s", class, conditions-1, strings.Join(t.Manifest.Data.Classes, ", "))}
}

// labelsOf returns the label of each of n images, for a model that is given labels: all the same, or with label -1 all in turn.
func labelsOf(m model.Model, label, n int) []uint8 {
	classes := model.Conditions(m)
	if classes == 0 {
		return nil
	}
	labels := make([]uint8, n)
	for i := range labels {
		labels[i] = uint8(i % classes)
		if label >= 0 {
			labels[i] = uint8(label)
		}
	}
	return labels
}

// gallery makes the pictures that need test images.
type gallery struct {
	*Trained
	test  *dataset.Samples
	label int // of all generated images; -1 where none was asked for
	pair  []int
}

func (t *Trained) gallery(ctx context.Context, d Drawing, options Options) (*gallery, error) {
	split, err := t.load(ctx, options)
	if err != nil {
		return nil, InputError{err}
	}
	g := &gallery{Trained: t, test: split.Test, pair: d.Between}
	if g.label, err = t.label(d.Class); err != nil {
		return nil, err
	}
	if n := g.test.Len(); n < leastDrawn {
		return nil, InputError{t.Experiment.Problem("data", "%d test images, and the pictures need at least %d", n, leastDrawn)}
	}
	if g.pair == nil {
		g.pair = g.firstPair()
	}
	for _, i := range g.pair {
		if n := g.test.Len(); i < 0 || i >= n {
			return nil, InputError{fmt.Errorf("no test image %d; there are those from 0 to %d", i, n-1)}
		}
	}
	if _, err := t.compile(); err != nil {
		return nil, err
	}
	return g, nil
}

// firstPair chooses the images of an interpolation.
func (g *gallery) firstPair() []int {
	labels := g.test.Labels
	if labels == nil {
		return []int{0, 1}
	}
	given := model.Conditions(g.Experiment.Model) > 0
	first := 0
	if given && g.label >= 0 {
		first = max(0, slices.Index(labels, uint8(g.label)))
	}
	for i := first + 1; i < len(labels); i++ {
		if given == (labels[i] == labels[first]) {
			return []int{first, i}
		}
	}
	return []int{first, (first + 1) % len(labels)}
}

// codes returns the codes of test images.
func (g *gallery) codes(ctx context.Context, places ...int) (*dataset.Samples, evaluate.Codes, error) {
	images := g.test.Select(places)
	codes, err := g.evaluator.Encode(ctx, g.Weights, images)
	return images.Shown(), codes, err
}

// someCodes returns the codes of some test images.
func (g *gallery) someCodes(ctx context.Context) (evaluate.Codes, error) {
	if g.testCodes == nil {
		codes, err := g.evaluator.Encode(ctx, g.Weights, g.someImages())
		if err != nil {
			return codes, err
		}
		g.testCodes = &codes
	}
	return *g.testCodes, nil
}

// someImages are test images, evenly spaced, for a folder's are in an order; and so is the first half of them.
func (g *gallery) someImages() *dataset.Samples {
	chosen := places(g.test.Len(), min(mapped, g.test.Len()))
	var order []int
	for half := range 2 {
		for i := half; i < len(chosen); i += 2 {
			order = append(order, chosen[i])
		}
	}
	return g.test.Select(order)
}

// decode returns the images of codes, with the label that was asked for, or else that of a test image; -1 is the first class.
func (g *gallery) decode(ctx context.Context, codes evaluate.Codes, like int) (*dataset.Samples, error) {
	label := g.label
	if label < 0 {
		label = 0
		if like >= 0 && g.test.Labels != nil {
			label = int(g.test.Labels[like])
		}
	}
	codes.Labels = labelsOf(g.Experiment.Model, label, codes.Len())
	return g.evaluator.Decode(ctx, g.Weights, codes)
}

// name is how a test image is named on a picture: by its place, and its class.
func (g *gallery) name(place int) string {
	if g.test.Labels == nil {
		return fmt.Sprintf("#%d", place)
	}
	return fmt.Sprintf("#%d: %s", place, g.split.Classes[g.test.Labels[place]])
}

// with adds to a caption of which class the generated images are, for a model that is given labels.
func (g *gallery) with(like int) string {
	switch {
	case model.Conditions(g.Experiment.Model) == 0:
		return ""
	case g.label >= 0:
		return ", with label " + g.split.Classes[g.label]
	case like >= 0:
		return ", with label " + g.split.Classes[g.test.Labels[like]]
	}
	return ", with label " + g.split.Classes[0]
}

func (g *gallery) interpolation(ctx context.Context) ([]byte, error) {
	ends, codes, err := g.codes(ctx, g.pair...)
	if err != nil {
		return nil, err
	}
	a, b := codes.At(0), codes.At(1)
	all := evaluate.Codes{Size: codes.Size, Values: slices.Concat(
		evaluate.Straight(a, b, between).Values, evaluate.Spherical(a, b, between).Values)}
	images, err := g.decode(ctx, all, g.pair[0])
	if err != nil {
		return nil, err
	}
	sheet := evaluate.Sheet{
		Images:  images.Like(),
		Columns: between + 2, Left: []string{"straight", "spherical"}, Breaks: []int{1, between + 1},
		Top: []string{g.name(g.pair[0])},
		Caption: fmt.Sprintf("%s · between the codes of test images #%d and #%d%s; those images at both ends",
			g.caption(), g.pair[0], g.pair[1], g.with(g.pair[0])),
	}
	for i := range between {
		sheet.Top = append(sheet.Top, fmt.Sprintf("%.1f", float64(i)/(between-1)))
	}
	sheet.Top = append(sheet.Top, g.name(g.pair[1]))
	size := between * images.Size() // of a row
	for row := range sheet.Left {
		decoded := images.Values.Slice(row*size, (row+1)*size)
		sheet.Images.Values = sheet.Images.Values.Append(ends.At(0)).Append(decoded).Append(ends.At(1))
	}
	return sheet.Draw()
}

func (g *gallery) traversal(ctx context.Context) ([]byte, error) {
	base := g.pair[0]
	image, code, err := g.codes(ctx, base)
	if err != nil {
		return nil, err
	}
	axes, left, err := g.foremost(ctx)
	if err != nil {
		return nil, err
	}
	images, err := g.decode(ctx, evaluate.Traverse(code.At(0), axes, positions), base)
	if err != nil {
		return nil, err
	}
	of := "the test images' codes"
	if model.NormalPriorOf(g.Experiment.Model) {
		of = "the prior"
	}
	sheet := evaluate.Sheet{
		Images:  images.Like(),
		Columns: len(positions) + 1, Left: left, Breaks: []int{1}, Top: []string{g.name(base)},
		Caption: fmt.Sprintf("%s · the code of test image #%d%s, one value in each row changed to so many standard deviations of %s",
			g.caption(), base, g.with(base), of),
	}
	for _, position := range positions {
		sheet.Top = append(sheet.Top, signed(position, 1))
	}
	size := len(positions) * images.Size() // of a row
	for row := range axes {
		sheet.Images.Values = sheet.Images.Values.Append(image.At(0)).Append(images.Values.Slice(row*size, (row+1)*size))
	}
	return sheet.Draw()
}

// signed writes a number with at most so many decimals.
func signed(x float64, decimals int) string {
	text := strconv.FormatFloat(x, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return strings.Replace(text, "-", "−", 1)
}

// foremost returns the dimensions of a traversal, and what each is called: those that diverge most from the prior, of a model
// with a likelihood, or else those that vary most over test images.
func (g *gallery) foremost(ctx context.Context) ([]evaluate.Axis, []string, error) {
	codes, err := g.someCodes(ctx)
	if err != nil {
		return nil, nil, err
	}
	observed := codes.Axes()
	scores, unit := make([]float64, codes.Size), "deviation %.2f"
	for i, axis := range observed {
		scores[i] = axis.Deviation
	}
	divergence, err := g.divergence(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(divergence) == len(scores) {
		scores, unit = divergence, "KL %.2f nats"
	}
	axes := observed
	if model.NormalPriorOf(g.Experiment.Model) {
		axes = evaluate.PriorAxes(codes.Size)
	}
	axes = evaluate.Foremost(axes, scores, traversed)
	var names []string
	for _, axis := range axes {
		names = append(names, fmt.Sprintf("z%d, "+unit, axis.Dimension+1, scores[axis.Dimension]))
	}
	return axes, names, nil
}

// divergence returns that of each dimension from the prior: as the run recorded it, or else that of some test images. Of
// a model without a likelihood it is nil.
func (g *gallery) divergence(ctx context.Context) ([]float64, error) {
	var all []float64
	if recorded := g.Manifest.Result.Likelihood; recorded != nil && len(recorded.Divergence) == g.testCodes.Size {
		for _, value := range recorded.Divergence {
			all = append(all, float64(value))
		}
		return all, nil
	}
	likelihood, err := g.evaluator.Likelihood(ctx, g.Weights, g.someImages(), 0, 0)
	if err != nil || likelihood == nil {
		return nil, err
	}
	return likelihood.Divergence, nil
}

func (g *gallery) manifold(ctx context.Context) ([]byte, error) {
	first, second, of := evaluate.PriorCoordinates(manifoldSide), evaluate.PriorCoordinates(manifoldSide), "quantiles of the prior"
	if !model.NormalPriorOf(g.Experiment.Model) {
		codes, err := g.someCodes(ctx)
		if err != nil {
			return nil, err
		}
		first, second, of = codes.Coordinates(0, manifoldSide), codes.Coordinates(1, manifoldSide), "the range of the test images' codes"
	}
	images, err := g.decode(ctx, evaluate.Manifold(first, second), -1)
	if err != nil {
		return nil, err
	}
	sheet := evaluate.Sheet{
		Images: images, Columns: manifoldSide, Tight: true, Top: make([]string, manifoldSide), Left: make([]string, manifoldSide),
		Caption: fmt.Sprintf("%s · images of codes over %s from 0.01 to 0.99%s: z1 to the right, z2 upwards", g.caption(), of, g.with(-1)),
	}
	for i := range manifoldSide {
		if i%manifoldTicks == 0 || i == manifoldSide-1 {
			sheet.Top[i], sheet.Left[manifoldSide-1-i] = signed(first[i], 2), signed(second[i], 2)
		}
	}
	return sheet.Draw()
}

func (g *gallery) drawMap(ctx context.Context, options Options) ([]byte, error) {
	codes, err := g.someCodes(ctx)
	if err != nil {
		return nil, err
	}
	m := CodeMap{Caption: fmt.Sprintf("%s · codes of test images", g.caption())}
	if g.test.Labels != nil {
		m.Labels, m.Classes = g.someImages().Labels, g.split.Classes
		m.Caption += ", by their class"
	}
	return m.Draw(ctx, codes, options)
}

// MapCodes is how many codes a map shows at most.
const MapCodes = mapped

// CodeMap is a picture of codes on planes: by principal components, and by t-SNE.
type CodeMap struct {
	Caption string
	// Labels are the codes' classes, an index into Classes each; nil marks all alike.
	Labels  []uint8
	Classes []string
}

// Draw draws the map of codes as a PNG.
func (m CodeMap) Draw(ctx context.Context, codes evaluate.Codes, options Options) ([]byte, error) {
	options = options.withDefaults()
	points := codes.Matrix()
	plane, explained, err := projection.PCA(points)
	if err != nil {
		return nil, err
	}
	n, near := codes.Len(), min(mappedSlowly, codes.Len())
	fmt.Fprintf(options.Log, "t-SNE    of %s codes\n", thousands(near))
	neighbours, err := projection.TSNE(ctx, points.Slice(0, near, 0, codes.Size).(*mat.Dense))
	if err != nil {
		return nil, err
	}
	return evaluate.CodeMap{
		Caption: m.Caption, Labels: m.Labels, Classes: m.Classes,
		Panels: []evaluate.Panel{
			{
				Title: fmt.Sprintf("PCA of %s", thousands(n)),
				X:     fmt.Sprintf("→ first principal component, %.1f %% of the variance", 100*explained[0]),
				Y:     fmt.Sprintf("→ second principal component, %.1f %% of the variance", 100*explained[1]), Points: evaluate.Points(plane),
			},
			{
				Title: fmt.Sprintf("t-SNE of %s, perplexity %.0f", thousands(near), projection.Perplexity(near)),
				X:     "neighbours are near in the code; axes and distances of groups have no meaning", Points: evaluate.Points(neighbours),
			},
		},
	}.Draw()
}
