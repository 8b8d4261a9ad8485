package table

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gomlx/compute/dtypes"
)

// npyHeader is what an array in NumPy's format says of itself.
type npyHeader struct {
	order   binary.ByteOrder
	kind    byte // b bool, i, u, f, S bytes, U text; of safetensors also B, bfloat16
	item    int  // bytes of a number
	fortran bool
	shape   []int
	length  int64 // bytes before the numbers
}

const (
	npyMagic     = "\x93NUMPY"
	maxNPYHeader = 64 << 10
	maxNPYText   = 1 << 16 // bytes of a label
)

// readNPYHeader reads the header of an array.
func readNPYHeader(r io.Reader) (*npyHeader, error) {
	var prefix [12]byte
	if _, err := io.ReadFull(r, prefix[:8]); err != nil {
		return nil, errors.New("not an array in NumPy's format, or truncated")
	}
	if string(prefix[:6]) != npyMagic {
		return nil, errors.New("not an array in NumPy's format")
	}
	count := 2
	switch prefix[6] {
	case 1:
	case 2, 3:
		count = 4
	default:
		return nil, fmt.Errorf("version %d of NumPy's format; only 1, 2 and 3 are supported", prefix[6])
	}
	if _, err := io.ReadFull(r, prefix[8:8+count]); err != nil {
		return nil, errors.New("the header is truncated")
	}
	length := binary.LittleEndian.Uint32(prefix[8:])
	if length > maxNPYHeader {
		return nil, fmt.Errorf("a header of %d bytes; the limit is %d", length, maxNPYHeader)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, errors.New("the header is truncated")
	}
	h := &npyHeader{length: int64(8 + count + len(text))}
	return h, h.parse(string(text))
}

// parse reads the header's text, a dict in Python's notation with the keys descr, fortran_order and shape.
func (h *npyHeader) parse(text string) error {
	p := &npyParser{rest: text}
	seen := map[string]bool{}
	var descr string
	if !p.take("{") {
		return p.refuse()
	}
	for !p.take("}") {
		key, ok := p.text()
		if !ok || !p.take(":") || seen[key] {
			return p.refuse()
		}
		seen[key] = true
		switch key {
		case "descr":
			if p.peek('[') {
				return errors.New("a structured array; save its fields as arrays of numbers, or as .parquet")
			}
			descr, ok = p.text()
		case "fortran_order":
			h.fortran, ok = p.truth()
		case "shape":
			h.shape, ok = p.tuple()
		default:
			ok = false
		}
		if !ok || !p.take(",") && !p.peek('}') {
			return p.refuse()
		}
	}
	if p.rest = strings.TrimRight(p.rest, " \n"); p.rest != "" || len(seen) != 3 {
		return p.refuse()
	}
	return h.parseDescr(descr)
}

// parseDescr reads the type of the numbers, such as <f4.
func (h *npyHeader) parseDescr(descr string) error {
	if len(descr) < 2 {
		return fmt.Errorf("type %s", shown([]byte(descr)))
	}
	h.order, h.kind = binary.LittleEndian, descr[1]
	if descr[0] == '>' {
		h.order = binary.BigEndian
	}
	if h.kind == 'O' {
		return errors.New("an array of Python objects (pickle), which only Python can read; save it with a numeric dtype: " +
			"np.save(file, a.astype(np.float32))")
	}
	digits := descr[2:]
	item, err := strconv.Atoi(digits)
	if err != nil || strconv.Itoa(item) != digits || !strings.ContainsRune("<>|=", rune(descr[0])) {
		return fmt.Errorf("dtype %s; save numbers: np.save(file, a.astype(np.float32))", shown([]byte(descr)))
	}
	h.item = item
	known := false
	switch h.kind {
	case 'b':
		known = item == 1
	case 'i', 'u':
		known = item == 1 || item == 2 || item == 4 || item == 8
	case 'f':
		known = item == 2 || item == 4 || item == 8
	case 'S':
		known = item >= 0 && item <= maxNPYText
	case 'U':
		h.item = 4 * item
		known = item >= 0 && item <= maxNPYText/4
	}
	if !known {
		return fmt.Errorf("dtype %s; save bool, int, uint, float16, float32 or float64: np.save(file, a.astype(np.float32))", shown([]byte(descr)))
	}
	return nil
}

// numeric says whether the array is one of numbers.
func (h *npyHeader) numeric() bool { return h.kind != 'S' && h.kind != 'U' }

