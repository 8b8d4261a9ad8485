// Package query is the fields of runs, and conditions on them.
//
//	records := query.Read(entries, true)      // of runs.List
//	fields := query.FieldsOf(records)
//	condition, err := query.Compile(`train.learning_rate > 0.001 && model.kind == vae`, fields)
//	kept, err := condition.Select(records)
//
// A field is a key of the config, such as train.learning_rate; a figure, such as test.psnr, which may be written psnr; or one of
// [Known], such as state, duration, warnings and tags.
//
// A condition compares fields with numbers, texts, true, false, and each other:
//
//	==  !=  <  <=  >  >=           of numbers and texts; + - * / of numbers
//	contains  startsWith  endsWith  matches     of texts; the last by a regular expression of RE2
//	in  not in                     [a, b, c], or tags
//	&&  ||  !  and  or  not  ()    of conditions
//	has(test.psnr)                 the run has the field
//
// A word beside a field needs no quotes, where it is a name and no field of the same type; a text with other characters does. What
// compares a field that a run does not have is false for that run, also with !=.
//
// Promised: a field that there is not, and values that cannot be compared, are errors of [Compile], with the nearest field; a condition
// takes a time that grows with its length and with that of the texts, and both are bounded.
//
// What is not here: which runs there are (pkg/runs), and how a list is printed (pkg/command).
package query

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"latent/pkg/config"
	"latent/pkg/evaluate"
	"latent/pkg/rundir"
	"latent/pkg/runs"
)

// Record is a run with its fields.
type Record struct {
	runs.Entry
	Labels rundir.Labels
	// LabelsErr says why there are no labels, where their file is damaged.
	LabelsErr error
	// Config are the values of the config, by their keys; see [config.Experiment.Values]. Of a config that was not asked for, or cannot be read,
	// it is nil.
	Config map[string]any
	// Trial is what a sweep knows of the run; nil of one that is no trial, or whose sweep was not asked.
	Trial *Trial
}

// Trial is a run's place in a sweep.
type Trial struct {
	Number int `json:"number"`
	// Objective is the value of the sweep's first objective; NaN where there is none.
	Objective rundir.Number `json:"objective"`
	// Maximize says that more of it is better.
	Maximize bool `json:"-"`
}

// Read reads the labels of runs, and their configs where they are asked for, which takes about a millisecond each. What cannot be read is
// left out.
func Read(entries []runs.Entry, configs bool) []*Record {
	records := make([]*Record, len(entries))
	var group errgroup.Group
	group.SetLimit(2 * runtime.GOMAXPROCS(0))
	for i, entry := range entries {
		r := &Record{Entry: entry}
		records[i] = r
		group.Go(func() error {
			run := &rundir.Run{Path: entry.Path}
			r.Labels, r.LabelsErr = run.Labels()
			if !configs {
				return nil
			}
			if e, err := config.Load(run.ConfigPath()); err == nil {
				if values, err := e.Values(); err == nil {
					r.Config = values
				}
			}
			return nil
		})
	}
	group.Wait() // nothing fails
	return records
}

// Kind is what the values of a field are.
type Kind string

// The kinds of fields.
const (
	Number Kind = "number"
	Text   Kind = "text"
	Truth  Kind = "true or false"
	List   Kind = "list"
	// Mixed is a field with values of several kinds: a number, or several of them as text, such as "[256, 64]".
	Mixed Kind = "mixed"
)

