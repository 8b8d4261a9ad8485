// Package tensorboard writes runs for TensorBoard, without TensorFlow: event files with scalars, pictures, histograms and
// hyperparameters.
//
//	w, err := tensorboard.Open(dir, step)         // goes on after this step of the run; 0 begins
//	err = w.Scalars(step, now, map[string]float64{"loss/train": 0.12})
//	err = w.Close()
//
// Create begins events that are written at once.
//
// Promised: an event file is a row of records with checksums, and only grows; Open drops what was cut off and what is of later
// steps, so that a run that goes on has each step once.
//
// What is not here: what the figures mean (pkg/experiment).
package tensorboard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"latent/pkg/rundir"
)

// An event file is a row of records: the length, its checksum, the event, its checksum; numbers little-endian.
const (
	lengthSize = 8
	sumSize    = 4
	// maxEvent bounds an event that is read: a picture has some hundred kilobytes.
	maxEvent = 64 << 20
)

// fileName is that of a run's events. TensorBoard takes every file that has "tfevents" in its name.
const fileName = "events.out.tfevents.latent"

// fileVersion is the first event of a file.
const fileVersion = "brain.Event:2"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum as the records have it: CRC-32C, rotated, and a constant added.
func masked(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// appendRecord appends an event with its frame.
func appendRecord(to, event []byte) []byte {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(event)))
	to = append(to, length...)
	to = binary.LittleEndian.AppendUint32(to, masked(length))
	to = append(to, event...)
	return binary.LittleEndian.AppendUint32(to, masked(event))
}

// readRecord reads the next event. At the end of the whole records, also where one was cut off or damaged, it returns io.EOF.
func readRecord(r io.Reader) ([]byte, error) {
	var head [lengthSize + sumSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, ended(err)
	}
	length := binary.LittleEndian.Uint64(head[:])
	if binary.LittleEndian.Uint32(head[lengthSize:]) != masked(head[:lengthSize]) || length > maxEvent {
		return nil, io.EOF
	}
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r, int64(length)+sumSize); err != nil {
		return nil, ended(err)
	}
	event := body.Bytes()[:length]
	if binary.LittleEndian.Uint32(body.Bytes()[length:]) != masked(event) {
		return nil, io.EOF
	}
	return event, nil
}

func ended(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// Writer adds to the events of a run.
type Writer struct {
	to io.WriteCloser
}

// Create begins events that are not gone on with: Close writes them to the folder, whole, in the place of those that are there.
func Create(dir string) *Writer {
	w := &whole{dir: dir}
	w.Write(firstRecord())
	return &Writer{w}
}

// Has says whether a folder has events.
func Has(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, fileName))
	return err == nil
}

// whole is events that are written when they are closed.
type whole struct {
	bytes.Buffer
	dir string
}

func (w *whole) Close() error {
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return err
	}
	return rundir.WriteFile(filepath.Join(w.dir, fileName), w.Bytes())
}

// Open opens the events in a folder, which it makes, to go on after a step of the run.
func Open(dir string, step int) (*Writer, error) {
	w, err := open(dir, step)
	if err != nil {
		return nil, fmt.Errorf("write for TensorBoard: %w", err)
	}
	return w, nil
}

func open(dir string, step int) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, fileName)
	kept, err := eventsUntil(path, step)
	if err != nil {
		return nil, err
	}
	if err := rundir.WriteFile(path, kept); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &Writer{to: file}, nil
}

// maxEvents bounds a file of events that is gone on with.
const maxEvents = 4 << 30

// eventsUntil returns the whole records of a file up to a step, or those that a file begins with.
func eventsUntil(path string, step int) ([]byte, error) {
	data, err := rundir.ReadFile(path, maxEvents)
	if errors.Is(err, fs.ErrNotExist) || err == nil && step == 0 {
		return firstRecord(), nil
	}
	if err != nil {
		return nil, err
	}
	var kept []byte
	for reader := bytes.NewReader(data); ; {
		record, err := readRecord(reader)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if stepOf(record) <= int64(step) {
			kept = appendRecord(kept, record)
		}
	}
	if len(kept) == 0 {
		return firstRecord(), nil
	}
	return kept, nil
}

// firstRecord is what a file begins with.
func firstRecord() []byte {
	return appendRecord(nil, event{wall: time.Now(), version: fileVersion}.encode())
}

// Close ends the file.
func (w *Writer) Close() error { return w.to.Close() }

// write appends events to the file, in one piece.
func (w *Writer) write(events ...event) error {
	var records []byte
	for _, e := range events {
		records = appendRecord(records, e.encode())
	}
	if _, err := w.to.Write(records); err != nil {
		return fmt.Errorf("write for TensorBoard: %w", err)
	}
	return nil
}

// event is a message Event of TensorFlow's event.proto.
type event struct {
	wall    time.Time
	step    int64
	version string
	values  []value
}

// value is a message Summary.Value of summary.proto.
type value struct {
	tag     string
	content []byte // the field with what is shown, and others
}

// Fields of Event, Summary and Summary.Value.
const (
	eventWallTime    = 1
	eventStep        = 2
	eventFileVersion = 3
	eventSummary     = 5

	summaryValue = 1

	valueTag       = 1
	valueSimple    = 2
	valueImage     = 4
	valueHistogram = 5
	valueMetadata  = 9
)

func (e event) encode() []byte {
	b := appendDouble(nil, eventWallTime, float64(e.wall.UnixMicro())/1e6)
	if e.step != 0 {
		b = appendVarint(b, eventStep, uint64(e.step))
	}
	if e.version != "" {
		b = appendBytes(b, eventFileVersion, []byte(e.version))
	}
	var summary []byte
	for _, v := range e.values {
		summary = appendBytes(summary, summaryValue, append(appendBytes(nil, valueTag, []byte(v.tag)), v.content...))
	}
	if len(summary) > 0 {
		b = appendBytes(b, eventSummary, summary)
	}
	return b
}

// stepOf is the step of an encoded event.
func stepOf(encoded []byte) int64 {
	for len(encoded) > 0 {
		number, kind, n := protowire.ConsumeTag(encoded)
		if n < 0 {
			return 0
		}
		encoded = encoded[n:]
		if number == eventStep && kind == protowire.VarintType {
			step, n := protowire.ConsumeVarint(encoded)
			if n < 0 {
				return 0
			}
			return int64(step)
		}
		if n = protowire.ConsumeFieldValue(number, kind, encoded); n < 0 {
			return 0
		}
		encoded = encoded[n:]
	}
	return 0
}

func appendBytes(b []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), content)
}

func appendVarint(b []byte, field protowire.Number, x uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), x)
}

func appendDouble(b []byte, field protowire.Number, x float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), math.Float64bits(x))
}

func appendFloat(b []byte, field protowire.Number, x float32) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(b, field, protowire.Fixed32Type), math.Float32bits(x))
}

// appendDoubles appends a packed list.
func appendDoubles(b []byte, field protowire.Number, list []float64) []byte {
	var packed []byte
	for _, x := range list {
		packed = protowire.AppendFixed64(packed, math.Float64bits(x))
	}
	return appendBytes(b, field, packed)
}
