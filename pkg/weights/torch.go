package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// A file of PyTorch since version 1.6 is a zip archive, stored without compression: a pickle, ROOT/data.pkl, that says what there is, and the
// values of each storage in ROOT/data/KEY, little-endian. The pickle is a program for a machine with a stack (PEP 307, PEP 3154). Python runs
// what it names; this reader runs nothing: a name that it does not know stands for itself.
const (
	maxPickle = 64 << 20 // bytes
	// maxTorchValues bounds the values of all tensors together: several may look at one storage.
	maxTorchValues = 1 << 30
	// maxGlobal bounds the name of a class or function, in bytes.
	maxGlobal = 512
	// maxTorchDepth bounds how deep a state dict lies in what was saved.
	maxTorchDepth = 4
)

// ReadTorch reads the tensors of a state dict that torch.save wrote, in its order: the state dict itself, or one in a dict, such as a training
// checkpoint. Tensors of whole numbers, such as counters of batch norms, are left out.
func ReadTorch(r io.ReaderAt, size int64) ([]Tensor, error) {
	tensors, err := readTorch(r, size)
	if err != nil {
		return nil, fmt.Errorf("read PyTorch file: %w", err)
	}
	return tensors, nil
}

func readTorch(r io.ReaderAt, size int64) ([]Tensor, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: it is truncated, or was written by PyTorch before 1.6; save it again", err)
	}
	u := &unpickler{files: map[string]*zip.File{}, memo: map[uint32]any{}, read: map[string][]byte{}, left: size}
	var program *zip.File
	for _, file := range archive.File {
		if file.Method != zip.Store {
			return nil, fmt.Errorf("%.100q is compressed, which torch.save does not do", file.Name)
		}
		_, name, _ := strings.Cut(file.Name, "/")
		switch {
		case name == "data.pkl":
			program = file
		case name == "byteorder":
			order, err := readEntry(file, 16)
			if err != nil {
				return nil, err
			}
			if string(order) != "little" {
				return nil, fmt.Errorf("its values are %.16s-endian; save it on another machine", order)
			}
		default:
			u.files[name] = file
		}
	}
	if program == nil {
		return nil, errors.New("no data.pkl: torch.save did not write it")
	}
	if u.code, err = readEntry(program, min(maxPickle, size)); err != nil {
		return nil, err
	}
	saved, err := u.run()
	if err != nil {
		return nil, err
	}
	return stateDict(saved)
}

// readEntry reads a file of an archive that has at most so many bytes.
func readEntry(file *zip.File, most int64) ([]byte, error) {
	if file.UncompressedSize64 > uint64(most) {
		return nil, fmt.Errorf("%.100q has %d bytes; the limit is %d", file.Name, file.UncompressedSize64, most)
	}
	reader, err := file.Open()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	data := make([]byte, file.UncompressedSize64)
	if _, err := io.ReadFull(reader, data); err != nil {
		return nil, cutOff(err)
	}
	return data, nil
}

// What a pickle makes: Go's own values for None, bools, whole numbers (int64), floats and texts; and these.
type (
	// pickledDict keeps the order in which keys were set.
	pickledDict struct {
		keys   []any
		values []any
	}
	pickledList  struct{ items []any }
	pickledTuple []any
	// global is a name, of a class or a function; module.name.
	global string
	// opaque is what calling a global that is not known would make.
	opaque struct{ of any }
	// storage is an array of values in the archive.
	storage struct {
		dtype string // of dtypes; "" of whole numbers
		key   string
		count int64
	}
	mark struct{}
)

// unpickler runs a pickle.
type unpickler struct {
	files  map[string]*zip.File
	code   []byte
	stack  []any
	memo   map[uint32]any
	read   map[string][]byte // storages that were read, by key
	left   int64             // bytes that all others together can have
	values int64             // of all tensors so far
}

var errPickle = errors.New("its pickle is damaged")

func (u *unpickler) take(n int) ([]byte, error) {
	if n < 0 || n > len(u.code) {
		return nil, errPickle
	}
	taken := u.code[:n]
	u.code = u.code[n:]
	return taken, nil
}

// number takes an unsigned number of so many bytes.
func (u *unpickler) number(size int) (uint64, error) {
	data, err := u.take(size)
	if err != nil {
		return 0, err
	}
	var wide [8]byte
	copy(wide[:], data)
	return binary.LittleEndian.Uint64(wide[:]), nil
}

// sized takes bytes with their number before them, in so many bytes.
func (u *unpickler) sized(size int) ([]byte, error) {
	n, err := u.number(size)
	if err != nil || n > maxPickle {
		return nil, errPickle
	}
	return u.take(int(n))
}

