package evaluate

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/restore"
	"latent/pkg/trace"
)

// mostSizes is for how many sizes of whole pictures compiled programs are kept. One takes a second to compile, and some megabytes.
const mostSizes = 128

// sized measures whole pictures of one size: in one piece by the evaluator's program or, where they are too large for that, with the
// model's pass in parts, which [later.restorer] does, between the damage and the figures of one picture.
type sized struct {
	*Evaluator
	damage, figures *program // nil where the evaluator has its program
}

// close frees the programs.
func (s sized) close() {
	if s.main != nil {
		s.Evaluator.Close()
		return
	}
	s.damage.exec.Finalize()
	s.figures.exec.Finalize()
}

// closeSizes frees the programs for whole pictures, and forgets them.
func (l *later) closeSizes() {
	for _, one := range l.sizes {
		one.close()
	}
	clear(l.sizes)
}

// measureWhole is measureAll of whole pictures of one size.
func (e *Evaluator) measureWhole(ctx context.Context, weights []*tensors.Tensor, whole *dataset.Samples) (rows, error) {
	if !model.AnySize(e.spec.Model, e.image) {
		return nil, fmt.Errorf("measure pictures of %d×%d: the model only works on %d×%d; scale the pictures with data.height and data.width instead of data.patch",
			whole.Height, whole.Width, e.image.Height, e.image.Width)
	}
	one, err := e.ofSize(whole)
	if err != nil {
		return nil, fmt.Errorf("build the evaluation of pictures of %d×%d: %w", whole.Height, whole.Width, err)
	}
	if one.Evaluator, err = one.With(e.spec); err != nil {
		return nil, err
	}
	if one.main == nil {
		return one.measureInParts(ctx, e.later.restorer.With(weights), whole)
	}
	return one.measureSome(ctx, weights, whole, nil)
}

// ofSize returns what measures pictures of a size.
func (e *Evaluator) ofSize(whole *dataset.Samples) (one sized, err error) {
	size := dataset.Size{Height: whole.Height, Width: whole.Width}
	one, found := e.later.sizes[size]
	if found {
		return one, nil
	}
	one.Evaluator = e.prepareFor(whole)
	if one.spec.Recover || one.divisible() && !one.fits() {
		one, err = e.aroundParts(whole)
	} else {
		one.main, err = one.compile(one.build)
	}
	if err != nil {
		return one, err
	}
	if len(e.later.sizes) == mostSizes {
		e.later.closeSizes()
	}
	if e.later.sizes == nil {
		e.later.sizes = map[dataset.Size]sized{}
	}
	e.later.sizes[size] = one
	return one, nil
}

// prepareFor is prepare for pictures of another size of the same data: of pairs where any of its parts has them.
func (e *Evaluator) prepareFor(pictures *dataset.Samples) *Evaluator {
	like := *pictures
	like.Target = e.like.Target
	return prepare(e.backend, e.spec, &like)
}

// divisible says whether a picture can go through the model in parts, and the loss be told from what comes out.
func (e *Evaluator) divisible() bool {
	_, local := e.spec.Model.(model.Local)
	return local && e.spec.Loss.Kind != "bce" && !e.spec.Corrupt.Collective()
}

// fits says whether a picture can be measured in one piece within the spec's memory.
func (e *Evaluator) fits() bool {
	memory := e.spec.Memory
	if memory == 0 {
		memory = trace.DefaultMemory()
	}
	traced, err := trace.Record(e.inputShapes(1), e.build)
	return err != nil || traced.Peak() <= memory
}

