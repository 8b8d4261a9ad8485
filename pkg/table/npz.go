package table

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// npzSource reads .npz files: zip archives of arrays.
type npzSource struct {
	samples, labels *npzArray
}

// npzArray is an array in an archive.
type npzArray struct {
	name   string
	entry  *zip.File
	header *npyHeader
}

// maxDeflate is how many times larger than its packed form a deflated entry can be, rounded up.
const maxDeflate = 1040

func (s *npzSource) head(f *File) error {
	archive, err := zip.NewReader(f.file, f.size)
	if err != nil {
		return fmt.Errorf("read %s: not an .npz archive, or truncated: %w", f.path, err)
	}
	entries := map[string]*zip.File{}
	var names []string
	for _, entry := range archive.File {
		name, found := strings.CutSuffix(entry.Name, ".npy")
		if !found {
			continue
		}
		if entries[name] != nil {
			return fmt.Errorf("read %s: two arrays are named %s", f.path, shown([]byte(name)))
		}
		entries[name] = entry
		names = append(names, name)
	}
	if s.samples, err = s.pick(f, names, entries); err != nil {
		return fmt.Errorf("read %s: %w", f.path, err)
	}
	if err := s.samples.header.rows(f); err != nil {
		return fmt.Errorf("read %s: array %s: %w", f.path, plain(s.samples.name), err)
	}
	if name := f.options.Label; name != "" {
		if entries[name] == nil {
			return fmt.Errorf("read %s: data.label: there is no array %q; the arrays are %s", f.path, name, List(names))
		}
		s.labels, err = openArray(name, entries[name])
		if err == nil {
			err = (&npyLabels{header: s.labels.header}).check(f.rows)
		}
		if err != nil {
			return fmt.Errorf("read %s: array %s: %w", f.path, plain(name), err)
		}
	}
	return nil
}

// usualNames are what arrays of samples are often named.
var usualNames = []string{"X", "x", "data", "samples", "images", "arr_0"}

// pick chooses the array of samples, as Options.Array says.
func (s *npzSource) pick(f *File, names []string, entries map[string]*zip.File) (*npzArray, error) {
	if name := f.options.Array; name != "" {
		if entries[name] == nil {
			return nil, fmt.Errorf("data.array: there is no array %q; the arrays are %s", name, List(names))
		}
		return named(name, entries[name])
	}
	var candidates, usual, widest []*npzArray
	var failure error
	for _, name := range names {
		if name == f.options.Label {
			continue
		}
		array, err := named(name, entries[name])
		if err != nil {
			failure = err
			continue
		}
		if !array.header.numeric() || len(array.header.shape) == 0 {
			continue
		}
		candidates = append(candidates, array)
		if slices.Contains(usualNames, name) {
			usual = append(usual, array)
		}
		if widest == nil || len(array.header.shape) > len(widest[0].header.shape) {
			widest = nil
		}
		if widest == nil || len(array.header.shape) == len(widest[0].header.shape) {
			widest = append(widest, array)
		}
	}
	for _, list := range [][]*npzArray{candidates, usual, widest} {
		if len(list) == 1 {
			return list[0], nil
		}
	}
	if candidates == nil {
		if failure != nil {
			return nil, failure
		}
		return nil, fmt.Errorf("no array of numbers; the arrays are %s", List(names))
	}
	var shapes []string
	for _, array := range candidates {
		shapes = append(shapes, fmt.Sprintf("%s %v", array.name, array.header.shape))
	}
	return nil, fmt.Errorf("several arrays could be the samples; choose one with data.array: %s", List(shapes))
}

// named is openArray with the array's name in the error.
func named(name string, entry *zip.File) (*npzArray, error) {
	array, err := openArray(name, entry)
	if err != nil {
		return nil, fmt.Errorf("array %s: %w", plain(name), err)
	}
	return array, nil
}

// openArray reads an array's header, and checks its size against that of its entry, and this against the packed one.
func openArray(name string, entry *zip.File) (*npzArray, error) {
	if entry.Flags&1 != 0 {
		return nil, errors.New("encrypted")
	}
	packed, size := entry.CompressedSize64, entry.UncompressedSize64
	switch {
	case entry.Method == zip.Store && size == packed:
	case entry.Method == zip.Deflate && packed < 1<<53 && size <= maxDeflate*packed+maxDeflate:
	case entry.Method != zip.Store && entry.Method != zip.Deflate:
		return nil, fmt.Errorf("compressed with zip method %d; save it with np.savez or np.savez_compressed", entry.Method)
	default:
		return nil, fmt.Errorf("%d bytes cannot compress to %d; the file is damaged", size, packed)
	}
	r, err := entry.Open()
	if err != nil {
		return nil, cutOff(err)
	}
	defer r.Close()
	header, err := readNPYHeader(r)
	if err != nil {
		return nil, err
	}
	return &npzArray{name, entry, header}, header.fits(int64(size))
}

// open returns the array's numbers, from the first to the last.
func (a *npzArray) open() (io.ReadCloser, error) {
	r, err := a.entry.Open()
	if err != nil {
		return nil, cutOff(err)
	}
	if _, err := io.CopyN(io.Discard, r, a.header.length); err != nil {
		r.Close()
		return nil, cutOff(err)
	}
	return r, nil
}

func (s *npzSource) each(b *batch) error {
	wrap := func(array *npzArray, err error) error {
		return fmt.Errorf("read %s: array %s: %w", b.file.path, plain(array.name), err)
	}
	labels := noLabels
	var finish []func() error
	if s.labels != nil {
		r, err := s.labels.open()
		if err != nil {
			return wrap(s.labels, err)
		}
		defer r.Close()
		list := &npyLabels{header: s.labels.header, data: bufio.NewReader(r)}
		labels = func(n int) ([]string, error) {
			next, err := list.next(n)
			if err != nil {
				return nil, wrap(s.labels, err)
			}
			return next, nil
		}
		finish = append(finish, func() error { return ended(list.data) })
	}
	data, err := s.samples.open()
	if err != nil {
		return wrap(s.samples, err)
	}
	defer data.Close()
	if s.samples.header.fortran {
		// Numbers that lie column by column are read at random, so they are unpacked first.
		unpacked, err := os.CreateTemp("", "latent-array-*")
		if err != nil {
			return wrap(s.samples, err)
		}
		defer os.Remove(unpacked.Name())
		defer unpacked.Close()
		if _, err := io.Copy(unpacked, interruptible{b.ctx, data}); err != nil {
			return wrap(s.samples, cutOff(err))
		}
		if err := s.samples.header.eachFortran(b, unpacked, labels); err != nil {
			return err
		}
	} else {
		if err := s.samples.header.eachRow(b, data, labels); err != nil {
			return err
		}
		finish = append(finish, func() error { return ended(data) })
	}
	for _, check := range finish {
		if err := check(); err != nil {
			return fmt.Errorf("read %s: %w", b.file.path, err)
		}
	}
	return nil
}

// ended wants the end of an entry, where its checksum is compared.
func ended(r io.Reader) error {
	if n, err := io.ReadFull(r, make([]byte, 1)); n != 0 || err != io.EOF {
		return fmt.Errorf("an array has the wrong length or checksum (%v); the file is damaged", err)
	}
	return nil
}