// data is the size of the numbers in bytes.
func (h *npyHeader) data() (int64, error) {
	n, ok := product(append([]int{h.item}, h.shape...)...)
	if !ok {
		return 0, fmt.Errorf("shape %v is larger than a file can hold", h.shape)
	}
	return int64(n), nil
}

// fits refuses an array whose size is not that of the file or entry around it.
func (h *npyHeader) fits(size int64) error {
	data, err := h.data()
	switch {
	case err != nil:
		return err
	case data > size-h.length:
		return fmt.Errorf("truncated: an array of shape %v needs %d bytes, but there are %d", h.shape, data, size-h.length)
	case data < size-h.length:
		return fmt.Errorf("%d bytes after an array of shape %v; save one array in a file, or several as .npz", size-h.length-data, h.shape)
	}
	return nil
}

// rows sets the shape of a file of samples.
func (h *npyHeader) rows(f *File) error {
	if !h.numeric() {
		return errors.New("an array of text; it must have numbers")
	}
	switch len(h.shape) {
	case 0:
		return errors.New("a single number; save an array with a sample in each row")
	case 1:
		f.dims = []int{1}
	case 2, 3, 4:
		f.dims = h.shape[1:]
	default:
		return fmt.Errorf("%d axes; reshape the array to at most 4: samples, height, width, channels", len(h.shape))
	}
	f.rows = h.shape[0]
	f.dtype = dtypes.Float32
	switch {
	case h.kind == 'b', h.kind == 'u' && h.item == 1:
		f.dtype = dtypes.Uint8
	case h.kind == 'u' && h.item == 2:
		f.dtype = dtypes.Uint16
	}
	return nil
}

// npyParser reads Python's notation.
type npyParser struct{ rest string }

func (p *npyParser) refuse() error {
	return fmt.Errorf("its header is not a dict with descr, fortran_order and shape, at %.20q", p.rest)
}

// take takes a sign, after spaces, if it is next.
func (p *npyParser) take(sign string) bool {
	rest, found := strings.CutPrefix(strings.TrimLeft(p.rest, " \n"), sign)
	if found {
		p.rest = rest
	}
	return found
}

func (p *npyParser) peek(sign byte) bool {
	rest := strings.TrimLeft(p.rest, " \n")
	return rest != "" && rest[0] == sign
}

// text takes a text in single or double quotes, without escapes.
func (p *npyParser) text() (string, bool) {
	quote := "'"
	if !p.take(quote) {
		if quote = `"`; !p.take(quote) {
			return "", false
		}
	}
	text, rest, found := strings.Cut(p.rest, quote)
	if !found || strings.ContainsAny(text, "\\\n") {
		return "", false
	}
	p.rest = rest
	return text, true
}

// truth takes True or False.
func (p *npyParser) truth() (value, ok bool) {
	if p.take("True") {
		return true, true
	}
	return false, p.take("False")
}

// tuple takes sizes such as (60000, 28, 28), (5,) or ().
func (p *npyParser) tuple() ([]int, bool) {
	if !p.take("(") {
		return nil, false
	}
	shape := []int{}
	for !p.take(")") {
		p.rest = strings.TrimLeft(p.rest, " ")
		end := 0
		for end < len(p.rest) && p.rest[end] >= '0' && p.rest[end] <= '9' {
			end++
		}
		n, err := strconv.Atoi(p.rest[:end])
		if err != nil || len(shape) == 64 {
			return nil, false
		}
		p.rest = p.rest[end:]
		p.take("L") // of Python 2
		shape = append(shape, n)
		if !p.take(",") && (!p.peek(')') || len(shape) == 1) {
			return nil, false
		}
	}
	return shape, true
}

// npySource reads .npy files.
type npySource struct{ header *npyHeader }

func (s *npySource) head(f *File) error {
	header, err := readNPYHeader(io.NewSectionReader(f.file, 0, f.size))
	if err == nil {
		err = header.fits(f.size)
	}
	if err == nil {
		err = header.rows(f)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", f.path, err)
	}
	if f.options.Label != "" {
		return fmt.Errorf("read %s: data.label: a .npy file has no labels; save both as .npz", f.path)
	}
	s.header = header
	return nil
}

func (s *npySource) each(b *batch) error {
	data := io.NewSectionReader(b.file.file, s.header.length, b.file.size-s.header.length)
	if s.header.fortran {
		return s.header.eachFortran(b, data, noLabels)
	}
	return s.header.eachRow(b, data, noLabels)
}

