package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"

	"latent/experiments/venv"
)

var (
	//go:embed peers/optuna_side.py
	script string
	//go:embed requirements.txt
	requirements string
	//go:embed optuna.json
	kept []byte
)

// keptAt is where Optuna's figures are, seen from the repository's root.
const keptAt = "experiments/strategies/optuna.json"

// figures is what Optuna's samplers reached.
type figures struct {
	Versions map[string]string               `json:"versions"`
	Seeds    int                             `json:"seeds"`
	Trials   int                             `json:"trials"`
	Points   map[string][]fixedPoint         `json:"points"`  // by function
	Regrets  map[string]map[string][]float64 `json:"regrets"` // by function and strategy, one a seed
}

// fixedPoint is a function's value as Python computes it.
type fixedPoint struct {
	Params map[string]float64 `json:"params"`
	Value  float64            `json:"value"`
}

// readFigures returns the kept figures.
func readFigures(text []byte) (*figures, error) {
	f := new(figures)
	if err := json.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("read Optuna's figures: %w", err)
	}
	if f.Seeds != seeds || f.Trials != trials {
		return nil, fmt.Errorf("read Optuna's figures: %d seeds of %d trials, and ours are %d of %d; make them anew with --optuna",
			f.Seeds, f.Trials, seeds, trials)
	}
	return f, nil
}

// runOptuna makes the figures anew and keeps them.
func runOptuna(ctx context.Context, folder string, torch bool) (*figures, error) {
	packages := requirements
	if torch {
		packages += "torch\n"
	}
	python, err := venv.Environment{Name: "optuna", Folder: folder, Requirements: packages, Log: os.Stderr}.Make(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{"random", "quasi-random", "tpe", "tpe multivariate", "cma-es"}
	if torch {
		names = append(names, "gp")
	}
	arguments := slices.Concat([]string{"-", strconv.Itoa(seeds), strconv.Itoa(trials)}, names)
	cmd := exec.CommandContext(ctx, python, arguments...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader([]byte(script)), os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run Optuna: %w", err)
	}
	f, err := readFigures(text)
	if err != nil {
		return nil, err
	}
	return f, os.WriteFile(keptAt, text, 0o644)
}