// measureInParts is measureWhole with the model's pass in parts.
func (s sized) measureInParts(ctx context.Context, restorer *restore.Restorer, whole *dataset.Samples) (rows, error) {
	all := s.noRows()
	for i := range whole.Len() {
		damaged, err := s.damaged(ctx, s.damage, whole, i)
		if err != nil {
			return nil, err
		}
		restored, err := restorer.Values(ctx, damaged, whole.Width, whole.Height)
		if err != nil {
			return nil, err
		}
		if s.spec.Recover {
			restore.Recover(restored, damaged, whole.Width, whole.Height, whole.Channels)
		}
		picture := tensors.FromFlatDataAndDimensions(restored, 1, whole.Height, whole.Width, whole.Channels)
		outputs, err := s.call(s.figures, []*tensors.Tensor{picture}, whole, i, 0)
		if err != nil {
			return nil, err
		}
		if err := all.add(outputs[0], 1); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// parts is the model on parts of pictures, without weights.
func (e *Evaluator) parts() (*restore.Restorer, error) {
	if e.later.restorer == nil {
		restorer, err := restore.New(e.backend, e.spec.Model, nil, e.like)
		if err != nil {
			return nil, err
		}
		e.later.restorer = restorer
	}
	return e.later.restorer, nil
}

// aroundParts compiles what measures pictures of a size with the model's pass in parts, and the model where none was measured so yet.
func (e *Evaluator) aroundParts(whole *dataset.Samples) (one sized, err error) {
	if _, err := e.parts(); err != nil {
		return one, err
	}
	if one.Evaluator, one.damage, err = e.damager(whole); err != nil {
		return one, err
	}
	// In the place of the weights comes the restored picture.
	list := append(one.inputShapes(1), shapes.Make(dtypes.Float32, 1, whole.Height, whole.Width, whole.Channels))
	one.figures, err = one.compileFor(1, list, one.buildFigures)
	return one, err
}

// Damaged calls do with each image as Measure gives it to the model, and with the clean one: float32 in the data's units, that is not
// rounded. Of patches, these are the whole pictures.
func (e *Evaluator) Damaged(ctx context.Context, images *dataset.Samples, do func(clean, damaged *dataset.Samples) error) error {
	if e.spec.Corrupt.Collective() {
		return fmt.Errorf("damage images: %s takes values from other samples", e.spec.Corrupt.Caption())
	}
	groups := images.Whole()
	if groups == nil {
		groups = []*dataset.Samples{images}
	}
	for _, group := range groups {
		if err := e.damagedOfSize(ctx, group, do); err != nil {
			return err
		}
	}
	return nil
}

// damagedOfSize is Damaged of images of one size.
func (e *Evaluator) damagedOfSize(ctx context.Context, images *dataset.Samples, do func(clean, damaged *dataset.Samples) error) error {
	one, damage, err := e.damager(images)
	if err != nil {
		return fmt.Errorf("build the damage of images of %d×%d: %w", images.Height, images.Width, err)
	}
	defer damage.exec.Finalize()
	for i := range images.Len() {
		values, err := one.damaged(ctx, damage, images, i)
		if err != nil {
			return err
		}
		for at := range values {
			values[at] = float32(images.Scale.Value(at, float64(values[at])))
		}
		clean, damaged := images.Like(), images.Like()
		clean.Values, damaged.Values = images.Clean().At(i).As(dtypes.Float32), array.Values{Float32: values}
		if err := do(clean, damaged); err != nil {
			return err
		}
	}
	return nil
}

// damaged returns image i as the model is given it, in its scale; damage is a program of damager.
func (e *Evaluator) damaged(ctx context.Context, damage *program, images *dataset.Samples, i int) ([]float32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	outputs, err := e.call(damage, nil, images, i, 0)
	if err != nil {
		return nil, err
	}
	return tensors.CopyFlatData[float32](outputs[0])
}

// damager compiles the damage of an image of a size: of an evaluator without weights.
func (e *Evaluator) damager(like *dataset.Samples) (*Evaluator, *program, error) {
	one := e.prepareFor(like)
	one.params = nil
	damage, err := one.compileFor(1, one.inputShapes(1), one.buildDamage)
	return one, damage, err
}

// buildDamage makes the program of the damaged picture, in the model's scale.
func (e *Evaluator) buildDamage(inputs []*Node) []*Node {
	damaged, _ := e.damage(e.read(inputs))
	return []*Node{damaged}
}

// buildFigures makes the program of the figures of a picture that was restored, which is the last input.
func (e *Evaluator) buildFigures(inputs []*Node) []*Node {
	in := e.read(inputs)
	damaged, mask := e.damage(in)
	out := model.Output{Image: inputs[inputParams]}
	terms := []model.Term{{Value: e.spec.Loss.PerImage(in.images, out, mask, in.loss)}}
	return []*Node{e.figuresOf(in.images, damaged, mask, out, terms)}
}
