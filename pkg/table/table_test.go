package table

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	arrays "github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

var nan = float32(math.NaN())

// content is all that a file gives.
type content struct {
	names   []string
	dims    []int
	rows    int
	values  array.Values
	labels  []string
	leftOut []string
	rounded int
}

// readAll reads a file to its end.
func readAll(path string, o Options) (content, error) {
	f, err := Open(path, o)
	if err != nil {
		return content{}, err
	}
	defer f.Close()
	c := content{names: f.Names(), dims: f.Dims(), leftOut: f.LeftOut(), values: array.Make(f.Type(), 0)}
	size, _ := product(c.dims...)
	err = f.Each(context.Background(), func(rows Rows) error {
		c.values = c.values.Append(rows.Values)
		c.labels = append(c.labels, rows.Labels...)
		if rows.Values.Type() != f.Type() || rows.Values.Len()%size != 0 || o.Label != "" && len(rows.Labels) != rows.Values.Len()/size {
			return fmt.Errorf("%d numbers of %s, %d labels", rows.Values.Len(), rows.Values.Type(), len(rows.Labels))
		}
		return nil
	})
	c.rows, c.rounded = c.values.Len()/size, f.Rounded()
	return c, err
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// equal compares numbers, NaN with NaN.
func equal(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return x == y || x != x && y != y })
}

func TestCSV(t *testing.T) {
	for name, test := range map[string]struct {
		file, text string
		o          Options
		names      []string
		values     []float32
		labels     []string
		rounded    int
	}{
		"header":       {text: "a,b\n1,2\n3,4\n", names: []string{"a", "b"}, values: []float32{1, 2, 3, 4}},
		"no header":    {text: "1,2\n3,4", names: []string{"column_1", "column_2"}, values: []float32{1, 2, 3, 4}},
		"missing head": {text: "NA,2\n3,4", o: Options{Missing: true}, names: []string{"column_1", "column_2"}, values: []float32{nan, 2, 3, 4}},
		"numbers name": {text: "1,2\n3,4\n", o: Options{Header: "yes"}, names: []string{"1", "2"}, values: []float32{3, 4}},
		"semicolons":   {text: "a;b\n1;2\n", names: []string{"a", "b"}, values: []float32{1, 2}},
		"quoted":       {text: "\"a;,\"\"\n\",b\n\"1\", 2 \n", names: []string{"a;,\"\n", "b"}, values: []float32{1, 2}},
		"mark, CRLF":   {text: "\ufeffa,b\r\n\r\n1,2\r\n", names: []string{"a", "b"}, values: []float32{1, 2}},
		"tabs":         {file: "x.tsv", text: "a\tb\n+1\t-2e-1\n", names: []string{"a", "b"}, values: []float32{1, -0.2}},
		"index":        {text: ",a\n0,5\n1,6\n", o: Options{Ignore: []string{"column_1"}}, names: []string{"a"}, values: []float32{5, 6}},
		"label": {text: "a,y,b\n1,\"x, y\",2\n3,z,4\n", o: Options{Label: "y"}, names: []string{"a", "b"}, values: []float32{1, 2, 3, 4},
			labels: []string{"x, y", "z"}},
		"missing": {text: "a,b\n,NaN\nnull,None\n?,<NA>\nn/a,nan\n", o: Options{Missing: true}, names: []string{"a", "b"},
			values: []float32{nan, nan, nan, nan, nan, nan, nan, nan}},
		"rounded": {text: "a\n16777217\n16777216\n-16777217\n0016777218\n1e10\n18446744073709551616\n", names: []string{"a"}, rounded: 2,
			values: []float32{16777216, 16777216, -16777216, 16777218, 1e10, 1 << 64}},
		"edges": {text: "a\n3.4028234663852886e38\n1e-46\n-0\n.5\n5.\n", names: []string{"a"},
			values: []float32{math.MaxFloat32, 0, 0, .5, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.file == "" {
				test.file = "x.csv"
			}
			var packed bytes.Buffer
			w := gzip.NewWriter(&packed)
			w.Write([]byte(test.text))
			w.Close()
			for _, path := range []string{write(t, test.file, test.text), write(t, test.file+".gz", packed.String())} {
				got, err := readAll(path, test.o)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got.names, test.names) || !equal(got.values.Float32, test.values) || !slices.Equal(got.labels, test.labels) ||
					got.rounded != test.rounded || !slices.Equal(got.dims, []int{len(test.names)}) {
					t.Errorf("got %+v", got)
				}
			}
		})
	}
}

