package rundir

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLabels(t *testing.T) {
	run, err := CreateAt(filepath.Join(t.TempDir(), "run"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	if labels, err := run.Labels(); err != nil || labels.Tags != nil || labels.Note != "" {
		t.Errorf("a new run: %v, %v", labels, err)
	}
	labels := Labels{Note: "a note\nof two lines"}
	labels.Tag([]string{"good", "v1.2", "good"}, nil)
	labels.Tag([]string{"again"}, []string{"v1.2", "never-there"})
	if err := run.WriteLabels(labels); err != nil {
		t.Fatal(err)
	}
	got, err := run.Labels()
	if err != nil || !slices.Equal(got.Tags, []string{"again", "good"}) || got.Note != labels.Note {
		t.Errorf("got %v, %v", got, err)
	}
	many := Labels{}
	for i := range MaxTags + 1 {
		many.Tags = append(many.Tags, fmt.Sprint(i))
	}
	for name, wrong := range map[string]Labels{
		"many": many, "blank": {Tags: []string{"two words"}}, "none": {Tags: []string{""}}, "escape": {Tags: []string{"\x1b[31m"}},
		"long": {Tags: []string{strings.Repeat("a", 65)}}, "long note": {Note: strings.Repeat("a", MaxNote+1)}, "no text": {Note: "\xff"},
	} {
		if err := run.WriteLabels(wrong); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, text := range []string{"", "{", `{"tags": ["two words"]}`, strings.Repeat(" ", 1<<17)} {
		if err := os.WriteFile(filepath.Join(run.Path, labelsFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if labels, err := run.Labels(); err == nil {
			t.Errorf("%.30q is read as %v", text, labels)
		}
	}
}
