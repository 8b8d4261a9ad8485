// Package rundir is the folder that a run leaves: its config, manifest, metrics, checkpoints and pictures.
//
//	run, err := rundir.Create("runs", "mnist-denoise", time.Now())
//	err = run.WriteManifest(manifest)
//	err = run.AppendWindow(rundir.Window{Step: 60, Loss: 0.12})
//	err = run.SaveCheckpoint(checkpoint, best, keep)
//
// The layout:
//
//	config.yaml      fully resolved: running it again gives the same run
//	manifest.json    what ran, where, and what came out; see [Manifest]
//	metrics.jsonl    a line a window and a line an epoch; see [Window] and [Epoch]
//	checkpoints/     the newest and the best; see [Checkpoint]
//	samples/         epoch-0000.png …, final.png; missing where none was drawn
//	pictures/        of the model's codes: samples.png, map.png …; the same
//	tensorboard/     event files, with tracking.tensorboard
//	mlflow.json      what an MLflow server has of the run, with tracking.mlflow
//	tags.json        what people say of the run; see [Labels]
//	report.html      one self-contained page
//
// Promised: every file but metrics.jsonl is written whole or not at all, under a temporary name, synced and renamed;
// metrics.jsonl only grows, and a line that was cut off is dropped when the run goes on; nothing is written outside the
// folder; files that were damaged are errors that say so, and so are pipes and links in their place.
//
// What is not here: what the numbers and tensors mean (pkg/train, pkg/evaluate).
package rundir

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// Run is the folder of one run. One process at a time may write to it; any number may read.
type Run struct {
	// Path is the folder.
	Path string
	// Relaxed leaves out waiting for the disk. A process that is killed loses nothing by it; a power cut may lose what was
	// written in the last half minute, or leave a file empty that was whole before.
	Relaxed bool

	lock    *flock.Flock // nil where the run is only read
	metrics *os.File     // open while the run is written
}

const (
	configFile   = "config.yaml"
	manifestFile = "manifest.json"
	metricsFile  = "metrics.jsonl"
	reportFile   = "report.html"
	lockFile     = ".lock"
	mlflowFile   = "mlflow.json"
	labelsFile   = "tags.json"

	calibrationFile = "calibration.ckpt"
	samplesDir      = "samples"
	picturesDir     = "pictures"

	tensorBoardDir = "tensorboard"

	pngSuffix = ".png"
)

// Create makes the folder of a new run, DIR/NAME/TIME-ID, and locks it for writing.
func Create(dir, name string, now time.Time) (*Run, error) {
	path, err := MakeFolder(dir, name, now)
	if err != nil {
		return nil, err
	}
	if err := fillFolder(path); err != nil {
		return nil, fmt.Errorf("make a folder for the run: %w", err)
	}
	run := &Run{Path: path}
	return run, run.Lock()
}

// MakeFolder makes the folder DIR/NAME/TIME-ID, which nothing had before, and returns its path.
func MakeFolder(dir, name string, now time.Time) (string, error) {
	if !nameRule.MatchString(name) {
		return "", fmt.Errorf("run name %q: use only letters, digits, '-', '_' and '.'", name)
	}
	parent := filepath.Join(dir, name)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("make a folder for the run: %w; choose another with --out or output.dir", err)
	}
	for {
		path := filepath.Join(parent, now.Format("2006-01-02T15-04-05")+"-"+NewID())
		err := os.Mkdir(path, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = syncFolders(path)
		}
		if err != nil {
			return "", fmt.Errorf("make a folder for the run: %w; choose another with --out or output.dir", err)
		}
		return path, nil
	}
}

// Called says whether a person may call a folder NAME/TIME-ID so: by the beginning of its TIME-ID, by the ID, or by NAME/ and a beginning.
func Called(name, timeID, called string) bool {
	if called == "" {
		return false
	}
	return strings.HasPrefix(timeID, called) || strings.HasSuffix(timeID, "-"+called) || strings.Contains(called, "/") && strings.HasPrefix(name+"/"+timeID, called)
}

// NewID returns four random hexadecimal digits.
func NewID() string {
	var id [2]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// CreateAt makes the folder of a new run at a path where nothing is yet, relaxed (see [Run]) or not, and locks it for writing.
func CreateAt(path string, relaxed bool) (*Run, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make a folder for the run: %w", err)
	}
	err := os.Mkdir(path, 0o755)
	if err == nil {
		err = fillFolder(path)
	}
	if err == nil && !relaxed {
		err = syncFolders(path)
	}
	if err != nil {
		return nil, fmt.Errorf("make a folder for the run: %w", err)
	}
	run := &Run{Path: path, Relaxed: relaxed}
	return run, run.Lock()
}

