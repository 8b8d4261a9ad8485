package sweep

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"latent/pkg/study"
)

// Nobody waits for the lease of a worker of this machine whose process is no more; those of living processes and of other
// machines keep their trials.
func TestReleaseDead(t *testing.T) {
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Skip("SKIPPED: there is no command true to start and end a process with")
	}
	names := map[string]study.State{
		fmt.Sprintf("%s-%d-0000", hostName(), gone.Process.Pid): study.Waiting,
		fmt.Sprintf("%s-%d-0000", hostName(), os.Getpid()):      study.Running,
		fmt.Sprintf("elsewhere-%d-0000", gone.Process.Pid):      study.Running,
		"named-by-hand": study.Running,
	}
	store, err := study.Open(t.Context(), filepath.Join(t.TempDir(), "study.db"), study.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s := &Sweep{}
	if s.Study, err = store.Create(t.Context(), "dead", ""); err != nil {
		t.Fatal(err)
	}
	one := func([]*study.Trial) ([]study.Proposal, error) { return []study.Proposal{{Params: []byte("{}")}}, nil }
	workers := map[int]string{}
	for name := range names {
		claimed, err := s.Study.Claim(t.Context(), name, one)
		if err != nil || len(claimed) != 1 {
			t.Fatalf("claimed %v, %v", claimed, err)
		}
		workers[claimed[0].Number] = name
	}
	if err := s.releaseDead(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := s.Study.Trials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, trial := range all {
		if name := workers[trial.Number]; trial.State != names[name] {
			t.Errorf("the trial of worker %q is %s, want %s", name, trial.State, names[name])
		}
	}
}
