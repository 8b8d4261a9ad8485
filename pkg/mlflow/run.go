package mlflow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gofrs/flock"

	"latent/pkg/rundir"
)

// Run is a run's folder, and what a server has of it. One goroutine at a time may use it.
type Run struct {
	server *Server
	folder *rundir.Run
	params func() (map[string]any, error)

	found bool // the server has the run, and what follows says how much of it
	info  runInfo
	has   struct {
		params map[string]bool
		tags   map[string]string
		// windows and epochs are the steps of their newest records.
		windows, epochs int
	}
	place int64     // in metrics.jsonl: what is before it, the server has
	last  time.Time // of the newest record
}

// Run returns a run for sending. params returns the values that decide it, by their keys, when they are needed.
func (s *Server) Run(folder *rundir.Run, params func() (map[string]any, error)) *Run {
	return &Run{server: s, folder: folder, params: params}
}

// Sent is what came of sending.
type Sent struct {
	RunID   string `json:"run_id,omitempty"` // the server's
	URL     string `json:"url,omitempty"`    // its page
	Figures int    `json:"figures"`          // sent this time, as the next
	Files   int    `json:"files"`
	// Complete says that the run is over, and the server has all of it.
	Complete bool `json:"complete"`
	// Note is what the server has not taken and never will; "" where it took all.
	Note string `json:"note,omitempty"`
}

// ErrBusy says that another process sends the run.
var ErrBusy = errors.New("another process is sending this run")

// receipt is mlflow.json.
type receipt struct {
	URI          string `json:"uri"`
	ExperimentID string `json:"experiment_id"`
	RunID        string `json:"run_id"`
	// Finished is the manifest's at the end that the server has all of.
	Finished *time.Time `json:"finished,omitempty"`
}

// What a batch may have: MLflow takes 1000 things in all, 100 of them parameters and 100 tags.
const (
	mostParams  = 100
	mostTags    = 100
	mostMetrics = 800
	mostRecords = 250 // read at a time
	maxName     = 250 // bytes
	maxParam    = 6000
	maxTag      = 5000
	maxFile     = 256 << 20
)

// Figures that are the last of their record in a batch: where the server has them, it has the record.
const (
	windowMark = "train/loss"
	epochMark  = "epoch/train_loss"
)

// Send sends what the server does not have yet. live says that the run goes on in a process, which writes to it: its end and its
// files are not sent then. An error that is [ErrUnreachable] or [ErrBusy] may be gone the next time.
func (r *Run) Send(ctx context.Context, live bool) (Sent, error) {
	lock := flock.New(filepath.Join(r.folder.Path, ".mlflow.lock"))
	if locked, err := lock.TryLock(); err != nil {
		return Sent{}, fmt.Errorf("lock %s: %w", r.folder.Path, err)
	} else if !locked {
		return Sent{}, fmt.Errorf("%s: %w", r.folder.Path, ErrBusy)
	}
	defer lock.Unlock()
	m, err := r.folder.Manifest()
	if err != nil {
		return Sent{}, err
	}
	if kept := r.receipt(); !live && kept.covers(m) {
		return Sent{RunID: kept.RunID, URL: r.server.page(kept.ExperimentID, kept.RunID), Complete: true}, nil
	}
	if !r.found {
		if err := r.find(ctx, m); err != nil {
			return Sent{}, err
		}
	}
	sent := Sent{RunID: r.info.RunID, URL: r.server.page(r.info.ExperimentID, r.info.RunID)}
	if err := r.sendFigures(ctx, m, live, &sent); err != nil {
		return sent, err
	}
	if live {
		return sent, r.setStatus(ctx, "RUNNING", time.Time{})
	}
	if err := r.sendFiles(ctx, &sent); err != nil {
		return sent, err
	}
	ended := max(r.last.UnixMilli(), m.Started.UnixMilli())
	if m.Finished != nil {
		ended = m.Finished.UnixMilli()
	}
	if err := r.setStatus(ctx, statusOf(m.State), time.UnixMilli(ended)); err != nil {
		return sent, err
	}
	sent.Complete = true
	return sent, r.keep(m.Finished)
}

