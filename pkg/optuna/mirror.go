package optuna

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strconv"
)

// mirror is what a journal's operations lead to, as Optuna counts it; of one study, named name, everything that may be told.
type mirror struct {
	name string

	line    int            // complete lines so far
	studies map[int]string // those that were not deleted
	created int            // studies, with those that were deleted
	trials  int            // of all studies: the next trial's id

	study       int // the id of the study named so, -1 where there is none
	maximize    []bool
	attrs       map[string]string // of the study, as compact JSON
	systemAttrs map[string]string
	told        map[int]*told     // its trials, by id
	latest      map[int]int       // the last trial's id of a sweep's number
	shapes      map[string]string // the distribution with which a parameter was first told
}

// told is what the journal says of a trial.
type told struct {
	numbered          bool // by a sweep, not made by Optuna
	state             State
	started, finished string
	params            map[string]float64
	values            []float64
	curve             map[int]float64
	attrs             map[string]string // as compact JSON
}

func newMirror(name string) *mirror {
	m := &mirror{name: name, studies: map[int]string{}}
	m.forget()
	return m
}

// forget is what the study's end leaves.
func (m *mirror) forget() {
	m.study, m.maximize = -1, nil
	m.attrs, m.systemAttrs = map[string]string{}, map[string]string{}
	m.told, m.latest, m.shapes = map[int]*told{}, map[int]int{}, map[string]string{}
}

// Lines longer than maxLine are refused. Optuna's longest are trials that are told at once; one of 10,000 reports has 300 KB.
const maxLine = 64 << 20

// opening begins the lines of Optuna, and ours. A last line that does not is none that somebody was about to write.
var opening = []byte(`{"op_code":`)

// errLine says that a line is no operation.
var errLine = errors.New("not an operation of an Optuna journal")

// read follows the operations of r, and returns the bytes they have. After them may come a torn line, which a process that was
// killed or a power cut has left, and which Optuna reads over: torn says so.
func (m *mirror) read(r io.Reader) (size int64, torn bool, err error) {
	reader := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := readLine(reader)
		if err != nil && err != io.EOF {
			return size, false, fmt.Errorf("line %d: %w", m.line+1, err)
		}
		if len(line) == 0 {
			return size, false, nil
		}
		whole := err == nil
		if whole {
			err = m.follow(line)
			if err == nil {
				size += int64(len(line))
				m.line++
				continue
			}
		}
		// Of the last line of all, Optuna reads over one that it cannot read, until another follows.
		_, next := reader.Peek(1)
		text := bytes.TrimRight(line, "\x00\n") // some file systems have zeros where a power cut kept data from the disk
		begun := bytes.HasPrefix(text, opening) || bytes.HasPrefix(opening, text)
		if next == io.EOF && begun && (!whole || errors.Is(err, errLine)) {
			return size, true, nil
		}
		if !whole {
			err = errLine
		}
		return size, false, fmt.Errorf("line %d: %w: %.60q", m.line+1, err, line)
	}
}

// readLine returns a line with its end; at the end of the file, with io.EOF, what comes after the last.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
		if len(line) > maxLine {
			return nil, fmt.Errorf("longer than %d MiB", maxLine>>20)
		}
	}
}

// decimal is a number as Python's json writes it.
type decimal float64

func (d *decimal) UnmarshalJSON(text []byte) error {
	value, err := strconv.ParseFloat(string(bytes.Trim(text, `"`)), 64)
	*d = decimal(value)
	return err
}

// entry is what a line can say.
type entry struct {
	Code          *int                       `json:"op_code"`
	StudyName     string                     `json:"study_name"`
	Directions    []int                      `json:"directions"`
	Study         *int                       `json:"study_id"`
	Trial         *int                       `json:"trial_id"`
	UserAttr      map[string]json.RawMessage `json:"user_attr"`
	UserAttrs     map[string]json.RawMessage `json:"user_attrs"`
	SystemAttr    map[string]json.RawMessage `json:"system_attr"`
	State         int                        `json:"state"` // running, where it is not said
	Value         *decimal                   `json:"value"`
	Values        []decimal                  `json:"values"`
	Params        map[string]decimal         `json:"params"`
	Distributions map[string]string          `json:"distributions"`
	Param         string                     `json:"param_name"`
	ParamValue    decimal                    `json:"param_value_internal"`
	Distribution  string                     `json:"distribution"`
	Step          int                        `json:"step"`
	Intermediate  decimal                    `json:"intermediate_value"`
	Intermediates map[int]decimal            `json:"intermediate_values"`
	Started       string                     `json:"datetime_start"`
	Finished      string                     `json:"datetime_complete"`
}

// follow does what a line says, as Optuna does it.
func (m *mirror) follow(line []byte) error {
	var e entry
	if err := json.Unmarshal(plain(line), &e); err != nil || e.Code == nil {
		return errLine
	}
	switch code := *e.Code; code {
	case createStudy:
		m.createStudy(&e)
		return nil
	case deleteStudy, setStudyUserAttr, setStudySystemAttr, createTrial:
		if e.Study == nil {
			return errLine
		}
		if _, there := m.studies[*e.Study]; there {
			m.followStudy(code, &e)
		}
		return nil
	case setTrialParam, setTrialStateValues, setTrialIntermediateValue, setTrialUserAttr, setTrialSystemAttr:
		if e.Trial == nil {
			return errLine
		}
		if trial := m.told[*e.Trial]; trial != nil && !trial.state.finished() {
			m.followTrial(code, &e, trial)
		}
		return nil
	case discardTrials:
		return nil
	default:
		return fmt.Errorf("operation %d, which Optuna 5.0 does not have", code)
	}
}

