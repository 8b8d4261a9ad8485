package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"latent/pkg/experiment"
)

func newGenerate(c *console) *cobra.Command {
	var g experiment.Generation
	var out string
	cmd := &cobra.Command{
		Use:   "generate RUN",
		Short: "Draw new images from a trained run",
		Long: `Generate draws codes and decodes them with what the run in a folder trained, and saves a picture of the images.

The sampler prior draws codes from the standard normal distribution that a vae is trained for. The sampler flow follows the flow
that a model learned beside its codes. The sampler mixture fits a Gaussian mixture to the codes of training images, which makes
a sampler of every autoencoder.`,
		Example: "  latent generate runs/mnist-vae/2026-11-24T10-15-30-7f3a --n 100 -o digits.png",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().IntVar(&g.Images, "n", 64, "how many images")
	cmd.Flags().Int64Var(&g.Seed, "seed", 1, "decides the draws")
	cmd.Flags().StringVar(&g.Sampler, "sampler", "auto", "prior, flow, mixture, or auto: the first of them that the model has")
	cmd.Flags().IntVar(&g.Components, "components", 10, "of the mixture")
	cmd.Flags().StringVarP(&out, "output", "o", "generated.png", "the picture's file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case filepath.Ext(out) != ".png":
			return usageError{fmt.Errorf("--output=%s: want a name that ends in .png", out)}
		case g.Images < 1 || g.Images > 10000:
			return usageError{fmt.Errorf("--n=%d: want 1 to 10000", g.Images)}
		case g.Seed < 0:
			return usageError{errors.New("--seed: want 0 or more")}
		case g.Components < 1 || g.Components > 1000:
			return usageError{fmt.Errorf("--components=%d: want 1 to 1000", g.Components)}
		case !slices.Contains(experiment.Samplers(), g.Sampler):
			return usageError{fmt.Errorf("--sampler=%s: want one of %s", g.Sampler, strings.Join(experiment.Samplers(), ", "))}
		}
		options := experiment.Options{Log: c.stderr, Terminal: c.terminal()}
		trained, err := experiment.Open(cmd.Context(), args[0], nil, options)
		if err != nil {
			return err
		}
		defer trained.Close()
		_, png, err := trained.Generate(cmd.Context(), g, options)
		if err != nil {
			return err
		}
		if err := os.WriteFile(out, png, 0o644); err != nil {
			return experiment.InputError{Err: err}
		}
		fmt.Fprintf(c.stderr, "picture  %s\n", out)
		return nil
	}
	return cmd
}