// statusOf is MLflow's word for how a run that nothing writes to any more has ended.
func statusOf(state rundir.State) string {
	switch state {
	case rundir.Done:
		return "FINISHED"
	case rundir.Failed, rundir.Diverged:
		return "FAILED"
	}
	return "KILLED" // interrupted, pruned, or running when its process died
}

// receipt reads mlflow.json. One that is missing, damaged, or of another server says nothing: what it would have said is asked.
func (r *Run) receipt() (kept receipt) {
	data, err := r.folder.MLflow()
	if err != nil || json.Unmarshal(data, &kept) != nil || kept.URI != r.server.uri {
		return receipt{}
	}
	return kept
}

// covers says whether the server has all of a run that is over.
func (kept receipt) covers(m *rundir.Manifest) bool {
	return kept.Finished != nil && m.Finished != nil && kept.Finished.Equal(*m.Finished)
}

// Has says whether the server has all of a run that is over, by what was kept in its folder.
func (s *Server) Has(folder *rundir.Run, m *rundir.Manifest) bool {
	return s.Run(folder, nil).receipt().covers(m)
}

// keep writes mlflow.json.
func (r *Run) keep(finished *time.Time) error {
	data, err := json.MarshalIndent(receipt{URI: r.server.uri, ExperimentID: r.info.ExperimentID, RunID: r.info.RunID, Finished: finished}, "", "  ")
	if err != nil {
		return fmt.Errorf("record what was sent to MLflow: %w", err)
	}
	return r.folder.WriteMLflow(append(data, '\n'))
}

// page is where a person looks at a run.
func (s *Server) page(experiment, run string) string {
	return s.uri + "/#/experiments/" + url.PathEscape(experiment) + "/runs/" + url.PathEscape(run)
}

// identity is the run's tag by which it is found again, whatever became of mlflow.json: no two runs begin in one nanosecond with
// one config.
func identity(m *rundir.Manifest) string {
	sum := sha256.Sum256([]byte(m.ConfigSHA256 + strconv.FormatInt(m.Started.UnixNano(), 10)))
	return hex.EncodeToString(sum[:16])
}

const identityTag = "latent.run_id"

// find finds the run on the server, or makes it there, and learns what the server has.
func (r *Run) find(ctx context.Context, m *rundir.Manifest) error {
	if id := r.receipt().RunID; id != "" {
		var answer struct {
			Run runMessage `json:"run"`
		}
		err := r.server.call(ctx, http.MethodGet, "runs/get?run_id="+url.QueryEscape(id), nil, &answer)
		if err == nil {
			return r.take(answer.Run)
		}
		if !hasCode(err, codeMissing) {
			return err
		}
	}
	experiment, err := r.server.experiment(ctx, m.Name)
	if err != nil {
		return err
	}
	// A process that died before it wrote mlflow.json may have made it.
	var answer struct {
		Runs []runMessage `json:"runs"`
	}
	err = r.server.call(ctx, http.MethodPost, "runs/search", map[string]any{
		"experiment_ids": []string{experiment}, "max_results": 1, "run_view_type": "ALL",
		"filter": "tags.`" + identityTag + "` = '" + identity(m) + "'",
	}, &answer)
	if err != nil {
		return err
	}
	var found runMessage
	if len(answer.Runs) > 0 {
		found = answer.Runs[0]
	} else {
		var made struct {
			Run runMessage `json:"run"`
		}
		err := r.server.call(ctx, http.MethodPost, "runs/create", map[string]any{
			"experiment_id": experiment, "start_time": m.Started.UnixMilli(), "run_name": r.name(),
			"tags": []keyValue{{identityTag, identity(m)}},
		}, &made)
		if err != nil {
			return err
		}
		found = made.Run
	}
	if err := r.take(found); err != nil {
		return err
	}
	return r.keep(nil)
}

// name is the run's, for people: that of its folder.
func (r *Run) name() string {
	path, err := filepath.Abs(r.folder.Path)
	if err != nil {
		path = r.folder.Path
	}
	return filepath.Base(path)
}

