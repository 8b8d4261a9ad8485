package query

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

// Bounds of a condition.
const (
	MaxLength = 2000 // bytes
	maxNodes  = 400  // names, values and operators
)

// Condition is a condition on a run, compiled. It may be used by several goroutines at once.
type Condition struct {
	program *vm.Program
	names   []string // of the fields in it
}

// Compile reads a condition on runs with these fields.
func Compile(text string, fields Fields) (*Condition, error) {
	if len(text) > MaxLength {
		return nil, fmt.Errorf("a condition of %d bytes; it can have %d", len(text), MaxLength)
	}
	settings := conf.CreateNew()
	clear(settings.Builtins) // nothing that loops
	settings.MaxNodes = maxNodes
	settings.Expect, settings.ExpectAny = reflect.Bool, true
	tree, err := parser.ParseWithConfig(text, settings)
	if err != nil {
		return nil, syntaxError(err)
	}
	t := translator{fields: fields}
	tree.Node = t.condition(tree.Node)
	if t.err != nil {
		return nil, t.err
	}
	environment := types.Map{hasName: types.TypeOf(func(name, kind string) bool { return false })}
	for _, name := range t.names {
		environment[name] = typeOf[fields[name]]
	}
	settings.WithEnv(environment)
	if _, err := checker.Check(tree, settings); err != nil {
		return nil, syntaxError(err)
	}
	program, err := compiler.Compile(tree, settings)
	if err != nil {
		return nil, syntaxError(err)
	}
	return &Condition{program: program, names: t.names}, nil
}

// hasName is the function that says whether a run has a field with a value of a kind.
const hasName = "has"

// typeOf are the types of fields in a condition.
var typeOf = map[Kind]types.Type{
	Number: types.Float64, Text: types.String, Truth: types.Bool, List: types.TypeOf([]string{}), Mixed: types.Any,
}

// syntaxError says where in a condition what is wrong, on one line.
func syntaxError(err error) error {
	var place *file.Error
	if !errors.As(err, &place) {
		return err
	}
	return fmt.Errorf("character %d: %s; a text with other characters than letters, digits and '_' wants quotes", place.Column+1, place.Message)
}

// Names are the fields in the condition.
func (c *Condition) Names() []string { return c.names }

// Match says whether a run meets the condition.
func (c *Condition) Match(r *Record) (bool, error) {
	values := map[string]any{}
	for _, name := range c.names {
		values[name] = r.Value(name)
	}
	values[hasName] = func(name, kind string) bool {
		value := values[name]
		return value != nil && (kind == "" || Kind(kind) == kindOf(value))
	}
	result, err := vm.Run(c.program, values)
	if err != nil {
		return false, fmt.Errorf("%s: %w", r.Path, err)
	}
	return result == true, nil
}

// Select returns the runs that meet the condition, in their order.
func (c *Condition) Select(records []*Record) ([]*Record, error) {
	kept := []*Record{}
	for _, r := range records {
		matches, err := c.Match(r)
		if err != nil {
			return nil, err
		}
		if matches {
			kept = append(kept, r)
		}
	}
	return kept, nil
}

// translator turns what is written into what is computed: dotted names into fields, words into texts, and each comparison into one that is
// false where a field is missing. What a condition has no use for, such as loops, it refuses.
type translator struct {
	fields Fields
	names  []string
	err    error // the first
}

// fail keeps the first error; what it returns is never compiled.
func (t *translator) fail(n ast.Node, err error) ast.Node {
	if t.err == nil {
		var unknown UnknownField
		if !errors.As(err, &unknown) {
			err = fmt.Errorf("character %d: %w", n.Location().From+1, err)
		}
		t.err = err
	}
	return n
}

// Operators, by what they are for.
var (
	orders  = []string{"<", "<=", ">", ">="}
	equals  = []string{"==", "!="}
	ofTexts = []string{"contains", "startsWith", "endsWith", "matches"}
	sums    = []string{"+", "-", "*", "/"}
)