// line takes text up to the end of the line.
func (u *unpickler) line() (string, error) {
	end := bytes.IndexByte(u.code, '\n')
	if end < 0 {
		return "", errPickle
	}
	text := string(u.code[:end])
	u.code = u.code[end+1:]
	return text, nil
}

func (u *unpickler) push(value any) { u.stack = append(u.stack, value) }

func (u *unpickler) pop(n int) ([]any, error) {
	if n > len(u.stack) {
		return nil, errPickle
	}
	values := slices.Clone(u.stack[len(u.stack)-n:])
	u.stack = u.stack[:len(u.stack)-n]
	return values, nil
}

// popMarked takes what lies above the last mark, and that.
func (u *unpickler) popMarked() ([]any, error) {
	for i, value := range slices.Backward(u.stack) {
		if _, is := value.(mark); is {
			values := slices.Clone(u.stack[i+1:])
			u.stack = u.stack[:i]
			return values, nil
		}
	}
	return nil, errPickle
}

// top is the value that lies on top.
func (u *unpickler) top() (any, error) {
	if len(u.stack) == 0 {
		return nil, errPickle
	}
	return u.stack[len(u.stack)-1], nil
}

// run executes the pickle, and returns what it leaves.
func (u *unpickler) run() (any, error) {
	for {
		code, err := u.take(1)
		if err != nil {
			return nil, err
		}
		if code[0] == '.' {
			return u.top()
		}
		if err := u.step(code[0]); err != nil {
			return nil, err
		}
	}
}

// step executes an instruction. Letters are the names that Python's pickletools gives them.
func (u *unpickler) step(code byte) error {
	switch code {
	case '(': // MARK
		u.push(mark{})
	case '0': // POP
		_, err := u.pop(1)
		return err
	case 'N', 0x88, 0x89: // NONE, NEWTRUE, NEWFALSE
		u.push(map[byte]any{'N': nil, 0x88: true, 0x89: false}[code])
	case '}': // EMPTY_DICT
		u.push(&pickledDict{})
	case ']': // EMPTY_LIST
		u.push(&pickledList{})
	case 0x8f: // EMPTY_SET
		u.push(&pickledList{})
	case ')': // EMPTY_TUPLE
		u.push(pickledTuple{})
	case 0x80: // PROTO
		_, err := u.take(1)
		return err
	case 0x95: // FRAME
		_, err := u.take(8)
		return err
	case 'K', 'M', 'J', 0x8a, 'G': // BININT1, BININT2, BININT, LONG1, BINFLOAT
		return u.scalar(code)
	case 'X', 0x8c, 'B', 'C', 0x8d, 0x8e: // BINUNICODE, SHORT_BINUNICODE, BINBYTES, SHORT_BINBYTES, BINUNICODE8, BINBYTES8
		text, err := u.sized(map[byte]int{'X': 4, 0x8c: 1, 'B': 4, 'C': 1, 0x8d: 8, 0x8e: 8}[code])
		u.push(string(text))
		return err
	case 'q', 'r', 'h', 'j', 0x94: // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET, MEMOIZE
		return u.remember(code)
	case 't', 0x85, 0x86, 0x87: // TUPLE, TUPLE1, TUPLE2, TUPLE3
		items, err := u.tuple(code)
		u.push(pickledTuple(items))
		return err
	case 'c', 0x93: // GLOBAL, STACK_GLOBAL
		return u.global(code)
	case 'R', 0x81: // REDUCE, NEWOBJ
		parts, err := u.pop(2)
		if err != nil {
			return err
		}
		made, err := u.call(parts[0], parts[1])
		u.push(made)
		return err
	case 'Q': // BINPERSID
		return u.persistent()
	case 'b': // BUILD: the state of what lies below, such as the versions of an OrderedDict
		_, err := u.pop(1)
		return err
	case 's', 'u', 'a', 'e', 0x90: // SETITEM, SETITEMS, APPEND, APPENDS, ADDITEMS
		return u.fill(code)
	default:
		return fmt.Errorf("its pickle has instruction %#x, which state dicts do not use", code)
	}
	return nil
}