// noLabels are the labels of a file without such.
func noLabels(int) ([]string, error) { return nil, nil }

// eachRow reads numbers that lie row by row. labels are those of the next n rows.
func (h *npyHeader) eachRow(b *batch, data io.Reader, labels func(n int) ([]string, error)) error {
	var buffer []byte
	for rest := b.file.rows; rest > 0; {
		n := b.room(rest)
		buffer = sized(buffer, n*b.size*h.item)
		if _, err := io.ReadFull(data, buffer); err != nil {
			return fmt.Errorf("read %s: %s: %w", b.file.path, b.place(0, 0), cutOff(err))
		}
		if err := h.put(b, buffer, 0, 1); err != nil {
			return err
		}
		if err := b.addLabelled(n, labels); err != nil {
			return err
		}
		rest -= n
	}
	return nil
}

// addLabelled adds n rows with their labels.
func (b *batch) addLabelled(n int, labels func(n int) ([]string, error)) error {
	list, err := labels(n)
	if err != nil {
		return err
	}
	b.labels = append(b.labels, list...)
	return b.add(n)
}

// fortranRun is how many bytes of a column are read at once, and fortranBytes what all columns together may take for that.
const (
	fortranRun   = 16 << 10
	fortranBytes = 64 << 20
)

// eachFortran reads numbers that lie column by column.
func (h *npyHeader) eachFortran(b *batch, data io.ReaderAt, labels func(n int) ([]string, error)) error {
	b.limit = max(b.limit, min(fortranRun/h.item, fortranBytes/(b.size*b.file.dtype.Size())))
	var buffer []byte
	for from := 0; from < b.file.rows; {
		n := b.room(b.file.rows - from)
		buffer = sized(buffer, n*h.item)
		for feature := range b.size {
			if err := b.ctx.Err(); err != nil {
				return err
			}
			at := (int64(fortranPlace(b.file.dims, feature))*int64(b.file.rows) + int64(from)) * int64(h.item)
			if _, err := data.ReadAt(buffer, at); err != nil {
				return fmt.Errorf("read %s: %s: %w", b.file.path, b.place(0, feature), cutOff(err))
			}
			if err := h.put(b, buffer, feature, b.size); err != nil {
				return err
			}
		}
		if err := b.addLabelled(n, labels); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// fortranPlace is how many columns lie before that of a number of a row, which is counted with the last axis fastest.
func fortranPlace(dims []int, feature int) int {
	place, stride := 0, 1
	for _, dim := range dims {
		stride *= dim
	}
	for axis := len(dims) - 1; axis >= 0; axis-- {
		stride /= dims[axis]
		place += feature % dims[axis] * stride
		feature /= dims[axis]
	}
	return place
}

func sized(buffer []byte, n int) []byte {
	if cap(buffer) < n {
		return make([]byte, n)
	}
	return buffer[:n]
}

// cutOff says what the end of a file means where more should come.
func cutOff(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errors.New("the file is truncated")
	}
	return reason(err)
}

// put decodes numbers and puts them in the batch.
func (h *npyHeader) put(b *batch, data []byte, feature, step int) error {
	switch {
	case h.kind == 'b':
		return put(b, decode(data, 1, func(p []byte) uint8 {
			if p[0] != 0 {
				return 1
			}
			return 0
		}), feature, step, nil)
	case h.kind == 'u' && h.item == 1:
		return put(b, data, feature, step, nil)
	case h.kind == 'u' && h.item == 2:
		return put(b, decode(data, 2, h.order.Uint16), feature, step, nil)
	case h.kind == 'u' && h.item == 4:
		return put(b, decode(data, 4, h.order.Uint32), feature, step, nil)
	case h.kind == 'u':
		return put(b, decode(data, 8, h.order.Uint64), feature, step, nil)
	case h.kind == 'i' && h.item == 1:
		return put(b, decode(data, 1, func(p []byte) int8 { return int8(p[0]) }), feature, step, nil)
	case h.kind == 'i' && h.item == 2:
		return put(b, decode(data, 2, func(p []byte) int16 { return int16(h.order.Uint16(p)) }), feature, step, nil)
	case h.kind == 'i' && h.item == 4:
		return put(b, decode(data, 4, func(p []byte) int32 { return int32(h.order.Uint32(p)) }), feature, step, nil)
	case h.kind == 'i':
		return put(b, decode(data, 8, func(p []byte) int64 { return int64(h.order.Uint64(p)) }), feature, step, nil)
	case h.kind == 'B':
		return put(b, decode(data, 2, func(p []byte) float32 { return math.Float32frombits(uint32(h.order.Uint16(p)) << 16) }), feature, step, nil)
	case h.item == 2:
		return put(b, decode(data, 2, func(p []byte) float32 { return half(h.order.Uint16(p)) }), feature, step, nil)
	case h.item == 4:
		return put(b, decode(data, 4, func(p []byte) float32 { return math.Float32frombits(h.order.Uint32(p)) }), feature, step, nil)
	}
	return put(b, decode(data, 8, func(p []byte) float64 { return math.Float64frombits(h.order.Uint64(p)) }), feature, step, nil)
}

// decode reads numbers of so many bytes.
func decode[T number](data []byte, item int, one func([]byte) T) []T {
	list := make([]T, len(data)/item)
	for i := range list {
		list[i] = one(data[i*item:])
	}
	return list
}

// half is the number that 16 bits of IEEE 754 are.
func half(bits uint16) float32 {
	sign, exponent, fraction := uint32(bits>>15)<<31, int(bits>>10&0x1f), uint32(bits&0x3ff)
	switch exponent {
	case 0:
		return float32(math.Copysign(math.Ldexp(float64(fraction), -24), float64(1-2*int(bits>>15))))
	case 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | uint32(exponent+127-15)<<23 | fraction<<13)
}

// npyLabels reads an array of labels, some at a time.
type npyLabels struct {
	header *npyHeader
	data   *bufio.Reader
	buffer []byte
	read   int
}

// check wants a label for each of so many rows.
func (l *npyLabels) check(rows int) error {
	shape := l.header.shape
	if len(shape) == 2 && shape[1] == 1 {
		shape = shape[:1]
	}
	if len(shape) != 1 || shape[0] != rows {
		return fmt.Errorf("shape %v; save one label for each of the %d samples: (%d,)", l.header.shape, rows, rows)
	}
	return nil
}

// next reads n labels.
func (l *npyLabels) next(n int) ([]string, error) {
	list := make([]string, n)
	l.buffer = sized(l.buffer, l.header.item)
	for i := range list {
		if _, err := io.ReadFull(l.data, l.buffer); err != nil {
			return nil, cutOff(err)
		}
		l.read++
		var err error
		if list[i], err = l.header.label(l.buffer); err != nil {
			return nil, fmt.Errorf("row %d: %w", l.read, err)
		}
	}
	return list, nil
}

// label is the label that an item of an array is.
func (h *npyHeader) label(p []byte) (string, error) {
	switch h.kind {
	case 'S':
		text := bytes.TrimRight(p, "\x00")
		if !utf8.Valid(text) {
			return "", fmt.Errorf("label %s is not UTF-8; save it as text (dtype U)", shown(text))
		}
		return labelText(string(text))
	case 'U':
		var text []rune
		for i := 0; i+4 <= len(p); i += 4 {
			r := h.order.Uint32(p[i:])
			if r > utf8.MaxRune || !utf8.ValidRune(rune(r)) {
				return "", fmt.Errorf("%#x is not a character; the file is damaged", r)
			}
			text = append(text, rune(r))
		}
		return labelText(strings.TrimRight(string(text), "\x00"))
	case 'b':
		return strconv.FormatBool(p[0] != 0), nil
	case 'f':
		var x float64
		switch h.item {
		case 2:
			x = float64(half(h.order.Uint16(p)))
		case 4:
			x = float64(math.Float32frombits(h.order.Uint32(p)))
			if x == x {
				return labelOf(float32(x)), nil
			}
		case 8:
			x = math.Float64frombits(h.order.Uint64(p))
		}
		if x != x {
			return labelText("")
		}
		return labelOf(x), nil
	}
	var wide [8]byte
	big := h.order == binary.BigEndian
	for i := range p {
		if big {
			wide[i] = p[len(p)-1-i]
		} else {
			wide[i] = p[i]
		}
	}
	bits := binary.LittleEndian.Uint64(wide[:])
	if h.kind == 'u' {
		return labelOf(bits), nil
	}
	shift := 64 - 8*h.item
	return labelOf(int64(bits) << shift >> shift), nil
}

// labelText refuses a label of no characters.
func labelText(text string) (string, error) {
	if text == "" {
		return "", errors.New("the label is missing; remove such rows from the file, or leave data.label out")
	}
	return text, nil
}