// condition translates what is true or false.
func (t *translator) condition(n ast.Node) ast.Node {
	switch n := n.(type) {
	case *ast.BoolNode:
		return n
	case *ast.UnaryNode:
		if n.Operator == "!" || n.Operator == "not" {
			n.Node = t.condition(n.Node)
			return n
		}
	case *ast.BinaryNode:
		switch {
		case slices.Contains([]string{"&&", "and", "||", "or"}, n.Operator):
			n.Left, n.Right = t.condition(n.Left), t.condition(n.Right)
			return n
		case n.Operator == "in", slices.Contains(slices.Concat(orders, equals, ofTexts), n.Operator):
			return t.comparison(n)
		}
	case *ast.CallNode:
		if callee, isName := n.Callee.(*ast.IdentifierNode); isName && callee.Value == hasName && len(n.Arguments) == 1 {
			field := t.field(n.Arguments[0])
			return t.guarded(nil, []need{{field, ""}})
		}
	case *ast.IdentifierNode, *ast.MemberNode:
		field := t.field(n)
		if kind := t.fields[field]; t.err == nil && kind != Truth && kind != Mixed {
			return t.fail(n, fmt.Errorf("%s is no condition but a %s; compare it with something, or write has(%s)", field, kind, field))
		}
		return t.guarded(&ast.IdentifierNode{Value: field}, []need{{field, Truth}})
	}
	return t.fail(n, fmt.Errorf("%.100s is no condition; want comparisons, and &&, || and ! of them", n))
}

// need is a field that a comparison rests on, and the kind that its value must have; "" for any.
type need struct {
	field string
	kind  Kind
}

// guarded is a condition that is false where what it needs is missing; a nil condition is true.
func (t *translator) guarded(condition ast.Node, needs []need) ast.Node {
	for _, n := range slices.Backward(needs) {
		var has ast.Node = &ast.CallNode{Callee: &ast.IdentifierNode{Value: hasName},
			Arguments: []ast.Node{&ast.StringNode{Value: n.field}, &ast.StringNode{Value: string(n.kind)}}}
		if condition == nil {
			condition = has
		} else {
			condition = &ast.BinaryNode{Operator: "&&", Left: has, Right: condition}
		}
	}
	return condition
}

// operand is one side of a comparison.
type operand struct {
	node  ast.Node
	kind  Kind
	field string // of an operand that is a field and nothing more
	needs []need
}

// comparison translates a comparison.
func (t *translator) comparison(n *ast.BinaryNode) ast.Node {
	if n.Operator == "in" {
		return t.membership(n)
	}
	left, right := t.operand(n.Left), t.operand(n.Right)
	// A word beside a field is a text, also where it is a field of another kind: train.loss == mse.
	if isWord(n.Right) && left.field != "" && (right.kind == "" || left.kind == Text && right.kind == Number) {
		right = word(n.Right)
	} else if isWord(n.Left) && right.field != "" && left.kind == "" {
		left = word(n.Left)
	}
	for _, side := range []struct {
		written ast.Node
		operand
	}{{n.Left, left}, {n.Right, right}} {
		if side.kind == "" {
			t.field(side.written) // the error of a name that is no field
		}
	}
	if t.err != nil {
		return n
	}
	if left.kind == List || right.kind == List {
		return t.fail(n, errors.New(`tags are a list; write good in tags, or has(tags)`))
	}
	wanted := Kind("")
	switch {
	case slices.Contains(ofTexts, n.Operator):
		wanted = Text
	case left.kind != Mixed && right.kind != Mixed && left.kind != right.kind:
		return t.fail(n, fmt.Errorf("%s is a %s, and %s a %s: they cannot be compared", n.Left, left.kind, n.Right, right.kind))
	case left.kind != Mixed:
		wanted = left.kind
	case right.kind != Mixed:
		wanted = right.kind
	case slices.Contains(orders, n.Operator):
		wanted = Number
	}
	if slices.Contains(orders, n.Operator) && wanted == Truth {
		return t.fail(n, errors.New("true and false have no order; compare them by == and !="))
	}
	if n.Operator == "matches" {
		if _, constant := right.node.(*ast.StringNode); !constant {
			return t.fail(n, errors.New(`matches wants a regular expression in quotes behind it`))
		}
	}
	for _, side := range []*operand{&left, &right} {
		switch {
		case side.kind != Mixed && wanted != "" && side.kind != wanted:
			return t.fail(n, fmt.Errorf("%s wants a %s on both sides", n.Operator, wanted))
		case side.kind == Mixed && side.field != "":
			side.needs[0].kind = wanted
		}
	}
	n.Left, n.Right = left.node, right.node
	return t.guarded(n, append(left.needs, right.needs...))
}