// take learns what the server has from its own words.
func (r *Run) take(found runMessage) error {
	if found.Info.RunID == "" {
		return fmt.Errorf("%s returns no run_id; is it an MLflow server?", r.server.uri)
	}
	if found.Info.Lifecycle == deleted {
		return fmt.Errorf("%s has deleted the run %s; restore it there: mlflow runs restore --run-id %[2]s", r.server.uri, found.Info.RunID)
	}
	r.info, r.found, r.place = found.Info, true, 0
	r.has.params, r.has.tags = map[string]bool{}, map[string]string{}
	for _, param := range found.Data.Params {
		r.has.params[param.Key] = true
	}
	for _, tag := range found.Data.Tags {
		r.has.tags[tag.Key] = tag.Value
	}
	r.has.windows, r.has.epochs = 0, 0
	for _, m := range found.Data.Metrics {
		step, err := m.Step.Int64()
		if err != nil {
			return fmt.Errorf("%s returns the step %.40q; is it an MLflow server?", r.server.uri, m.Step)
		}
		switch m.Key {
		case windowMark:
			r.has.windows = int(step)
		case epochMark:
			r.has.epochs = int(step)
		}
	}
	return nil
}

// sendFigures sends parameters, tags and figures, in as few batches as they fit into.
func (r *Run) sendFigures(ctx context.Context, m *rundir.Manifest, live bool, sent *Sent) error {
	params, err := r.newParams()
	if err != nil {
		return err
	}
	b := batch{RunID: r.info.RunID, Params: params, Tags: r.newTags(m, live)}
	for more := true; more; {
		windows, epochs, after, err := r.folder.MetricsFrom(r.place, mostRecords)
		if err != nil {
			return err
		}
		more = len(windows)+len(epochs) == mostRecords
		b.Metrics = r.newFigures(m, windows, epochs)
		if !more && !live {
			b.Metrics = append(b.Metrics, figuresOf(m.Result.Figures(), "", m.Progress.Step, finished(m))...)
		}
		if err := r.log(ctx, b); err != nil {
			return err
		}
		r.params = nil
		sent.Figures += len(b.Metrics)
		r.place = after
		if n := len(windows); n > 0 {
			r.has.windows = max(r.has.windows, windows[n-1].Step)
		}
		if n := len(epochs); n > 0 {
			r.has.epochs = max(r.has.epochs, epochs[n-1].Step)
		}
		b.Params, b.Tags = nil, nil
	}
	return nil
}

// finished is when the run ended, or began where it has not.
func finished(m *rundir.Manifest) time.Time {
	if m.Finished != nil {
		return *m.Finished
	}
	return m.Started
}

// log sends a batch in the parts that MLflow takes.
func (r *Run) log(ctx context.Context, b batch) error {
	for len(b.Params)+len(b.Tags)+len(b.Metrics) > 0 {
		part := batch{
			RunID: b.RunID, Params: b.Params[:min(len(b.Params), mostParams)], Tags: b.Tags[:min(len(b.Tags), mostTags)],
			Metrics: b.Metrics[:min(len(b.Metrics), mostMetrics)],
		}
		if err := r.server.call(ctx, http.MethodPost, "runs/log-batch", part, &struct{}{}); err != nil {
			return err
		}
		for _, param := range part.Params {
			r.has.params[param.Key] = true
		}
		for _, tag := range part.Tags {
			r.has.tags[tag.Key] = tag.Value
		}
		b.Params, b.Tags, b.Metrics = b.Params[len(part.Params):], b.Tags[len(part.Tags):], b.Metrics[len(part.Metrics):]
	}
	return nil
}

// newParams are the parameters that the server does not have. It refuses to change one.
func (r *Run) newParams() ([]keyValue, error) {
	if r.params == nil {
		return nil, nil // they were sent
	}
	values, err := r.params()
	if err != nil {
		return nil, err
	}
	var params []keyValue
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if name := nameOf(key); !r.has.params[name] {
			params = append(params, keyValue{name, cut(fmt.Sprint(values[key]), maxParam)})
		}
	}
	return params, nil
}