// scalar pushes a number.
func (u *unpickler) scalar(code byte) error {
	switch code {
	case 'K', 'M':
		n, err := u.number(map[byte]int{'K': 1, 'M': 2}[code])
		u.push(int64(n))
		return err
	case 'J':
		n, err := u.number(4)
		u.push(int64(int32(n)))
		return err
	case 'G':
		data, err := u.take(8)
		if err == nil {
			u.push(math.Float64frombits(binary.BigEndian.Uint64(data)))
		}
		return err
	}
	data, err := u.sized(1) // LONG1, in two's complement
	if err != nil || len(data) > 8 {
		u.push(opaque{"a long number"})
		return err
	}
	n := int64(0)
	for i, b := range data {
		n |= int64(b) << (8 * i)
	}
	if len(data) > 0 && len(data) < 8 && data[len(data)-1] >= 0x80 {
		n -= 1 << (8 * len(data))
	}
	u.push(n)
	return nil
}

// remember keeps the value on top under a number, or pushes the one that is kept there.
func (u *unpickler) remember(code byte) error {
	at := uint64(len(u.memo))
	if code != 0x94 {
		var err error
		if at, err = u.number(map[byte]int{'q': 1, 'h': 1, 'r': 4, 'j': 4}[code]); err != nil {
			return err
		}
	}
	if code == 'h' || code == 'j' {
		value, found := u.memo[uint32(at)]
		if !found {
			return errPickle
		}
		u.push(value)
		return nil
	}
	value, err := u.top()
	u.memo[uint32(at)] = value
	return err
}

func (u *unpickler) tuple(code byte) ([]any, error) {
	if code == 't' {
		return u.popMarked()
	}
	return u.pop(int(code) - 0x84)
}

func (u *unpickler) global(code byte) error {
	if code == 'c' {
		module, err := u.line()
		if err != nil {
			return err
		}
		name, err := u.line()
		u.push(global(module + "." + name))
		return err
	}
	parts, err := u.pop(2)
	if err != nil {
		return err
	}
	module, isText := parts[0].(string)
	name, isName := parts[1].(string)
	if !isText || !isName || len(module)+len(name) > maxGlobal {
		return errPickle
	}
	u.push(global(module + "." + name))
	return nil
}

// fill puts items into a dict or a list.
func (u *unpickler) fill(code byte) error {
	var items []any
	var err error
	switch code {
	case 's':
		items, err = u.pop(2)
	case 'a':
		items, err = u.pop(1)
	default:
		items, err = u.popMarked()
	}
	if err != nil {
		return err
	}
	into, err := u.top()
	if err != nil {
		return err
	}
	switch into := into.(type) {
	case *pickledDict:
		if len(items)%2 != 0 {
			return errPickle
		}
		for pair := range slices.Chunk(items, 2) {
			into.keys, into.values = append(into.keys, pair[0]), append(into.values, pair[1])
		}
	case *pickledList:
		into.items = append(into.items, items...)
	}
	return nil
}

// storages are PyTorch's classes of them with the type of their values, as safetensors calls it; those of whole numbers have none.
var storages = map[global]string{
	"torch.FloatStorage": "F32", "torch.DoubleStorage": "F64", "torch.HalfStorage": "F16", "torch.BFloat16Storage": "BF16",
	"torch.LongStorage": "", "torch.IntStorage": "", "torch.ShortStorage": "", "torch.CharStorage": "", "torch.ByteStorage": "", "torch.BoolStorage": "",
}

// persistent pushes a storage: ("storage", class, key, device, number of values).
func (u *unpickler) persistent() error {
	top, err := u.pop(1)
	if err != nil {
		return err
	}
	parts, ok := top[0].(pickledTuple)
	if !ok || len(parts) < 5 || parts[0] != "storage" {
		return errPickle
	}
	class, isClass := parts[1].(global)
	key, isKey := parts[2].(string)
	count, isCount := parts[4].(int64)
	dtype, known := storages[class]
	if !isClass || !isKey || !isCount || count < 0 {
		return errPickle
	}
	if !known {
		return fmt.Errorf("a storage of %.60s; only floats are supported", class)
	}
	u.push(storage{dtype, key, count})
	return nil
}

// call makes what a function of PyTorch's makes of arguments.
func (u *unpickler) call(function, arguments any) (any, error) {
	args, _ := arguments.(pickledTuple)
	switch function {
	case global("collections.OrderedDict"):
		return &pickledDict{}, nil
	case global("torch._utils._rebuild_tensor_v2"):
		return u.tensor(args)
	case global("torch._utils._rebuild_parameter"):
		if len(args) > 0 {
			return args[0], nil
		}
		return nil, errPickle
	}
	return opaque{function}, nil
}

