package main

import (
	"context"
	"fmt"
	"slices"
)

// productSize is the side of the matrices of the large product: 64 MB each, beyond every cache.
const productSize = 4096

const nameLimit = "arithmetic limit"

// epoch compares an epoch of the seed, and what the machine could do at best.
func (b *bench) epoch(ctx context.Context) (result, error) {
	contestants := b.trainers(nameEager, nameFused, nameCompile, nameStep, nameScan, nameFlags)
	var all []series
	err := together(ctx, contestants, func(processes []*process) (err error) {
		var entries []entry
		for _, p := range processes {
			entries = append(entries, asking(p.name, p.ask, b.seed()))
		}
		entries = append(entries, b.limit(processes))
		all, err = b.alternate(ctx, entries, acrossSeeds(1))
		return err
	})
	if err != nil {
		return result{}, err
	}
	notes := []string{fmt.Sprintf("%d images in batches of 128, the last one smaller, shuffled, with new noise: %.0f GFLOP in matrix products. Each "+
		"round is the first epoch of a fresh run with another seed, after compilation. The limit is the time of these "+
		"operations at the rate of a %[3]d×%[3]d×%[3]d product, taking the faster of XLA in Latent and PyTorch in that round.",
		b.images, epochFLOP(b.seed())/1e9, productSize)}
	if b.has("torch") && index(all, nameCompile) < 0 {
		notes = append(notes, "torch.compile was skipped: it needs a C++ compiler, and none was found.")
	}
	return result{
		races:  []race{{series: all}},
		notes:  notes,
		tables: []table{compare(all, seconds("%.3f")).withLosses(all)},
		bars: slices.Concat(
			against(all, "epoch: JAX lax.scan ÷ Latent", nameScan, nameLatent, series.seconds, 1.25, false),
			against(all, "epoch: PyTorch eager ÷ Latent", nameEager, nameLatent, series.seconds, 2, false),
			against(all, "epoch: Latent ÷ arithmetic limit", nameLatent, nameLimit, series.seconds, 2.7, true)),
	}, nil
}

// limit is an entry whose time is that of the epoch's operations at the rate of the fastest large product.
func (b *bench) limit(processes []*process) entry {
	return entry{name: nameLimit, measure: func(int) (sample, error) {
		rate := 0.0
		for _, p := range processes {
			if p.name != nameLatent && p.name != nameEager {
				continue
			}
			a, err := p.ask(request{Task: "product", Size: productSize})
			if err != nil {
				return sample{}, err
			}
			rate = max(rate, 2*productSize*productSize*productSize/a.Seconds)
		}
		return sample{Seconds: epochFLOP(b.seed()) / rate}, nil
	}}
}

// epochFLOP counts the operations of an epoch's matrix products: for each layer one product forwards, and backwards one
// for the weights and, but for the first layer, one for the input.
func epochFLOP(r request) float64 {
	sizes := []float64{784, 256 * r.Width, 128 * r.Width, 64 * r.Width, 128 * r.Width, 256 * r.Width, 784}
	total := 0.0
	for i, in := range sizes[:len(sizes)-1] {
		products := 3.0
		if i == 0 {
			products = 2
		}
		total += products * 2 * in * sizes[i+1]
	}
	return total * float64(r.Images)
}
