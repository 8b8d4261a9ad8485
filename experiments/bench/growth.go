package main

import (
	"context"
	"fmt"
)

// points are the sizes at which growth is measured, by what varies.
func (b *bench) points() (names []string, requests []request) {
	add := func(name string, change func(*request)) {
		r := b.fifth()
		change(&r)
		names, requests = append(names, name), append(requests, r)
	}
	for _, images := range []int{b.images / 20, b.images / 5, b.images} {
		add(fmt.Sprintf("%d images", images), func(r *request) { r.Images = images })
	}
	for _, batch := range []int{32, 512} {
		add(fmt.Sprintf("batch %d", batch), func(r *request) { r.Batch = batch })
	}
	for _, width := range []float64{0.5, 2, 4} {
		add(fmt.Sprintf("width × %g", width), func(r *request) { r.Width = width })
	}
	return names, requests
}

// growth compares an epoch at several sizes.
func (b *bench) growth(ctx context.Context) (result, error) {
	var t table
	var races []race
	err := together(ctx, b.trainers(nameFused, nameScan), func(processes []*process) error {
		t.header = []string{""}
		for i, p := range processes {
			t.header = append(t.header, p.name+", s")
			if i > 0 {
				t.header = append(t.header, "÷ Latent")
			}
		}
		names, requests := b.points()
		for i, r := range requests {
			b.logf("  %s", names[i])
			var entries []entry
			for _, p := range processes {
				entries = append(entries, asking(p.name, p.ask, r))
			}
			all, err := b.alternate(ctx, entries, acrossSeeds(1))
			if err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
			races = append(races, race{name: names[i], series: all})
			row := []string{names[i]}
			for i, s := range all {
				row = append(row, fmt.Sprintf("%.3f", median(s.seconds())))
				if i > 0 {
					row = append(row, fmt.Sprintf("**%.2f**", median(pairs(s.seconds(), all[0].seconds()))))
				}
			}
			t.rows = append(t.rows, row)
		}
		return nil
	})
	if err != nil {
		return result{}, err
	}
	return result{
		races: races,
		notes: []string{fmt.Sprintf("Median time of an epoch. Defaults: %d images, batches of 128, and hidden layers of 256, 128, 64, 128, 256, multiplied "+
			"by the width.", b.fifth().Images)},
		tables: []table{t},
	}, nil
}
