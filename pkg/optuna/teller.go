package optuna

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// teller makes the lines that a journal lacks. The mirror follows them.
type teller struct {
	study  *Study
	mirror *mirror
	lines  []byte
}

func (t *teller) tellAll(trials []Trial) error {
	if err := t.tellStudy(); err != nil {
		return err
	}
	for i := range trials {
		if err := t.tellTrial(&trials[i]); err != nil {
			return fmt.Errorf("trial %d: %w", trials[i].Number, err)
		}
	}
	return nil
}

func (t *teller) tell(code int, fields ...field) error { return t.write(operation(code, fields...)) }

func (t *teller) write(operation object) error {
	line, err := appendJSON(nil, operation)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if len(line) > maxLine {
		return fmt.Errorf("a line of %d MiB; the limit is %d", len(line)>>20, maxLine>>20)
	}
	if err := t.mirror.follow(line); err != nil {
		return err
	}
	t.mirror.line++
	t.lines = append(t.lines, line...)
	return nil
}

func (t *teller) tellStudy() error {
	s, m := t.study, t.mirror
	if m.study < 0 {
		var directions []int
		for _, maximize := range s.Maximize {
			direction := 1
			if maximize {
				direction = 2
			}
			directions = append(directions, direction)
		}
		if err := t.tell(createStudy, field{"study_name", s.Name}, field{"directions", directions}); err != nil {
			return err
		}
	}
	if !slices.Equal(m.maximize, s.Maximize) {
		return fmt.Errorf("study %q exists with different objectives; choose another file, or another name", s.Name)
	}
	if err := m.clash(s); err != nil {
		return err
	}
	if len(s.Metrics) > 0 {
		if err := t.tellAttrs(setStudySystemAttr, "system_attr", field{"study_id", m.study}, map[string]any{metricNames: s.Metrics}, m.systemAttrs); err != nil {
			return err
		}
	}
	return t.tellAttrs(setStudyUserAttr, "user_attr", field{"study_id", m.study}, s.Attrs, m.attrs)
}

// tellAttrs tells the attributes that are not those that were told.
func (t *teller) tellAttrs(code int, kind string, of field, attrs map[string]any, told map[string]string) error {
	for _, attr := range members(attrs) {
		text, err := appendJSON(nil, attr.value)
		if err != nil {
			return fmt.Errorf("attribute %q: %w", attr.name, err)
		}
		if told[attr.name] == string(plain(text)) {
			continue
		}
		if err := t.tell(code, of, field{kind, object{attr}}); err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) tellTrial(trial *Trial) error {
	id, known := t.mirror.latest[trial.Number]
	if known && t.mirror.told[id].state.finished() {
		if t.says(t.mirror.told[id], trial) {
			return nil
		}
		known = false
	}
	if !known {
		creation, err := t.study.creation(trial, t.mirror.study)
		if err != nil {
			return err
		}
		return t.write(creation)
	}
	return t.tellNew(id, t.mirror.told[id], trial)
}

// says reports whether what is told of a trial that has finished is all that there is to tell.
func (t *teller) says(old *told, trial *Trial) bool {
	state, values := t.study.outcome(trial)
	if state == Running {
		return moment(trial.Started) == old.started
	}
	return state == old.state && moment(trial.Finished) == old.finished && slices.Equal(values, old.values) &&
		maps.Equal(trial.Params, old.params)
}

// tellNew tells what is new of a trial that has not finished in the journal. Its end comes last, as nothing can follow that.
func (t *teller) tellNew(id int, old *told, trial *Trial) error {
	of := field{"trial_id", id}
	state, values := t.study.outcome(trial)
	distributions, err := t.study.distributions(trial)
	if err != nil {
		return err
	}
	for _, d := range distributions {
		value := trial.Params[d.name]
		if was, known := old.params[d.name]; known && was == value {
			continue
		}
		err := t.tell(setTrialParam, of, field{"param_name", d.name}, field{"param_value_internal", value}, field{"distribution", d.value})
		if err != nil {
			return err
		}
	}
	if state != Waiting && old.state == Waiting {
		err := t.tell(setTrialStateValues, of, field{"state", codes[Running]}, field{"values", nil}, field{"datetime_start", moment(trial.started())})
		if err != nil {
			return err
		}
	}
	for _, report := range trial.curve() {
		if was, known := old.curve[report.Step]; known && (was == report.Value || math.IsNaN(was) && math.IsNaN(report.Value)) {
			continue
		}
		err := t.tell(setTrialIntermediateValue, of, field{"step", report.Step}, field{"intermediate_value", report.Value})
		if err != nil {
			return err
		}
	}
	if err := t.tellAttrs(setTrialUserAttr, "user_attr", of, trial.attrs(), old.attrs); err != nil {
		return err
	}
	switch {
	case state.finished():
		return t.tell(setTrialStateValues, of, field{"state", codes[state]}, field{"values", values},
			field{"datetime_complete", moment(trial.Finished)})
	case state == Waiting && old.state == Running: // its worker died, and another is to go on with it
		return t.tell(setTrialStateValues, of, field{"state", codes[Waiting]}, field{"values", nil})
	}
	return nil
}
