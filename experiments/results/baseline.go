package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"

	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/probe"
)

// baseline is a code that the probe of a learned one is compared with.
type baseline struct {
	title    string
	accuracy float64
}

// components is the number of principal components of the baseline: the size of the codes that are probed.
const components = 64

// probeBaselines probes the principal components of the images.
func probeBaselines(ctx context.Context) ([]baseline, error) {
	i := slices.IndexFunc(trials, func(t trial) bool { return t.name == masked })
	e, err := config.Load(trials[i].config)
	if err != nil {
		return nil, err
	}
	split, err := e.Data.Load(ctx, dataset.Options{})
	if err != nil {
		return nil, err
	}
	axes, err := principal(pixels(split.Train), components)
	if err != nil {
		return nil, err
	}
	set := func(images *dataset.Samples) probe.Set {
		var codes mat.Dense
		codes.Mul(pixels(images), axes)
		return probe.Set{Codes: &codes, Labels: images.Labels}
	}
	fitted, err := probe.Fit(ctx, set(split.Train), set(split.Validation), len(split.Classes))
	if err != nil {
		return nil, err
	}
	test := set(split.Test)
	accuracy := probe.Accuracy(fitted.Classes(test.Codes), test.Labels)
	return []baseline{{fmt.Sprintf("%d principal components", components), accuracy}}, nil
}

// pixels are images as rows: [images, values].
func pixels(images *dataset.Samples) *mat.Dense {
	values := make([]float64, images.Values.Len())
	for i := range values {
		values[i] = images.Values.At(i) / 255
	}
	return mat.NewDense(images.Len(), images.Size(), values)
}

// principal returns the n directions in which rows vary most, in falling order: [values, n]. It changes nothing of rows but
// their mean, which moves the codes and not what a probe makes of them.
func principal(rows *mat.Dense, n int) (*mat.Dense, error) {
	count, values := rows.Dims()
	means := make([]float64, values)
	for i := range count {
		for j, value := range rows.RawRowView(i) {
			means[j] += value / float64(count)
		}
	}
	for i := range count {
		for j := range values {
			rows.RawRowView(i)[j] -= means[j]
		}
	}
	covariance := mat.NewSymDense(values, nil)
	covariance.SymOuterK(1/float64(count), rows.T())
	var eigen mat.EigenSym
	if !eigen.Factorize(covariance, true) {
		return nil, errors.New("the principal components were not found")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	axes := mat.NewDense(values, n, nil)
	for j := range n {
		axes.SetCol(j, mat.Col(nil, values-1-j, &vectors)) // eigenvalues rise
	}
	return axes, nil
}
