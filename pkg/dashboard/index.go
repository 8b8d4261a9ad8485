package dashboard

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"latent/pkg/query"
	"latent/pkg/rundir"
	"latent/pkg/runs"
)

// Row is what the index knows of a run: its fields, by which runs are chosen and sorted.
type Row struct {
	*query.Record
	// Key names the run in URLs: the number of its root folder and the path below it, such as 0/mnist-vae/2026-11-24T10-15-30-7f3a.
	Key string
	// Spark is the validation loss of some epochs, or the training loss where no samples are held out.
	Spark []float64

	manifest, labels, records stamp // of the files that the row was made of
	filled                    bool  // its config and Spark were read
}

// stamp tells whether a file was written since it was read.
type stamp struct {
	Time int64 `json:"t"` // of its last change, in nanoseconds
	Size int64 `json:"s"` // in bytes
}

// stampOf is that of a file; the zero value where there is none.
func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime().UnixNano(), info.Size()}
}

// index keeps a row for each run below some folders, in memory and in a file, so that the next start reads only what has changed since.
type index struct {
	roots []string
	file  *indexFile // nil where rows are kept in memory alone
	log   *slog.Logger

	working sync.Mutex // held by refresh and fill

	mu      sync.RWMutex // of the rest; rows are replaced, never changed
	rows    map[string]*Row
	sorted  []*Row       // the newest first
	known   query.Fields // of all rows; nil before they are asked for
	version int64        // rises with every change
	changed chan struct{}
}

// openIndex opens the index of some folders. file is where it is kept; "" keeps it in memory alone.
func openIndex(roots []string, file string, log *slog.Logger) *index {
	x := &index{roots: roots, log: log, rows: map[string]*Row{}, changed: make(chan struct{})}
	if file != "" {
		var rows []*Row
		if x.file, rows = openIndexFile(file, x.keyOf, log); len(rows) > 0 {
			x.put(rows, nil)
		}
	}
	return x
}

func (x *index) close() {
	x.working.Lock()
	defer x.working.Unlock()
	x.file.close()
}

// keyOf is the key of a run's folder; "" where it lies below none of the roots.
func (x *index) keyOf(path string) string {
	for i, root := range x.roots {
		if below, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(below) {
			return strconv.Itoa(i) + "/" + filepath.ToSlash(below)
		}
	}
	return ""
}

// all are the rows, the newest first, and their version. They are shared, and not to be changed.
func (x *index) all() ([]*Row, int64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.sorted, x.version
}

// fields are those of all rows.
func (x *index) fields() query.Fields {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known == nil {
		x.known = query.FieldsOf(records(x.sorted))
	}
	return x.known
}

// row is that of a key; nil where there is none.
func (x *index) row(key string) *Row {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.rows[key]
}

// next is closed at the next change.
func (x *index) next() <-chan struct{} {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.changed
}

// put enters rows, and removes those of some keys.
func (x *index) put(rows []*Row, gone []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, row := range rows {
		x.rows[row.Key] = row
	}
	for _, key := range gone {
		delete(x.rows, key)
	}
	x.sorted = slices.SortedFunc(maps.Values(x.rows), func(a, b *Row) int {
		return cmp.Or(b.Manifest.Started.Compare(a.Manifest.Started), strings.Compare(a.Key, b.Key))
	})
	x.version++
	x.known = nil
	close(x.changed)
	x.changed = make(chan struct{})
}

// enter puts rows into the index and its file.
func (x *index) enter(rows []*Row, gone []string) {
	if len(rows)+len(gone) == 0 {
		return
	}
	var paths []string
	for _, key := range gone {
		paths = append(paths, x.row(key).Path)
	}
	x.put(rows, gone)
	x.file.save(rows, paths)
}

