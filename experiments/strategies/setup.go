package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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
func runOptuna(ctx context.Context, venv string, torch bool) (*figures, error) {
	python, err := install(ctx, venv, torch)
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

// install makes the virtual environment, or brings it to the versions of requirements.txt, and returns its interpreter.
func install(ctx context.Context, venv string, torch bool) (string, error) {
	if venv == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		venv = filepath.Join(cache, "latent", "optuna-venv")
	}
	python := filepath.Join(venv, "bin", "python")
	if _, err := os.Stat(python); errors.Is(err, fs.ErrNotExist) {
		if err := execute(ctx, "python3", "-m", "venv", venv); err != nil {
			return "", err
		}
	}
	list := filepath.Join(venv, "requirements.txt")
	if err := os.WriteFile(list, []byte(requirements), 0o600); err != nil {
		return "", err
	}
	arguments := []string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", list}
	if torch {
		arguments = append(arguments, "torch")
	}
	return python, execute(ctx, python, arguments...)
}

// execute runs a command to its end; what it says is for the person.
func execute(ctx context.Context, name string, arguments ...string) error {
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %v: %w", name, arguments, err)
	}
	return nil
}
