package rundir

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"
)

// Window is the record of one call of the compiled program.
type Window struct {
	Kind            string    `json:"kind"` // "window"
	Step            int       `json:"step"` // steps of the run done at its end
	Epoch           int       `json:"epoch"`
	Loss            Number    `json:"loss"` // mean over the window's steps
	LearningRate    Number    `json:"learning_rate"`
	ImagesPerSecond Number    `json:"images_per_second"`
	Time            time.Time `json:"time,omitzero"` // when it ended; older records have none
}

// Figures are the window's by the names that tracking tools show, such as train/loss.
func (w Window) Figures() map[string]Number {
	return map[string]Number{"train/loss": w.Loss, "train/learning_rate": w.LearningRate, "train/images_per_second": w.ImagesPerSecond}
}

// Epoch is the record of one epoch.
type Epoch struct {
	Kind         string  `json:"kind"` // "epoch"
	Epoch        int     `json:"epoch"`
	Step         int     `json:"step"`
	Seconds      Number  `json:"seconds"` // of training, validation not counted
	TrainLoss    Number  `json:"train_loss"`
	LearningRate Number  `json:"learning_rate"`
	ValLoss      *Number `json:"val_loss,omitempty"` // nil where no images are held out, like the next two
	ValPSNR      *Number `json:"val_psnr,omitempty"` // dB
	ValSSIM      *Number `json:"val_ssim,omitempty"`
	// ValExplainedVariance is, of vectors, in the place of those two, the part of their variance that is reconstructed.
	ValExplainedVariance *Number `json:"val_explained_variance,omitempty"`
	// ValTerms are the parts of the validation loss, without their weights, by name; nil where it has only one.
	ValTerms map[string]Number `json:"val_terms,omitempty"`
	// CorruptedPSNR is the corrupted validation images' own, in dB; nil where nothing is corrupted.
	CorruptedPSNR *Number `json:"corrupted_val_psnr,omitempty"`
	// StateSHA256 is the checksum of the parameters and the optimizer's state; see [train.State.Checksum].
	StateSHA256 string    `json:"state_sha256,omitempty"`
	Time        time.Time `json:"time,omitzero"` // when it was validated; older records have none
}

// Figures are the epoch's by the names that tracking tools show: epoch/train_loss, and those of the validation as
// validation/psnr. What is not defined is absent.
func (e Epoch) Figures() map[string]Number {
	figures := map[string]Number{"epoch/train_loss": e.TrainLoss}
	for name, value := range map[string]*Number{
		"validation/loss": e.ValLoss, "validation/psnr": e.ValPSNR, "validation/ssim": e.ValSSIM, "validation/corrupted_psnr": e.CorruptedPSNR,
		"validation/explained_variance": e.ValExplainedVariance,
	} {
		if value != nil {
			figures[name] = *value
		}
	}
	for name, value := range e.ValTerms {
		figures["validation/"+name] = value
	}
	return figures
}

// AppendWindow adds a window's line to metrics.jsonl.
func (r *Run) AppendWindow(w Window) error {
	w.Kind = "window"
	return r.append(w)
}

// AppendEpoch adds an epoch's line to metrics.jsonl.
func (r *Run) AppendEpoch(e Epoch) error {
	e.Kind = "epoch"
	return r.append(e)
}

func (r *Run) append(record any) error {
	if r.metrics == nil {
		file, err := os.OpenFile(r.MetricsPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("write metrics: %w", err)
		}
		r.metrics = file
	}
	line, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	if _, err := r.metrics.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}

// MetricsPath is the path of metrics.jsonl.
func (r *Run) MetricsPath() string { return filepath.Join(r.Path, metricsFile) }

// Bounds of what is read of metrics.jsonl: a line has about 150 bytes, and a run writes a few a second.
const (
	maxMetrics     = 1 << 30 // the whole file, where its records are kept
	maxMetricsLine = 1 << 20
	warningsShown  = 10
)