// follow keeps the index up to date, until ctx ends.
func (x *index) follow(ctx context.Context, every time.Duration) {
	for ctx.Err() == nil {
		x.refresh(ctx)
		x.fill(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
	}
}

// refresh reads the manifests that have changed, and drops the runs that are gone.
func (x *index) refresh(ctx context.Context) {
	x.working.Lock()
	defer x.working.Unlock()
	found := map[string]string{} // paths by key
	for i, root := range x.roots {
		x.find(strconv.Itoa(i), root, maxDepth, found)
	}
	rows, _ := x.all()
	var gone []string
	for _, row := range rows {
		switch path, there := found[row.Key]; {
		case !there:
			gone = append(gone, row.Key)
		case row.State != rundir.Running && row.manifest == stampOf(folder(path).ManifestPath()) && row.labels == stampOf(folder(path).LabelsPath()):
			delete(found, row.Key)
		}
	}
	x.enter(each(ctx, slices.Sorted(maps.Keys(found)), func(key string) *Row { return x.read(key, found[key]) }), gone)
}

// maxDepth is how many folders deep below a root runs are looked for, as runs.List does.
const maxDepth = 6

// folder is that of a run.
func folder(path string) *rundir.Run { return &rundir.Run{Path: path} }

// find enters the paths of the runs in a folder and below it. Links are not followed.
func (x *index) find(key, path string, depth int, found map[string]string) {
	if isRun(path) {
		found[key] = path
		return
	}
	children, err := os.ReadDir(path)
	if err != nil || depth == 0 {
		return // removed meanwhile, or not for us
	}
	for _, child := range children {
		if child.IsDir() && !strings.HasPrefix(child.Name(), ".") {
			x.find(key+"/"+child.Name(), filepath.Join(path, child.Name()), depth-1, found)
		}
	}
}

// isRun says whether a folder may be a run's.
func isRun(path string) bool {
	info, err := os.Lstat(folder(path).ManifestPath())
	return err == nil && info.Mode().IsRegular() || rundir.IsFolder(path)
}

// each makes rows of keys, several at once. Those that come to nil are left out.
func each[T any](ctx context.Context, all []T, make func(T) *Row) []*Row {
	rows := slices.Repeat([]*Row{nil}, len(all))
	var group errgroup.Group
	group.SetLimit(4 * runtime.GOMAXPROCS(0)) // most of the time goes to waiting for the disk
	for i, one := range all {
		group.Go(func() error {
			if ctx.Err() == nil {
				rows[i] = make(one)
			}
			return nil
		})
	}
	group.Wait() // nothing fails
	return slices.DeleteFunc(rows, func(row *Row) bool { return row == nil })
}

// read returns the row of a run as its manifest has it; nil where nothing has changed, or there is none.
func (x *index) read(key, path string) *Row {
	row := &Row{Key: key, manifest: stampOf(folder(path).ManifestPath()), labels: stampOf(folder(path).LabelsPath())}
	entry, err := runs.Open(path)
	if err != nil {
		return nil
	}
	old := x.row(key)
	if old != nil && old.manifest == row.manifest && old.labels == row.labels && old.State == entry.State {
		return nil // running still
	}
	row.Record = query.Read([]runs.Entry{entry}, false)[0]
	row.Manifest = brief(entry.Manifest)
	if old != nil { // of which fill knows what is left to read
		row.Config, row.Spark, row.records, row.filled = old.Config, old.Spark, old.records, old.filled && old.State == row.State
	}
	return row
}

// brief is a manifest without what a list of runs does not show: of ten thousand it would fill the memory.
func brief(m *rundir.Manifest) *rundir.Manifest {
	kept := *m
	kept.Model.Layers, kept.ConfigSections, kept.Versions, kept.From = nil, nil, nil, nil
	kept.Data.Classes, kept.Data.Features, kept.Data.Checksums, kept.Data.Skipped = nil, nil, nil, nil
	kept.Result.Features, kept.Result.FiringRates, kept.Result.Anomaly, kept.Result.Likelihood = nil, nil, nil, nil
	return &kept
}

// fillAtOnce is how many rows are filled before the index changes.
const fillAtOnce = 256

// fill reads the configs and records that no row has yet: those of the newest runs first.
func (x *index) fill(ctx context.Context) {
	x.working.Lock()
	defer x.working.Unlock()
	rows, _ := x.all()
	var lacking []*Row
	for _, row := range rows {
		if !row.filled || row.State == rundir.Running && row.records != stampOf(folder(row.Path).MetricsPath()) {
			lacking = append(lacking, row)
		}
	}
	for part := range slices.Chunk(lacking, fillAtOnce) {
		if ctx.Err() != nil {
			return
		}
		x.enter(each(ctx, part, filled), nil)
	}
}

// filled is a row with its config and records.
func filled(row *Row) *Row {
	full, record := *row, *row.Record
	full.Record = &record
	if !row.filled {
		record.Config = query.Read([]runs.Entry{row.Entry}, true)[0].Config
	}
	full.filled, full.records = true, stampOf(folder(row.Path).MetricsPath())
	if _, epochs, _, err := folder(row.Path).MetricsFrom(0, math.MaxInt); err == nil {
		full.Spark = sparkOf(epochs)
	}
	return &full
}

// sparkPoints is how many points a sparkline has at most.
const sparkPoints = 32

// sparkOf is the loss of some epochs, evenly spaced, the last among them.
func sparkOf(epochs []rundir.Epoch) []float64 {
	n := min(len(epochs), sparkPoints)
	spark := make([]float64, 0, n)
	for i := range n {
		e := epochs[(i+1)*len(epochs)/n-1]
		loss := e.TrainLoss
		if e.ValLoss != nil {
			loss = *e.ValLoss
		}
		if x := float64(loss); !math.IsNaN(x) && !math.IsInf(x, 0) {
			spark = append(spark, x)
		}
	}
	return spark
}
