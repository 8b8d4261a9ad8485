package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed peers/*.py
var scripts embed.FS

//go:embed requirements.txt
var requirements string

// setup is what a person decides of a run.
type setup struct {
	rounds     int
	images     int    // training images of an epoch
	data, venv string // "" for the usual folders
	peers      bool
	log        io.Writer
}

// bench is what the parts work with.
type bench struct {
	setup
	temp   string // a folder of this run's own
	self   string // this program
	latent string // the command latent
	python string // the peers' interpreter
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
	b.latent = filepath.Join(b.temp, "latent")
	if err := b.execute(ctx, "go", "build", "-o", b.latent, "./experiments/latent"); err != nil {
		return err
	}
	if b.data, err = b.findData(ctx); err != nil || !b.peers {
		return err
	}
	if err := b.unpack(); err != nil {
		return err
	}
	return b.install(ctx)
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

// install makes the peers' virtual environment, or brings it to the versions of requirements.txt; where it has them, pip
// needs a second and no network.
func (b *bench) install(ctx context.Context) error {
	if b.venv == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		b.venv = filepath.Join(cache, "latent", "bench-venv")
	}
	b.python = filepath.Join(b.venv, "bin", "python")
	if _, err := os.Stat(b.python); errors.Is(err, fs.ErrNotExist) {
		b.logf("making %s for the peers, once: PyTorch takes 6 GB on Linux", b.venv)
		if err := b.execute(ctx, "python3", "-m", "venv", b.venv); err != nil {
			return err
		}
	}
	list := filepath.Join(b.temp, "requirements.txt")
	if err := os.WriteFile(list, []byte(requirements), 0o600); err != nil {
		return err
	}
	return b.execute(ctx, b.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", list)
}

// peer is a contestant written in Python.
func (b *bench) peer(name, script string, arguments ...string) contestant {
	return contestant{name: name, command: append([]string{b.python, filepath.Join(b.temp, script), b.data}, arguments...)}
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
