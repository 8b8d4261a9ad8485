package config

import (
	"reflect"
	"testing"
)

// Every value of every kind's defaults is under one of the keys, and of the type that is said.
func TestKeys(t *testing.T) {
	keys := Keys()
	for key, want := range map[string]reflect.Kind{
		"train.learning_rate": reflect.Float64, "train.epochs": reflect.Float64, "seed": reflect.Float64, "model.kind": reflect.String,
		"data.dataset": reflect.String, "model.encoder": reflect.Invalid, "corrupt.noise_factor": reflect.Invalid,
	} {
		if got, found := keys[key]; !found || got != want {
			t.Errorf("%s: %v, %v; want %v", key, got, found, want)
		}
	}
	for _, key := range []string{"model", "name", "output.dir", "tracking.mlflow"} {
		if kind, found := keys[key]; found {
			t.Errorf("%s is a key, of %v", key, kind)
		}
	}
	for _, text := range []string{"{}", "corrupt: [{kind: gaussian}, {kind: masking}]", "model: {kind: vae}", "model: {kind: vqvae}", "data: {dataset: glyphs}", "evaluate: {anomaly: {normal: [0]}}"} {
		e, err := Parse("any.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		values, err := e.Values()
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range values {
			want, found := keys[key]
			got := reflect.Invalid
			switch value.(type) {
			case bool:
				got = reflect.Bool
			case string:
				got = reflect.String
			case int, int64, uint64, float64:
				got = reflect.Float64
			}
			if !found || want != reflect.Invalid && want != got {
				t.Errorf("%s: %s is %T, and said to be %v, %v", text, key, value, want, found)
			}
		}
	}
}
