package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
	"latent/pkg/weights"
)

// exports are the formats that a run's model is written in: each returns files by their names.
var exports = map[string]func(*experiment.Trained) (map[string][]byte, error){
	"npz":         exportNPZ,
	"safetensors": exportSafetensors,
}

func newExport(c *console) *cobra.Command {
	var format, out string
	var force, asJSON bool
	cmd := &cobra.Command{
		Use:   "export RUN",
		Short: "Write a run's model for other tools",
		Long: `Export writes the weights of the run in a folder, those that its figures were measured with, to a folder:

  npz          weights.npz, for NumPy
  safetensors  weights.safetensors, for PyTorch, JAX and others; latent import reads it again

docs/weights.md says what is in them.`,
		Example: "  latent export runs/mnist-denoise/2026-11-24T10-15-30-7f3a --format safetensors -o exported",
		Args:    cobra.ExactArgs(1),
	}
	formats := strings.Join(slices.Sorted(maps.Keys(exports)), ", ")
	cmd.Flags().StringVar(&format, "format", "safetensors", "one of "+formats)
	cmd.Flags().StringVarP(&out, "output", "o", "", "folder for the files; it is made where it is not (default: export in the run's folder)")
	cmd.Flags().BoolVar(&force, "force", false, "write over files that are there")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the files' paths as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		export, found := exports[format]
		if !found {
			return usageError{fmt.Errorf("--format=%s: want one of %s", format, formats)}
		}
		trained, err := experiment.Read(args[0], nil, experiment.Options{Log: c.stderr})
		if err != nil {
			return err
		}
		files, err := export(trained)
		if err != nil {
			return err
		}
		paths, err := writeFiles(cmp.Or(out, filepath.Join(trained.Run.Path, "export")), files, force)
		if err != nil {
			return experiment.InputError{Err: err}
		}
		if asJSON {
			return printJSON(c, struct {
				Run   string   `json:"run"`
				Files []string `json:"files"`
			}{args[0], paths})
		}
		for _, path := range paths {
			fmt.Fprintf(c.stderr, "written  %s\n", path)
		}
		return nil
	}
	return cmd
}

// writeFiles writes files into a folder, and returns their paths. Where one is there already, none is written but with force.
func writeFiles(dir string, files map[string][]byte, force bool) ([]string, error) {
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil && !force {
			return nil, fmt.Errorf("%s is there already; choose another folder with --output, or write over it with --force", path)
		}
		paths = append(paths, path)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("%w; choose another folder with --output", err)
	}
	for _, path := range paths {
		if err := writeNew(path, files[filepath.Base(path)], force); err != nil {
			return nil, fmt.Errorf("%w; choose another folder with --output", err)
		}
	}
	return paths, nil
}

func exportNPZ(t *experiment.Trained) (map[string][]byte, error) {
	tensors, err := t.Tensors()
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	if err := weights.WriteNPZ(&file, tensors); err != nil {
		return nil, err
	}
	return map[string][]byte{"weights.npz": file.Bytes()}, nil
}

func exportSafetensors(t *experiment.Trained) (map[string][]byte, error) {
	tensors, err := t.Tensors()
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	if err := weights.WriteSafetensors(&file, tensors, t.Describe()); err != nil {
		return nil, err
	}
	return map[string][]byte{"weights.safetensors": file.Bytes()}, nil
}

func newImport(c *console) *cobra.Command {
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import WEIGHTS CONFIG [key=value …]",
		Short: "Make a run of weights that were trained elsewhere",
		Long: `Import takes the weights of an experiment's model from a safetensors file, measures them on the test images, draws the final
picture, and leaves a run's folder, on which eval, denoise, generate and export work.

The file is one that latent export wrote, or, for a dense model, a PyTorch state dict of linear layers:

  safetensors.torch.save_file(model.state_dict(), "model.safetensors")

Its layers are taken in the order of their names, the encoder's before the decoder's, and must be those of the config.`,
		Example: "  latent import model.safetensors configs/mnist/denoise.yaml",
		Args:    cobra.MinimumNArgs(2),
	}
	cmd.Flags().StringVar(&out, "out", "", "folder for all runs, instead of output.dir")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the run's folder and manifest as JSON at the end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := config.Load(args[1], args[2:]...)
		if err != nil {
			return err
		}
		if out != "" {
			e.Output.Dir = out
		}
		run, err := experiment.Import(cmd.Context(), e, args[0], experiment.Options{Log: c.stderr, Terminal: c.terminal(), Command: commandLine()})
		if err != nil || !asJSON {
			return err
		}
		return printRuns(c, []*rundir.Run{run})
	}
	return cmd
}
