package command

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"latent/configs"
	"latent/pkg/config"
	"latent/pkg/experiment"
)

func newInit(c *console) *cobra.Command {
	var kind, from string
	var force bool
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a config to begin with, its keys explained",
		Long: `Init writes a config with the keys that a beginner changes, each with its default and what it means, to experiment.yaml unless
another file is given. With --from, it is one of those that docs/results.md has the figures of, and every one of which runs as it is.`,
		Example: "  latent init my-vae.yaml --kind vae\n  latent init denoise.yaml --from mnist/denoise",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVar(&kind, "kind", "dense", "kind of the model")
	cmd.Flags().StringVar(&from, "from", "", "copy a config that comes with Latent: "+strings.Join(configNames(), ", "))
	cmd.Flags().BoolVar(&force, "force", false, "write over the file where there is one")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file := "experiment.yaml"
		if len(args) > 0 {
			file = args[0]
		}
		var text []byte
		var err error
		switch {
		case from != "" && cmd.Flags().Changed("kind"):
			return usageError{errors.New("--from has its kind; leave --kind out")}
		case from != "":
			text, err = shipped(from)
		default:
			text, err = config.Starter(kind)
		}
		if err != nil {
			return usageError{err}
		}
		err = writeNew(file, text, force)
		if errors.Is(err, os.ErrExist) {
			err = fmt.Errorf("%s is there already; choose another file, or write over it with --force", file)
		}
		if err != nil {
			return experiment.InputError{Err: err}
		}
		fmt.Fprintf(c.stderr, "config   %s\nrun it   %s run %s\n", file, program(), file)
		return nil
	}
	return cmd
}

// configNames lists the configs that come with Latent: "mnist/denoise".
func configNames() []string {
	var names []string
	fs.WalkDir(configs.Files, ".", func(path string, entry fs.DirEntry, err error) error {
		if name, found := strings.CutSuffix(path, ".yaml"); found {
			names = append(names, name)
		}
		return err // of an embedded folder there is none
	})
	return names
}

// shipped returns a config that comes with Latent, less the place of its schema, which is beside it there alone.
func shipped(name string) ([]byte, error) {
	text, err := configs.Files.ReadFile(strings.TrimSuffix(name, ".yaml") + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("--from=%s: no such config; there are %s", name, strings.Join(configNames(), ", "))
	}
	if line, rest, _ := bytes.Cut(text, []byte("\n")); bytes.HasPrefix(line, []byte("# yaml-language-server:")) {
		text = bytes.TrimPrefix(rest, []byte("#\n"))
	}
	return text, nil
}
