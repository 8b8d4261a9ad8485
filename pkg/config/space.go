package config

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"latent/pkg/search"
)

// Dimension is what a parameter of a space is to the experiment.
type Dimension struct {
	// Key is the experiment's, such as train.learning_rate. Two dimensions may have the same, under different choices.
	Key string
	// Options are the values of a choice, each YAML on one line.
	Options []string

	place dimensionPlace
}

// dimensionPlace is where a dimension is written.
type dimensionPlace struct {
	key string // in the sweep
	at  place
}

// Text returns a value as an override would have it.
func (d Dimension) Text(value float64) string {
	if d.Options != nil {
		return d.Options[int(value)]
	}
	return strconv.FormatFloat(value, 'g', -1, 64)
}

// Value returns a value as JSON would have it: a number, or what the YAML of an option says.
func (d Dimension) Value(value float64) any {
	if d.Options == nil {
		return value
	}
	var decoded any
	if err := yaml.Unmarshal([]byte(d.Options[int(value)]), &decoded); err != nil {
		return d.Options[int(value)]
	}
	return decoded
}

// absent is the value of a parameter that is not there.
var absent = math.NaN()

// distributions are the ways to write values to search.
var distributions = map[string]search.Parameter{
	"uniform":    {Kind: search.Float},
	"loguniform": {Kind: search.Float, Log: true},
	"int":        {Kind: search.Int},
	"logint":     {Kind: search.Int, Log: true},
	"choice":     {Kind: search.Choice},
}

const distributionForms = "{uniform: [LOW, HIGH]}, {loguniform: [LOW, HIGH]}, {int: [LOW, HIGH]}, {logint: [LOW, HIGH]} or {choice: [VALUE, VALUE]}"

// maxDimensions bounds a space, and maxOptions a choice.
const (
	maxDimensions = 200
	maxOptions    = 1000
)

// dimensions reads a space: prefix is the sections of the experiment around it, where they are written as such. Its parameters
// are there where parent has the option.
func (d *decoder) dimensions(s *Sweep, key, prefix string, node *yaml.Node, parent, option int) {
	for i := 0; i < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		at, path, target := d.placeOf(name), join(key, printable(name.Value)), join(prefix, name.Value)
		if first := indexOf(node, name.Value); first >= 0 && first < i {
			continue // written twice, which was told already
		}
		d.places[path] = at
		kind := ""
		if value.Kind == yaml.MappingNode && len(value.Content) == 2 {
			kind = value.Content[0].Value
		}
		distribution, known := distributions[kind]
		switch {
		case len(s.space) >= maxDimensions:
			d.report(key, at, "more than %d keys to search", maxDimensions)
			return
		case known:
			d.dimension(s, dimensionPlace{path, at}, target, distribution, value.Content[1], parent, option)
		case value.Kind == yaml.MappingNode && len(value.Content) > 0 && value.Content[1].Kind == yaml.MappingNode:
			d.dimensions(s, path, target, value, parent, option)
		case kind != "" && closest(kind, distributionNames()) != "":
			d.report(path, at, "found {%s: …}; did you mean %s? want %s", printable(kind), closest(kind, distributionNames()), distributionForms)
		case value.Kind == yaml.SequenceNode:
			d.report(path, at, "found a list; write {choice: %s}", shorten(flow(value)))
		default:
			d.report(path, at, "found %s, want %s", shorten(flow(value)), distributionForms)
		}
	}
}

