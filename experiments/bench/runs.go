package main

import (
	"context"
	"fmt"
)

// manyRuns is the number of runs.
const manyRuns = 16

// runs compares ways to train one model with many seeds.
func (b *bench) runs(ctx context.Context) (result, error) {
	// Latent twice: a process keeps the program of its last request only.
	group, single := b.worker(), b.worker()
	group.name, single.name = "Latent, a group", "Latent, one after another"
	contestants := []contestant{group, single}
	if b.peers {
		contestants = append(contestants,
			b.peer("PyTorch eager, fused Adam, one after another", "peer_torch.py", "fused"),
			b.peer("JAX lax.scan under vmap", "peer_jax.py", "scan"))
	}
	var all []series
	err := together(ctx, contestants, func(processes []*process) (err error) {
		r := b.fifth()
		r.Runs = manyRuns
		var entries []entry
		for _, p := range processes {
			entries = append(entries, asking(p, r))
		}
		entries[1] = oneByOne(processes[1], r)
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

// oneByOne is an entry in which a process trains r's runs one after another.
func oneByOne(p *process, r request) entry {
	return entry{p.name, func(round int) (sample, error) {
		var sum sample
		one := r
		one.Runs = 1
		for i := range r.Runs {
			one.Seed = firstSeed(round, r.Runs) + int64(i)
			a, err := p.ask(one)
			if err != nil {
				return sample{}, err
			}
			sum.Seconds += a.Seconds
			sum.Loss += a.Loss / float64(r.Runs)
		}
		return sum, nil
	}}
}
