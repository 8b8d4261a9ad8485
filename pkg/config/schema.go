package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// object is a JSON object.
type object = map[string]any

// Schema returns the JSON Schema (draft 2020-12) of an experiment's file, for editors: types, ranges, defaults, and the
// fields' comments as descriptions. What rests on several values, such as loss bce with its output, only [Parse] checks.
func Schema() []byte { return writeSchema("Latent experiment", structSchema(schemaDefaults())) }

// SweepSchema returns that of a sweep's file.
func SweepSchema() []byte {
	schema := structSchema(sweepDefaults())
	schema["required"] = []string{"base", "objective", "space"}
	properties := schema["properties"].(object)
	space := properties["space"].(object)
	space["additionalProperties"] = object{"$ref": "#/$defs/values"}
	schema["$defs"] = object{"values": valuesSchema()}
	return writeSchema("Latent sweep", schema)
}

// valuesSchema describes what a key of a space is searched over. A section of the experiment around keys is written as such, too.
func valuesSchema() object {
	one := func(name, description string, value object) object {
		value["description"] = description
		return object{"type": "object", "properties": object{name: value}, "required": []string{name}, "additionalProperties": false}
	}
	pair := func(kind string) object {
		return object{"type": "array", "items": object{"type": kind}, "minItems": 2, "maxItems": 2}
	}
	conditional := object{"type": "object", "properties": object{
		"value": object{"description": "value of the key"},
		"space": object{"type": "object", "description": "keys that are searched where this value was chosen", "additionalProperties": object{"$ref": "#/$defs/values"}},
	}, "required": []string{"value"}, "additionalProperties": false}
	options := object{"type": "array", "minItems": 2, "maxItems": maxOptions, "items": object{"anyOf": []object{conditional, {}}}}
	return object{"oneOf": []object{
		one("uniform", "the lowest and the highest number; every number between them is as likely", pair("number")),
		one("loguniform", "the lowest and the highest number, above 0; every logarithm between them is as likely", pair("number")),
		one("int", "the lowest and the highest whole number", pair("integer")),
		one("logint", "the lowest and the highest whole number, above 0, looked at in their logarithm", pair("integer")),
		one("choice", "values without an order; or {value: VALUE, space: {…}}, with keys that are searched where it was chosen", options),
		{"type": "object", "minProperties": 1, "propertyNames": object{"not": object{"enum": distributionNames()}},
			"additionalProperties": object{"$ref": "#/$defs/values"}},
	}}
}

func writeSchema(title string, schema object) []byte {
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = title
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(schema); err != nil {
		panic(fmt.Errorf("write the schema: %w", err)) // an infinity in a struct's defaults
	}
	return text.Bytes()
}

// schemaDefaults is what the schema and the reference show as defaults. The name has none: it is the file's.
func schemaDefaults() reflect.Value {
	e := Default()
	e.Name = ""
	return reflect.ValueOf(e).Elem()
}

// sweepDefaults are the same of a sweep.
func sweepDefaults() reflect.Value {
	s := DefaultSweep()
	s.Name = ""
	return reflect.ValueOf(s).Elem()
}

// structSchema describes a struct with its defaults.
func structSchema(defaults reflect.Value) object {
	properties := object{}
	for _, f := range fieldsOf(defaults.Type()) {
		described := f.schema(defaults.FieldByIndex(f.index))
		described["description"] = f.description()
		properties[f.name] = described
	}
	return object{"type": "object", "properties": properties, "additionalProperties": false}
}

// bounded adds to the schema of a list how many elements it may have.
func (f field) bounded(list object) object {
	if f.minItems >= 0 {
		list["minItems"] = f.minItems
	}
	if f.maxItems >= 0 {
		list["maxItems"] = f.maxItems
	}
	return list
}