func TestCSVRefused(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		o    Options
		want string
	}{
		"empty file":   {"", Options{}, "an empty file"},
		"empty lines":  {"\n\n", Options{}, "an empty file"},
		"text":         {"age,b\n1,2\nabc,3\n", Options{}, `x.csv:3, column "age": "abc" is not a number; write data.ignore: [age]`},
		"missing":      {"age,b\n1,2\n,3\n", Options{}, `x.csv:3, column "age": "" is missing; write data.ignore: [age], or data.missing: median`},
		"infinite":     {"a\n-inf\n", Options{}, "is infinite"},
		"too large":    {"a\n1e39\n", Options{}, "beyond the range of float32"},
		"hexadecimal":  {"a\n0x10\n", Options{}, "is not a number"},
		"underscore":   {"a\n1_0\n", Options{}, "is not a number"},
		"comma":        {"a;b\n1,5;2\n", Options{}, "decimal comma"},
		"bare comma":   {"1,5;2,5\n", Options{Header: "no"}, "decimal comma"},
		"fewer":        {"a,b\n1,2\n\n3\n", Options{}, "x.csv:4: the row has 1 cells, but the first line has 2"},
		"more":         {"a,b\n1,2,3\n", Options{}, "x.csv:2: the row has 3 cells"},
		"same names":   {"a,a\n1,2\n", Options{}, `columns 1 and 2 are both named "a"`},
		"open quote":   {"a\n\"1\n", Options{}, "x.csv:2: a quote is not closed"},
		"behind quote": {"a\n\"1\"2\n", Options{}, "after a quoted cell"},
		"line":         {"a,b\n\"1\n\",2\n", Options{}, "x.csv:2"},
		"UTF-16":       {"\xff\xfea\x00", Options{}, "UTF-16"},
		"Latin-1":      {"\xe4,b\n1,2\n", Options{}, "UTF-8"},
		"label":        {"a,y\n1,\n", Options{Label: "y"}, "the label is missing"},
		"no label":     {"a,y\n1,\n", Options{Label: "z"}, `data.label: there is no column "z"; the columns are a, y`},
		"no ignored":   {"a,y\n1,\n", Options{Ignore: []string{"z"}}, "data.ignore"},
		"none left":    {"a,y\n1,\n", Options{Ignore: []string{"a", "y"}}, "rows have no numbers"},
		"long":         {"a\n" + strings.Repeat("1", maxLine+3) + "\n", Options{}, "x.csv:2: a row of more than 16 MiB"},
		"long quoted":  {"a\n\"" + strings.Repeat("1\n", maxLine/2+3) + "\n", Options{}, "a row of more than 16 MiB"},
		"header":       {"a\n1\n", Options{Header: "maybe"}, "must be auto, yes or no"},

		// What a trained model is given: its columns are settled.
		"one lacks":       {"a,b\n1,2\n", Options{Columns: []string{"b", "c"}}, `there is no column "c"; the file needs b, c; other columns: a; rename columns`},
		"two lack":        {"b\n1\n", Options{Columns: []string{"a", "b", "c"}}, "2 of the 3 required columns are missing: a, c; add the missing columns"},
		"no names":        {"1,2\n", Options{Columns: []string{"a", "b"}}, "its first line does not name its 2 columns"},
		"trained text":    {"a\nx\n", Options{Columns: []string{"a"}, Trained: true}, `"x" is not a number; write a number, or remove the row`},
		"trained missing": {"a,b\n,1\n", Options{Columns: []string{"a"}, Trained: true}, `"" is missing; fill it in, or remove the row`},
		"trained comma":   {"a;b\n1,5;2\n", Options{Columns: []string{"a"}, Trained: true}, "decimal comma"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readAll(write(t, "x.csv", test.text), test.o)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "x.csv") {
				t.Errorf("error %v", err)
			}
		})
	}
	whole, err := readAll(write(t, "x.csv.gz", "a\n1\n"), Options{})
	if err == nil || !strings.Contains(err.Error(), "gzip") {
		t.Errorf("not packed: %v, %v", whole, err)
	}
}

