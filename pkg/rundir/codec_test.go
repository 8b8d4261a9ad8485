package rundir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// adamState is the checkpoint of a dense model with so many units, trained with Adam: parameters and two moments of each.
func adamState(step int, units ...int) Checkpoint {
	c := Checkpoint{Step: step, Meta: json.RawMessage(`{"loss_sum":12.5,"best":{"epoch":3,"loss":0.0371}}`)}
	draw := rand.New(rand.NewPCG(uint64(step), 1))
	for slot := range 3 {
		for layer := range len(units) - 1 {
			for _, param := range []Tensor{
				{Name: fmt.Sprintf("layer_%d.weight", layer+1), Dims: units[layer : layer+2]},
				{Name: fmt.Sprintf("layer_%d.bias", layer+1), Dims: units[layer+1 : layer+2]},
			} {
				if slot > 0 {
					param.Name += fmt.Sprintf("/slot_%d", slot)
				}
				count := 1
				for _, dim := range param.Dims {
					count *= dim
				}
				for range count {
					param.Values = append(param.Values, float32(draw.NormFloat64()))
				}
				c.Tensors = append(c.Tensors, param)
			}
		}
	}
	return c
}

// seedState is the state of the seed's model, configs/mnist/denoise.yaml: 5.8 MB.
func seedState() Checkpoint { return adamState(4690, 784, 256, 128, 64, 128, 256, 784) }

