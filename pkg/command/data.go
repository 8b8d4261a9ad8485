package command

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"latent/pkg/dataset"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

func newData(c *console) *cobra.Command {
	group := &cobra.Command{Use: "data", Short: "List and fetch datasets"}
	names := slices.Sorted(maps.Keys(dataset.Kinds))
	group.AddCommand(newDataList(c, names), newDataFetch(c, names))
	return group
}

func newDataList(c *console, names []string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the datasets",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return printJSON(c, names)
			}
			for _, name := range names {
				fmt.Fprintln(c.stdout, name)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a list of the names as JSON")
	return cmd
}

func newDataFetch(c *console, names []string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:       "fetch DATASET",
		Short:     "Download a dataset, or make it, and check it",
		Example:   "  latent data fetch mnist",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: names,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print sizes and checksums as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		split, err := dataset.Kinds[args[0]]().Load(cmd.Context(), dataset.Options{Progress: c.progress()})
		if err != nil {
			return experiment.InputError{Err: err}
		}
		d := rundir.Data{Dataset: args[0], Height: split.Test.Height, Width: split.Test.Width, Channels: split.Test.Channels, Classes: split.Classes,
			Train: split.Train.Len(), Validation: split.Validation.Len(), Test: split.Test.Len(), Checksums: split.Checksums}
		fmt.Fprintf(c.stderr, "%s: %d training, %d validation and %d test images of %d×%d×%d\n", d.Dataset,
			d.Train, d.Validation, d.Test, d.Height, d.Width, d.Channels)
		for _, name := range slices.Sorted(maps.Keys(d.Checksums)) {
			fmt.Fprintf(c.stderr, "  %s  %s\n", d.Checksums[name], name)
		}
		if asJSON {
			return printJSON(c, d)
		}
		return nil
	}
	return cmd
}
