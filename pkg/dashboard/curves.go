package dashboard

import (
	"math"
	"net/http"
	"slices"
	"sync"

	"latent/pkg/rundir"
)

// Curves are the records of a run in columns, for plots. A value that is no finite number is null.
type Curves struct {
	// Steps, Seconds and the curves have a value for each epoch; seconds are of training since the first step.
	Steps   []float64             `json:"steps"`
	Seconds []float64             `json:"seconds"`
	Epochs  map[string][]*float64 `json:"epochs"`
	// Windows are the training loss and learning rate within epochs, at most [maxPoints] of them.
	WindowSteps []float64             `json:"window_steps"`
	Windows     map[string][]*float64 `json:"windows"`
}

// maxPoints bounds the points of a curve.
const maxPoints = 1000

// finite is a number for JSON.
func finite(x rundir.Number) *float64 {
	value := float64(x)
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return nil
	}
	return &value
}

// curvesOf reads the records of a run.
func curvesOf(run *rundir.Run) (*Curves, error) {
	windows, epochs, _, err := run.MetricsFrom(0, math.MaxInt)
	if err != nil {
		return nil, err
	}
	c := &Curves{Steps: []float64{}, Seconds: []float64{}, Epochs: map[string][]*float64{}, WindowSteps: []float64{}, Windows: map[string][]*float64{}}
	seconds := 0.0
	for i, e := range epochs {
		seconds += float64(e.Seconds)
		c.Steps, c.Seconds = append(c.Steps, float64(e.Step)), append(c.Seconds, seconds)
		for name, value := range e.Figures() {
			if c.Epochs[name] == nil {
				c.Epochs[name] = make([]*float64, len(epochs))
			}
			c.Epochs[name][i] = finite(value)
		}
	}
	every := len(windows)/maxPoints + 1
	for part := range slices.Chunk(windows, every) {
		sum := 0.0
		for _, w := range part {
			sum += float64(w.Loss)
		}
		last := part[len(part)-1]
		c.WindowSteps = append(c.WindowSteps, float64(last.Step))
		c.Windows["train/loss"] = append(c.Windows["train/loss"], finite(rundir.Number(sum/float64(len(part)))))
		c.Windows["train/learning_rate"] = append(c.Windows["train/learning_rate"], finite(last.LearningRate))
	}
	return c, nil
}

// curveCache keeps the curves that were read last, by the path of their run, until its records change.
type curveCache struct {
	mu   sync.Mutex
	kept []keptCurves // the last used first
}

type keptCurves struct {
	path   string
	stamp  stamp
	curves *Curves
}

// mostCurves is how many runs' curves are kept: those of two comparisons.
const mostCurves = 2 * maxCompared

func (c *curveCache) of(run *rundir.Run) (*Curves, error) {
	now := stampOf(run.MetricsPath())
	c.mu.Lock()
	i := slices.IndexFunc(c.kept, func(k keptCurves) bool { return k.path == run.Path })
	if i >= 0 && c.kept[i].stamp == now {
		found := c.kept[i]
		c.kept = slices.Insert(slices.Delete(c.kept, i, i+1), 0, found)
		c.mu.Unlock()
		return found.curves, nil
	}
	c.mu.Unlock()
	curves, err := curvesOf(run)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = slices.DeleteFunc(c.kept, func(k keptCurves) bool { return k.path == run.Path })
	c.kept = slices.Insert(c.kept, 0, keptCurves{run.Path, now, curves})
	c.kept = c.kept[:min(len(c.kept), mostCurves)]
	return curves, nil
}

// curvesJSON sends the curves of a run.
func (s *Server) curvesJSON(w http.ResponseWriter, r *http.Request) {
	row := s.index.row(r.PathValue("key"))
	if row == nil {
		sendJSON(w, http.StatusNotFound, map[string]string{"error": "there is no run " + r.PathValue("key")})
		return
	}
	curves, err := s.curves.of(folder(row.Path))
	if err != nil {
		sendJSON(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	sendJSON(w, http.StatusOK, curves)
}