func encoded(t testing.TB, c Checkpoint) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := c.encode(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// sign appends the checksum.
func sign(body []byte) []byte {
	digest := sha256.Sum256(body)
	return append(slices.Clone(body), digest[:]...)
}

// signed is a file with this header and these values' bytes, and a checksum that agrees.
func signed(header string, values ...byte) []byte {
	body := binary.LittleEndian.AppendUint64(append([]byte(checkpointMagic), checkpointVersion), uint64(len(header)))
	return sign(append(append(body, header...), values...))
}

func decode(data []byte) (*Checkpoint, error) {
	return decodeCheckpoint(bytes.NewReader(data), int64(len(data)))
}

// Every byte of a checkpoint is guarded: none can be changed, and the file be cut nowhere, without an error.
func TestDamagedCheckpoint(t *testing.T) {
	for name, test := range map[string]struct {
		data         []byte
		dense        int // bytes at the beginning of which each bit is flipped
		stride, cuts int // over the rest
	}{
		"small": {data: encoded(t, adamState(5, 12, 4, 12)), dense: 2000, stride: 1, cuts: 1},
		"seed":  {data: encoded(t, seedState()), dense: 16, stride: 61_001, cuts: 83_003},
	} {
		data := test.data
		if _, err := decode(data); err != nil {
			t.Fatal(err)
		}
		flip := func(i, bit int) {
			data[i] ^= 1 << bit
			if _, err := decode(data); err == nil {
				t.Errorf("%s: read with bit %d of byte %d flipped", name, bit, i)
			}
			data[i] ^= 1 << bit
		}
		for i := range min(test.dense, len(data)) {
			for bit := range 8 {
				flip(i, bit)
			}
		}
		for i := test.dense; i < len(data); i += test.stride {
			flip(i, i%8)
		}
		flip(len(data)-1, 7)
		for end := 0; end < len(data); end += test.cuts {
			if _, err := decode(data[:end]); err == nil {
				t.Errorf("%s: read when cut off after %d of %d bytes", name, end, len(data))
			}
		}
		if _, err := decode(append(slices.Clone(data), 0)); err == nil {
			t.Errorf("%s: read with a byte after its end", name)
		}
		// The file shrinks after its size was asked for.
		if _, err := decodeCheckpoint(bytes.NewReader(data[:len(data)/2]), int64(len(data))); err == nil {
			t.Errorf("%s: read when half of it was gone", name)
		}
	}
}

// hostile are files whose checksums agree: anybody can make one.
var hostile = map[string]struct {
	data []byte
	want string
}{
	"too many values":   {signed(`{"dtype":"float32","tensors":[{"name":"x","dims":[1073741824]}]}`, 0, 0, 0, 0), "with 1 values left"},
	"dims overflow":     {signed(`{"dtype":"float32","tensors":[{"name":"x","dims":[4611686018427387904,4]}]}`), "with 0 values left"},
	"dims wrap to few":  {signed(`{"dtype":"float32","tensors":[{"name":"x","dims":[4294967296,4294967297]}]}`, make([]byte, 64)...), "with 16 values left"},
	"negative":          {signed(`{"dtype":"float32","tensors":[{"name":"x","dims":[-1]}]}`), "has shape [-1]"},
	"two negatives":     {signed(`{"dtype":"float32","tensors":[{"name":"x","dims":[-1,-1]}]}`, 0, 0, 0, 0), "has shape [-1 -1]"},
	"negative and zero": {signed(`{"dtype":"float32","tensors":[{"name":"x","dims":[0,-1]}]}`), "has shape [0 -1]"},
	"sum too large": {signed(`{"dtype":"float32","tensors":[{"name":"x","dims":[2]},{"name":"y","dims":[2]}]}`, make([]byte, 12)...),
		`tensor "y" has shape [2], with 1 values left`},
	"scalar without value": {signed(`{"dtype":"float32","tensors":[{"name":"x"}]}`), `tensor "x" is one value, with none left`},
	"values left":          {signed(`{"dtype":"float32","tensors":[]}`, 0, 0, 0, 0), "4 bytes of values, but its tensors need 0"},
	"half a value":         {signed(`{"dtype":"float32","tensors":[{"name":"x"}]}`, make([]byte, 6)...), "6 bytes of values, but its tensors need 4"},
	"no header":            {signed(""), "header: unexpected end"},
	"header is a list":     {signed("[1,2]"), "header: json"},
	"two headers":          {signed(`{"dtype":"float32"} {}`), "header: invalid character"},
	"negative step":        {signed(`{"dtype":"float32","step":-1}`), "step -1"},
	"header beyond file":   {sign(append([]byte(checkpointMagic), checkpointVersion, 9, 0, 0, 0, 0, 0, 0, 0)), "header of 9 bytes, with 0 bytes left"},
	"header of 2⁶⁴ bytes":  {sign(append([]byte(checkpointMagic), checkpointVersion, 255, 255, 255, 255, 255, 255, 255, 255)), "header of 18446744073709551615"},
	"large header":         {signed(strings.Repeat(" ", maxHeader+1)), "header of 1048577 bytes"},
	"no checkpoint":        {[]byte(strings.Repeat("PNG", 100)), `not a checkpoint: it begins with "PNGPNGP"`},
	"empty":                {nil, "0 bytes: the file is truncated"},
	"another dtype":        {signed(`{"dtype":"bfloat16"}`), `it has dtype "bfloat16", but this program reads dtype "float32"`},
	"no dtype":             {signed(`{}`), `it has dtype "", but this program reads`},
	"another version":      {sign(append([]byte(checkpointMagic), 7, 0, 0, 0, 0, 0, 0, 0, 0)), "it has version 7, but this program reads version 1"},
}

func TestHostileCheckpoint(t *testing.T) {
	for name, test := range hostile {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := decode(test.data)
		runtime.ReadMemStats(&after)
		if err == nil || c != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %+v, %v, want %q", name, c, err, test.want)
		}
		if got := strings.Contains(test.want, "this program reads"); got != errors.Is(err, errOtherFormat) {
			t.Errorf("%s: %v: counts as another format: %v", name, err, !got)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 200<<10 {
			t.Errorf("%s: %d bytes of memory for a file of %d", name, took, len(test.data))
		}
	}
}

// What could not be read again is not written.
func TestRefusesToEncode(t *testing.T) {
	for want, c := range map[string]Checkpoint{
		`tensor "x" of shape [2] has 3 values`: {Tensors: []Tensor{{Name: "x", Dims: []int{2}, Values: make([]float32, 3)}}},
		"has shape [-1]":                       {Tensors: []Tensor{{Name: "x", Dims: []int{-1}}}},
		"the limit is 1048576":                 {Tensors: []Tensor{{Name: strings.Repeat("x", maxHeader), Dims: []int{0}}}},
		"step -1":                              {Step: -1},
	} {
		if err := c.encode(io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

// No file makes the reader panic, or hold more values than the file has; what it accepts is what it would write.
func FuzzDecodeCheckpoint(f *testing.F) {
	small := encoded(f, adamState(5, 6, 2, 6))
	f.Add(small, false)
	f.Add(small[:len(small)-sha256.Size], true)
	for _, test := range hostile {
		f.Add(test.data, false)
		f.Add(test.data[:max(0, len(test.data)-sha256.Size)], true)
	}
	f.Fuzz(func(t *testing.T, data []byte, withChecksum bool) {
		if withChecksum {
			data = sign(data)
		}
		c, err := decode(data)
		if err != nil {
			return
		}
		count := 0
		for _, tensor := range c.Tensors {
			count += len(tensor.Values)
		}
		if 4*count > len(data) {
			t.Errorf("%d values out of %d bytes", count, len(data))
		}
		again, err := decode(encoded(t, *c))
		if err != nil || again.Step != c.Step || !slices.EqualFunc(again.Tensors, c.Tensors, sameTensor) {
			t.Errorf("written and read again, %+v became %+v, %v", c, again, err)
		}
	})
}

func sameTensor(a, b Tensor) bool {
	return a.Name == b.Name && slices.Equal(a.Dims, b.Dims) && slices.EqualFunc(a.Values, b.Values, sameBits)
}

func BenchmarkEncodeCheckpoint(b *testing.B) {
	c := seedState()
	b.SetBytes(int64(len(encoded(b, c))))
	for b.Loop() {
		if err := c.encode(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeCheckpoint(b *testing.B) {
	data := encoded(b, seedState())
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
