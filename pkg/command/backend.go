package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"latent/pkg/backend"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

func newBackend(c *console) *cobra.Command {
	group := &cobra.Command{Use: "backend", Short: "List, install and check what computes"}
	group.AddCommand(newBackendList(c), newBackendInstall(c), newBackendCheck(c))
	return group
}

func newBackendList(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the XLA plugins on this machine, each verified",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			plugins := backend.List()
			if asJSON {
				return printPlugins(c, plugins)
			}
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
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a list of the plugins as JSON")
	return cmd
}

// pluginJSON is an XLA plugin, for programs.
type pluginJSON struct {
	Kind   backend.Kind `json:"kind"`
	Path   string       `json:"path"`
	Bytes  int64        `json:"bytes,omitempty"`
	SHA256 string       `json:"sha256,omitempty"`
	Error  string       `json:"error,omitempty"` // why it cannot be used
}

func printPlugins(c *console, plugins []backend.Plugin) error {
	all := make([]pluginJSON, len(plugins))
	for i, p := range plugins {
		all[i] = pluginJSON{Kind: p.Kind, Path: p.Path, Bytes: p.Size, SHA256: p.SHA256}
		if p.Err != nil {
			all[i].Error = p.Err.Error()
		}
	}
	return printJSON(c, all)
}

func newBackendInstall(c *console) *cobra.Command {
	var from string
	var force, asJSON bool
	cmd := &cobra.Command{
		Use:       "install [xla:cpu|xla:cuda]",
		Short:     "Install an XLA plugin, xla:cpu unless another is named",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{string(backend.CPU), string(backend.CUDA)},
	}
	cmd.Flags().StringVar(&from, "from", "", "a wheel or plugin file to install instead of downloading")
	cmd.Flags().BoolVar(&force, "force", false, "install again what is there")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print where the plugin is as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kind := backend.CPU
		if len(args) > 0 {
			kind = backend.Kind(args[0])
		}
		if !force && from == "" {
			for _, plugin := range backend.List() {
				if plugin.Kind == kind && plugin.Err == nil {
					fmt.Fprintf(c.stderr, "%s is installed: %s\n", kind, plugin.Path)
					return printInstalled(c, kind, plugin.Path, asJSON)
				}
			}
		}
		path, err := backend.Install(cmd.Context(), kind, from, backend.Options{Log: c.stderr})
		if err != nil {
			return experiment.InputError{Err: err}
		}
		fmt.Fprintf(c.stderr, "installed %s: %s\n", kind, path)
		return printInstalled(c, kind, path, asJSON)
	}
	return cmd
}

func printInstalled(c *console, kind backend.Kind, path string, asJSON bool) error {
	if !asJSON {
		return nil
	}
	return printJSON(c, pluginJSON{Kind: kind, Path: path})
}

func newBackendCheck(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
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
			if asJSON {
				return printJSON(c, rundir.Backend{Name: b.Name, Device: b.Device, Plugin: b.Plugin, PluginSHA256: b.PluginSHA256,
					XLAFlags: b.XLAFlags, Reason: b.Reason})
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what works as JSON, as a manifest has it")
	return cmd
}
