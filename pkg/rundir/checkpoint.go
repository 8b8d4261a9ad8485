package rundir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Checkpoint is everything that the rest of a run depends on.
type Checkpoint struct {
	Step int `json:"step"`
	// Meta is what the run's driver keeps beside the tensors.
	Meta json.RawMessage `json:"meta"`
	// Tensors are float32 arrays.
	Tensors []Tensor `json:"-"`
}

// Tensor is a named float32 array.
type Tensor struct {
	Name   string
	Dims   []int
	Values []float32
}

// The format of a checkpoint file, all numbers little-endian:
//
//	8 bytes   magic
//	8 bytes   length of the header
//	header    JSON: step, meta, and name and dims of every tensor
//	values    float32, the tensors one after another
//	32 bytes  SHA-256 of all before
var checkpointMagic = []byte("LATENT\x00\x01") // the last byte is the format's version

const (
	checkpointsDir   = "checkpoints"
	checkpointSuffix = ".ckpt"
	stepPrefix       = "step-"
	bestCheckpoint   = "best" + checkpointSuffix
	maxHeader        = 16 << 20
	maxCheckpoint    = 16 << 30
)

type checkpointHeader struct {
	Checkpoint
	DType string        `json:"dtype"` // "float32"
	Shape []tensorShape `json:"tensors"`
}

type tensorShape struct {
	Name string `json:"name"`
	Dims []int  `json:"dims"`
}

func stepName(step int) string { return fmt.Sprintf("%s%09d%s", stepPrefix, step, checkpointSuffix) }

// CheckpointPath is the path of a step's checkpoint.
func (r *Run) CheckpointPath(step int) string {
	return filepath.Join(r.Path, checkpointsDir, stepName(step))
}

// SaveCheckpoint writes a step's checkpoint, the best one too where it is that, and then removes all but the newest keep.
// Whatever fails, the checkpoints before it are still there.
func (r *Run) SaveCheckpoint(c Checkpoint, best bool, keep int) error {
	if err := r.syncMetrics(); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	// The best goes first: if the process dies between the two, the run goes on from the step before and makes it again.
	names := []string{stepName(c.Step)}
	if best {
		names = []string{bestCheckpoint, stepName(c.Step)}
	}
	for _, name := range names {
		if err := writeFile(filepath.Join(r.Path, checkpointsDir, name), c.encode); err != nil {
			return fmt.Errorf("save checkpoint %s: %w; the checkpoints before it are still there", filepath.Join(r.Path, checkpointsDir, name), err)
		}
	}
	steps, err := r.steps()
	if err != nil {
		return err
	}
	for _, name := range steps[:max(0, len(steps)-keep)] {
		if err := os.Remove(filepath.Join(r.Path, checkpointsDir, name)); err != nil {
			return fmt.Errorf("remove an old checkpoint: %w", err)
		}
	}
	return nil
}

// steps lists the names of the steps' checkpoints, oldest first.
func (r *Run) steps() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(r.Path, checkpointsDir))
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), stepPrefix) && strings.HasSuffix(entry.Name(), checkpointSuffix) {
			names = append(names, entry.Name())
		}
	}
	slices.Sort(names) // the steps are padded
	return names, nil
}

// ErrNoCheckpoint says that a run has none that can be used.
var ErrNoCheckpoint = errors.New("no usable checkpoint")

// LatestCheckpoint reads the newest checkpoint; where that is damaged, the one before it, and so on, with a warning for
// each that was passed over.
func (r *Run) LatestCheckpoint() (c *Checkpoint, warnings []string, err error) {
	checkpoints, warnings, err := CommonCheckpoint([]*Run{r})
	if err != nil {
		return nil, warnings, err
	}
	return checkpoints[0], warnings, nil
}

