package config

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated and golden files")

// TestGenerated holds docs.go, the schema and the reference against the structs; go generate rewrites them.
func TestGenerated(t *testing.T) {
	comments := structComments(t, ".", "../corrupt", "../dataset", "../evaluate", "../model", "../scale", "../search", "../train")
	compare(t, "docs.go", docsFile(t, comments))
	docs = comments // so that one go generate updates all three
	compare(t, "../../docs/experiment.schema.json", Schema())
	compare(t, "../../docs/config.md", []byte(Reference()))
	compare(t, "../../docs/sweep.schema.json", SweepSchema())
	compare(t, "../../docs/sweep.md", []byte(SweepReference()))
}

// compare holds a committed file against what it should be, or writes it.
func compare(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is stale: run go generate ./pkg/config", path)
	}
}

// structComments returns the comments of exported structs that have keys, and of the keys, as "package.Type" and
// "package.Type.Field".
func structComments(t *testing.T, dirs ...string) map[string]string {
	comments := map[string]string{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, declaration := range file.Decls {
				if general, ok := declaration.(*ast.GenDecl); ok && general.Tok == token.TYPE {
					for _, spec := range general.Specs {
						addComments(comments, file.Name.Name, general, spec.(*ast.TypeSpec))
					}
				}
			}
		}
	}
	return comments
}

func addComments(comments map[string]string, pkg string, declaration *ast.GenDecl, spec *ast.TypeSpec) {
	structure, ok := spec.Type.(*ast.StructType)
	if !ok || !spec.Name.IsExported() {
		return
	}
	name := pkg + "." + spec.Name.Name
	keys := map[string]string{}
	for _, f := range structure.Fields.List {
		if f.Tag != nil {
			for _, ident := range f.Names {
				if key := keyOf(f.Tag.Value); key != "" {
					keys[ident.Name] = key
				}
			}
		}
	}
	if doc := flat(declaration.Doc.Text()); doc != "" {
		comments[name] = inYAML(doc, keys)
	}
	for _, f := range structure.Fields.List {
		if f.Tag != nil && strings.Contains(f.Tag.Value, `yaml:"`) {
			for _, ident := range f.Names {
				comments[name+"."+ident.Name] = inYAML(flat(f.Doc.Text()), keys)
			}
		}
	}
}

// keyOf is the key in YAML that a field's tag, with its quotes, says.
func keyOf(tag string) string {
	key, _, _ := strings.Cut(reflect.StructTag(strings.Trim(tag, "`")).Get("yaml"), ",")
	return key
}

// properNames are words that are fields too, and mean what has that name.
var properNames = []string{"MLflow", "Slurm", "TensorBoard"}

// goName is a word that begins with a capital letter, and what is before it: nothing, where it begins a text.
var goName = regexp.MustCompile(`(^|[^A-Za-z0-9_.])([A-Z][A-Za-z0-9]*)\b`)

// inYAML writes the keys of a config for the names of the fields of a struct in its comments, but for the word that a comment or a sentence
// begins with.
func inYAML(doc string, keys map[string]string) string {
	var text strings.Builder
	last := 0
	for _, at := range goName.FindAllStringSubmatchIndex(doc, -1) {
		word := doc[at[4]:at[5]]
		key, found := keys[word]
		before := strings.TrimRight(doc[:at[4]], " \n")
		if !found || slices.Contains(properNames, word) || before == "" || strings.HasSuffix(before, ".") || strings.HasSuffix(before, ":") {
			continue
		}
		text.WriteString(doc[last:at[4]] + key)
		last = at[5]
	}
	return text.String() + doc[last:]
}

func TestInYAML(t *testing.T) {
	keys := map[string]string{"Dir": "dir", "Factor": "factor", "MinSteps": "min_steps", "MLflow": "mlflow"}
	for doc, want := range map[string]string{
		"Dir is where they are. Factor follows, 1 in Factor (see Dir).": "Dir is where they are. Factor follows, 1 in factor (see dir).",
		"Rung k is at MinSteps · Factor^k: as MLflow has it.":           "Rung k is at min_steps · factor^k: as MLflow has it.",
		"the Directory x.Dir": "the Directory x.Dir",
	} {
		if got := inYAML(doc, keys); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// goReference is a name of Go as its documentation links to it.
var goReference = regexp.MustCompile(`\[\*?(?:[a-z]+\.)?[A-Z][A-Za-z.]*[a-z]\]`)

// What a reader of the reference is told is in terms of the config: no name of a field, no link to Go's documentation.
func TestReferenceHasKeys(t *testing.T) {
	fields := regexp.MustCompile(`\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b`) // MinSteps, but not SSIM
	goNames := map[string]bool{}
	for key := range docs {
		if parts := strings.Split(key, "."); len(parts) == 3 && !slices.Contains(properNames, parts[2]) {
			goNames[parts[2]] = true
		}
	}
	for name, text := range map[string]string{"config.md": Reference(), "sweep.md": SweepReference()} {
		for _, found := range goReference.FindAllString(text, -1) {
			t.Errorf("%s: %s is a link of Go's documentation", name, found)
		}
		for _, found := range fields.FindAllString(text, -1) {
			if goNames[found] {
				t.Errorf("%s: %s is the name of a field in Go", name, found)
			}
		}
	}
}

// flat joins the lines of each paragraph.
func flat(doc string) string {
	paragraphs := strings.Split(strings.TrimSpace(doc), "\n\n")
	for i, paragraph := range paragraphs {
		paragraphs[i] = strings.Join(strings.Fields(paragraph), " ")
	}
	return strings.Join(paragraphs, "\n\n")
}

func docsFile(t *testing.T, comments map[string]string) []byte {
	var text bytes.Buffer
	text.WriteString("// Code generated by go generate; DO NOT EDIT.\n\npackage config\n\n" +
		"// docs holds the comments of the structs and fields that a config fills.\n" +
		"var docs = map[string]string{\n")
	for _, name := range usedDocs(t, comments) {
		fmt.Fprintf(&text, "%q: %q,\n", name, comments[name])
	}
	text.WriteString("}\n")
	source, err := format.Source(text.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// usedDocs lists the structs and fields that a config can fill, and wants a comment on each.
func usedDocs(t *testing.T, comments map[string]string) []string {
	used := map[string]bool{}
	var walk func(reflect.Type)
	walk = func(structure reflect.Type) {
		used[structure.String()] = true
		for _, f := range fieldsOf(structure) {
			used[f.doc] = true
			if f.typ.Kind() == reflect.Struct && !f.isMapping() {
				walk(f.typ)
			}
			if f.isSections() {
				walk(f.typ.Elem())
			}
			table := kindsOf(f.elementType())
			for _, kind := range table.names() {
				walk(reflect.TypeOf(table[kind]()).Elem())
			}
		}
	}
	walk(reflect.TypeFor[Experiment]())
	walk(reflect.TypeFor[Sweep]())
	for name := range used {
		if comments[name] == "" {
			t.Errorf("%s has no comment, and a config can fill it", name)
		}
	}
	return slices.Sorted(maps.Keys(used))
}
