package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"latent/experiments/venv"
)

//go:embed peers/*.py
var scripts embed.FS

//go:embed requirements.txt
var requirements string

// setup is what a person decides of a run.
type setup struct {
	backend    string // that Latent computes on: xla:cpu or xla:cuda
	card       bool   // the parts of a card, whatever the backend
	rounds     int
	images     int    // training images of an epoch
	data, venv string // "" for the usual folders
	latent     string // the command latent; "" to build it
	python     string // the peers' interpreter; "" for that of the virtual environment
	peers      bool
	patience   time.Duration // how long an answer may take; 0 is for ever
	log        io.Writer
}

// bench is what the parts work with.
type bench struct {
	setup
	temp     string            // a folder of this run's own
	self     string            // this program
	packages map[string]string // the peers' versions, by the names of their packages
	pool     *pool             // contestants that stay alive; for the parts of a card
}

func (b *bench) logf(format string, args ...any) { fmt.Fprintf(b.log, format+"\n", args...) }

// config is the seed's experiment.
const config = "configs/mnist/denoise.yaml"

// prepare builds the command, and finds or makes what the contestants need. The caller removes b.temp afterwards, whatever
// comes of it.
func (b *bench) prepare(ctx context.Context) (err error) {
	if _, err := os.Stat(config); err != nil {
		return fmt.Errorf("%w; run bench in the repository's root", err)
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.temp, err = os.MkdirTemp("", "latent-bench-"); err != nil {
		return err
	}
	if b.latent == "" {
		b.latent = filepath.Join(b.temp, "latent")
		if err := b.execute(ctx, "go", "build", "-o", b.latent, "./experiments/latent"); err != nil {
			return err
		}
	}
	if b.data, err = b.findData(ctx); err != nil || !b.peers {
		return err
	}
	if err := b.unpack(); err != nil {
		return err
	}
	if b.python == "" {
		peers := venv.Environment{Name: "bench", Folder: b.venv, Requirements: requirements, Log: b.log,
			Note: "making %s for the peers, once: PyTorch takes 6 GB on Linux"}
		if b.python, err = peers.Make(ctx); err != nil {
			return err
		}
	}
	err = b.findPackages(ctx)
	if err != nil && b.card {
		b.logf("without peers: %v", err)
		return nil
	}
	return err
}

// execute runs a command to its end, with what it says in the log.
func (b *bench) execute(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = b.log, b.log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

// findData returns the folder of MNIST's published files, after a download where they are nowhere.
func (b *bench) findData(ctx context.Context) (string, error) {
	var folders []string
	switch shared := os.Getenv("LATENT_DATA_DIR"); {
	case b.data != "":
		folders = []string{b.data}
	case shared != "":
		folders = []string{filepath.Join(shared, "mnist"), shared}
	default:
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		if err := b.execute(ctx, b.latent, "data", "fetch", "mnist"); err != nil {
			return "", err
		}
		folders = []string{filepath.Join(cache, "latent", "datasets", "mnist")}
	}
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(folder, "train-images-idx3-ubyte.gz")); err == nil {
			return filepath.Abs(folder)
		}
	}
	return "", fmt.Errorf("find MNIST: no train-images-idx3-ubyte.gz in %s; the peers read the files as published", strings.Join(folders, " or "))
}

// unpack writes the peers' scripts to where Python finds them.
func (b *bench) unpack() error {
	return fs.WalkDir(scripts, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := scripts.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(b.temp, filepath.Base(path)), text, 0o600)
	})
}

// peer is a contestant written in Python.
func (b *bench) peer(name, script string, arguments ...string) contestant {
	command := append([]string{b.python, filepath.Join(b.temp, script), b.data}, arguments...)
	return contestant{name: name, command: command, patience: b.patience}
}

// device is what the peers call what the backend computes on.
func (b *bench) device() string { return strings.TrimPrefix(b.backend, "xla:") }

// torch is PyTorch.
func (b *bench) torch(name, variant string) contestant {
	return b.peer(name, "peer_torch.py", b.device(), variant)
}

// jax is JAX, without a part of the card's memory that it keeps for itself: there are others.
func (b *bench) jax(name, variant string) contestant {
	c := b.peer(name, "peer_jax.py", variant)
	c.env = []string{"JAX_PLATFORMS=" + b.device(), "XLA_PYTHON_CLIENT_PREALLOCATE=false"}
	return c
}

// compiler says whether there is a C++ compiler, which torch.compile needs.
func compiler() bool {
	for _, name := range []string{os.Getenv("CXX"), "g++", "clang++"} {
		if _, err := exec.LookPath(name); name != "" && err == nil {
			return true
		}
	}
	return false
}