// npy is an array with this head.
func npy(version byte, head, data string) string {
	length := string([]byte{byte(len(head)), byte(len(head) >> 8)})
	if version > 1 {
		length += "\x00\x00"
	}
	return npyMagic + string([]byte{version, 0}) + length + head + data
}

func TestNPY(t *testing.T) {
	for name, test := range map[string]struct {
		head, data string
		want       array.Values
		dims       []int
		rounded    int
	}{
		"u1":       {"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2)}", "\x01\x02\x03\x04", array.Values{Uint8: []uint8{1, 2, 3, 4}}, []int{2}, 0},
		"fortran":  {"{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }\n", "\x01\x02\x03\x04", array.Values{Uint8: []uint8{1, 3, 2, 4}}, []int{2}, 0},
		"cube":     {"{'descr': '|u1', 'fortran_order': True, 'shape': (1, 2, 2), }\n", "\x01\x02\x03\x04", array.Values{Uint8: []uint8{1, 3, 2, 4}}, []int{2, 2}, 0},
		"bool":     {"{\"descr\": \"|b1\", 'shape': (2L,), 'fortran_order': False}", "\x00\x07", array.Values{Uint8: []uint8{0, 1}}, []int{1}, 0},
		"big":      {"{'descr': '>u2', 'fortran_order': False, 'shape': (1, 1, 1, 2)}", "\x01\x02\x03\x04", array.Values{Uint16: []uint16{0x102, 0x304}}, []int{1, 1, 2}, 0},
		"i1":       {"{'descr': '|i1', 'fortran_order': False, 'shape': (2,)}", "\x80\x7f", array.Values{Float32: []float32{-128, 127}}, []int{1}, 0},
		"f2":       {"{'descr': '<f2', 'fortran_order': False, 'shape': (3,)}", "\x00\x3c\x01\x00\xff\xfb", array.Values{Float32: []float32{1, 1. / (1 << 24), -65504}}, []int{1}, 0},
		"rounded":  {"{'descr': '<i8', 'fortran_order': False, 'shape': (2,)}", "\x01\x00\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f", array.Values{Float32: []float32{1 << 24, 1 << 63}}, []int{1}, 2},
		"least":    {"{'descr': '<i8', 'fortran_order': False, 'shape': (1,)}", "\x00\x00\x00\x00\x00\x00\x00\x80", array.Values{Float32: []float32{-1 << 63}}, []int{1}, 0},
		"greatest": {"{'descr': '<u8', 'fortran_order': False, 'shape': (1,)}", "\xff\xff\xff\xff\xff\xff\xff\xff", array.Values{Float32: []float32{1 << 64}}, []int{1}, 1},
		"none":     {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3)}", "", array.Values{Float32: []float32{}}, []int{3}, 0},
	} {
		for version := range byte(3) {
			got, err := readAll(write(t, "x.npy", npy(version+1, test.head, test.data)), Options{})
			if err != nil || !reflect.DeepEqual(got.values, test.want) || !slices.Equal(got.dims, test.dims) || got.rounded != test.rounded || got.names != nil {
				t.Errorf("%s, version %d: got %+v, error %v", name, version+1, got, err)
			}
		}
	}
}

