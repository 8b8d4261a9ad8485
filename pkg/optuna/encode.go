package optuna

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// The operations of a journal: JournalOperation of Optuna 5.0.
const (
	createStudy = iota
	deleteStudy
	setStudyUserAttr
	setStudySystemAttr
	createTrial
	setTrialParam
	setTrialStateValues
	setTrialIntermediateValue
	setTrialUserAttr
	setTrialSystemAttr
	discardTrials // which Optuna reads over
)

// metricNames is the system attribute in which Optuna keeps the names of objectives.
const metricNames = "study:metric_names"

// worker stands where Optuna has the id of who wrote a line, by which it knows its own.
const worker = "latent"

// field is a name with its value, in a JSON object whose order stays.
type field struct {
	name  string
	value any
}

type object []field

// operation is a line of the journal.
func operation(code int, fields ...field) object {
	return append(object{{"op_code", code}, {"worker_id", worker}}, fields...)
}

// appendJSON appends a value as Python's json writes and reads it: that of Go has no NaN and no infinities.
func appendJSON(b []byte, value any) ([]byte, error) {
	var err error
	switch v := value.(type) {
	case float64:
		return append(b, number(v)...), nil
	case []float64:
		if v == nil {
			return append(b, "null"...), nil
		}
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, number(x)...)
		}
		return append(b, ']'), nil
	case object:
		b = append(b, '{')
		for i, f := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, f.name); err != nil {
				return nil, err
			}
			if b, err = appendJSON(append(b, ':'), f.value); err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
		}
		return append(b, '}'), nil
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...), nil
}

// number is a float as Python writes it: one that is whole has a point, by which Python tells it from an integer.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	case v == math.Trunc(v) && math.Abs(v) < 1e16:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// members are a map's, by name.
func members[V any](m map[string]V) object {
	var o object
	for _, name := range slices.Sorted(maps.Keys(m)) {
		o = append(o, field{name, m[name]})
	}
	return o
}

// moment is a time as journals have it; that of Optuna, too, is in UTC and cut to microseconds.
func moment(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000000+00:00")
}

// distribution is a parameter's, as the JSON in a string that journals have.
func (p *Parameter) distribution() (string, error) {
	var name string
	var attributes object
	switch p.Kind {
	case Int:
		name = "IntDistribution"
		step := int64(max(1, p.Step))
		attributes = object{{"log", p.Log}, {"step", step}, {"low", int64(p.Low)}, {"high", int64(p.High)}}
	case Categorical:
		name = "CategoricalDistribution"
		attributes = object{{"choices", p.Options}}
	default:
		name = "FloatDistribution"
		var step any
		if p.Step > 0 {
			step = p.Step
		}
		attributes = object{{"step", step}, {"low", p.Low}, {"high", p.High}, {"log", p.Log}}
	}
	text, err := appendJSON(nil, object{{"name", name}, {"attributes", attributes}})
	return string(text), err
}

// distributions are those of the parameters that a trial has.
func (s *Study) distributions(t *Trial) (object, error) {
	var all object
	for i := range s.Space {
		p := &s.Space[i]
		if _, has := t.Params[p.Name]; !has {
			continue
		}
		text, err := p.distribution()
		if err != nil {
			return nil, fmt.Errorf("parameter %q: %w", p.Name, err)
		}
		all = append(all, field{p.Name, text})
	}
	return all, nil
}

// attrs are a trial's user attributes.
func (t *Trial) attrs() map[string]any {
	all := maps.Clone(t.Attrs)
	if all == nil {
		all = map[string]any{}
	}
	all[NumberAttr] = t.Number
	return all
}

// creation is the operation that tells the whole of a trial.
func (s *Study) creation(t *Trial, study int) (object, error) {
	distributions, err := s.distributions(t)
	if err != nil {
		return nil, err
	}
	params := object{}
	for _, d := range distributions {
		params = append(params, field{d.name, t.Params[d.name]})
	}
	curve := object{}
	for _, report := range t.curve() {
		curve = append(curve, field{strconv.Itoa(report.Step), report.Value})
	}
	state, values := s.outcome(t)
	var value any
	if len(values) == 1 { // as Optuna has it, a single one stands by itself
		value, values = values[0], nil
	}
	operation := operation(createTrial, field{"study_id", study}, field{"datetime_start", nil}, field{"state", codes[state]},
		field{"value", value}, field{"values", values})
	if state != Waiting {
		operation[3].value = moment(t.started())
	}
	if state.finished() {
		operation = append(operation, field{"datetime_complete", moment(t.Finished)})
	}
	return append(operation, field{"distributions", distributions}, field{"params", params},
		field{"user_attrs", members(t.attrs())}, field{"system_attrs", object{}}, field{"intermediate_values", curve}), nil
}

// curve is the trial's, by step; of two values of a step, the later.
func (t *Trial) curve() []Report {
	last := map[int]float64{}
	for _, report := range t.Curve {
		last[report.Step] = report.Value
	}
	var curve []Report
	for _, step := range slices.Sorted(maps.Keys(last)) {
		curve = append(curve, Report{step, last[step]})
	}
	return curve
}
