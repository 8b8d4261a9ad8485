package main

import (
	"context"
	"fmt"
)

// manyRuns is the number of runs.
const manyRuns = 16

// runs compares ways to train one model with many seeds.
func (b *bench) runs(ctx context.Context) (result, error) {
	var all []series
	err := together(ctx, b.trainers(nameEager, nameScan), func(processes []*process) (err error) {
		r := b.fifth()
		r.Runs = manyRuns
		var entries []entry
		for _, p := range processes {
			entry := asking(p, r)
			entry.name = map[string]string{
				nameLatent: "Latent, a group", nameEager: "PyTorch eager, one after another", nameScan: "JAX lax.scan under vmap",
			}[p.name]
			entries = append(entries, entry)
		}
		all, err = b.alternate(ctx, entries, acrossSeeds(b.rounds*manyRuns))
		return err
	})
	if err != nil {
		return result{}, err
	}
	return result{
		notes: []string{fmt.Sprintf("An epoch of %d images of each of %d runs of the seed's model, which differ in their seeds: first weights, shuffling "+
			"and noise. Everything is compiled before.", b.fifth().Images, manyRuns)},
		tables: []table{compare(all, "s", "%.2f", series.seconds).withLosses(all)},
	}, nil
}
