package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/model"
	files "latent/pkg/table"
)

var (
	//go:embed peers/bound_torch.py
	boundScript string
	//go:embed peers/bound_requirements.txt
	boundPackages string
)

// twin is what the same model came to in PyTorch.
type twin struct {
	NLL     float64 `json:"nll"`
	Seconds float64 `json:"seconds"`
	Version string  `json:"version"`
}

// obtainTwin trains the model of a bound in PyTorch, or takes what that came to before, or without training nil.
func obtainTwin(ctx context.Context, t paperTrial, seed int64, runs string, train bool) (*twin, error) {
	e, err := config.Load(t.config, t.overrides...)
	if err != nil {
		return nil, err
	}
	var found *twin
	err = kept(filepath.Join(runs, fmt.Sprintf("torch-%s-%d.json", t.name, seed)), &found, func() ([]byte, error) {
		if !train {
			return nil, fs.ErrNotExist
		}
		return trainTwin(ctx, e, seed)
	})
	if !train && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return found, err
}

// trainTwin gives PyTorch the images and numbers of an experiment, and returns what it printed.
func trainTwin(ctx context.Context, e *config.Experiment, seed int64) ([]byte, error) {
	split, err := e.Data.Load(ctx, dataset.Options{})
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "latent-twin-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	for name, images := range map[string]*dataset.Samples{"train": split.Train, "test": split.Test} {
		if err := files.Write(filepath.Join(folder, name+".npy"), nil, images.Packed().Values, images.Len(), images.Size()); err != nil {
			return nil, err
		}
	}
	asked, err := json.Marshal(map[string]any{"samples": e.Model.(*model.VAE).Samples, "epochs": e.Train.Epochs, "rate": e.Train.LearningRate,
		"epsilon": e.Train.Epsilon, "batch": e.Train.BatchSize, "seed": seed, "draws": e.Evaluate.NLLSamples, "images": e.Evaluate.NLLImages})
	if err != nil {
		return nil, err
	}
	return askPython(ctx, "torch", boundPackages, boundScript, folder, string(asked))
}
