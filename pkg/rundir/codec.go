package rundir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// The format of a checkpoint file, all numbers little-endian:
//
//	7 bytes   magic
//	1 byte    version of the format
//	8 bytes   length of the header
//	header    JSON: step, meta, dtype, and name and dims of every tensor
//	values    float32, the tensors one after another
//	32 bytes  SHA-256 of all before
//
// Later versions, too, begin with magic and version and end with the checksum: by that, one that this program cannot read is
// told from one that was damaged.
const (
	checkpointMagic   = "LATENT\x00"
	checkpointVersion = 1
	checkpointDType   = "float32"

	prefixSize = 16
	// maxHeader bounds the header, which JSON unpacks to as much as thirty times its size. A tensor takes about 70 bytes of it.
	maxHeader = 1 << 20
	// maxValues bounds the values, at 16 GiB.
	maxValues = 4 << 30
)

type checkpointHeader struct {
	Checkpoint
	DType string        `json:"dtype"`
	Shape []tensorShape `json:"tensors"`
}

type tensorShape struct {
	Name string `json:"name"`
	Dims []int  `json:"dims"`
}

// errOtherFormat says that a checkpoint is whole, but not one that this program can read.
var errOtherFormat = errors.New("another format")

// formatError is an errOtherFormat that names the difference.
type formatError struct{ what, has, reads string }

func (e formatError) Error() string {
	return fmt.Sprintf("it has %s %s, but this program reads %s %s", e.what, e.has, e.what, e.reads)
}

func (formatError) Is(target error) bool { return target == errOtherFormat }

// sizes counts the values of each tensor. Shapes with more than limit values together are an error.
func sizes(shapes []tensorShape, limit int64) (counts []int64, total int64, err error) {
	for _, shape := range shapes {
		count := int64(1)
		if slices.Contains(shape.Dims, 0) {
			count = 0
		}
		for _, dim := range shape.Dims {
			if dim < 0 || count > 0 && int64(dim) > (limit-total)/count {
				return nil, 0, fmt.Errorf("tensor %.100q has shape %.100s, with %d values left", shape.Name, fmt.Sprint(shape.Dims), limit-total)
			}
			count *= int64(dim)
		}
		counts = append(counts, count)
		if total += count; total > limit { // by a scalar
			return nil, 0, fmt.Errorf("tensor %.100q is one value, with none left", shape.Name)
		}
	}
	return counts, total, nil
}

// encode writes the file's contents. What decodeCheckpoint would refuse is not written.
func (c Checkpoint) encode(w io.Writer) error {
	header := checkpointHeader{Checkpoint: c, DType: checkpointDType}
	for _, tensor := range c.Tensors {
		header.Shape = append(header.Shape, tensorShape{tensor.Name, tensor.Dims})
	}
	counts, _, err := sizes(header.Shape, maxValues)
	if err != nil {
		return err
	}
	for i, tensor := range c.Tensors {
		if int64(len(tensor.Values)) != counts[i] {
			return fmt.Errorf("tensor %q of shape %v has %d values", tensor.Name, tensor.Dims, len(tensor.Values))
		}
	}
	if c.Step < 0 {
		return fmt.Errorf("step %d", c.Step)
	}
	head, err := json.Marshal(header)
	if err != nil {
		return err
	}
	if len(head) > maxHeader {
		return fmt.Errorf("a header of %d bytes; the limit is %d", len(head), maxHeader)
	}
	digest := sha256.New()
	both := io.MultiWriter(w, digest)
	prefix := append([]byte(checkpointMagic), checkpointVersion)
	prefix = binary.LittleEndian.AppendUint64(prefix, uint64(len(head)))
	if _, err := both.Write(append(prefix, head...)); err != nil {
		return err
	}
	// In chunks that stay in the processor's cache until they are hashed and written: more than twice as fast as binary.Write of a
	// tensor at once.
	chunk := make([]byte, 0, chunkSize)
	for _, tensor := range c.Tensors {
		for values := range slices.Chunk(tensor.Values, chunkSize/4) {
			chunk = chunk[:0]
			for _, value := range values {
				chunk = binary.LittleEndian.AppendUint32(chunk, math.Float32bits(value))
			}
			if _, err := both.Write(chunk); err != nil {
				return err
			}
		}
	}
	_, err = w.Write(digest.Sum(nil))
	return err
}