// tensor looks at a storage: (storage, offset, shape, strides, …).
func (u *unpickler) tensor(args pickledTuple) (any, error) {
	if len(args) < 4 {
		return nil, errPickle
	}
	of, ok := args[0].(storage)
	offset, isOffset := args[1].(int64)
	dims, strides := wholes(args[2]), wholes(args[3])
	if !ok || !isOffset || offset < 0 || dims == nil || len(dims) != len(strides) {
		return nil, errPickle
	}
	if of.dtype == "" {
		return opaque{"whole numbers"}, nil
	}
	data, err := u.bytes(of)
	if err != nil {
		return nil, err
	}
	if offset > of.count {
		return nil, errors.New("a tensor lies beyond the end of its storage")
	}
	size, last := int64(1), offset
	for i, dim := range dims {
		if dim < 0 || strides[i] < 0 || dim > 0 && size > of.count/dim || dim > 1 && strides[i] > of.count/(dim-1) {
			return nil, errors.New("a tensor has more values than its storage")
		}
		size *= dim
		last += max(dim-1, 0) * strides[i]
	}
	if u.values += size; u.values > maxTorchValues {
		return nil, fmt.Errorf("more than %d values", maxTorchValues)
	}
	if size > 0 && last >= of.count {
		return nil, errors.New("a tensor extends past the end of its storage")
	}
	dtype := dtypes[of.dtype]
	t := Tensor{Values: make([]float32, size)}
	for _, dim := range dims {
		t.Dims = append(t.Dims, int(dim))
	}
	place := make([]int64, len(dims))
	for i := range t.Values {
		at := offset
		for axis, p := range place {
			at += p * strides[axis]
		}
		t.Values[i] = dtype.value(data[at*int64(dtype.size):])
		for axis := len(place) - 1; axis >= 0; axis-- {
			if place[axis]++; place[axis] < dims[axis] {
				break
			}
			place[axis] = 0
		}
	}
	return t, nil
}

// bytes are those of a storage.
func (u *unpickler) bytes(of storage) ([]byte, error) {
	data, found := u.read[of.key]
	if !found {
		file := u.files["data/"+of.key]
		if file == nil {
			return nil, fmt.Errorf("the values of storage %.20q are missing: it is truncated", of.key)
		}
		var err error
		if data, err = readEntry(file, u.left); err != nil {
			return nil, err
		}
		u.read[of.key], u.left = data, u.left-int64(len(data))
	}
	if int64(len(data)/dtypes[of.dtype].size) < of.count {
		return nil, fmt.Errorf("storage %.20q has %d bytes, but needs %d values", of.key, len(data), of.count)
	}
	return data, nil
}

// wholes are the numbers of a tuple; nil of anything else.
func wholes(value any) []int64 {
	tuple, ok := value.(pickledTuple)
	if !ok {
		return nil
	}
	numbers := []int64{}
	for _, item := range tuple {
		n, ok := item.(int64)
		if !ok {
			return nil
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// stateDict finds the state dict in what was saved.
func stateDict(saved any) ([]Tensor, error) {
	dicts := dictsOf(saved, "", maxTorchDepth, map[*pickledDict]bool{})
	if len(dicts) == 0 {
		return nil, errors.New("it has no state dict; save one with torch.save(model.state_dict(), FILE), not a whole module")
	}
	least := slices.MinFunc(dicts, func(a, b namedDict) int { return a.depth - b.depth }).depth
	dicts = slices.DeleteFunc(dicts, func(d namedDict) bool { return d.depth > least })
	if len(dicts) > 1 {
		var names []string
		for _, d := range dicts {
			names = append(names, d.name)
		}
		return nil, fmt.Errorf("it has several dicts of tensors: %.200s; save only the one to read", strings.Join(names, ", "))
	}
	return dicts[0].tensors, nil
}

// namedDict is a dict of tensors in what was saved.
type namedDict struct {
	name    string
	depth   int
	tensors []Tensor
}

// dictsOf lists the dicts with tensors of their own, to a depth, each once.
func dictsOf(value any, name string, depth int, seen map[*pickledDict]bool) []namedDict {
	dict, ok := value.(*pickledDict)
	if !ok || depth == 0 || seen[dict] {
		return nil
	}
	seen[dict] = true
	own := namedDict{name: name, depth: maxTorchDepth - depth}
	var all []namedDict
	for i, key := range dict.keys {
		text, ok := key.(string)
		if !ok {
			continue
		}
		if t, ok := dict.values[i].(Tensor); ok {
			t.Name = text
			own.tensors = append(own.tensors, t)
		} else {
			all = append(all, dictsOf(dict.values[i], text, depth-1, seen)...)
		}
	}
	if len(own.tensors) > 0 {
		return []namedDict{own}
	}
	return all
}
