package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"latent/pkg/backend"
	"latent/pkg/experiment"
)

func newBackend(c *console) *cobra.Command {
	group := &cobra.Command{Use: "backend", Short: "List, install and check what computes"}
	group.AddCommand(newBackendList(c), newBackendInstall(c), newBackendCheck(c))
	return group
}

func newBackendList(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the XLA plugins on this machine, each verified",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			plugins := backend.List()
			for _, plugin := range plugins {
				state := "verified"
				if plugin.Err != nil {
					state = plugin.Err.Error()
				}
				fmt.Fprintf(c.stdout, "%-9s %s (%d MB): %s\n", plugin.Kind, plugin.Path, plugin.Size/1e6, state)
			}
			fmt.Fprintf(c.stdout, "%-9s always there, about 25 times slower\n", "go")
			if len(plugins) == 0 {
				fmt.Fprintf(c.stderr, "no XLA plugin is installed; the first run installs one, or: %s backend install\n", program())
			}
			return nil
		},
	}
}

func newBackendInstall(c *console) *cobra.Command {
	var from string
	var force bool
	cmd := &cobra.Command{
		Use:       "install [xla:cpu|xla:cuda]",
		Short:     "Install an XLA plugin, xla:cpu unless another is named",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{string(backend.CPU), string(backend.CUDA)},
	}
	cmd.Flags().StringVar(&from, "from", "", "a wheel or plugin file to install instead of downloading")
	cmd.Flags().BoolVar(&force, "force", false, "install again what is there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kind := backend.CPU
		if len(args) > 0 {
			kind = backend.Kind(args[0])
		}
		if !force && from == "" {
			for _, plugin := range backend.List() {
				if plugin.Kind == kind && plugin.Err == nil {
					fmt.Fprintf(c.stderr, "%s is installed: %s\n", kind, plugin.Path)
					return nil
				}
			}
		}
		path, err := backend.Install(cmd.Context(), kind, from, backend.Options{Log: c.stderr})
		if err != nil {
			return experiment.InputError{Err: err}
		}
		fmt.Fprintf(c.stderr, "installed %s: %s\n", kind, path)
		return nil
	}
	return cmd
}

func newBackendCheck(c *console) *cobra.Command {
	return &cobra.Command{
		Use:       "check [auto|xla:cpu|xla:cuda|go]",
		Short:     "Run a small computation with a known result",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"auto", "xla:cpu", "xla:cuda", "go"},
		RunE: func(cmd *cobra.Command, args []string) error {
			choice := "auto"
			if len(args) > 0 {
				choice = args[0]
			}
			b, err := backend.Open(cmd.Context(), choice, backend.Options{Log: c.stderr})
			if err != nil {
				return experiment.InputError{Err: err}
			}
			defer b.Close()
			if err := backend.Check(b); err != nil {
				return err
			}
			fmt.Fprintf(c.stderr, "%s works: %s\n", b.Name, b.Device)
			if b.Plugin != "" {
				fmt.Fprintf(c.stderr, "  plugin     %s\n  SHA-256    %s\n  XLA_FLAGS  %s\n", b.Plugin, b.PluginSHA256, b.XLAFlags)
			}
			return nil
		},
	}
}
