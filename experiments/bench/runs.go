package main

import (
	"context"
	"fmt"
)

// manyRuns is the number of runs.
const manyRuns = 16

// runs compares ways to train one model with many seeds.
func (b *bench) runs(ctx context.Context) (result, error) {
	contestants := []contestant{b.worker()}
	if b.has("torch") {
		contestants = append(contestants, b.torch("PyTorch eager, fused Adam, one after another", "fused"))
	}
	if b.has("jax") {
		contestants = append(contestants, b.jax("JAX lax.scan under vmap", "scan"))
	}
	var all []series
	err := together(ctx, contestants, func(processes []*process) (err error) {
		r := b.fifth()
		r.Runs = manyRuns
		latent := processes[0].ask
		entries := []entry{asking("Latent, a group", latent, r), oneByOne("Latent, one after another", latent, r)}
		for _, p := range processes[1:] {
			entries = append(entries, asking(p.name, p.ask, r))
		}
		all, err = b.alternate(ctx, entries, acrossSeeds(manyRuns))
		return err
	})
	if err != nil {
		return result{}, err
	}
	return result{
		races: []race{{series: all}},
		notes: []string{fmt.Sprintf("An epoch of %d images of each of %d runs of the MNIST denoiser with different seeds for initial weights, shuffling "+
			"and noise, after compilation.", b.fifth().Images, manyRuns)},
		tables: []table{compare(all, seconds("%.2f")).withLosses(all)},
	}, nil
}

// oneByOne is an entry in which a contestant trains r's runs one after another.
func oneByOne(name string, ask asker, r request) entry {
	return entry{name: name, measure: func(round int) (sample, error) {
		var sum sample
		one := r
		one.Runs = 1
		for i := range r.Runs {
			one.Seed = firstSeed(round, r.Runs) + int64(i)
			a, err := ask(one)
			if err != nil {
				return sample{}, err
			}
			sum.Seconds += a.Seconds
			sum.Loss += a.Loss / float64(r.Runs)
		}
		return sum, nil
	}}
}
