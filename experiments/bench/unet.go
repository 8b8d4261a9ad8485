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
	if b.peers {
		contestants = append(contestants, b.peer(nameFused, "peer_torch.py", "fused"))
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
			entries = append(entries, eachStep(asking(p, r), steps))
		}
		// The losses are not compared: after so few steps some seeds still draw nothing but black.
		all, err = alternate(ctx, b.rounds, entries, b.tell)
		return err
	})
	if err != nil {
		return result{}, err
	}
	return result{
		notes: []string{"A step of a U-Net of 24, 48 and 96 channels, batches of 128, the mean of the first 40 steps, or of 2 with the gradients of " +
			"GoMLX's convolutions, which XLA's plugin for the CPU runs slowly in a loop of the graph. Latent's own are the same to rounding " +
			"(`go test ./pkg/model -run Convol`, and `TestPlainUNet` here)."},
		tables: []table{compare(all, "ms", "%.0f", func(s series) []float64 {
			return s.column(func(s sample) float64 { return s.Seconds * 1e3 })
		})},
	}, nil
}

// eachStep is an entry with the time of one of its steps.
func eachStep(e entry, steps int) entry {
	return entry{e.name, func(round int) (sample, error) {
		s, err := e.measure(round)
		s.Seconds /= float64(steps)
		return s, err
	}}
}
