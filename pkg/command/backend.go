package command

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

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
		RunE: func(cmd *cobra.Command, _ []string) error {
			plugins, failed := backend.List(cmd.Context(), backend.CPU, backend.CUDA)
			for _, err := range failed {
				fmt.Fprintf(c.stderr, "%v\n", err)
			}
			if asJSON {
				return printPlugins(c, plugins)
			}
			for _, plugin := range plugins {
				state := "verified"
				if plugin.Err != nil {
					state = plugin.Err.Error()
				}
				what := fmt.Sprintf("%d MB", plugin.Size/1e6)
				if plugin.Version != "" {
					what = plugin.Version + ", " + what
				}
				fmt.Fprintf(c.stdout, "%-9s %s (%s): %s\n", plugin.Kind, plugin.Path, what, state)
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
	Kind    backend.Kind `json:"kind"`
	Path    string       `json:"path"`
	Version string       `json:"version,omitempty"` // "jax-cuda13-pjrt 0.11.2"
	Bytes   int64        `json:"bytes,omitempty"`
	SHA256  string       `json:"sha256,omitempty"`
	Error   string       `json:"error,omitempty"` // why it cannot be used
}

func printPlugins(c *console, plugins []backend.Plugin) error {
	all := make([]pluginJSON, len(plugins))
	for i, p := range plugins {
		all[i] = pluginJSON{Kind: p.Kind, Path: p.Path, Version: p.Version, Bytes: p.Size, SHA256: p.SHA256}
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
			plugins, _ := backend.List(cmd.Context(), kind)
			for _, plugin := range plugins {
				if plugin.Err == nil {
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
	var tf32, asJSON bool
	cmd := &cobra.Command{
		Use:   "check [auto|xla:cpu|xla:cuda|go]",
		Short: "Say what computes, and compare with known results what it computes",
		Long: `Say what computes, and compare with known results what it computes: a large product, a loop of training steps, integers,
and a convolution with its gradients, each beside its definition on the host.`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"auto", "xla:cpu", "xla:cuda", "go"},
		RunE: func(cmd *cobra.Command, args []string) error {
			choice := "auto"
			if len(args) > 0 {
				choice = args[0]
			}
			b, err := backend.Open(cmd.Context(), choice, backend.Options{Log: c.stderr, TF32: tf32})
			if err != nil {
				return experiment.InputError{Err: err}
			}
			defer b.Close()
			line := func(what, format string, args ...any) {
				fmt.Fprintf(c.stderr, "  %-12s %s\n", what, fmt.Sprintf(format, args...))
			}
			// Line by line, so that what stands here tells of a plugin that ends the process.
			describeBackend(b, line)
			found := checkJSON{Backend: experiment.DescribeBackend(b), PJRT: b.PJRT, GPU: describeGPU(b.GPU)}
			var wrong []string
			for result := range backend.Examine(b) {
				took := fmt.Sprintf("%.2f s", result.Time.Seconds())
				entry := resultJSON{Name: result.Name, Detail: result.Detail, Seconds: result.Time.Seconds()}
				if result.Err != nil {
					wrong = append(wrong, result.Name)
					entry.Error = result.Err.Error()
					line(result.Name, "WRONG, %s: %v", took, result.Err)
				} else {
					line(result.Name, "%s, %s", took, result.Detail)
				}
				found.Checks = append(found.Checks, entry)
			}
			found.Works = len(wrong) == 0
			if asJSON {
				if err := printJSON(c, found); err != nil {
					return err
				}
			}
			if !found.Works {
				return fmt.Errorf("%s does not compute what it should: %s", b.Name, strings.Join(wrong, ", "))
			}
			fmt.Fprintf(c.stderr, "%s works: %s\n", b.Name, b.Device)
			return nil
		},
	}
	cmd.Flags().BoolVar(&tf32, "tf32", false, "let a GPU round factors to TF32, as train.precision: tf32 does")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what a manifest says of the backend, and the results, as JSON")
	return cmd
}

// describeBackend tells a person of an XLA backend; pure Go has nothing to tell.
func describeBackend(b *backend.Backend, line func(what, format string, args ...any)) {
	if b.Plugin == "" {
		return
	}
	const gib = 1 << 30
	if g := b.GPU; g != nil {
		device := []string{b.Device}
		if g.Capability != "" {
			device = append(device, "compute capability "+g.Capability)
		}
		if g.Memory > 0 {
			device = append(device, fmt.Sprintf("%.1f GiB", float64(g.Memory)/gib))
		}
		if g.Free > 0 {
			device = append(device, fmt.Sprintf("%.1f GiB of it free", float64(g.Free)/gib))
		}
		line("device", "%s", strings.Join(device, ", "))
		line("driver", "%s, CUDA up to %s", cmp.Or(g.Driver, "unknown"), cmp.Or(g.DriverCUDA, "unknown"))
	}
	line("plugin", "%s", b.Plugin)
	version := []string{cmp.Or(b.PluginVersion, "of no known wheel")}
	if b.PJRT != "" {
		version = append(version, "PJRT "+b.PJRT)
	}
	if b.GPU != nil {
		version = append(version, fmt.Sprintf("for CUDA %d", b.GPU.CUDA))
	}
	line("version", "%s", strings.Join(version, ", "))
	line("SHA-256", "%s", b.PluginSHA256)
	if g := b.GPU; g != nil {
		var loaded int
		var folders []string
		for _, library := range g.Libraries {
			if library.Err != nil {
				line("missing", "%s: %v", library.Name, library.Err)
				continue
			}
			loaded++
			if folder := filepath.Dir(library.Path); !slices.Contains(folders, folder) {
				folders = append(folders, folder)
			}
		}
		line("libraries", "%d of NVIDIA's %d, from %s", loaded, len(g.Libraries), cmp.Or(strings.Join(folders, ", "), "nowhere"))
		line("assembler", "%s", cmp.Or(g.Assembler, "none; "+backend.ToolkitCure))
		line("libdevice", "%s", cmp.Or(g.Libdevice, "none; "+backend.ToolkitCure))
		line("float32", "%s", map[bool]string{false: "is float32", true: "may be TF32"}[g.TF32])
	}
	line("XLA_FLAGS", "%s", b.XLAFlags)
}

// checkJSON is what latent backend check found, for programs.
type checkJSON struct {
	rundir.Backend
	PJRT   string       `json:"pjrt,omitempty"` // the version of the plugin's interface: "0.115"
	GPU    *gpuJSON     `json:"gpu,omitempty"`
	Works  bool         `json:"works"`
	Checks []resultJSON `json:"checks"`
}

// resultJSON is one computation.
type resultJSON struct {
	Name    string  `json:"name"`
	Detail  string  `json:"detail,omitempty"`
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
}

// gpuJSON is an NVIDIA GPU and what was found for it.
type gpuJSON struct {
	Capability string        `json:"capability,omitempty"`  // "9.0"
	FreeMemory int64         `json:"free_memory,omitempty"` // in bytes
	DriverCUDA string        `json:"driver_cuda,omitempty"` // the newest CUDA that the driver runs
	CUDA       int           `json:"cuda"`                  // that the plugin was built for
	TF32       bool          `json:"tf32"`
	Assembler  string        `json:"assembler,omitempty"`
	Libdevice  string        `json:"libdevice,omitempty"`
	Libraries  []libraryJSON `json:"libraries"`
}

// libraryJSON is one of NVIDIA's libraries.
type libraryJSON struct {
	Name  string `json:"name"`
	Path  string `json:"path,omitempty"`
	Error string `json:"error,omitempty"`
}

func describeGPU(g *backend.GPU) *gpuJSON {
	if g == nil {
		return nil
	}
	described := &gpuJSON{Capability: g.Capability, FreeMemory: g.Free, DriverCUDA: g.DriverCUDA, CUDA: g.CUDA, TF32: g.TF32,
		Assembler: g.Assembler, Libdevice: g.Libdevice}
	for _, library := range g.Libraries {
		entry := libraryJSON{Name: library.Name, Path: library.Path}
		if library.Err != nil {
			entry.Error = library.Err.Error()
		}
		described.Libraries = append(described.Libraries, entry)
	}
	return described
}