// fillFolder makes what a run's new folder needs from the start, or removes it.
func fillFolder(path string) error {
	if err := os.Mkdir(filepath.Join(path, checkpointsDir), 0o755); err != nil {
		return errors.Join(err, os.RemoveAll(path))
	}
	return nil
}

// syncFolders makes a new run's folder itself last through a power cut, or what is synced in it would not.
func syncFolders(path string) error {
	name := filepath.Dir(path)
	return cmp.Or(syncDir(path), syncDir(name), syncDir(filepath.Dir(name)))
}

var nameRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Open returns the run in a folder, for reading.
func Open(path string) (*Run, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open run: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("open run: %s is a file; give the run's folder", path)
	}
	if _, err := os.Stat(filepath.Join(path, manifestFile)); err != nil {
		return nil, fmt.Errorf("open run: %s has no %s; it is not a run's folder", path, manifestFile)
	}
	return &Run{Path: path}, nil
}

// lockPatience is longer than a look at a lock takes.
const lockPatience = 50 * time.Millisecond

// ErrLocked says that another process writes to the run.
var ErrLocked = errors.New("another process is writing to this run; wait for it or stop it")

// Lock takes the run for writing, until Close or the end of the process, and removes what a killed process left half-written.
func (r *Run) Lock() error {
	path := filepath.Join(r.Path, lockFile)
	if err := checkLockFile(path); err != nil {
		return fmt.Errorf("lock %s: %w", r.Path, err)
	}
	lock := flock.New(path)
	// Who asks whether the run is locked holds a lock of its own for that moment, see Locked.
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	locked, err := lock.TryLockContext(ctx, lockPatience/10)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("lock %s: %w", r.Path, err)
	}
	if !locked {
		return fmt.Errorf("lock %s: %w", r.Path, ErrLocked)
	}
	r.lock = lock
	return r.removeTemporary()
}

// removeTemporary removes what a killed process was writing. The lock must be held: without it the files may be another's,
// which still writes them.
func (r *Run) removeTemporary() error {
	for _, dir := range []string{r.Path, filepath.Join(r.Path, checkpointsDir), filepath.Join(r.Path, samplesDir), filepath.Join(r.Path, picturesDir)} {
		names, err := halfWrittenIn(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("remove a half-written file: %w", err)
			}
		}
	}
	return nil
}

// halfWrittenIn lists the files of a folder that were being written.
func halfWrittenIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for half-written files: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), temporaryPrefix) && entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// Close ends writing.
func (r *Run) Close() error {
	var err error
	if r.metrics != nil {
		err = r.metrics.Close()
		r.metrics = nil
	}
	if r.lock != nil {
		err = errors.Join(err, r.lock.Unlock())
		r.lock = nil
	}
	return err
}

// WriteConfig writes config.yaml.
func (r *Run) WriteConfig(yaml []byte) error { return r.write(configFile, yaml) }

// ConfigPath is the path of config.yaml.
func (r *Run) ConfigPath() string { return filepath.Join(r.Path, configFile) }

// Config reads config.yaml.
func (r *Run) Config() ([]byte, error) { return readBounded(r.ConfigPath(), 1<<20) }

// TensorBoardPath is the path of the folder for TensorBoard.
func (r *Run) TensorBoardPath() string { return filepath.Join(r.Path, tensorBoardDir) }

// CalibrationPath is the file of what scores of anomalies rest on, once they were computed.
func (r *Run) CalibrationPath() string { return filepath.Join(r.Path, calibrationFile) }

// WriteMLflow writes mlflow.json, whose contents are pkg/mlflow's.
func (r *Run) WriteMLflow(data []byte) error { return r.write(mlflowFile, data) }

// MLflow reads mlflow.json.
func (r *Run) MLflow() ([]byte, error) { return readBounded(filepath.Join(r.Path, mlflowFile), 1<<16) }

// WriteReport writes report.html.
func (r *Run) WriteReport(html []byte) error { return r.write(reportFile, html) }

// ReportPath is the path of report.html.
func (r *Run) ReportPath() string { return filepath.Join(r.Path, reportFile) }

// SaveSample writes a picture of held-out images: "epoch-0001" or "final".
func (r *Run) SaveSample(name string, png []byte) error { return r.savePicture(samplesDir, name, png) }

