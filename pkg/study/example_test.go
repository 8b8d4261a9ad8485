package study_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/janpfeifer/must"

	"latent/pkg/study"
)

// Two workers claim what is to be tried. The first is thought dead: its trial is taken up by another, and its result refused.
func Example() {
	ctx := context.Background()
	dir := must.M1(os.MkdirTemp("", "study"))
	defer os.RemoveAll(dir)
	store := must.M1(study.Open(ctx, filepath.Join(dir, "study.db"), study.Options{}))
	defer store.Close()
	sweep := must.M1(store.Create(ctx, "noise", "what it is about"))

	propose := func(trials []*study.Trial) ([]study.Proposal, error) {
		return []study.Proposal{{Params: json.RawMessage(`{"learning_rate": 0.001}`)}}, nil
	}
	first := must.M1(sweep.Claim(ctx, "worker-1", propose))[0]
	must.M1(sweep.Release(ctx, "worker-1")) // as the end of its lease would do
	second := must.M1(sweep.Claim(ctx, "worker-2", propose))[0]
	fmt.Println("trial", second.Number, "attempt", second.Attempt, string(second.Params))

	fmt.Println(sweep.Finish(ctx, first.Claim(), study.Result{State: study.Done, Values: []float64{0.5}}))
	must.M(sweep.Finish(ctx, second.Claim(), study.Result{State: study.Done, Values: []float64{0.3}}))
	for _, trial := range must.M1(sweep.Trials(ctx)) {
		fmt.Println(trial.Number, trial.State, trial.Values)
	}
	// Output:
	// trial 0 attempt 2 {"learning_rate": 0.001}
	// study noise: finish: attempt 1 of trial 0 does not, or no longer, belong to this worker: attempt 2 is running on worker-2
	// 0 done [0.3]
}
