package experiment

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"latent/pkg/message"
	"latent/pkg/model"
	"latent/pkg/rundir"
	"latent/pkg/train"
)

// Verification is what a run's records say beside what came out when it was trained again.
type Verification struct {
	Run string `json:"run"` // the folder
	// Windows, Epochs and Test are how many records of each kind were compared: windows of steps, epochs, and whether the
	// figures of the test images were.
	Windows int  `json:"windows"`
	Epochs  int  `json:"epochs"`
	Test    bool `json:"test"`
	// Differences are those between the records and the new run; none where all came out the same, to the bit.
	Differences []Difference `json:"differences"`
	// Environment is what was different around the two: versions, machine, data.
	Environment []Difference `json:"environment"`
}

// Difference is a value that was recorded, and what it is now.
type Difference struct {
	Where    string `json:"where"` // "epoch 3: val_loss"
	Recorded string `json:"recorded"`
	Now      string `json:"now"`
}

// String returns for example "epoch 3: val_loss: 0.0412 recorded, 0.0413 now".
func (d Difference) String() string {
	return fmt.Sprintf("%s: %s recorded, %s now", d.Where, d.Recorded, d.Now)
}

// ErrDiffers says that a run trained again gave something else than its records say.
var ErrDiffers = errors.New("the run did not come out the same")

// Verify trains the run in a folder again, and those that trained together with it, over the first epochs that are recorded
// (0: all of them), and compares each record: the losses of the windows, the figures and the checksum of the state of each
// epoch, and the figures of the test images where the run is done and all its epochs are trained again. Nothing is written, but
// a classifier for generated images where the cache has none.
//
// Where records differ, the error is ErrDiffers.
func Verify(ctx context.Context, path string, epochs int, options Options) ([]*Verification, error) {
	lab := NewLab(options)
	defer lab.Close()
	s := lab.session()
	if err := s.reopen(path); err != nil {
		return nil, InputError{err}
	}
	var checks []*check
	for _, r := range s.runs {
		c, err := newCheck(r, epochs)
		if err != nil {
			return nil, InputError{err}
		}
		checks = append(checks, c)
	}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	if err := s.compile(ctx); err != nil {
		return nil, err
	}
	if err := s.openJudge(ctx); err != nil {
		return nil, err
	}
	s.progress = s.newProgress()
	if err := s.verify(ctx, checks); err != nil {
		return nil, err
	}
	var found []*Verification
	differ := 0
	for _, c := range checks {
		c.missing(epochs)
		c.compareEnvironment()
		c.summarise()
		found = append(found, &c.Verification)
		if len(c.Differences) > 0 {
			differ++
		}
	}
	if differ > 0 {
		return found, fmt.Errorf("%d of %d %s: %w", differ, len(checks), message.Choose(len(checks), "run", "runs"), ErrDiffers)
	}
	return found, nil
}

// check compares one run with its records.
type check struct {
	Verification
	run     *run
	config  string            // SHA-256 of config.yaml as it is now
	files   map[string]string // those of the files that corruptions read
	told    int               // differences that were told of
	windows []rundir.Window
	epochs  map[int]rundir.Epoch // by number
	measure train.State          // the state whose weights the run was measured with
}

// newCheck reads the records of the first epochs (0: all).
func newCheck(r *run, epochs int) (*check, error) {
	windows, recorded, err := r.folder.Metrics()
	if err != nil {
		return nil, err
	}
	c := &check{Verification: Verification{Run: r.folder.Path, Differences: []Difference{}, Environment: []Difference{}}, run: r, epochs: map[int]rundir.Epoch{}}
	if from := r.manifest.Imported; from != nil {
		return nil, fmt.Errorf("%s: its weights were imported from %s: nothing was trained that could be trained again", r.folder.Path, from.File)
	}
	yaml, err := r.folder.Config()
	if err != nil {
		return nil, err
	}
	c.config = sha256Of(yaml)
	if c.files, err = r.experiment.Files(); err != nil {
		return nil, err
	}
	if last := len(recorded); epochs > last {
		return nil, fmt.Errorf("%s: %s recorded, fewer than the %d to verify", r.folder.Path, message.Count(last, "epoch"), epochs)
	}
	step := 0
	for _, w := range windows {
		if w.Step <= step {
			return nil, fmt.Errorf("%s: metrics.jsonl: step %d is recorded after step %d", r.folder.Path, w.Step, step)
		}
		step = w.Step
		if epochs == 0 || w.Epoch <= epochs {
			c.windows = append(c.windows, w)
		}
	}
	for _, e := range recorded {
		c.epochs[e.Epoch] = e
	}
	if len(c.windows) == 0 {
		return nil, fmt.Errorf("%s: nothing is recorded that could be verified", r.folder.Path)
	}
	return c, nil
}