const chunkSize = 64 << 10

// decodeCheckpoint reads a file of so many bytes. Nothing is returned before the checksum agrees. What the header says is
// used before that, and may be anybody's words: no more memory is taken than the file has bytes, and a header's bound.
func decodeCheckpoint(r io.Reader, size int64) (*Checkpoint, error) {
	if size < prefixSize+sha256.Size {
		return nil, fmt.Errorf("%d bytes: the file is truncated", size)
	}
	digest := sha256.New()
	body := io.TeeReader(io.LimitReader(r, size-sha256.Size), digest)
	var prefix [prefixSize]byte
	if _, err := io.ReadFull(body, prefix[:]); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(prefix[:], []byte(checkpointMagic)) {
		return nil, fmt.Errorf("not a checkpoint: it begins with %q instead of %q", prefix[:len(checkpointMagic)], checkpointMagic)
	}
	c, problem := decodeBody(body, prefix, size-prefixSize-sha256.Size)

	// Damage may look like any problem; only where the checksum agrees, the problem is what was written.
	if _, err := io.Copy(io.Discard, body); err != nil {
		return nil, err
	}
	var trailer [sha256.Size]byte
	if _, err := io.ReadFull(r, trailer[:]); err != nil {
		return nil, err
	}
	if !bytes.Equal(digest.Sum(nil), trailer[:]) {
		return nil, errors.New("wrong checksum: the file is truncated or modified")
	}
	return c, problem
}

// decodeBody reads what stands between prefix and checksum, left bytes.
func decodeBody(body io.Reader, prefix [prefixSize]byte, left int64) (*Checkpoint, error) {
	if version := prefix[len(checkpointMagic)]; version != checkpointVersion {
		return nil, formatError{"version", fmt.Sprint(version), fmt.Sprint(checkpointVersion)}
	}
	length := binary.LittleEndian.Uint64(prefix[len(checkpointMagic)+1:])
	if length > maxHeader || length > uint64(left) {
		return nil, fmt.Errorf("header of %d bytes, with %d bytes left", length, left)
	}
	head := make([]byte, length)
	if _, err := io.ReadFull(body, head); err != nil {
		return nil, err
	}
	var header checkpointHeader
	if err := json.Unmarshal(head, &header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if header.DType != checkpointDType {
		return nil, formatError{"dtype", fmt.Sprintf("%.20q", header.DType), fmt.Sprintf("%q", checkpointDType)}
	}
	if header.Step < 0 {
		return nil, fmt.Errorf("step %d", header.Step)
	}
	left -= int64(length)
	counts, total, err := sizes(header.Shape, min(left/4, maxValues))
	if err != nil {
		return nil, err
	}
	if 4*total != left {
		return nil, fmt.Errorf("%d bytes of values, but its tensors need %d", left, 4*total)
	}
	chunk := make([]byte, chunkSize)
	for i, shape := range header.Shape {
		tensor := Tensor{Name: shape.Name, Dims: shape.Dims, Values: make([]float32, counts[i])}
		for values := range slices.Chunk(tensor.Values, chunkSize/4) {
			part := chunk[:4*len(values)]
			if _, err := io.ReadFull(body, part); err != nil {
				return nil, err
			}
			for j := range values {
				values[j] = math.Float32frombits(binary.LittleEndian.Uint32(part[4*j:]))
			}
		}
		header.Tensors = append(header.Tensors, tensor)
	}
	return &header.Checkpoint, nil
}
