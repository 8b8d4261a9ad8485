// Package pkg_test holds what is promised of every package here.
package pkg_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every package that a program can use is documented, all that it exports too, and has an example of the whole that runs: the
// first minute of its reader. Packages that help tests (they import testing) need no example.
func TestPackages(t *testing.T) {
	err := filepath.WalkDir(".", func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() || dir == "." {
			return err
		}
		if entry.Name() == "testdata" {
			return fs.SkipDir
		}
		t.Run(filepath.ToSlash(dir), func(t *testing.T) { checkPackage(t, dir) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkPackage(t *testing.T, dir string) {
	set := token.NewFileSet()
	var files, tests []*ast.File
	helper := false
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no Go files, error %v", err)
	}
	for _, path := range paths {
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, "_test.go") {
			tests = append(tests, file)
			continue
		}
		files = append(files, file)
		helper = helper || slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing"` })
	}
	examples := doc.Examples(tests...)
	runs := func(e *doc.Example) bool { return e.Name == "" && (e.Output != "" || e.EmptyOutput) }
	if !helper && !slices.ContainsFunc(examples, runs) {
		t.Error("no func Example() with an // Output: in its tests; write one that shows what the package is for")
	}
	documented, err := doc.NewFromFiles(set, files, "latent/pkg/"+filepath.ToSlash(dir))
	if err != nil {
		t.Fatal(err)
	}
	want := func(name, text string) {
		if text == "" {
			t.Errorf("%s has no doc comment", name)
		}
	}
	want("package "+documented.Name, documented.Doc)
	for _, f := range documented.Funcs {
		want(f.Name, f.Doc)
	}
	for _, kind := range documented.Types {
		want(kind.Name, kind.Doc)
		for _, f := range kind.Funcs {
			want(f.Name, f.Doc)
		}
		for _, m := range kind.Methods {
			want(kind.Name+"."+m.Name, m.Doc)
		}
	}
	for _, group := range slices.Concat(documented.Consts, documented.Vars) {
		want(strings.Join(group.Names, ", "), group.Doc)
	}
}
