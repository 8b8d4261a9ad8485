package tensorboard

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The HParams plugin finds what it shows in summaries without a figure of their own, whose metadata hold a message
// HParamsPluginData of its plugin_data.proto: of the whole experiment in the folder above, of each run in its own.
const (
	pluginName    = "hparams"
	experimentTag = "_hparams_/experiment"
	startTag      = "_hparams_/session_start_info"
	endTag        = "_hparams_/session_end_info"
)

// Fields of HParamsPluginData and of what it holds.
const (
	pluginExperiment = 2
	pluginStart      = 3
	pluginEnd        = 4

	experimentCreated = 3
	experimentHParams = 4
	experimentMetrics = 5

	hparamName = 1
	hparamType = 4

	metricName = 1
	metricTag  = 2 // of a MetricName

	startHParams = 1
	startGroup   = 4
	startSeconds = 5

	endStatus  = 1
	endSeconds = 2

	entryKey   = 1
	entryValue = 2

	numberValue = 2 // of google.protobuf.Value
	stringValue = 3
	boolValue   = 4
)

// kinds of a hyperparameter.
const (
	kindString  = 1
	kindBool    = 2
	kindFloat64 = 3
)

// Statuses of a run that has ended.
const (
	statusSuccess = 1
	statusFailure = 2
)

// Experiment writes which hyperparameters and metrics the runs in the folders below have: an example of each hyperparameter, a
// number, a bool or text, and the metrics' tags.
func (w *Writer) Experiment(at time.Time, examples map[string]any, metrics []string) error {
	content := appendDouble(nil, experimentCreated, seconds(at))
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		kind, _ := hparam(examples[name])
		content = appendBytes(content, experimentHParams, appendVarint(appendBytes(nil, hparamName, []byte(name)), hparamType, kind))
	}
	for _, tag := range metrics {
		content = appendBytes(content, experimentMetrics, appendBytes(nil, metricName, appendBytes(nil, metricTag, []byte(tag))))
	}
	return w.plugin(at, experimentTag, pluginExperiment, content)
}

// Start writes a run's hyperparameters. Runs of one group, such as seeds of a trial, are shown as one.
func (w *Writer) Start(at time.Time, group string, values map[string]any) error {
	var content []byte
	for _, name := range slices.Sorted(maps.Keys(values)) {
		_, encoded := hparam(values[name])
		content = appendBytes(content, startHParams, appendBytes(appendBytes(nil, entryKey, []byte(name)), entryValue, encoded))
	}
	content = appendBytes(content, startGroup, []byte(group))
	content = appendDouble(content, startSeconds, seconds(at))
	return w.plugin(at, startTag, pluginStart, content)
}

// End writes that a run has ended, and whether well.
func (w *Writer) End(at time.Time, well bool) error {
	status := uint64(statusSuccess)
	if !well {
		status = statusFailure
	}
	return w.plugin(at, endTag, pluginEnd, appendDouble(appendVarint(nil, endStatus, status), endSeconds, seconds(at)))
}

func seconds(at time.Time) float64 { return float64(at.UnixMicro()) / 1e6 }

// hparam returns the kind of a hyperparameter, and its value as a google.protobuf.Value. What is no number or bool is text.
func hparam(x any) (kind uint64, encoded []byte) {
	switch x := x.(type) {
	case bool:
		return kindBool, appendVarint(nil, boolValue, protowire.EncodeBool(x))
	case int:
		return kindFloat64, appendDouble(nil, numberValue, float64(x))
	case float64:
		return kindFloat64, appendDouble(nil, numberValue, x)
	}
	return kindString, appendBytes(nil, stringValue, []byte(fmt.Sprint(x)))
}

// Fields of SummaryMetadata, its PluginData, and TensorProto.
const (
	metadataPlugin = 1
	dataName       = 1
	dataContent    = 2

	valueTensor  = 8
	tensorDType  = 1 // 1 is float32
	tensorShape  = 2
	shapeDim     = 2
	dimSize      = 1
	tensorFloats = 5
)

// plugin writes a summary of the plugin, with one of its messages.
func (w *Writer) plugin(at time.Time, tag string, field protowire.Number, message []byte) error {
	data := appendBytes(appendBytes(nil, dataName, []byte(pluginName)), dataContent, appendBytes(nil, field, message))
	// A summary has to have a value; the plugin's own are a tensor of one zero.
	tensor := appendVarint(nil, tensorDType, 1)
	tensor = appendBytes(tensor, tensorShape, appendBytes(nil, shapeDim, appendVarint(nil, dimSize, 1)))
	tensor = appendBytes(tensor, tensorFloats, make([]byte, 4))
	content := appendBytes(nil, valueTensor, tensor)
	content = appendBytes(content, valueMetadata, appendBytes(nil, metadataPlugin, data))
	return w.write(event{wall: at, values: []value{{tag, content}}})
}
