package command

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"latent/pkg/experiment"
)

// exportFormats holds every format by its name.
var exportFormats = map[string]func(t *experiment.Trained) (exported, error){
	"npz":         exportNPZ,
	"onnx":        exportONNX,
	"sae-lens":    exportSAELens,
	"safetensors": exportSafetensors,
}

// exported is what a format makes of a run.
type exported struct {
	files []exportedFile
	// missing says what of the model is not in the files, and why.
	missing []string
}

// exportedFile is a file to write.
type exportedFile struct {
	name string
	data []byte
	// about says in a line what the file holds; details say it for programs.
	about   string
	details any
}

func newExport(c *console) *cobra.Command {
	formats := strings.Join(slices.Sorted(maps.Keys(exportFormats)), ", ")
	var format, out string
	var force, asJSON bool
	cmd := &cobra.Command{
		Use:   "export RUN",
		Short: "Write a run's model as files for other programs",
		Long: `Export writes the model of a run, with the weights that its figures were measured with, into a folder.

  onnx         encoder.onnx, decoder.onnx and model.onnx, from image to reconstruction, for any number of images at once; what a
               kind of model has none of is told. docs/onnx.md has inputs, outputs and a program that runs them.
  safetensors  weights.safetensors, the weights alone, for PyTorch, JAX and latent import
  npz          weights.npz, the same for NumPy; docs/weights.md has names and shapes
  sae-lens     cfg.json and sae_weights.safetensors of a sparse dictionary, for sae_lens.SAE.load_from_disk; see docs/sae.md`,
		Example: "  latent export runs/mnist-denoise/2026-11-24T10-15-30-7f3a --format onnx -o exported",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&format, "format", "onnx", "of the files: "+formats)
	cmd.Flags().StringVarP(&out, "out", "o", "exported", "folder for the files")
	cmd.Flags().BoolVar(&force, "force", false, "write over files that are there")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was written as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		export, found := exportFormats[format]
		if !found {
			return usageError{fmt.Errorf("--format=%s: want one of %s", format, formats)}
		}
		run, err := pathOf(args[0])
		if err != nil {
			return err
		}
		trained, err := experiment.Read(run, nil, experiment.Options{Log: c.stderr})
		if err != nil {
			return err
		}
		made, err := export(trained)
		if err != nil {
			return err
		}
		if err := made.write(c, out, force); err != nil {
			return experiment.InputError{Err: err}
		}
		if !asJSON {
			return nil
		}
		return printJSON(c, made.told(args[0], format, out))
	}
	return cmd
}

// write writes the files, all or, where one of them is there already, none.
func (e exported) write(c *console, out string, force bool) error {
	for _, file := range e.files {
		path := filepath.Join(out, file.name)
		if _, err := os.Lstat(path); err == nil && !force {
			return fmt.Errorf("%s is there already; choose another folder with --out, or write over it with --force", path)
		}
	}
	if err := cmp.Or(canWrite(out), os.MkdirAll(out, 0o755)); err != nil {
		return fmt.Errorf("write to the folder %s: %w; choose another with --out", out, err)
	}
	for _, file := range e.files {
		path := filepath.Join(out, file.name)
		if err := writeNew(path, file.data, force); err != nil {
			return errors.Join(err, errors.New("choose another folder with --out"))
		}
		fmt.Fprintf(c.stderr, "file     %s: %s\n", path, file.about)
	}
	for _, what := range e.missing {
		fmt.Fprintf(c.stderr, "without  %s\n", what)
	}
	return nil
}

// told is what --json prints.
func (e exported) told(run, format, out string) any {
	type file struct {
		File    string `json:"file"`
		Bytes   int    `json:"bytes"`
		Details any    `json:"details,omitempty"`
	}
	var files []file
	for _, f := range e.files {
		files = append(files, file{filepath.Join(out, f.name), len(f.data), f.details})
	}
	return struct {
		Run     string   `json:"run"`
		Format  string   `json:"format"`
		Files   []file   `json:"files"`
		Missing []string `json:"missing,omitempty"`
	}{run, format, files, e.missing}
}

// metadata says where files come from, and what a program needs to know beside them.
func metadata(t *experiment.Trained) ([][2]string, error) {
	folder, err := filepath.Abs(t.Run.Path)
	if err != nil {
		return nil, err
	}
	list := [][2]string{
		{"run", t.Manifest.Name},
		{"run_id", filepath.Base(folder)},
		{"step", strconv.Itoa(t.Step)},
		{"dataset", t.Manifest.Data.Dataset},
		{"height", strconv.Itoa(t.Image.Height)},
		{"width", strconv.Itoa(t.Image.Width)},
		{"channels", strconv.Itoa(t.Image.Channels)},
	}
	described := map[string]any{}
	if classes := t.Manifest.Data.Classes; len(classes) > 0 {
		described["classes"] = classes
	}
	if features := t.Manifest.Data.Features; features != nil {
		described["features"] = features
	}
	if s := t.Manifest.Data.Scale; s != nil {
		described["scale"] = s
	}
	for _, key := range slices.Sorted(maps.Keys(described)) {
		text, err := json.Marshal(described[key])
		if err != nil {
			return nil, err
		}
		list = append(list, [2]string{key, string(text)})
	}
	return append(list, [2]string{"latent_version", experiment.Version()}), nil
}