// Metrics reads metrics.jsonl. A last line that was cut off is left out.
func (r *Run) Metrics() (windows []Window, epochs []Epoch, err error) {
	err = r.metricsLines(maxMetrics, func(number int, line []byte) error {
		if _, err := parseLine(line, &windows, &epochs); err != nil {
			return fmt.Errorf("%s:%d: damaged: %w; remove the line, whose record is lost", r.MetricsPath(), number, err)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read metrics: %w", err)
	}
	return windows, epochs, nil
}

// MetricsFrom reads about most records of metrics.jsonl from a place in the file, 0 at first, and returns the place after
// them: so the file can be followed while another writes it, whatever its size.
func (r *Run) MetricsFrom(place int64, most int) (windows []Window, epochs []Epoch, after int64, err error) {
	enough := errors.New("enough")
	after, err = r.metricsLinesFrom(place, math.MaxInt64, func(number int, line []byte) error {
		if _, err := parseLine(line, &windows, &epochs); err != nil {
			return fmt.Errorf("%s: line %d after byte %d: damaged: %w; remove the line, whose record is lost", r.MetricsPath(), number, place, err)
		}
		if len(windows)+len(epochs) >= most {
			return enough
		}
		return nil
	})
	if err != nil && !errors.Is(err, enough) {
		return nil, nil, place, fmt.Errorf("read metrics: %w", err)
	}
	return windows, epochs, after, nil
}

// metricsLines calls do for each whole line of metrics.jsonl, none where there is no such file. The line is valid until do
// returns; one that is too long is cut off, and so no JSON.
func (r *Run) metricsLines(limit int64, do func(number int, line []byte) error) error {
	_, err := r.metricsLinesFrom(0, limit, do)
	return err
}

// metricsLinesFrom is the same from a place on, and returns the place after the last line that do was called for.
func (r *Run) metricsLinesFrom(place, limit int64, do func(number int, line []byte) error) (int64, error) {
	file, size, err := openRegular(r.MetricsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return place, nil
	}
	if err != nil {
		return place, err
	}
	defer file.Close()
	if size > limit {
		return place, fmt.Errorf("%s: more than %d bytes", r.MetricsPath(), limit)
	}
	if _, err := file.Seek(place, io.SeekStart); err != nil {
		return place, err
	}
	buffered := bufio.NewReaderSize(file, maxMetricsLine)
	for number := 1; ; number++ {
		line, err := buffered.ReadSlice('\n')
		length := len(line)
		if errors.Is(err, bufio.ErrBufferFull) {
			line = bytes.Clone(line)
			for errors.Is(err, bufio.ErrBufferFull) {
				var more []byte
				more, err = buffered.ReadSlice('\n')
				length += len(more)
			}
		}
		if errors.Is(err, io.EOF) {
			return place, nil
		}
		if err != nil {
			return place, err
		}
		place += int64(length)
		if err := do(number, bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return place, err
		}
	}
}

// inJSON says what is wrong with a text that should be JSON, and on which of its lines.
func inJSON(data []byte, err error) string {
	syntax := (*json.SyntaxError)(nil)
	switch {
	case !errors.As(err, &syntax):
		return err.Error()
	case err.Error() == "unexpected end of JSON input":
		return fmt.Sprintf("truncated after %d bytes", len(data))
	case bytes.IndexByte(data, '\n') < 0:
		return err.Error()
	}
	return fmt.Sprintf("line %d: %v", 1+bytes.Count(data[:syntax.Offset], []byte("\n")), err)
}

// parseLine appends the record of a line and returns its step.
func parseLine(line []byte, windows *[]Window, epochs *[]Epoch) (step int, err error) {
	var kind struct{ Kind string }
	if err := json.Unmarshal(line, &kind); err != nil {
		return 0, errors.New(inJSON(line, err))
	}
	switch kind.Kind {
	case "window":
		var window Window
		err = json.Unmarshal(line, &window)
		*windows = append(*windows, window)
		return window.Step, err
	case "epoch":
		var epoch Epoch
		err = json.Unmarshal(line, &epoch)
		*epochs = append(*epochs, epoch)
		return epoch.Step, err
	}
	return 0, fmt.Errorf("unknown kind %q", kind.Kind)
}

// RewindMetrics drops every record after step, and what a killed process left of a line, so that a run that goes on from
// that step has each step once. At step 0 nothing is left. A whole line that cannot be read was damaged on the disk: it is
// dropped too, with a warning.
func (r *Run) RewindMetrics(step int) (warnings []string, err error) {
	if r.metrics != nil {
		return nil, errors.New("rewind metrics: the run is already writing them")
	}
	if _, err := os.Lstat(r.MetricsPath()); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	damaged := 0
	err = writeFile(r.MetricsPath(), func(w io.Writer) error {
		buffered := bufio.NewWriter(w)
		err := r.metricsLines(math.MaxInt64, func(number int, line []byte) error {
			var windows []Window
			var epochs []Epoch
			at, err := parseLine(line, &windows, &epochs)
			if err != nil {
				if damaged++; damaged <= warningsShown {
					warnings = append(warnings, fmt.Sprintf("%s:%d: damaged: %v; this record is lost", r.MetricsPath(), number, err))
				}
				return nil
			}
			if at > step {
				return nil
			}
			if _, err := buffered.Write(line); err != nil {
				return err
			}
			return buffered.WriteByte('\n')
		})
		return cmp.Or(err, buffered.Flush())
	})
	if err != nil {
		return nil, fmt.Errorf("rewind metrics: %w", err)
	}
	if more := damaged - len(warnings); more > 0 {
		warnings = append(warnings, fmt.Sprintf("%s: %d more records are lost", r.MetricsPath(), more))
	}
	return warnings, nil
}

// syncMetrics puts the lines on the disk, before a checkpoint that is younger than they are.
func (r *Run) syncMetrics() error {
	if r.metrics == nil || r.Relaxed {
		return nil
	}
	return r.metrics.Sync()
}