func (m *mirror) createStudy(e *entry) {
	for _, name := range m.studies {
		if name == e.StudyName {
			return
		}
	}
	m.studies[m.created] = e.StudyName
	if e.StudyName == m.name {
		m.study = m.created
		for _, direction := range e.Directions {
			m.maximize = append(m.maximize, direction == 2)
		}
	}
	m.created++
}

func (m *mirror) followStudy(code int, e *entry) {
	ours := *e.Study == m.study
	switch code {
	case deleteStudy:
		delete(m.studies, *e.Study)
		if ours {
			m.forget()
		}
	case setStudyUserAttr:
		if ours {
			maps.Copy(m.attrs, compact(e.UserAttr))
		}
	case setStudySystemAttr:
		if ours {
			maps.Copy(m.systemAttrs, compact(e.SystemAttr))
		}
	case createTrial:
		if ours {
			m.createTrial(e)
		}
		m.trials++
	}
}

func (m *mirror) createTrial(e *entry) {
	t := &told{
		state: stateOf(e.State), started: e.Started, finished: e.Finished,
		params: map[string]float64{}, curve: map[int]float64{}, attrs: map[string]string{},
	}
	for name, value := range e.Params {
		t.params[name] = float64(value)
	}
	for name, text := range e.Distributions {
		m.shape(name, text)
	}
	for step, value := range e.Intermediates {
		t.curve[step] = float64(value)
	}
	if e.Value != nil {
		t.values = []float64{float64(*e.Value)}
	}
	t.setValues(e.Values)
	m.told[m.trials] = t
	m.setAttrs(m.trials, t, e.UserAttrs)
}

func (m *mirror) followTrial(code int, e *entry, t *told) {
	switch code {
	case setTrialParam:
		t.params[e.Param] = float64(e.ParamValue)
		m.shape(e.Param, e.Distribution)
	case setTrialStateValues:
		state := stateOf(e.State)
		if state == Running {
			if t.state == Running {
				return
			}
			t.started = e.Started
		}
		if state.finished() {
			t.finished = e.Finished
		}
		t.state = state
		t.setValues(e.Values)
	case setTrialIntermediateValue:
		t.curve[e.Step] = float64(e.Intermediate)
	case setTrialUserAttr:
		m.setAttrs(*e.Trial, t, e.UserAttr)
	}
}

// setAttrs takes user attributes of a trial, by one of which a sweep knows its own.
func (m *mirror) setAttrs(id int, t *told, attrs map[string]json.RawMessage) {
	maps.Copy(t.attrs, compact(attrs))
	if number, err := strconv.Atoi(t.attrs[NumberAttr]); err == nil {
		t.numbered = true
		m.latest[number] = id
	}
}

func (t *told) setValues(values []decimal) {
	if values == nil {
		return
	}
	t.values = nil
	for _, value := range values {
		t.values = append(t.values, float64(value))
	}
}

func (m *mirror) shape(name, text string) {
	if _, known := m.shapes[name]; !known {
		m.shapes[name] = text
	}
}

// clash says which parameter's distribution Optuna would not take beside those that the journal has: the kind, the logarithm and
// the options stay.
func (m *mirror) clash(s *Study) error {
	type shape struct {
		Name       string
		Attributes struct {
			Log     bool
			Choices []any
		}
	}
	for i := range s.Space {
		p := &s.Space[i]
		old, known := m.shapes[p.Name]
		if !known {
			continue
		}
		text, err := p.distribution()
		if err != nil {
			return err
		}
		var was, is shape
		if old == text {
			continue
		}
		if json.Unmarshal([]byte(old), &was) != nil || json.Unmarshal([]byte(text), &is) != nil || !reflect.DeepEqual(was, is) {
			return fmt.Errorf("study %q has a parameter %q of a different kind or with different options; choose another file, or another name",
				s.Name, p.Name)
		}
	}
	return nil
}

// others says what of the file no sweep wrote as this study.
func (m *mirror) others() string {
	for _, name := range m.studies {
		if name != m.name {
			return fmt.Sprintf("study %q", name)
		}
	}
	for _, trial := range m.told {
		if !trial.numbered {
			return fmt.Sprintf("trials of study %q that Optuna made", m.name)
		}
	}
	return ""
}

// stateOf is the state of a code. One that Optuna does not have counts as running.
func stateOf(code int) State {
	for state, c := range codes {
		if c == code {
			return state
		}
	}
	return Running
}

// compact is attributes without the spaces of their JSON.
func compact(attrs map[string]json.RawMessage) map[string]string {
	all := map[string]string{}
	for name, text := range attrs {
		var b bytes.Buffer
		if json.Compact(&b, text) == nil {
			all[name] = b.String()
		}
	}
	return all
}

// plain puts in quotes what Python's JSON has and that of Go has not: NaN and the infinities.
func plain(line []byte) []byte {
	if !bytes.Contains(line, []byte("NaN")) && !bytes.Contains(line, []byte("Infinity")) {
		return line
	}
	var b []byte
	quoted := false
	for i := 0; i < len(line); {
		n := 1
		switch c := line[i]; {
		case quoted && c == '\\' && i+1 < len(line):
			n = 2
		case c == '"':
			quoted = !quoted
		case !quoted && (c == 'N' || c == 'I' || c == '-'):
			if word := constant(line[i:]); word > 0 {
				b = append(append(append(b, '"'), line[i:i+word]...), '"')
				i += word
				continue
			}
		}
		b = append(b, line[i:i+n]...)
		i += n
	}
	return b
}

// constant is the length of the word of Python's JSON with which a text begins.
func constant(text []byte) int {
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(text, []byte(word)) {
			return len(word)
		}
	}
	return 0
}
