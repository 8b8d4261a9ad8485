package main

import "context"

const namePlain = "Latent, GoMLX's gradients"

// The steps of a round: few of the slowest contestant, which takes seconds for each.
const (
	unetSteps  = 40
	plainSteps = 2
)

// unet compares first steps of the U-Net of configs/mnist/denoise-unet.yaml, whose convolutions have gradients of Latent's own.
func (b *bench) unet(ctx context.Context) (result, error) {
	own, plain := b.worker(), b.worker()
	plain.name = namePlain
	contestants := []contestant{own, plain}
	if b.has("torch") {
		contestants = append(contestants, b.torch(nameFused, "fused"))
	}
	var all []series
	err := together(ctx, contestants, func(processes []*process) (err error) {
		var entries []entry
		for _, p := range processes {
			r, steps := request{Task: "epoch", Batch: 128, Width: 1, Runs: 1, Model: modelUNet}, unetSteps
			if p.name == namePlain {
				r.Model, steps = modelPlain, plainSteps
			}
			r.Images = steps * r.Batch
			entries = append(entries, each(asking(p.name, p.ask, r), steps))
		}
		// The losses are not compared: after so few steps some seeds still draw nothing but black.
		all, err = b.rules().alternate(ctx, entries)
		return err
	})
	if err != nil {
		return result{}, err
	}
	return result{
		races: []race{{series: all}},
		notes: []string{"A step of a U-Net of 24, 48 and 96 channels, batches of 128, the mean of the first 40 steps, or of 2 with the gradients of " +
			"GoMLX's convolutions, which XLA's plugin for the CPU runs slowly in a loop of the graph. Latent's own are the same to rounding " +
			"(`go test ./pkg/model -run Convol`, and `TestPlainUNet` here)."},
		tables: []table{compare(all, milliseconds("ms", "%.0f"))},
	}, nil
}