// known holds the fields that are no keys of the config, and no figures of some runs alone.
var known = []struct {
	name string
	kind Kind
	of   func(r *Record) any // nil where the run has it not
}{
	{"path", Text, func(r *Record) any { return r.Path }},
	{"id", Text, func(r *Record) any { return r.ID() }},
	{"name", Text, func(r *Record) any { return r.Manifest.Name }},
	{"state", Text, func(r *Record) any { return string(r.State) }},
	{"error", Text, func(r *Record) any {
		if r.Err != nil {
			return r.Err.Error()
		}
		return nonEmpty(r.Manifest.Error)
	}},
	{"started", Text, func(r *Record) any {
		if r.Manifest.Started.IsZero() {
			return nil
		}
		return r.Manifest.Started.Format("2006-01-02T15:04:05")
	}},
	{"duration", Number, func(r *Record) any { return positive(r.Seconds()) }},
	{"epoch", Number, func(r *Record) any { return begun(r, r.Manifest.Progress.Epoch) }},
	{"epochs", Number, func(r *Record) any { return begun(r, r.Manifest.Progress.Epochs) }},
	{"seed", Number, func(r *Record) any { return begun(r, r.Manifest.Seed) }},
	{"parameters", Number, func(r *Record) any { return positive(float64(r.Manifest.Model.Parameters)) }},
	{"backend", Text, func(r *Record) any { return nonEmpty(r.Manifest.Backend.Name) }},
	{"warnings", Number, func(r *Record) any { return begun(r, len(r.Manifest.Warnings)) }},
	{"tags", List, func(r *Record) any {
		if len(r.Labels.Tags) == 0 {
			return nil
		}
		return r.Labels.Tags
	}},
	{"note", Text, func(r *Record) any { return nonEmpty(r.Labels.Note) }},
	{"gain", Number, func(r *Record) any {
		input, damaged := r.Manifest.Result.Corrupted["psnr"]
		psnr, measured := r.Manifest.Result.Test["psnr"]
		if !damaged || !measured {
			return nil
		}
		return float64(psnr - input)
	}},
	{"best_epoch", Number, func(r *Record) any { return positive(float64(r.Manifest.Result.BestEpoch)) }},
	{"val.loss", Number, func(r *Record) any {
		if r.Manifest.Result.BestEpoch == 0 {
			return nil
		}
		return float64(r.Manifest.Result.BestValidationLoss)
	}},
	{"sweep", Text, func(r *Record) any { return nonEmpty(r.Manifest.Sweep) }},
	{"trial", Number, func(r *Record) any {
		if r.Trial == nil {
			return nil
		}
		return float64(r.Trial.Number)
	}},
	{"objective", Number, func(r *Record) any {
		if r.Trial == nil {
			return nil
		}
		return float64(r.Trial.Objective)
	}},
}

// ofTrials are the fields that a sweep knows.
var ofTrials = []string{"trial", "objective"}

// OfTrial says whether a field is of a [Trial], which the caller reads.
func OfTrial(name string) bool { return slices.Contains(ofTrials, name) }

// Known lists the fields that are no keys of the config, and no figures.
func Known() []string {
	var names []string
	for _, f := range known {
		names = append(names, f.name)
	}
	return names
}