// CommonCheckpoint reads the checkpoints of the newest step of which all runs have one, with a warning for each damaged one
// that was passed over.
func CommonCheckpoint(runs []*Run) (all []*Checkpoint, warnings []string, err error) {
	names, err := runs[0].steps()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Backward(names) {
		all = nil
		for _, run := range runs {
			c, err := run.readCheckpoint(name)
			if err != nil {
				if !errors.Is(err, fs.ErrNotExist) {
					warnings = append(warnings, fmt.Sprintf("%v; trying the one before", err))
				}
				break
			}
			all = append(all, c)
		}
		if len(all) == len(runs) {
			return all, warnings, nil
		}
	}
	return nil, warnings, fmt.Errorf("%s: %w", filepath.Join(runs[0].Path, checkpointsDir), ErrNoCheckpoint)
}

// BestCheckpoint reads the checkpoint with the lowest validation loss.
func (r *Run) BestCheckpoint() (*Checkpoint, error) {
	c, err := r.readCheckpoint(bestCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", filepath.Join(r.Path, checkpointsDir, bestCheckpoint), ErrNoCheckpoint)
	}
	return c, err
}

func (r *Run) readCheckpoint(name string) (*Checkpoint, error) {
	path := filepath.Join(r.Path, checkpointsDir, name)
	data, err := readBounded(path, maxCheckpoint)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	c, err := decodeCheckpoint(data)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %s: %w", path, err)
	}
	return c, nil
}

func (c Checkpoint) encode(w io.Writer) error {
	header := checkpointHeader{Checkpoint: c, DType: "float32"}
	for _, tensor := range c.Tensors {
		header.Shape = append(header.Shape, tensorShape{tensor.Name, tensor.Dims})
	}
	head, err := json.Marshal(header)
	if err != nil {
		return err
	}
	digest := sha256.New()
	both := io.MultiWriter(w, digest)
	prefix := binary.LittleEndian.AppendUint64(slices.Clone(checkpointMagic), uint64(len(head)))
	if _, err := both.Write(append(prefix, head...)); err != nil {
		return err
	}
	for _, tensor := range c.Tensors {
		if err := binary.Write(both, binary.LittleEndian, tensor.Values); err != nil {
			return err
		}
	}
	_, err = w.Write(digest.Sum(nil))
	return err
}

// decodeCheckpoint reads a file's contents. Nothing in it is believed before its checksum agrees, and then no size
// before it fits the file.
func decodeCheckpoint(data []byte) (*Checkpoint, error) {
	const prefix = 16
	if len(data) < prefix+sha256.Size {
		return nil, fmt.Errorf("%d bytes: it was cut off", len(data))
	}
	if !bytes.Equal(data[:8], checkpointMagic) {
		return nil, fmt.Errorf("begins with %q, want %q: it is no checkpoint, or one of another version", data[:8], checkpointMagic)
	}
	body, trailer := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if digest := sha256.Sum256(body); !bytes.Equal(digest[:], trailer) {
		return nil, errors.New("checksum does not agree: it was cut off or changed")
	}
	length := binary.LittleEndian.Uint64(body[8:])
	if length > maxHeader || length > uint64(len(body)-prefix) {
		return nil, fmt.Errorf("header of %d bytes in a file of %d", length, len(data))
	}
	var header checkpointHeader
	if err := json.Unmarshal(body[prefix:prefix+length], &header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if header.DType != "float32" {
		return nil, fmt.Errorf("values are %q, this program reads float32", header.DType)
	}
	values := body[prefix+length:]
	for _, shape := range header.Shape {
		count := 1
		for _, dim := range shape.Dims {
			if dim < 0 || dim > 0 && count > math.MaxInt32/dim {
				return nil, fmt.Errorf("tensor %s has shape %v", shape.Name, shape.Dims)
			}
			count *= dim
		}
		if count > len(values)/4 {
			return nil, fmt.Errorf("tensor %s has shape %v, %d values are left", shape.Name, shape.Dims, len(values)/4)
		}
		tensor := Tensor{Name: shape.Name, Dims: shape.Dims, Values: make([]float32, count)}
		for i := range tensor.Values {
			tensor.Values[i] = math.Float32frombits(binary.LittleEndian.Uint32(values[4*i:]))
		}
		header.Tensors = append(header.Tensors, tensor)
		values = values[4*count:]
	}
	if len(values) > 0 {
		return nil, fmt.Errorf("%d bytes after the last tensor", len(values))
	}
	return &header.Checkpoint, nil
}
