package trace

import "testing"

// A constant keeps its values when the slice that it was made of is used for something else.
func TestConstantIsCopied(t *testing.T) {
	f := &function{}
	values := []float32{1, 2}
	v, err := f.Constant(values, 2)
	if err != nil {
		t.Fatal(err)
	}
	values[0] = 9
	if got := v.(*Op).With.(Constant).Flat.([]float32); got[0] != 1 {
		t.Errorf("the constant became %v", got)
	}
}
