package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"strings"
	"testing"
)

// pickle writes the instructions of what torch.save makes, by the names of Python's pickletools.
type pickle struct{ bytes.Buffer }

func newPickle() *pickle {
	p := &pickle{}
	p.WriteString("\x80\x02")
	return p
}

func (p *pickle) op(codes string) *pickle { p.WriteString(codes); return p }

func (p *pickle) text(s string) *pickle {
	p.WriteByte('X')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	p.WriteString(s)
	return p
}

func (p *pickle) number(n int) *pickle {
	p.WriteByte('J')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	return p
}

func (p *pickle) numbers(all []int) *pickle {
	p.op("(")
	for _, n := range all {
		p.number(n)
	}
	return p.op("t")
}

// tensor is one of a storage with so many values.
func (p *pickle) tensor(class, key string, count, offset int, dims, strides []int) *pickle {
	p.op("ctorch._utils\n_rebuild_tensor_v2\n(")
	p.op("(").text("storage").op("ctorch\n" + class + "\n").text(key).text("cpu").number(count).op("tQ")
	p.number(offset).numbers(dims).numbers(strides).op("\x89ccollections\nOrderedDict\n)R")
	return p.op("tR")
}

// archive is the file of a pickle and its storages.
func archive(t testing.TB, program []byte, storages map[string][]byte) []byte {
	t.Helper()
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	add := func(name string, data []byte) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "model/" + name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("data.pkl", program)
	add("byteorder", []byte("little"))
	for key, data := range storages {
		add("data/"+key, data)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func floats(values ...float32) []byte {
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return data
}

// Tensors come in the order of the dict, whatever their strides, types and what lies beside them, from a state dict itself and from one in a
// training checkpoint.
func TestReadTorch(t *testing.T) {
	storages := map[string][]byte{"0": floats(1, 2, 3, 4, 5, 6), "1": {0, 0x3c, 0, 0xc0}, "2": make([]byte, 8)}
	state := func(p *pickle) *pickle {
		p.op("ccollections\nOrderedDict\n)R(")
		p.text("b.weight").tensor("FloatStorage", "0", 6, 0, []int{2, 3}, []int{1, 2}) // a transposed view
		p.text("a.bias").op("ctorch._utils\n_rebuild_parameter\n(").tensor("HalfStorage", "1", 2, 0, []int{2}, []int{1}).op("\x88ccollections\nOrderedDict\n)RtR")
		p.text("a.num_batches_tracked").tensor("LongStorage", "2", 1, 0, nil, nil)
		p.text("a.scalar").tensor("FloatStorage", "0", 6, 5, nil, nil)
		return p.op("u}b") // with what BUILD sets
	}
	want := []Tensor{{"b.weight", []int{2, 3}, []float32{1, 3, 5, 2, 4, 6}}, {"a.bias", []int{2}, []float32{1, -2}}, {"a.scalar", nil, []float32{6}}}
	inCheckpoint := newPickle().op("}q\x01(").text("epoch").number(3).text("args").op("cargparse\nNamespace\n)\x81}b").text("model")
	state(inCheckpoint)
	inCheckpoint.text("optimizer").op("}(").text("state").op("}(").number(0).op("}(").text("exp_avg").tensor("FloatStorage", "0", 6, 0, []int{6}, []int{1}).op("uuu")
	for name, program := range map[string]*pickle{"itself": state(newPickle()).op("."), "in a checkpoint": inCheckpoint.op("u.")} {
		file := archive(t, program.Bytes(), storages)
		got, err := ReadTorch(bytes.NewReader(file), int64(len(file)))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
}

// What is damaged, or pretends, is an error that says so; nothing runs, and no memory is taken for it.
func TestReadTorchDamaged(t *testing.T) {
	storages := map[string][]byte{"0": floats(1, 2, 3, 4)}
	one := func(class, key string, count, offset int, dims, strides []int) []byte {
		return newPickle().op("}(").text("w").tensor(class, key, count, offset, dims, strides).op("u.").Bytes()
	}
	for want, program := range map[string][]byte{
		"has 16 bytes, but needs 2000000 values":    one("FloatStorage", "0", 2000000, 0, []int{2000000}, []int{1}),
		"more values than its storage":              one("FloatStorage", "0", 4, 0, []int{100000, 100000}, []int{0, 0}),
		"past the end of its storage":               one("FloatStorage", "0", 4, 3, []int{2}, []int{1}),
		"values of storage \"7\" are missing":       one("FloatStorage", "7", 4, 0, []int{2}, []int{1}),
		"a storage of torch.QInt8Storage":           one("QInt8Storage", "0", 4, 0, []int{2}, []int{1}),
		"it has no state dict":                      newPickle().op("cos\nsystem\n").text("true").op("\x85R.").Bytes(),
		"its pickle has instruction 0x2f":           newPickle().op("/.").Bytes(),
		"its pickle is damaged":                     newPickle().op("}(").Bytes(),
		"lies beyond the end of its storage":        bytes.Replace(one("FloatStorage", "0", 4, 0x5a5a5a5a, []int{2}, []int{1}), []byte("JZZZZ"), []byte("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f"), 1),
		"read PyTorch file: its pickle is damaged":  newPickle().op("}\x94h\x00h\x00\x93.").Bytes(),
		"several dicts of tensors: generator, disc": severalDicts().Bytes(),
	} {
		file := archive(t, program, storages)
		got, err := ReadTorch(bytes.NewReader(file), int64(len(file)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v; want %q", got, err, want)
		}
	}
	file := archive(t, one("FloatStorage", "0", 4, 0, []int{4}, []int{1}), storages)
	for n := range len(file) {
		if got, err := ReadTorch(bytes.NewReader(file[:n]), int64(n)); err == nil {
			t.Fatalf("of %d of %d bytes: %v", n, len(file), got)
		}
	}
}

func severalDicts() *pickle {
	p := newPickle().op("}(")
	for _, name := range []string{"generator", "discriminator"} {
		p.text(name).op("}(").text("w").tensor("FloatStorage", "0", 4, 0, []int{4}, []int{1}).op("u")
	}
	return p.op("u.")
}

// No pickle makes the reader panic.
func FuzzReadTorch(f *testing.F) {
	f.Add(newPickle().op("}(").text("w").tensor("FloatStorage", "0", 4, 0, []int{2, 2}, []int{2, 1}).op("u.").Bytes())
	f.Add(severalDicts().Bytes())
	f.Add([]byte("\x80\x02]q\x00(h\x00e."))
	f.Fuzz(func(t *testing.T, program []byte) {
		file := archive(t, program, map[string][]byte{"0": floats(1, 2, 3, 4)})
		tensors, err := ReadTorch(bytes.NewReader(file), int64(len(file)))
		for _, tensor := range tensors {
			if size := (Tensor{Dims: tensor.Dims}).size(); size != len(tensor.Values) {
				t.Errorf("%v, %v: %d values, want %d", tensor, err, len(tensor.Values), size)
			}
		}
	})
}