// verify trains as far as the records go, in the windows that were recorded.
func (s *Session) verify(ctx context.Context, checks []*check) error {
	longest := slices.MaxFunc(checks, func(a, b *check) int { return len(a.windows) - len(b.windows) })
	for i, recorded := range longest.windows {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		windows, err := s.advanceTo(recorded.Step)
		if err != nil {
			return err
		}
		s.progress.window(windows)
		for k, c := range checks {
			if i < len(c.windows) {
				if err := c.take(ctx, c.windows[i], windows[k]); err != nil {
					return err
				}
			}
		}
	}
	for _, c := range checks {
		if err := c.test(ctx); err != nil {
			return err
		}
	}
	return nil
}

// advanceTo trains up to a step, and returns what was done as one window for each run.
func (s *Session) advanceTo(step int) ([]train.Window, error) {
	if steps := s.group.Runs[0].Steps(); step > steps {
		return nil, InputError{fmt.Errorf("%s: step %d is recorded, of a run of %d", s.runs[0].folder.Path, step, steps)}
	}
	var whole []train.Window
	for s.group.Runs[0].Step() < step {
		windows, err := s.group.Advance(step - s.group.Runs[0].Step())
		if err != nil {
			return nil, err
		}
		for k := range whole {
			windows[k].Losses = append(whole[k].Losses, windows[k].Losses...)
			windows[k].Images += whole[k].Images
			windows[k].Duration += whole[k].Duration
		}
		whole = windows
	}
	return whole, nil
}

// missing tells of records of the first epochs (0: all) that the new run has nothing to compare with, and of checkpoints that
// cannot be read.
func (c *check) missing(epochs int) {
	differ := func(where, recorded, now string) {
		c.Differences = append(c.Differences, Difference{where, recorded, now})
	}
	want := 0
	for epoch := range c.epochs {
		if epochs == 0 || epoch <= epochs {
			want++
		}
	}
	if c.Epochs < want {
		differ("epochs", strconv.Itoa(want), strconv.Itoa(c.Epochs))
	}
	if epochs == 0 && c.run.manifest.Result.Test != nil && !c.Test {
		differ("test images", "figures", "none")
	}
	if len(c.epochs) == 0 {
		return // it was stopped before its first checkpoint
	}
	_, warnings, err := c.run.folder.LatestCheckpoint()
	for _, warning := range warnings {
		differ("checkpoints", "whole", warning)
	}
	// Where the best is what counts, the others may have been removed to save room.
	removed := errors.Is(err, rundir.ErrNoCheckpoint) && c.run.manifest.Result.Weights == "best"
	if err != nil && len(warnings) == 0 && !removed {
		differ("checkpoints", "whole", err.Error())
	}
	if c.run.manifest.Result.Weights != "best" {
		return
	}
	if _, err := c.run.folder.BestCheckpoint(); err != nil {
		differ("the best epoch's checkpoint", "whole", err.Error())
	}
}

// take compares a window, and the epoch that it ends.
func (c *check) take(ctx context.Context, recorded rundir.Window, w train.Window) error {
	recorded.Kind, recorded.ImagesPerSecond, recorded.Time = "", 0, time.Time{}
	c.compare(fmt.Sprintf("steps to %d", w.Step), recorded, recordOf(w))
	c.Windows++
	epoch, found := c.epochs[w.Epoch]
	if !w.EndsEpoch && !w.EndsRun || !found {
		return nil
	}
	now, state, err := c.run.validate(ctx, w)
	if err != nil {
		return err
	}
	if c.run.manifest.Result.Epoch == w.Epoch {
		c.measure = state
	}
	epoch.Kind, epoch.Seconds, epoch.Time = "", 0, time.Time{}
	c.compare(fmt.Sprintf("epoch %d", w.Epoch), epoch, now)
	c.Epochs++
	verdict := "the same"
	if found := len(c.Differences); found > c.told {
		verdict, c.told = "DIFFERENT in "+message.Count(found-c.told, "figure"), found
	}
	c.run.session.progress.line("epoch %d/%d  seed %d  loss %.4f  state %.12s  %s", w.Epoch, c.run.experiment.Train.Epochs,
		c.run.experiment.Seed, float64(now.TrainLoss), now.StateSHA256, verdict)
	return nil
}

