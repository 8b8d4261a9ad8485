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

const referenceHead = `# Config reference

An experiment is one YAML file. It names what differs from the defaults below; a misspelt key, a value out of range and
values that contradict each other are errors with their place in the file. ` + "`latent config show FILE`" + ` prints a file with all
its defaults filled in.

On the command line, ` + "`KEY=VALUE`" + ` overrides a key, the value in YAML: ` + "`train.epochs=3`, `model.encoder=[256,64]`,\n`corrupt={kind: none}`" + `.
`

// writeSection writes the table of a struct's keys, then the sections below it.
func writeSection(text *strings.Builder, section string, defaults reflect.Value) {
	fields := fieldsOf(defaults.Type())
	rows := slices.DeleteFunc(slices.Clone(fields), func(f field) bool {
		return f.typ.Kind() == reflect.Struct || f.isKind() || f.isChain()
	})
	writeTable(text, section, rows, defaults)
	for _, f := range fields {
		key := join(section, f.name)
		value := defaults.FieldByIndex(f.index)
		switch {
		case f.typ.Kind() == reflect.Struct:
			fmt.Fprintf(text, "\n## %s\n\n%s\n", key, f.description())
			writeSection(text, key, value)
		case f.isKind():
			kind, _ := kindTables[f.typ].kindOf(value.Interface())
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
	table := kindTables[f.typ]
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
			docOf(value.Type().String(), value.Type().Name(), subject))
		writeTable(text, section, fieldsOf(value.Type()), value)
	}
}

func writeTable(text *strings.Builder, section string, fields []field, defaults reflect.Value) {
	if len(fields) == 0 {
		return
	}
	text.WriteString("\n| key | default | allowed | meaning |\n| --- | --- | --- | --- |\n")
	for _, f := range fields {
		meaning := strings.Join(strings.Fields(f.description()), " ")
		fmt.Fprintf(text, "| `%s` | %s | %s | %s |\n", join(section, f.name), defaultText(f, defaults.FieldByIndex(f.index)),
			cell(f.want()), cell(meaning))
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
