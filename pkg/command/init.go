package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"latent/configs"
	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/rundir"
	"latent/pkg/starter"
)

func newInit(c *console) *cobra.Command {
	var kind, from string
	var data []string
	var force bool
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a config to begin with, its keys explained",
		Long: `Init writes a config with the keys that a beginner changes, each with its default and what it means, to experiment.yaml unless
another file is given. With --from, it is one of those that docs/results.md has the figures of, and every one of which runs as it is.

With --data, it is one for your own data: a folder of pictures, or a table (.csv, .tsv, .parquet, .arrow, .feather, .npy, .npz). Init
looks at some of it, chooses size, colour, scale, columns, model and training by that, writes what it saw as comments, and changes
nothing. Give the option again for more folders or files, and patterns in quotes: --data "scans/2026-*/*.tif".

The first line tells editors where the schema is: docs/experiment.schema.json in a clone of Latent, elsewhere experiment.schema.json, which
init writes beside the config.`,
		Example: "  latent init --data photos\n  latent init sensors.yaml --data sensors.csv\n" +
			"  latent init my-vae.yaml --kind vae\n  latent init denoise.yaml --from mnist/denoise",
		Args: cobra.ArbitraryArgs,
	}
	cmd.Flags().StringVar(&kind, "kind", "dense", "kind of the model; with --data, what fits unless one is given")
	cmd.Flags().StringArrayVar(&data, "data", nil, "a folder of pictures, a table, or a pattern in quotes: write a config that fits")
	cmd.Flags().StringVar(&from, "from", "", "copy a config that comes with Latent: "+strings.Join(configNames(), ", "))
	cmd.Flags().BoolVar(&force, "force", false, "write over the file where there is one")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			if data == nil {
				return argsError(cmd, args)
			}
			return usageError{fmt.Errorf("%d arguments beside --data, want at most the config's name; put a pattern in quotes: --data \"photos/*.png\"", len(args))}
		}
		file := "experiment.yaml"
		if len(args) > 0 {
			file = args[0]
		}
		var text []byte
		var err error
		chosen := cmd.Flags().Changed("kind")
		switch {
		case data != nil && from != "":
			return usageError{errors.New("--from has its data; leave --data out")}
		case data != nil && !slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(filepath.Ext(file))):
			return usageError{fmt.Errorf("%q is not the name of a config, which ends in .yaml; a pattern of --data stands in quotes", file)}
		case data != nil:
			if _, err := os.Lstat(file); err == nil && !force {
				return taken(file) // before the data is read
			}
			return c.initFor(cmd.Context(), data, file, map[bool]string{true: kind}[chosen], force)
		case from != "" && chosen:
			return usageError{errors.New("--from has its kind; leave --kind out")}
		case from != "":
			text, err = shipped(from)
		default:
			text, err = config.Starter(kind)
		}
		if err != nil {
			return usageError{err}
		}
		return c.writeConfig(file, text, force)
	}
	return cmd
}

// initFor writes a config that fits data.
func (c *console) initFor(ctx context.Context, data []string, file, kind string, force bool) error {
	made, err := starter.Write(ctx, data, starter.Options{Kind: kind})
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return experiment.InputError{Err: err}
	}
	for _, line := range made.Seen {
		fmt.Fprintln(c.stderr, line)
	}
	return c.writeConfig(file, made.Text, force)
}

// taken is the error of a config that is there already.
func taken(file string) error {
	return experiment.InputError{Err: fmt.Errorf("%s is there already; choose another file, or write over it with --force", file)}
}

// writeConfig writes a config whose first line tells editors of its schema, and says how to run it.
func (c *console) writeConfig(file string, text []byte, force bool) error {
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return usageError{fmt.Errorf("%s is a folder; for a config that fits what is in it: %s init --data %s", file, program(), message.Quote(file))}
	}
	schema, shared := sharedSchema(file)
	if !shared {
		schema = schemaFile
	}
	err := writeNew(file, append([]byte(schemaLine+schema+"\n#\n"), text...), force)
	if errors.Is(err, os.ErrExist) {
		return taken(file)
	}
	if err == nil && !shared {
		err = c.writeSchema(filepath.Join(filepath.Dir(file), schemaFile))
	}
	if err != nil {
		return experiment.InputError{Err: err}
	}
	fmt.Fprintf(c.stderr, "config   %s\nrun it   %s run %s\n", file, program(), message.Quote(file))
	return nil
}

// schemaLine is the beginning of the line by which editors find a config's schema, whose address is seen from the config.
const schemaLine = "# yaml-language-server: $schema="

// schemaFile is the schema's name.
const schemaFile = "experiment.schema.json"

// sharedSchema returns the way from a config to this program's schema in the folder docs of a folder above, as in a clone of Latent.
func sharedSchema(file string) (address string, found bool) {
	full, err := filepath.Abs(file)
	if err != nil {
		return "", false
	}
	way := ""
	for dir := filepath.Dir(full); ; dir, way = filepath.Dir(dir), way+"../" {
		if text, err := rundir.ReadFile(filepath.Join(dir, "docs", schemaFile), 1<<22); err == nil && bytes.Equal(text, config.Schema()) {
			return way + "docs/" + schemaFile, true
		}
		if dir == filepath.Dir(dir) {
			return "", false
		}
	}
}

// writeSchema writes the schema beside a config. What has its name there already is left, unless it is a schema too.
func (c *console) writeSchema(path string) error {
	before, err := rundir.ReadFile(path, 1<<22)
	begin, _, _ := bytes.Cut(config.Schema(), []byte("properties"))
	if err == nil && (bytes.Equal(before, config.Schema()) || !bytes.HasPrefix(before, begin)) {
		return nil
	}
	if err := writeNew(path, config.Schema(), true); err != nil {
		return err
	}
	fmt.Fprintf(c.stderr, "schema   %s, by which editors check and complete the config\n", path)
	return nil
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
	if line, rest, _ := bytes.Cut(text, []byte("\n")); bytes.HasPrefix(line, []byte(schemaLine)) {
		text = bytes.TrimPrefix(rest, []byte("#\n"))
	}
	return text, nil
}