// Samples lists the pictures of held-out images, by name: the epochs in order, then the final one.
func (r *Run) Samples() ([]Picture, error) { return r.pictures(samplesDir) }

// SavePicture writes a picture of the model's codes, such as "map".
func (r *Run) SavePicture(name string, png []byte) error {
	return r.savePicture(picturesDir, name, png)
}

// AnomalySheet is the name of the picture, among those of the model's codes, of the test samples that tell most of its scores.
const AnomalySheet = "anomalies"

// Pictures lists the pictures of the model's codes, by name.
func (r *Run) Pictures() ([]Picture, error) { return r.pictures(picturesDir) }

// PicturePath is the path of a picture of the model's codes.
func (r *Run) PicturePath(name string) string {
	return filepath.Join(r.Path, picturesDir, name+pngSuffix)
}

// Picture is a PNG file of the run.
type Picture struct {
	Name string // "epoch-0001"
	Path string
}

func (r *Run) savePicture(dir, name string, png []byte) error {
	if !nameRule.MatchString(name) {
		return fmt.Errorf("picture name %q: use only letters, digits, '-', '_' and '.'", name)
	}
	// Somebody may have removed the pictures of a run that goes on, or put a link to another folder there.
	if err := os.Mkdir(filepath.Join(r.Path, dir), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("save a picture: %w", err)
	}
	if info, err := os.Lstat(filepath.Join(r.Path, dir)); err != nil || !info.IsDir() {
		return fmt.Errorf("save a picture: %s is not a folder; remove it", filepath.Join(r.Path, dir))
	}
	return r.write(filepath.Join(dir, name+pngSuffix), png)
}

func (r *Run) pictures(dir string) ([]Picture, error) {
	entries, err := os.ReadDir(filepath.Join(r.Path, dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	var pictures []Picture
	for _, entry := range entries {
		if name, found := strings.CutSuffix(entry.Name(), pngSuffix); found && entry.Type().IsRegular() && nameRule.MatchString(name) {
			pictures = append(pictures, Picture{Name: name, Path: filepath.Join(r.Path, dir, entry.Name())})
		}
	}
	slices.SortFunc(pictures, func(a, b Picture) int { return strings.Compare(a.Name, b.Name) })
	return pictures, nil
}

// write replaces a file of the run.
func (r *Run) write(name string, data []byte) error {
	err := r.writeFile(filepath.Join(r.Path, name), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Join(r.Path, name), err)
	}
	return nil
}

// writeFile writes a file of the run, and waits for the disk where that is asked for.
func (r *Run) writeFile(path string, fill func(w io.Writer) error) error {
	if r.Relaxed {
		return nameWhole(path, fill, func(*os.File) error { return nil })
	}
	return writeFile(path, fill)
}

// writeFile gives a file its name only when all of it is on the disk: whatever happens, the name holds the whole old or the
// whole new contents.
func writeFile(path string, fill func(w io.Writer) error) error {
	if err := nameWhole(path, fill, (*os.File).Sync); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// WriteFile replaces a file that belongs to no run: whole or not at all.
func WriteFile(path string, data []byte) error {
	err := writeFile(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// ReadFile reads a regular file of at most limit bytes.
func ReadFile(path string, limit int64) ([]byte, error) { return readBounded(path, limit) }

// nameWhole gives a file its name when all of it is written, and sync has returned.
func nameWhole(path string, fill func(w io.Writer) error, sync func(*os.File) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), temporaryPrefix+"*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // fails once the file has its name
	// The first error is the one to tell; after it the others only follow.
	if err := cmp.Or(fill(file), file.Chmod(0o644), sync(file), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// temporaryPrefix begins the names of files that are being written; a killed process leaves one behind.
const temporaryPrefix = ".writing-"

// syncDir makes a rename last through a power cut, where the file system can: some, and Windows, cannot sync a folder.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// openRegular opens a regular file and returns its size. Anything else is refused: opening a pipe would wait for its writer,
// and a link leads out of the folder.
func openRegular(path string) (*os.File, int64, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a regular file (%v)", path, info.Mode())
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	if info, err = file.Stat(); err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	file, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var data bytes.Buffer
	data.Grow(int(min(size, limit)) + bytes.MinRead) // one call reads it all, and one finds the end
	if _, err := data.ReadFrom(io.LimitReader(file, limit+1)); err != nil {
		return nil, err
	}
	if int64(data.Len()) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return data.Bytes(), nil
}