// newTags are the tags that are others than the server has.
func (r *Run) newTags(m *rundir.Manifest, live bool) []keyValue {
	state := string(m.State)
	switch {
	case live:
		state = string(rundir.Running)
	case m.State == rundir.Running:
		state = "killed"
	}
	tags := map[string]string{
		"latent.state": state, "latent.version": m.Versions["latent"], "latent.seed": strconv.FormatInt(m.Seed, 10),
		"latent.backend": m.Backend.Name, "latent.dataset": m.Data.Dataset, "latent.parameters": strconv.Itoa(m.Model.Parameters),
		"latent.sweep": m.Sweep, "latent.error": m.Error,
		"mlflow.source.name": m.Command, "mlflow.source.type": "LOCAL", "mlflow.source.git.commit": m.Git.Commit,
	}
	if len(m.Group) > 0 {
		tags["latent.group"] = m.Group[0] // of runs that train together, the name of the first
	}
	if m.Git.Dirty {
		tags["latent.git_dirty"] = "true"
	}
	var changed []keyValue
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		value := cut(tags[key], maxTag)
		if before, found := r.has.tags[key]; value != before && (value != "" || found) {
			changed = append(changed, keyValue{key, value})
		}
	}
	return changed
}

// newFigures are those of the records that the server does not have. Steps that were trained again, after a run was killed, it has:
// they came out the same.
func (r *Run) newFigures(m *rundir.Manifest, windows []rundir.Window, epochs []rundir.Epoch) []metric {
	at := func(recorded time.Time) time.Time {
		if recorded.IsZero() {
			return m.Started
		}
		r.last = recorded
		return recorded
	}
	var figures []metric
	for _, w := range windows {
		if when := at(w.Time); w.Step > r.has.windows {
			figures = append(figures, figuresOf(w.Figures(), windowMark, w.Step, when)...)
		}
	}
	for _, e := range epochs {
		if when := at(e.Time); e.Step > r.has.epochs {
			figures = append(figures, figuresOf(e.Figures(), epochMark, e.Step, when)...)
		}
	}
	return figures
}

// figuresOf are the figures of one step, with the one that marks it as the last.
func figuresOf(values map[string]rundir.Number, mark string, step int, when time.Time) []metric {
	var figures []metric
	add := func(name string) {
		figures = append(figures, metric{nameOf(name), valueOf(values[name]), when.UnixMilli(), step})
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if name != mark {
			add(name)
		}
	}
	if mark != "" {
		add(mark)
	}
	return figures
}

// valueOf is a number as MLflow's JSON has it.
func valueOf(n rundir.Number) any {
	switch value := float64(n); {
	case math.IsNaN(value):
		return "NaN"
	case math.IsInf(value, 1):
		return "Infinity"
	case math.IsInf(value, -1):
		return "-Infinity"
	default:
		return value
	}
}

// nameOf is a name with the letters that MLflow allows.
func nameOf(name string) string {
	return cut(strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("_-. /", c) {
			return c
		}
		return '_'
	}, name), maxName)
}

// cut is a text of at most so many bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}

// setStatus says how the run stands, where the server has it otherwise.
func (r *Run) setStatus(ctx context.Context, status string, ended time.Time) error {
	if r.info.Status == status {
		return nil
	}
	change := map[string]any{"run_id": r.info.RunID, "status": status}
	if !ended.IsZero() {
		change["end_time"] = ended.UnixMilli()
	}
	if err := r.server.call(ctx, http.MethodPost, "runs/update", change, &struct{}{}); err != nil {
		return err
	}
	r.info.Status = status
	return nil
}

// sendFiles sends the files that a person would look for.
func (r *Run) sendFiles(ctx context.Context, sent *Sent) error {
	to := artifactPath(r.info.ArtifactURI)
	if to == "" {
		sent.Note = fmt.Sprintf("%s stores files at %.200q, which it does not serve itself: config, manifest, report and picture stay only in %s; "+
			"for new experiments, start it with: mlflow server --artifacts-destination FOLDER", r.server.uri, r.info.ArtifactURI, r.folder.Path)
		return nil
	}
	for _, name := range []string{"config.yaml", "manifest.json", "report.html", "samples/final.png"} {
		data, err := rundir.ReadFile(filepath.Join(r.folder.Path, filepath.FromSlash(name)), maxFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			_, err = r.server.do(ctx, uploadTime, http.MethodPut, to+"/"+name, data)
		}
		switch {
		case err == nil:
			sent.Files++
		case errors.Is(err, ErrUnreachable):
			return err
		default:
			sent.Note = fmt.Sprintf("%s was not sent: %v", name, err)
		}
	}
	return nil
}
