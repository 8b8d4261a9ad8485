package config

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

func compileSchema(t *testing.T, name string, text []byte) *jsonschema.Schema {
	description, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(name, description); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// asEditor reads YAML as an editor does.
func asEditor(t interface{ Fatal(...any) }, text string) any {
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// Every committed config is accepted by the decoder and by the schema that it names, and runs under its own name; so is every
// sweep.
func TestConfigs(t *testing.T) {
	experiments := compileSchema(t, "experiment", Schema())
	sweeps := compileSchema(t, "sweep", SweepSchema())
	const root = "../../configs"
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		schema, file, load := experiments, "experiment.schema.json", func() error { _, err := Load(path); return err }
		if filepath.Base(filepath.Dir(path)) == "sweeps" {
			schema, file, load = sweeps, "sweep.schema.json", func() error { _, err := LoadSweep(path); return err }
		}
		committed, err := filepath.Abs(filepath.Join("../../docs", file))
		if err != nil {
			return err
		}
		line, _, _ := strings.Cut(string(text), "\n")
		relative, ok := strings.CutPrefix(line, "# yaml-language-server: $schema=")
		if named, err := filepath.Abs(filepath.Join(filepath.Dir(path), relative)); !ok || err != nil || named != committed {
			t.Errorf("%s begins with %q, which does not name docs/%s", path, line, file)
		}
		if err := load(); err != nil {
			t.Error(err)
		}
		if err := schema.Validate(asEditor(t, string(text))); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The schema and the decoder agree on what one value may be.
func TestSchemaAgrees(t *testing.T) {
	schema := compileSchema(t, "experiment", Schema())
	good := []string{
		"{}",
		"data: {validation: 10}", // of the default kind
		"data: {dataset: kmnist, dir: here, limit: 500}",
		"data: {dataset: folder, dir: here, colour: rgb}",
		"corrupt: []",
		"corrupt: {kind: none}",
		"corrupt: [{kind: gaussian, noise_factor: 1}, {kind: none}]",
		"corrupt: {kind: gaussian, noise_factor: [0.1, 0.6]}",
		"model: {decoder: []}",
		"train: {learning_rate: 1, warmup_epochs: 2.5, epsilon: 1e-8}",
		"seed: 9007199254740993",
	}
	bad := []string{
		"[]",
		"nme: x",
		"name: a/b",
		"name: 1",
		"seed: -1",
		"seed: 1.5",
		"seed: '1'",
		"seed:",
		"backend: cuda",
		"data: mnist",
		"data: {dataset: mnst}",
		"data: {dataset: mnist, height: 28}", // of another kind
		"data: {colour: rgb}",                // not of the default kind
		"corrupt: gaussian",
		"corrupt: {}",
		"corrupt: {noise_factor: 0.3}",
		"corrupt: {kind: gaussian, noise_factor: -1}",
		"corrupt: {kind: gaussian, noise_factor: [0.1]}",
		"corrupt: {kind: gaussian, noise_factor: [0.1, 0.2, 0.3]}",
		"corrupt: {kind: gaussian, noise_factor: [0.1, 101]}",
		"corrupt: {kind: gaussian, noise_factor: [0.1, [0.2]]}",
		"corrupt: {kind: gaussian, noise_factor: {low: 0.1, high: 0.2}}",
		"corrupt: {kind: gaussian, noise_factor: '0.1'}",
		"corrupt: [{kind: gaussian, noise: 1}]",
		"corrupt: [gaussian]",
		"corrupt: [" + strings.Repeat("{kind: none},", 17) + "]",
		"model: {encoder: []}",
		"model: {encoder: 64}",
		"model: {encoder: [0]}",
		"model: {encoder: [1.5]}",
		"model: {activation: 3}",
		"train: []",
		"train: {epochs: 0}",
		"train: {epochs: 1000001}",
		"train: {learning_rate: 0}", // the bound itself is not allowed
		"train: {beta1: 1}",
		"train: {loss: MSE}",
		"output: {grid: {rows: two}}",
	}
	for _, text := range good {
		if _, err := Parse("good.yaml", []byte(text)); err != nil {
			t.Errorf("the decoder refuses %s: %v", text, err)
		}
		if err := schema.Validate(asEditor(t, text)); err != nil {
			t.Errorf("the schema refuses %s: %v", text, err)
		}
	}
	for _, text := range bad {
		if _, err := Parse("bad.yaml", []byte(text)); err == nil {
			t.Errorf("the decoder accepts %s", text)
		}
		if err := schema.Validate(asEditor(t, text)); err == nil {
			t.Errorf("the schema accepts %s", text)
		}
	}
}
