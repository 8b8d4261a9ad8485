package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Reference returns every key of an experiment's file in Markdown: what it means, what is allowed, its default.
func Reference() string {
	var text strings.Builder
	text.WriteString(referenceHead)
	defaults := schemaDefaults()
	writeSection(&text, "", defaults)
	return text.String()
}

// SweepReference is the same of a sweep's file.
func SweepReference() string {
	var text strings.Builder
	text.WriteString(sweepReferenceHead)
	writeSection(&text, "", sweepDefaults())
	return text.String()
}

const sweepReferenceHead = `# Sweep reference

A sweep is one YAML file. Misspelt keys, values out of range, keys of the space that the
experiment does not have, and invalid values of the experiment are errors with their line in the file.

    latent sweep FILE                             # run it; the page is sweep.html in its folder
    latent sweep resume DIR budget.trials=80      # continue it, with more trials
    latent sweep best DIR --confirm 5             # retrain the best trial with five new seeds

An example:

    base: ../mnist/denoise.yaml
    set: {train: {epochs: 3}}                       # of the experiment, for all trials
    objective: {metric: val_psnr}                   # or a list of several
    space:
      train.learning_rate: {loguniform: [3e-4, 5e-3]}
      train.batch_size: {choice: [64, 128, 256]}
      model.encoder:
        choice:
          - [128, 32]
          - value: [256, 128, 64]
            space: {model.encoder.0: {logint: [128, 1024]}}   # searched only if this value is chosen
    strategy: {kind: tpe}
    early_stopping: {kind: median}
    budget: {trials: 40, time: 30m}

On the command line, ` + "`KEY=VALUE`" + ` overrides a key of the sweep: ` + "`budget.trials=20`, `set.train.epochs=1`" + `.
`

const referenceHead = `# Config reference

An experiment is one YAML file. It names what differs from the defaults below; a misspelt key, a value out of range and
values that contradict each other are errors with their place in the file. ` + "`latent config show FILE`" + ` prints a file with all
its defaults filled in.

On the command line, ` + "`KEY=VALUE`" + ` overrides a key, the value in YAML: ` + "`train.epochs=3`, `model.encoder=[256,64]`,\n`corrupt={kind: none}`" + `.

A relative path of a file or folder that is read is seen from the working directory; where nothing is there, below ` + "`LATENT_DATA_DIR`" + ` where
the key is one of ` + "`data`" + `, and then beside the config. On the command line, it is seen from the working directory alone. A run's
` + "`manifest.json`" + ` records these folders, so that its ` + "`config.yaml`" + ` goes on working from another working directory.
`

// writeSection writes the table of a struct's keys, then the sections below it.
func writeSection(text *strings.Builder, section string, defaults reflect.Value) {
	fields := fieldsOf(defaults.Type())
	rows := slices.DeleteFunc(slices.Clone(fields), func(f field) bool {
		return f.typ.Kind() == reflect.Struct && !f.isMapping() || f.isKind() || f.isChain() || f.isSections()
	})
	writeTable(text, section, rows, defaults)
	for _, f := range fields {
		key := join(section, f.name)
		value := defaults.FieldByIndex(f.index)
		switch {
		case f.isMapping():
		case f.isSections():
			fmt.Fprintf(text, "\n## %s\n\n%s\n", key, f.description())
			writeTable(text, key, fieldsOf(f.typ.Elem()), reflect.Zero(f.typ.Elem()))
		case f.typ.Kind() == reflect.Struct:
			fmt.Fprintf(text, "\n## %s\n\n%s\n", key, f.description())
			writeSection(text, key, value)
		case f.isKind():
			kind, _ := kindsOf(f.typ).kindOf(value.Interface())
			fmt.Fprintf(text, "\n## %s\n\n%s\n\nWithout `%s`, it is `%s`.\n", key, f.description(), f.kindKey, kind)
			writeKinds(text, key, f)
		case f.isChain():
			fmt.Fprintf(text, "\n## %s\n\n%s\n", key, f.description())
			writeKinds(text, key, f.element())
		}
	}
}

// writeKinds writes a section for each kind; those of one type share theirs.
func writeKinds(text *strings.Builder, section string, f field) {
	table := kindsOf(f.typ)
	done := map[reflect.Type]bool{}
	for _, kind := range table.names() {
		value := reflect.ValueOf(table[kind]()).Elem()
		if done[value.Type()] {
			continue
		}
		done[value.Type()] = true
		same := slices.DeleteFunc(table.names(), func(other string) bool {
			return reflect.TypeOf(table[other]()).Elem() != value.Type()
		})
		subject := kind
		if len(same) > 1 {
			subject = "each"
		}
		fmt.Fprintf(text, "\n### %s: `%s: %s`\n\n%s\n", section, f.kindKey, strings.Join(same, "`, `"),
			docOfKind(value.Type(), subject))
		writeTable(text, section, fieldsOf(value.Type()), value)
	}
}

func writeTable(text *strings.Builder, section string, fields []field, defaults reflect.Value) {
	if len(fields) == 0 {
		return
	}
	text.WriteString("\n| key | default | allowed | meaning |\n| --- | --- | --- | --- |\n")
	var sections []field
	for _, f := range fields {
		if f.typ.Kind() == reflect.Struct && !f.isMapping() {
			sections = append(sections, f)
			continue
		}
		meaning := strings.Join(strings.Fields(f.description()), " ")
		fmt.Fprintf(text, "| `%s` | %s | %s | %s |\n", join(section, f.name), defaultText(f, defaults.FieldByIndex(f.index)),
			cell(f.want()), cell(meaning))
	}
	for _, f := range sections {
		fmt.Fprintf(text, "\n%s: %s\n", join(section, f.name), f.description())
		writeTable(text, join(section, f.name), fieldsOf(f.typ), defaults.FieldByIndex(f.index))
	}
}

// defaultText writes a default as a config would.
func defaultText(f field, value reflect.Value) string {
	if value.Kind() == reflect.String && value.String() == "" {
		return ""
	}
	f.flow = true
	node, err := encode(f, value)
	if err != nil {
		panic(err) // a kind that is not in its table
	}
	text, err := yaml.Marshal(node)
	if err != nil {
		panic(err)
	}
	return "`" + strings.TrimSpace(string(text)) + "`"
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