func (f field) schema(defaults reflect.Value) object {
	switch {
	case f.isMapping():
		return object{"type": "object"}
	case f.isSections():
		one := structSchema(reflect.Zero(f.typ.Elem()))
		return object{"oneOf": []object{one, f.bounded(object{"type": "array", "items": one})}}
	case f.isKind():
		kind, _ := kindsOf(f.typ).kindOf(defaults.Interface())
		return kindSchema(f, kind)
	case f.isChain():
		return object{"oneOf": []object{kindSchema(f.element(), ""), f.bounded(object{"type": "array", "items": kindSchema(f.element(), "")})}}
	case f.short != "":
		return object{"oneOf": []object{f.stands().scalarSchema(), structSchema(defaults)}}
	case f.typ.Kind() == reflect.Struct:
		return structSchema(defaults)
	case f.isRange():
		end := f.element().scalarSchema()
		var value any = defaults.Interface()
		if low, high := defaults.Index(0), defaults.Index(1); low.Float() == high.Float() {
			value = low.Interface()
		}
		pair := object{"type": "array", "items": end, "minItems": 2, "maxItems": 2}
		return object{"oneOf": []object{end, pair}, "default": value}
	case f.typ.Kind() == reflect.Slice:
		list := f.bounded(object{"type": "array", "items": f.element().scalarSchema(), "default": defaults.Interface()})
		if f.single {
			return object{"oneOf": []object{f.element().scalarSchema(), list}}
		}
		return list
	}
	scalar := f.scalarSchema()
	if defaults.Kind() != reflect.String || defaults.String() != "" {
		scalar["default"] = defaults.Interface()
	}
	return scalar
}

func (f field) scalarSchema() object {
	schema := object{}
	switch f.typ.Kind() {
	case reflect.Bool:
		schema["type"] = "boolean"
	case reflect.String:
		schema["type"] = "string"
		if f.literal {
			schema["type"] = []string{"string", "number", "boolean"}
		}
	case reflect.Float64:
		schema["type"] = "number"
	default:
		schema["type"] = "integer"
	}
	if f.enum != nil {
		schema["enum"] = f.enum
	}
	if f.pattern != nil {
		schema["pattern"] = f.pattern.String()
	}
	for name, bound := range map[string]float64{
		"minimum": f.minimum, "maximum": f.maximum, "exclusiveMinimum": f.above, "exclusiveMaximum": f.below,
	} {
		if !math.IsInf(bound, 0) {
			schema[name] = bound
		}
	}
	return schema
}

// kindSchema describes a mapping whose keys depend on its kind, or on defaultKind where it names none.
//
// Each kind is an if and a then, not one of a oneOf: then an editor's message is about the kind that was chosen.
func kindSchema(f field, defaultKind string) object {
	table := kindsOf(f.typ)
	var rules []object
	var documented []string
	for _, kind := range table.names() {
		value := reflect.ValueOf(table[kind]()).Elem()
		doc := docOfKind(value.Type(), kind)
		if doc != "" {
			documented = append(documented, firstSentence(doc))
		}
		chosen := object{"properties": object{f.kindKey: object{"const": kind}}}
		if kind != defaultKind {
			chosen["required"] = []string{f.kindKey}
		}
		then := structSchema(value)
		then["description"] = doc
		then["properties"].(object)[f.kindKey] = object{"const": kind}
		rules = append(rules, object{"if": chosen, "then": then})
	}
	selector := object{"enum": table.names(), "description": strings.Join(documented, "\n\n")}
	schema := object{"type": "object", "properties": object{f.kindKey: selector}, "allOf": rules}
	if defaultKind == "" {
		schema["required"] = []string{f.kindKey}
	} else {
		selector["default"] = defaultKind
	}
	return schema
}

// description is what the field's tag says, or its comment, about the key.
func (f field) description() string {
	if f.said != "" {
		return f.said
	}
	return docOf(f.doc, f.doc[strings.LastIndexByte(f.doc, '.')+1:], f.name)
}

// docOf returns the comment of a Go name, with the name in YAML as its first word.
func docOf(key, goName, yamlName string) string {
	doc := docs[key]
	if rest, ok := strings.CutPrefix(doc, goName+" "); ok {
		return yamlName + " " + rest
	}
	return doc
}

// docOfKind is the comment of a kind's struct or, of a kind that was added, the tag of its blank field.
func docOfKind(t reflect.Type, subject string) string {
	if blank, found := t.FieldByName("_"); found {
		return blank.Tag.Get("doc")
	}
	return docOf(t.String(), t.Name(), subject)
}

func firstSentence(doc string) string {
	rest := doc
	for {
		end := strings.Index(rest, ". ")
		if end < 0 {
			return doc
		}
		rest = rest[end+2:]
		if sentence := doc[:len(doc)-len(rest)-1]; !strings.HasSuffix(sentence, " al.") { // Ronneberger et al. 2015
			return sentence
		}
	}
}
