package command

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"latent/pkg/cache"
	"latent/pkg/dataset"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

func newData(c *console) *cobra.Command {
	group := &cobra.Command{Use: "data", Short: "List, fetch and damage datasets, and look after the cache of samples"}
	names := slices.Sorted(maps.Keys(dataset.Kinds))
	group.AddCommand(newDataList(c, names), newDataFetch(c, names), newDataCorrupt(c), newDataCache(c))
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

func newDataCache(c *console) *cobra.Command {
	group := &cobra.Command{
		Use:   "cache",
		Short: "List and clear the cache of decoded samples",
		Long: `Cache lists and clears decoded samples that Latent keeps, so that they need not be decoded again and can be larger than memory.

They lie in the user's cache folder, or in the folder data of LATENT_CACHE_DIR where that is set. All can be made again from what
they were made of. Those that were used the longest ago are removed when a new one brings them over 64 GiB.`,
	}
	group.AddCommand(newDataCacheList(c), newDataCacheClear(c))
	return group
}

// keyShown is how many digits of a key a person reads, and may give.
const keyShown = 12

func newDataCacheList(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the entries of the cache, the last used first",
		Args:  cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a list of the entries as JSON")
	cmd.RunE = func(*cobra.Command, []string) error {
		samples, entries, err := openCache()
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c, append([]cache.Info{}, entries...))
		}
		if len(entries) == 0 {
			fmt.Fprintf(c.stderr, "no entries in %s\n", samples.Dir)
			return nil
		}
		fmt.Fprintf(c.stderr, "in %s\n", samples.Dir)
		table := newTable(c)
		table.row("KEY", "SIZE", "LAST USED", "WHAT")
		var sum int64
		for _, e := range entries {
			sum += e.Bytes
			table.row(e.Key[:keyShown], amount(e.Bytes), e.Used.Format(time.DateTime), describeEntry(e))
		}
		table.row("together", amount(sum))
		return table.Flush()
	}
	return cmd
}

// describeEntry is what an entry is, or what became of it.
func describeEntry(e cache.Info) string {
	switch e.State {
	case cache.Damaged:
		return "damaged; it is made again when it is needed"
	case cache.Writing:
		return "being written"
	case cache.Left:
		return "left by a killed process"
	}
	return e.Title
}

func newDataCacheClear(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "clear [KEY…]",
		Short: "Remove entries of the cache, all unless some are named",
		Long: `Clear removes entries of the cache, and what killed processes left there: all, or those of some keys, of which the beginning is
enough. What a process has open or is writing stays, and the exit status is 1 then.`,
		Example: "  latent data cache clear\n  latent data cache clear 3f2a9c0b41d7",
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print how much was freed as JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		samples, entries, err := openCache()
		if err != nil {
			return err
		}
		keys := make([]string, len(args))
		for i, arg := range args {
			if keys[i], err = keyOf(entries, arg); err != nil {
				return experiment.InputError{Err: err}
			}
		}
		freed, err := samples.Clear(keys...)
		fmt.Fprintf(c.stderr, "freed %s in %s\n", amount(freed), samples.Dir)
		if errors.Is(err, fs.ErrNotExist) { // another process was faster
			err = nil
		}
		if asJSON {
			err = errors.Join(err, printJSON(c, clearedJSON{samples.Dir, freed}))
		}
		return err
	}
	return cmd
}

// clearedJSON is what was removed of the cache, for programs.
type clearedJSON struct {
	Dir   string `json:"dir"`
	Freed int64  `json:"freed"` // bytes
}

// openCache is the user's cache, and what is in it.
func openCache() (cache.Cache, []cache.Info, error) {
	samples, err := cache.Default()
	if err != nil {
		return samples, nil, experiment.InputError{Err: err}
	}
	entries, err := samples.List()
	if err != nil {
		return samples, nil, experiment.InputError{Err: err}
	}
	return samples, entries, nil
}

// keyOf is the key that begins so.
func keyOf(entries []cache.Info, start string) (string, error) {
	if len(start) < 4 {
		return "", fmt.Errorf("key %q: want at least 4 digits of it", start)
	}
	var keys []string
	for _, e := range entries {
		if strings.HasPrefix(e.Key, start) && !slices.Contains(keys, e.Key) {
			keys = append(keys, e.Key)
		}
	}
	switch {
	case len(keys) == 0:
		return "", fmt.Errorf("no entry of the cache has a key that begins with %s; which are there? %s data cache list", start, program())
	case len(keys) > 1:
		return "", fmt.Errorf("%d entries of the cache have keys that begin with %s; give more of it", len(keys), start)
	}
	return keys[0], nil
}