func TestNPYRefused(t *testing.T) {
	head := func(descr, shape string) string {
		return "{'descr': " + descr + ", 'fortran_order': False, 'shape': " + shape + "}"
	}
	for name, test := range map[string]struct{ text, want string }{
		"empty":      {"", "not an array"},
		"text":       {"1,2,3,4,5,6,7,8,9,0", "not an array"},
		"version":    {npy(4, "", ""), "version 4"},
		"pickle":     {npy(1, head("'|O'", "(1,)"), "x"), "astype(np.float32)"},
		"structured": {npy(1, head("[('a', '<f4')]", "(1,)"), "xxxx"), "structured"},
		"complex":    {npy(1, head("'<c8'", "(1,)"), "xxxxxxxx"), "save bool, int"},
		"text array": {npy(1, head("'<U1'", "(1,)"), "x\x00\x00\x00"), "array of text"},
		"long":       {npy(1, head("'<f16'", "(1,)"), strings.Repeat("x", 16)), "save bool, int"},
		"short":      {npy(1, head("'<f4'", "(2,)"), "xxxx"), "needs 8 bytes, but there are 4"},
		"longer":     {npy(1, head("'<f4'", "(1,)"), "xxxxx"), "1 bytes after an array"},
		"overflow":   {npy(1, head("'<f4'", "(4294967296, 4294967296, 2)"), ""), "larger than a file can hold"},
		"negative":   {npy(1, head("'<f4'", "(-1,)"), ""), "not a dict"},
		"huge size":  {npy(1, head("'<f4'", "(99999999999999999999,)"), ""), "not a dict"},
		"scalar":     {npy(1, head("'<f4'", "()"), "xxxx"), "a single number"},
		"axes":       {npy(1, head("'|u1'", "(1, 1, 1, 1, 1)"), "x"), "5 axes"},
		"no numbers": {npy(1, head("'|u1'", "(1, 0)"), ""), "rows have no numbers"},
		"wide":       {npy(1, head("'|u1'", "(0, 1000000000)"), ""), "more than 2^28"},
		"key":        {npy(1, "{'descr': '<f4', 'shape': (1,), 'x': 1}", "xxxx"), "not a dict"},
		"twice":      {npy(1, "{'descr': '<f4', 'descr': '<f4', 'shape': (1,)}", "xxxx"), "not a dict"},
		"behind":     {npy(1, head("'<f4'", "(1,)")+" 5", "xxxx"), "not a dict"},
		"header":     {npyMagic + "\x02\x00\xff\xff\xff\x7f", "the limit is 65536"},
		"infinite":   {npy(1, head("'<f4'", "(2, 2)"), "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\xff"), "row 2, value 2: infinite"},
		"NaN":        {npy(1, head("'<f4'", "(1, 1, 2)"), "\x00\x00\x00\x00\x00\x00\xc0\x7f"), "row 1, value [0 1]: the value is missing"},
		"range":      {npy(1, head("'<f8'", "(1,)"), "\x00\x00\x00\x00\x00\x00\x00\x7f"), "beyond the range of float32"},
	} {
		_, err := readAll(write(t, "x.npy", test.text), Options{})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "x.npy") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// npz is an archive of arrays: name, array, name, array …
func npz(method uint16, entries ...string) string {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i < len(entries); i += 2 {
		e, _ := w.CreateHeader(&zip.FileHeader{Name: entries[i] + ".npy", Method: method})
		e.Write([]byte(entries[i+1]))
	}
	w.Close()
	return out.String()
}

func TestNPZ(t *testing.T) {
	plain := npy(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2)}", "\x01\x02\x03\x04")
	columns := npy(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2)}", "\x01\x03\x02\x04")
	cube := npy(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 1)}", "\x01\x02\x03\x04")
	labels := map[string][]string{
		npy(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (2,)}", "\xff\xff\x05\x00"):                                              {"-1", "5"},
		npy(1, "{'descr': '>u4', 'fortran_order': False, 'shape': (2, 1)}", "\xff\xff\xff\xff\x00\x00\x00\x07"):                            {"4294967295", "7"},
		npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "\x00\x00\x80\x3f\xcd\xcc\xcc\x3d"):                              {"1", "0.1"},
		npy(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", "\x00\x01"):                                                      {"false", "true"},
		npy(1, "{'descr': '|S3', 'fortran_order': False, 'shape': (2,)}", "ab\x00\xc3\xa4c"):                                               {"ab", "äc"},
		npy(1, "{'descr': '<U2', 'fortran_order': False, 'shape': (2,)}", "a\x00\x00\x00b\x00\x00\x00\x00\xf6\x01\x00"+"\x00\x00\x00\x00"): {"ab", "\U0001f600"},
	}
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		for text, want := range labels {
			for _, samples := range []string{plain, columns} {
				got, err := readAll(write(t, "x.npz", npz(method, "X", samples, "y", text)), Options{Label: "y"})
				if err != nil || !bytes.Equal(got.values.Uint8, []byte{1, 2, 3, 4}) || !slices.Equal(got.labels, want) {
					t.Errorf("got %v, error %v, want %v", got, err, want)
				}
			}
		}
	}
	for name, test := range map[string]struct {
		text string
		o    Options
		want string // of the shape, or an error
	}{
		"only":        {npz(0, "whatever", plain), Options{}, "[2]"},
		"usual":       {npz(0, "a", cube, "data", plain), Options{}, "[2]"},
		"widest":      {npz(0, "a", cube, "b", plain), Options{}, "[2 1]"},
		"chosen":      {npz(0, "a", cube, "b", plain), Options{Array: "b"}, "[2]"},
		"ambiguous":   {npz(0, "train", plain, "test", plain), Options{}, "data.array: train [2 2], test [2 2]"},
		"unknown":     {npz(0, "train", plain), Options{Array: "b"}, `there is no array "b"; the arrays are train`},
		"no label":    {npz(0, "train", plain), Options{Label: "b"}, `there is no array "b"; the arrays are train`},
		"few labels":  {npz(0, "x", plain, "y", npy(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (1,)}", "\x00")), Options{Label: "y"}, "one label for each of the 2 samples"},
		"no label 2":  {npz(0, "x", plain, "y", npy(1, "{'descr': '|S1', 'fortran_order': False, 'shape': (2,)}", "a\x00")), Options{Label: "y"}, "array y: row 2: the label is missing"},
		"twice":       {npz(0, "x", plain, "x", plain), Options{}, "two arrays"},
		"no zip":      {plain, Options{}, "not an .npz archive"},
		"none":        {npz(0), Options{}, "no array of numbers"},
		"pickle":      {npz(0, "x", npy(1, "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", "a")), Options{}, "array x: an array of Python objects"},
		"bomb":        {npz(8, "x", npy(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}", strings.Repeat("\x00", 1<<20))), Options{}, "bytes after an array"},
		"checksum":    {strings.Replace(npz(0, "x", plain), "\x01\x02\x03\x04", "\x01\x02\x03\x05", 1), Options{}, "checksum"},
		"cut off":     {npz(0, "x", plain)[:100], Options{}, "not an .npz archive"},
		"other file":  {strings.ReplaceAll(npz(0, "x", plain), "x.npy", "x.txt"), Options{}, "no array of numbers"},
		"wide labels": {npz(0, "x", plain, "y", plain), Options{Label: "y"}, "one label for each of the 2 samples"},
	} {
		got, err := readAll(write(t, "x.npz", test.text), test.o)
		if text := fmt.Sprint(got.dims, err); !strings.Contains(text, test.want) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// arrowText is a file or stream with two batches of all types.
func arrowText(t testing.TB, stream bool, options ...ipc.Option) string {
	fields := []arrow.Field{{Name: "label", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}}}
	types := []arrow.DataType{arrow.FixedWidthTypes.Boolean, arrow.FixedWidthTypes.Float16}
	types = append(types, arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Uint16, arrow.PrimitiveTypes.Float64, arrow.BinaryTypes.StringView,
		arrow.FixedWidthTypes.Timestamp_ns, arrow.ListOf(arrow.PrimitiveTypes.Int8))
	for _, kind := range types {
		fields = append(fields, arrow.Field{Name: kind.Name(), Type: kind, Nullable: true})
	}
	var out bytes.Buffer
	schema := arrow.NewSchema(fields, nil)
	options = append(options, ipc.WithSchema(schema))
	var w interface {
		Write(arrow.RecordBatch) error
		Close() error
	} = ipc.NewWriter(&out, options...)
	if !stream {
		out.Reset()
		var err error
		if w, err = ipc.NewFileWriter(&out, options...); err != nil {
			t.Fatal(err)
		}
	}
	builder := arrays.NewRecordBuilder(memory.NewGoAllocator(), schema)
	for range 2 {
		text := `{"label":"a","bool":true,"float16":1.5,"int8":-3,"int64":16777217,"uint16":65535,"float64":0.1,"string_view":"a text of some length","list":[1]}
			{"label":"b","bool":false,"float16":2,"int8":3,"int64":2,"uint16":1,"float64":null,"string_view":"b","list":[]}`
		for line := range strings.Lines(text) {
			if err := builder.UnmarshalJSON([]byte(line)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Write(builder.NewRecordBatch()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestArrow(t *testing.T) {
	want := []float32{1, 1.5, -3, 1 << 24, 65535, .1, 0, 2, 3, 2, 1, nan}
	for _, stream := range []bool{false, true} {
		for _, options := range [][]ipc.Option{nil, {ipc.WithZstd()}, {ipc.WithLZ4()}} {
			path := write(t, "x.arrow", arrowText(t, stream, options...))
			for _, label := range []string{"label", "string_view", "int8"} {
				got, err := readAll(path, Options{Label: label, Missing: true})
				if err != nil {
					t.Fatal(err)
				}
				switch label {
				case "label":
					if !equal(got.values.Float32, append(want, want...)) || !slices.Equal(got.labels, []string{"a", "b", "a", "b"}) || got.rounded != 2 {
						t.Errorf("got %+v", got)
					}
					if text := fmt.Sprint(got.leftOut); !strings.Contains(text, "string_view (string_view)") || !strings.Contains(text, "timestamp (timestamp[ns") ||
						!strings.Contains(text, "list (list<") {
						t.Errorf("left out %s", text)
					}
				case "int8":
					if got.labels[0] != "-3" || len(got.names) != 5 {
						t.Errorf("got %+v", got)
					}
				default:
					if got.labels[2] != "a text of some length" {
						t.Errorf("got %+v", got)
					}
				}
			}
			if _, err := readAll(path, Options{}); err == nil || !strings.Contains(err.Error(), `row 2, column "float64": the value is missing; write data.ignore: [float64]`) {
				t.Errorf("error %v", err)
			}
			got, err := readAll(path, Options{Ignore: []string{"float16", "int8", "int64", "float64"}})
			if err != nil || !slices.Equal(got.values.Uint16, []uint16{1, 65535, 0, 1, 1, 65535, 0, 1}) {
				t.Errorf("got %+v, error %v", got, err)
			}
		}
	}
}

// A file that is cut off anywhere is refused; one with a byte changed is read or refused, without a panic and without an end.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "x.parquet"), nil, array.Values{Float32: []float32{1, 2, 3, 4, 5, 6}}, 3, 2); err != nil {
		t.Fatal(err)
	}
	parquet, err := os.ReadFile(filepath.Join(dir, "x.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	cube := npy(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 1)}", "\x01\x02\x03\x04")
	for name, text := range map[string]string{
		"x.arrow": arrowText(t, false, ipc.WithZstd()), "y.arrow": arrowText(t, true), "x.parquet": string(parquet),
		"x.npy": cube, "x.npz": npz(8, "X", cube),
	} {
		path := filepath.Join(dir, name)
		step := max(1, len(text)/300)
		for end := 0; end < len(text); end += step {
			if err := os.WriteFile(path, []byte(text[:end]), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := readAll(path, Options{Missing: true}); err == nil {
				t.Errorf("%s: %d of %d bytes were read", name, end, len(text))
			}
			changed := []byte(text)
			changed[end] ^= 0xff
			if err := os.WriteFile(path, changed, 0o644); err != nil {
				t.Fatal(err)
			}
			readAll(path, Options{Missing: true})
		}
	}
}

func TestWrite(t *testing.T) {
	floats := array.Values{Float32: []float32{0, 1, -0.1, 1e-45, math.MaxFloat32, 16777216, nan, 1. / 3, 123456.7, 1e6, 1e21, 5}}
	for _, values := range []array.Values{
		floats,
		{Uint8: []uint8{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255}},
		{Uint16: []uint16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 65535}},
	} {
		for _, extension := range Writes() {
			for _, dims := range [][]int{{12}, {3, 4}, {2, 3, 2}, {1, 2, 3, 2}} {
				path := filepath.Join(t.TempDir(), "x"+extension)
				if err := Write(path, nil, values, dims...); err != nil {
					t.Fatal(err)
				}
				got, err := readAll(path, Options{Missing: true})
				want := values
				if extension == ".csv" || extension == ".tsv" {
					want = values.As(dtypes.Float32)
				}
				if err != nil || got.rows != dims[0] || !bytes.Equal(clean(got.values).Bytes(), clean(want).Bytes()) || got.values.Type() != want.Type() {
					t.Errorf("%s %v: %+v, error %v", extension, dims, got, err)
				}
				if extension == ".npy" && !slices.Equal(got.dims, append([]int{}, dims[min(1, len(dims)-1):]...)) && len(dims) > 1 {
					t.Errorf("shape %v of %v", got.dims, dims)
				}
				again := filepath.Join(t.TempDir(), "y"+extension)
				if err := Write(again, nil, values, dims...); err != nil {
					t.Fatal(err)
				}
				a, _ := os.ReadFile(path)
				b, _ := os.ReadFile(again)
				if !bytes.Equal(a, b) {
					t.Errorf("%s: equal arrays give files that differ", extension)
				}
				if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
					t.Errorf("%s: left behind: %v", extension, entries)
				}
			}
		}
	}
	dir := t.TempDir()
	for _, err := range []error{
		Write(filepath.Join(dir, "x.txt"), nil, floats, 12),
		Write(filepath.Join(dir, "x.csv"), nil, floats, 5),
		Write(filepath.Join(dir, "x.csv"), []string{"a"}, floats, 3, 4),
		Write(filepath.Join(dir, "x.parquet"), []string{"a", "a"}, floats, 6, 2),
		Write(filepath.Join(dir, "no", "x.csv"), nil, floats, 12),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "write "+dir) {
			t.Errorf("error %v", err)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

// clean makes all NaN one.
func clean(v array.Values) array.Values {
	v.Float32 = slices.Clone(v.Float32)
	for i, x := range v.Float32 {
		if x != x {
			v.Float32[i] = nan
		}
	}
	return v
}

// Files of many batches, in all formats, and names that need quotes.
func TestMany(t *testing.T) {
	const rows, size = 300_000, 5
	values := array.Make(dtypes.Float32, rows*size)
	for i := range values.Float32 {
		values.Float32[i] = float32(i) / 7
	}
	for _, extension := range Writes() {
		path := filepath.Join(t.TempDir(), "x"+extension)
		names := []string{"a", "b c", "d,e", `f"g`, "h;i"}
		w, err := Create(path, names, dtypes.Float32, size)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < rows; {
			n := min(rows-at, 70_001)
			if err := w.Append(values.Slice(at*size, (at+n)*size)); err != nil {
				t.Fatal(err)
			}
			at += n
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		w.Abort()
		f, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Names() != nil && !slices.Equal(f.Names(), names) {
			t.Errorf("%s: names %q", extension, f.Names())
		}
		for range 2 { // each pass gives all
			at, calls := 0, 0
			err := f.Each(context.Background(), func(r Rows) error {
				if !slices.Equal(r.Values.Float32, values.Float32[at:at+r.Values.Len()]) {
					return fmt.Errorf("other values from %d on", at)
				}
				at += r.Values.Len()
				calls++
				return nil
			})
			if err != nil || at != rows*size || calls < 5 {
				t.Errorf("%s: %d values in %d calls, error %v", extension, at, calls, err)
			}
		}
		data, _ := os.ReadFile(path)
		if sum, err := f.SHA256(context.Background()); err != nil || sum != fmt.Sprintf("%x", sha256.Sum256(data)) {
			t.Errorf("%s: checksum %s, error %v", extension, sum, err)
		}
		stop := errors.New("stop")
		if err := f.Each(context.Background(), func(Rows) error { return stop }); err != stop {
			t.Errorf("error %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		if err := f.Each(ctx, func(Rows) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", extension, err)
		}
		func() {
			defer func() {
				if r := recover(); r != "mine" {
					t.Errorf("%s: recovered %v", extension, r)
				}
			}()
			f.Each(context.Background(), func(Rows) error { panic("mine") })
		}()
	}
}

func TestFormats(t *testing.T) {
	for path, want := range map[string]bool{"a/b.csv": true, "B.CSV.GZ": true, "x.Feather": true, "x.gz": false, "x.txt": false, "csv": false} {
		if Is(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
	if _, err := Open("x.txt", Options{}); err == nil || !strings.Contains(err.Error(), ".csv.gz") {
		t.Errorf("error %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "x.csv"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// Files that pyarrow wrote: a dictionary and row groups, newer encodings, and Brotli.
func TestParquet(t *testing.T) {
	want := map[string][]float32{
		"a": {1, nan, 3, 4}, "b": {1.5, 2, 3, nan}, "c": {1, 0, nan, 1}, "d": {1, 2, 3, 1 << 60}, "e": {1.5, 2, 1.5, 2},
	}
	for file, names := range map[string]string{"dictionary": "abcde", "delta": "abcde", "plain": "abc"} {
		got, err := readAll("testdata/"+file+".parquet", Options{Label: "y", Missing: true})
		if err != nil {
			t.Error(err)
			continue
		}
		var rows []float32
		for row := range 4 {
			for _, name := range names {
				rows = append(rows, want[string(name)][row])
			}
		}
		if strings.Join(got.names, "") != names || !equal(got.values.Float32, rows) || !slices.Equal(got.labels, []string{"a", "b", "a", "b"}) {
			t.Errorf("%s: got %+v", file, got)
		}
		if _, err := readAll("testdata/"+file+".parquet", Options{}); err == nil || !strings.Contains(err.Error(), `row 2, column "a": the value is missing`) {
			t.Errorf("%s: error %v", file, err)
		}
		got, err = readAll("testdata/"+file+".parquet", Options{Missing: true})
		if err != nil || fmt.Sprint(got.leftOut) != "[y (String)]" && fmt.Sprint(got.leftOut) != "[y (BYTE_ARRAY)]" {
			t.Errorf("%s: left out %q, error %v", file, got.leftOut, err)
		}
	}
}

// safetensors is a file of tensors, whose values lie one after another.
func safetensors(header string, values ...byte) string {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return string(length) + header + string(values)
}

// A tensor of each type gives its numbers; which of several are the samples, and what is wrong with a file, is told.
func TestSafetensors(t *testing.T) {
	two := `"dtype":"F16","shape":[2,1],"data_offsets":[0,4]}`
	for name, c := range map[string]struct {
		data    string
		options Options
		want    string // of the rows, or of the error
	}{
		"F16":       {safetensors(`{"acts":{`+two+`}`, 0, 0x3c, 0, 0xc0), Options{}, "[1 -2]"},
		"BF16":      {safetensors(`{"x":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}`, 0x80, 0x3f, 0x20, 0xc0), Options{}, "[1 -2.5]"},
		"F32":       {safetensors(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 0, 0, 0x80, 0x3f), Options{}, "[1]"},
		"chosen":    {safetensors(`{"a":{`+two+`,"b":{"dtype":"F32","shape":[1,1],"data_offsets":[4,8]}}`, 0, 0x3c, 0, 0xc0, 0, 0, 0, 0x40), Options{Array: "b"}, "[2]"},
		"ambiguous": {safetensors(`{"a":{`+two+`,"b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}}`, 0, 0, 0, 0, 0, 0, 0, 0), Options{}, "data.array: a [2 1], b [2]"},
		"unknown":   {safetensors(`{"a":{`+two+`}`, 0, 0, 0, 0), Options{Array: "b"}, `there is no tensor "b"; the tensors are a`},
		"label":     {safetensors(`{"a":{`+two+`}`, 0, 0, 0, 0), Options{Label: "y"}, "has no labels"},
		"cut off":   {safetensors(`{"a":{`+two+`}`, 0, 0, 0), Options{}, "more than the file holds"},
		"infinite":  {safetensors(`{"a":{`+two+`}`, 0, 0x7c, 0, 0), Options{}, "row 1"},
		"integers":  {safetensors(`{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}`, 5, 0, 0, 0, 0, 0, 0, 0), Options{}, "[5]"},
		"complex":   {safetensors(`{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}`, 0, 0, 0, 0, 0, 0, 0, 0), Options{}, "the supported dtypes are BF16"},
	} {
		got, err := readAll(write(t, "x.safetensors", c.data), c.options)
		text := fmt.Sprint(got.values.Float32)
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}