func distributionNames() []string {
	var names []string
	for name := range distributions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// dimension reads one parameter.
func (d *decoder) dimension(s *Sweep, at dimensionPlace, target string, p search.Parameter, values *yaml.Node, parent, option int) {
	p.Name, p.Parent, p.Option = target, parent, option
	for i, other := range s.dimensions {
		if other.Key != target {
			continue
		}
		if !s.exclusive(i, parent, option) {
			d.report(at.key, at.at, "%s is searched in %s already, and both would be there at once; take one out", target, other.place.at)
			return
		}
		// The same key under another value of a choice is another parameter.
		p.Name = fmt.Sprintf("%s@%s", target, s.dimensions[parent].Options[option])
	}
	if message := unsearchable(s, target); message != "" {
		d.report(at.key, at.at, "%s", message)
		return
	}
	dimension := Dimension{Key: target, place: at}
	if p.Kind == search.Choice {
		d.choice(s, p, dimension, values)
		return
	}
	var ends [2]float64
	if values.Kind != yaml.SequenceNode || len(values.Content) != 2 {
		d.report(at.key, at.at, "found %s, want [LOW, HIGH]", shorten(flow(values)))
		return
	}
	for i, end := range values.Content {
		value, err := strconv.ParseFloat(end.Value, 64)
		whole := p.Kind != search.Int || wholeNumber.MatchString(end.Value) && math.Abs(value) <= 1<<53
		if err != nil || !isPlain(end) || !anyNumber.MatchString(end.Value) || !whole || math.IsInf(value, 0) {
			d.report(at.key, at.at, "found %s, want a %snumber", shorten(flow(end)), map[bool]string{true: "whole "}[p.Kind == search.Int])
			return
		}
		ends[i] = value
	}
	p.Low, p.High = ends[0], ends[1]
	switch {
	case p.Low >= p.High:
		d.report(at.key, at.at, "found [%s, %s], want the lower first, and two different ones", number(p.Low), number(p.High))
	case p.Log && p.Low <= 0:
		d.report(at.key, at.at, "found %s, want numbers above 0, which have a logarithm", number(p.Low))
	default:
		s.space, s.dimensions = append(s.space, p), append(s.dimensions, dimension)
	}
}

// exclusive says whether a parameter is never there at once with one under an option of parent: some choice that both rest on has
// one value for the one and another for the other.
func (s *Sweep) exclusive(i, parent, option int) bool {
	chosen := map[int]int{}
	for p, o := parent, option; p >= 0; p, o = s.space[p].Parent, s.space[p].Option {
		chosen[p] = o
	}
	for p, o := s.space[i].Parent, s.space[i].Option; p >= 0; p, o = s.space[p].Parent, s.space[p].Option {
		if other, both := chosen[p]; both && other != o {
			return true
		}
	}
	return false
}

// unsearchable says why a key cannot be searched; "" where it can.
func unsearchable(s *Sweep, key string) string {
	section, _, _ := strings.Cut(key, ".")
	switch {
	case section == "name" || section == "output" || section == "tracking":
		return "it changes nothing that is measured; give it in set"
	case key == "seed" && s.Seeds > 1:
		return "each trial has the seeds from the experiment's on: seeds of two trials would be the same; search it with seeds: 1, or take it out"
	}
	return ""
}

// choice reads the options of a choice, and the spaces under them.
func (d *decoder) choice(s *Sweep, p search.Parameter, dimension Dimension, values *yaml.Node) {
	at := dimension.place
	if values.Kind != yaml.SequenceNode || len(values.Content) < 2 || len(values.Content) > maxOptions {
		d.report(at.key, at.at, "found %s, want a list of 2 to %d values", shorten(flow(values)), maxOptions)
		return
	}
	var under []*yaml.Node
	for _, value := range values.Content {
		space := (*yaml.Node)(nil)
		if i := indexOf(value, "value"); value.Kind == yaml.MappingNode && i >= 0 {
			for j := 0; j < len(value.Content); j += 2 {
				switch name := value.Content[j].Value; {
				case name == "space" && value.Content[j+1].Kind == yaml.MappingNode:
					space = value.Content[j+1]
				case name != "value":
					d.report(at.key, d.placeOf(value.Content[j]), "found %s in an option, want {value: VALUE, space: {…}}", printable(name))
					return
				}
			}
			value = value.Content[i+1]
		}
		text := flow(value)
		if slices.Contains(dimension.Options, text) {
			d.report(at.key, d.placeOf(value), "%s is there twice", shorten(text))
			return
		}
		dimension.Options, under = append(dimension.Options, text), append(under, space)
	}
	p.Options = len(dimension.Options)
	place := len(s.space)
	s.space, s.dimensions = append(s.space, p), append(s.dimensions, dimension)
	for option, space := range under {
		if space != nil {
			d.dimensions(s, fmt.Sprintf("%s.choice.%d.space", at.key, option), "", space, place, option)
		}
	}
}

// flow writes a value on one line.
func flow(node *yaml.Node) string {
	var set func(n *yaml.Node) *yaml.Node
	set = func(n *yaml.Node) *yaml.Node {
		one := *n
		one.Style &^= yaml.LiteralStyle | yaml.FoldedStyle
		if n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode {
			one.Style = yaml.FlowStyle
		}
		one.HeadComment, one.LineComment, one.FootComment = "", "", ""
		one.Content = nil
		for _, child := range n.Content {
			one.Content = append(one.Content, set(child))
		}
		return &one
	}
	text, err := yaml.Marshal(set(node))
	if err != nil {
		return node.Value
	}
	return string(bytes.Join(bytes.Fields(text), []byte(" ")))
}

// overrides are the values of the mapping, as KEY=VALUE. A section that names its kind is one value.
func (m Mapping) overrides(prefix string) []string {
	if m.node == nil {
		return nil
	}
	var all []string
	for i := 0; i < len(m.node.Content); i += 2 {
		key, value := join(prefix, m.node.Content[i].Value), m.node.Content[i+1]
		if value.Kind == yaml.MappingNode && indexOf(value, "kind") < 0 && indexOf(value, "dataset") < 0 && len(value.Content) > 0 {
			all = append(all, Mapping{value}.overrides(key)...)
			continue
		}
		all = append(all, key+"="+flow(value))
	}
	return all
}

// blameSection tells of the problems of an experiment, those of overrides at the section of the sweep that they are from. It
// returns whether there are any.
func (d *decoder) blameSection(err error, section string, overrides []string) bool {
	var problems Problems
	if !errors.As(err, &problems) {
		return false
	}
	for _, p := range problems {
		if text, ours := strings.CutPrefix(p.File, overridePrefix); ours && slices.Contains(overrides, text) {
			key, _, _ := strings.Cut(text, "=")
			full := join(section, key)
			at := source{d.file, d.places}.nearest(full)
			p = at.problem(full, p.Message)
		}
		d.problems = append(d.problems, p)
	}
	return true
}

// blameSpace tells of what makes a point no experiment, each key of the space once.
func (d *decoder) blameSpace(s *Sweep, p search.Point, told map[string]bool) {
	_, err := s.Experiment(p, 0)
	var problems Problems
	if !errors.As(err, &problems) {
		return
	}
	for _, problem := range problems {
		at := dimensionPlace{"space", source{d.file, d.places}.nearest("space")}
		message := problem.Message
		if problem.Key != "" {
			message = problem.Key + ": " + message
		}
		for i := range s.space {
			if text := s.dimensions[i].Key + "=" + textOf(s, p, i); problem.File == overridePrefix+text {
				at, message = s.dimensions[i].place, fmt.Sprintf("with %s: %s", shorten(s.dimensions[i].Text(p[i])), problem.Message)
				single := slices.ContainsFunc([]string{"found ", "unknown key", "not a key"}, func(start string) bool { return strings.HasPrefix(problem.Message, start) })
				if problem.Key != "" && !single && s.space[i].Parent < 0 {
					message += "; a key that goes with one value of another is searched under that: {value: VALUE, space: {…}}"
				}
			}
		}
		if !told[at.key] {
			told[at.key] = true
			d.problems = append(d.problems, at.at.problem(at.key, message))
		}
	}
}

func textOf(s *Sweep, p search.Point, i int) string {
	if p[i] != p[i] {
		return "\x00" // no override has it
	}
	return s.dimensions[i].Text(p[i])
}

// probes are points that find values which contradict each other.
func probes(space search.Space) []search.Point {
	generator := rand.New(rand.NewPCG(1, 0))
	var points []search.Point
	for range 64 {
		points = append(points, space.Random(generator))
	}
	return points
}