// test compares the figures of the test images, where the run has them and came to the weights that they are of.
func (c *check) test(ctx context.Context) error {
	recorded := c.run.manifest.Result
	if recorded.Test == nil || c.measure.Tensors == nil {
		return nil
	}
	weights, err := c.measure.Weights(model.Params(c.run.experiment.Model, imageOf(c.run.session.split.Train)))
	if err != nil {
		return err
	}
	var now rundir.Result
	if err := c.run.test(ctx, weights, &now); err != nil {
		return err
	}
	recordedAlone(now.Test, recorded.Test)
	if now.Generated != nil && recorded.Generated != nil {
		recordedAlone(now.Generated.Samplers, recorded.Generated.Samplers)
	}
	for part := range recorded.Interval {
		recordedAlone(now.Interval[part], recorded.Interval[part])
	}
	c.compare("test images", recorded.Test, now.Test)
	c.compare("corrupted test images", recorded.Corrupted, now.Corrupted)
	if recorded.Training != nil { // older runs have none
		c.compare("training images", recorded.Training, now.Training)
	}
	c.compare("test images with the mask known", recorded.MaskKnown, now.MaskKnown)
	for _, part := range slices.Sorted(maps.Keys(recorded.Interval)) {
		c.compare("interval of "+part, recorded.Interval[part], now.Interval[part])
	}
	if recorded.Likelihood != nil {
		c.compare("likelihood", recorded.Likelihood, now.Likelihood)
	}
	if recorded.Probe != nil {
		c.compare("probe", recorded.Probe, now.Probe)
	}
	if recorded.Generated != nil {
		c.compare("generated images", recorded.Generated, now.Generated)
	}
	c.Test = true
	return nil
}

// recordedAlone leaves out what is not recorded: figures that are younger than the run, or that its end lacks.
func recordedAlone[V any](now, recorded map[string]V) {
	maps.DeleteFunc(now, func(name string, _ V) bool { _, found := recorded[name]; return !found })
}

// compareEnvironment compares what may explain differences.
func (c *check) compareEnvironment() {
	m, s := c.run.manifest, c.run.session
	if m.ConfigSHA256 != c.config {
		c.Environment = append(c.Environment, Difference{Where: "config.yaml", Recorded: m.ConfigSHA256, Now: c.config})
	}
	c.Environment = append(c.Environment, differences("versions", m.Versions, versions())...)
	c.Environment = append(c.Environment, differences("source", m.Git, gitState())...)
	c.Environment = append(c.Environment, differences("backend", m.Backend, DescribeBackend(s.backend))...)
	c.Environment = append(c.Environment, differences("host", m.Host, describeHost())...)
	c.Environment = append(c.Environment, differences("data", m.Data.Checksums, s.split.Checksums)...)
	c.Environment = append(c.Environment, differences("files", m.Files, c.files)...)
}

// summarise tells a person.
func (c *check) summarise() {
	line := c.run.session.progress.line
	line("")
	line("%s: compared %d %s of steps, %d %s%s", c.Run, c.Windows, message.Choose(c.Windows, "window", "windows"), c.Epochs, message.Choose(c.Epochs, "epoch", "epochs"),
		onlyIf(c.Test, " and the test images' figures"))
	if len(c.Differences) == 0 {
		line("all the same, to the bit")
		return
	}
	const most = 12
	for _, d := range c.Differences[:min(most, len(c.Differences))] {
		line("  %v", d)
	}
	if more := len(c.Differences) - most; more > 0 {
		line("  and %d more; --json lists them", more)
	}
	if len(c.Environment) == 0 {
		line("nothing around the run is different: the records were changed, or the computation is not deterministic")
		return
	}
	line("what was different around it:")
	for _, d := range c.Environment {
		line("  %v", d)
	}
}

func (c *check) compare(where string, recorded, now any) {
	c.Differences = append(c.Differences, differences(where, recorded, now)...)
}

// differences lists the keys in which two values differ as JSON objects. JSON writes a float64 with as many digits as tell it
// from all others: equal text is equal bits.
func differences(where string, recorded, now any) []Difference {
	before, after := object(recorded), object(now)
	keys := map[string]bool{}
	for key := range before {
		keys[key] = true
	}
	for key := range after {
		keys[key] = true
	}
	var found []Difference
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !bytes.Equal(before[key], after[key]) {
			found = append(found, Difference{Where: where + ": " + key, Recorded: text(before[key]), Now: text(after[key])})
		}
	}
	return found
}

func text(value json.RawMessage) string {
	if value == nil {
		return "nothing"
	}
	return strings.Trim(string(value), `"`)
}

// object returns the members of a value as JSON. The values are our own records: they can be written.
func object(value any) map[string]json.RawMessage {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		panic(err)
	}
	return members
}