// membership translates x in [a, b], and x in tags.
func (t *translator) membership(n *ast.BinaryNode) ast.Node {
	list, isArray := n.Right.(*ast.ArrayNode)
	left := t.operand(n.Left)
	if !isArray {
		right := t.operand(n.Right)
		if right.kind != List {
			return t.fail(n, fmt.Errorf("behind in, want tags or a list such as [a, b], not %.100s", n.Right))
		}
		if isWord(n.Left) {
			left = word(n.Left)
		}
		if t.err == nil && left.kind != Text {
			return t.fail(n, errors.New("tags are texts"))
		}
		n.Left, n.Right = left.node, right.node
		return t.guarded(n, append(left.needs, right.needs...))
	}
	if left.kind == "" {
		t.field(n.Left)
		return n
	}
	if left.kind == List {
		return t.fail(n, errors.New("tags are a list; write good in tags"))
	}
	for i, element := range list.Nodes {
		value := t.operand(element)
		if isWord(element) && (value.kind == "" || left.kind == Text) {
			value = word(element)
		}
		if t.err == nil && (len(value.needs) > 0 || left.kind != Mixed && value.kind != left.kind) {
			return t.fail(element, fmt.Errorf("%s is no %s, as %s is", element, left.kind, n.Left))
		}
		list.Nodes[i] = value.node
	}
	n.Left = left.node
	return t.guarded(n, left.needs)
}

// operand translates one side of a comparison. A word that is no field has the kind "".
func (t *translator) operand(n ast.Node) operand {
	switch n := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return operand{node: n, kind: Number}
	case *ast.StringNode:
		return operand{node: n, kind: Text}
	case *ast.BoolNode:
		return operand{node: n, kind: Truth}
	case *ast.IdentifierNode, *ast.MemberNode:
		if isWord(n) {
			if _, err := t.fields.Resolve(n.(*ast.IdentifierNode).Value); err != nil {
				return operand{node: n}
			}
		}
		field := t.field(n)
		return operand{&ast.IdentifierNode{Value: field}, t.fields[field], field, []need{{field, ""}}}
	case *ast.UnaryNode:
		if n.Operator == "-" || n.Operator == "+" {
			inner := t.number(n.Node)
			n.Node = inner.node
			return operand{node: n, kind: Number, needs: inner.needs}
		}
	case *ast.BinaryNode:
		if slices.Contains(sums, n.Operator) {
			left, right := t.number(n.Left), t.number(n.Right)
			n.Left, n.Right = left.node, right.node
			return operand{node: n, kind: Number, needs: append(left.needs, right.needs...)}
		}
	}
	t.fail(n, fmt.Errorf("%.100s is nothing to compare; want a field, a number, a text, true or false", n))
	return operand{node: n}
}

// number translates a part of a sum or product.
func (t *translator) number(n ast.Node) operand {
	o := t.operand(n)
	switch {
	case t.err != nil:
	case o.kind == "":
		t.field(n)
	case o.kind == Mixed:
		o.needs[0].kind = Number
	case o.kind != Number:
		t.fail(n, fmt.Errorf("%s is a %s, no number; a text with a sign in it wants quotes", n, o.kind))
	}
	return o
}

// isWord says whether a node is a single name.
func isWord(n ast.Node) bool {
	_, is := n.(*ast.IdentifierNode)
	return is
}

// word is a name as a text.
func word(n ast.Node) operand {
	return operand{node: &ast.StringNode{Value: n.(*ast.IdentifierNode).Value}, kind: Text}
}

// field returns the whole name of the field that a node names.
func (t *translator) field(n ast.Node) string {
	var parts []string
	for inner := n; ; {
		if member, is := inner.(*ast.MemberNode); is {
			property, isName := member.Property.(*ast.StringNode)
			if isName && !member.Optional {
				parts = append(parts, property.Value)
				inner = member.Node
				continue
			}
		}
		if first, is := inner.(*ast.IdentifierNode); is {
			parts = append(parts, first.Value)
			break
		}
		t.fail(n, fmt.Errorf("%.100s is no field", n))
		return ""
	}
	slices.Reverse(parts)
	name, err := t.fields.Resolve(strings.Join(parts, "."))
	if err != nil {
		t.fail(n, err)
		return ""
	}
	if !slices.Contains(t.names, name) {
		t.names = append(t.names, name)
	}
	return name
}