func nonEmpty(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func positive(x float64) any {
	if x <= 0 {
		return nil
	}
	return x
}

// begun is a number of a run whose manifest is more than a name.
func begun[T int | int64](r *Record, x T) any {
	if r.Manifest.Started.IsZero() {
		return nil
	}
	return float64(x)
}

// Value is a field of the run, by its whole name: a float64, string, bool, or []string; nil where the run has it not, or where it is not
// finite.
func (r *Record) Value(name string) any {
	value := r.value(name)
	if x, isNumber := value.(float64); isNumber && (math.IsNaN(x) || math.IsInf(x, 0)) {
		return nil
	}
	return value
}

func (r *Record) value(name string) any {
	for _, f := range known {
		if f.name == name {
			return f.of(r)
		}
	}
	if value, found := r.Config[name]; found {
		switch v := reflect.ValueOf(value); {
		case !v.IsValid():
			return nil
		case v.CanInt(), v.CanUint(), v.CanFloat():
			return v.Convert(reflect.TypeFor[float64]()).Float()
		}
		return value
	}
	if x, found := r.figure(name); found {
		return float64(x)
	}
	return nil
}

// figure is one of the run's figures, by the name of its field. It does not make all of them: lists ask for it many times to be sorted.
func (r *Record) figure(name string) (rundir.Number, bool) {
	part, figure, _ := strings.Cut(name, ".")
	var x rundir.Number
	found := false
	switch part {
	case "test":
		x, found = r.Manifest.Result.Test[figure]
	case "corrupted":
		x, found = r.Manifest.Result.Corrupted[figure]
	case "generated":
		x, found = r.figures()[name]
	}
	return x, found
}

// figures are the run's, by the names of fields.
func (r *Record) figures() map[string]rundir.Number {
	figures := map[string]rundir.Number{}
	for name, x := range r.Manifest.Result.Figures() {
		part, figure, _ := strings.Cut(name, "/")
		if bare, corrupted := strings.CutPrefix(figure, "corrupted_"); corrupted && part == "test" {
			part, figure = "corrupted", bare
		}
		figures[part+"."+figure] = x
	}
	return figures
}

// Fields are the fields that there are, by name.
type Fields map[string]Kind

// FieldsOf returns all fields of some runs, keys of configs that none of them has among them.
func FieldsOf(records []*Record) Fields {
	fields := Fields{}
	for _, r := range records {
		for name := range r.figures() {
			fields[name] = Number
		}
	}
	for key, kind := range config.Keys() {
		switch kind {
		case reflect.Bool:
			fields[key] = Truth
		case reflect.String:
			fields[key] = Text
		case reflect.Float64:
			fields[key] = Number
		default:
			fields[key] = Mixed
		}
	}
	fields["test.loss"] = Number
	for _, metric := range evaluate.Metrics { // also where no run is measured yet
		fields["test."+metric.Name] = Number
	}
	for _, f := range known {
		fields[f.name] = f.kind
	}
	return fields
}

// Names lists the fields: first those of [Known] in their order, then the others by name.
func (f Fields) Names() []string {
	names := Known()
	return append(names, slices.DeleteFunc(slices.Sorted(maps.Keys(f)), func(name string) bool { return slices.Contains(names, name) })...)
}

// Resolve returns the whole name of a field. A figure of the test images may be written without its test.
func (f Fields) Resolve(name string) (string, error) {
	for _, whole := range []string{name, "test." + name} {
		if _, found := f[whole]; found {
			return whole, nil
		}
	}
	var ends []string
	for whole := range f {
		if strings.HasSuffix(whole, "."+name) {
			ends = append(ends, whole)
		}
	}
	slices.Sort(ends)
	near := strings.Join(ends[:min(len(ends), 3)], " or ")
	if near == "" {
		near = config.Nearest(name, append(f.Names(), f.tests()...))
	}
	return "", UnknownField{Name: name, Near: near}
}

// tests are the figures of the test images, without their test.
func (f Fields) tests() []string {
	var names []string
	for name := range f {
		if short, found := strings.CutPrefix(name, "test."); found {
			names = append(names, short)
		}
	}
	return names
}

// UnknownField is the error of a name that is no field.
type UnknownField struct {
	Name string
	Near string // a field that may be meant; "" where none is alike
}

// Error says that the name is no field, and which may be meant.
func (u UnknownField) Error() string {
	text := fmt.Sprintf("%.100s is no field", u.Name)
	if u.Near != "" {
		text += "; did you mean " + u.Near + "?"
	}
	return text
}

// Order compares runs by a field: of figures and objectives the best first, of what has started the newest, else the smallest. Runs
// without it come last, also where reverse turns the others round.
func Order(field string, reverse bool) func(a, b *Record) int {
	return func(a, b *Record) int {
		x, y := a.Value(field), b.Value(field)
		if x == nil || y == nil {
			return cmp.Compare(absent(x), absent(y))
		}
		if field == "objective" && a.Trial.Maximize != b.Trial.Maximize { // of sweeps that look for the least, and for the most
			return cmp.Compare(fmt.Sprint(a.Trial.Maximize), fmt.Sprint(b.Trial.Maximize))
		}
		order := compare(x, y)
		if reverse != downwards(field, a) {
			order = -order
		}
		return order
	}
}

func absent(value any) int {
	if value == nil {
		return 1
	}
	return 0
}

// downwards says that of a field the largest comes first.
func downwards(field string, r *Record) bool {
	section, _, _ := strings.Cut(field, ".")
	switch {
	case field == "started":
		return true
	case field == "duration", field == "warnings": // where one looks for the longest, and for the most
		return true
	case field == "objective":
		return r.Trial.Maximize
	case field == "gain", section == "test", section == "corrupted", section == "generated":
		return config.Objective{Metric: field}.Maximize()
	}
	return false
}

// compare orders values: numbers before truths before texts before lists.
func compare(a, b any) int {
	switch x := a.(type) {
	case float64:
		if y, same := b.(float64); same {
			return cmp.Compare(x, y)
		}
	case string:
		if y, same := b.(string); same {
			return strings.Compare(x, y)
		}
	case []string:
		if y, same := b.([]string); same {
			return slices.Compare(x, y)
		}
	case bool:
		if y, same := b.(bool); same {
			return cmp.Compare(fmt.Sprint(x), fmt.Sprint(y))
		}
	}
	return cmp.Compare(slices.Index(kindOrder, kindOf(a)), slices.Index(kindOrder, kindOf(b)))
}

var kindOrder = []Kind{Number, Truth, Text, List}

func kindOf(value any) Kind {
	switch value.(type) {
	case float64:
		return Number
	case bool:
		return Truth
	case string:
		return Text
	}
	return List
}
