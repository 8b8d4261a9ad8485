package experiment

import (
	"fmt"
	"strings"
	"testing"
)

// A line of progress stays on one line of any terminal.
func TestFitted(t *testing.T) {
	for _, c := range []struct {
		columns int
		want    string
	}{{0, "epoch 1 ████ loss 0.5"}, {80, "epoch 1 ████ loss 0.5"}, {22, "epoch 1 ████ loss 0.5"}, {21, "epoch 1 loss 0.5"}, {10, "epoch 1 l"}, {1, ""}} {
		if got := fitted(c.columns, "epoch 1 ", "████ ", "loss 0.5"); got != c.want {
			t.Errorf("%d columns: %q, want %q", c.columns, got, c.want)
		}
	}
}

// What a terminal is told to be busy with goes when something is written.
func TestBusy(t *testing.T) {
	var out strings.Builder
	options := Options{Log: &out, Terminal: true}.withDefaults().withDefaults()
	options.busy("compiling for %s", "xla:cpu")
	fmt.Fprintln(options.Log, "folder")
	options.busy("testing")
	options.idle()
	options.idle()
	if got, want := out.String(), "\r\x1b[Kcompiling for xla:cpu …\r\x1b[Kfolder\n\r\x1b[Ktesting …\r\x1b[K"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	var plain strings.Builder
	Options{Log: &plain}.withDefaults().busy("testing")
	if plain.Len() > 0 {
		t.Errorf("elsewhere: %q", plain.String())
	}
}
