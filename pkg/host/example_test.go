package host_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/janpfeifer/must"

	"latent/pkg/host"
)

// Linux tells of the machine in files of keys and values.
func Example() {
	dir := must.M1(os.MkdirTemp("", "host"))
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "cpuinfo")
	must.M(os.WriteFile(path, []byte("processor\t: 0\nmodel name\t: AMD EPYC\nprocessor\t: 1\nmodel name\t: another\n"), 0o644))

	fmt.Printf("%q %q\n", host.Field(path, "model name"), host.Field(path, "bogomips"))
	// Output: "AMD EPYC" ""
}
