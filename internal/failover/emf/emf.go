// Package emf writes CloudWatch metrics as log lines (the embedded metric format), so that a metric costs no API call: the
// Lambda service ships the log whatever the function can reach.
package emf

import (
	"encoding/json"
	"io"
	"time"

	"polynat/internal/natzone"
)

// Unit of a metric, as CloudWatch names it.
type Unit string

// Units in use.
const (
	Count        Unit = "Count"
	Milliseconds Unit = "Milliseconds"
	None         Unit = "None"
)

// Metric is one value.
type Metric struct {
	Name  string
	Unit  Unit
	Value float64
}

type definition struct {
	Name string
	Unit Unit
}

type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []definition
}

type header struct {
	Timestamp         int64
	CloudWatchMetrics []directive
}

// Write writes the metrics of a zone as one line.
func Write(w io.Writer, namespace, name, zone string, at time.Time, metrics ...Metric) error {
	line := map[string]any{natzone.DimensionName: name, natzone.DimensionZone: zone}
	d := directive{Namespace: namespace, Dimensions: [][]string{{natzone.DimensionName, natzone.DimensionZone}}}
	for _, m := range metrics {
		line[m.Name] = m.Value
		d.Metrics = append(d.Metrics, definition{m.Name, m.Unit})
	}
	line["_aws"] = header{Timestamp: at.UnixMilli(), CloudWatchMetrics: []directive{d}}
	data, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n')) // in one piece: a line that is cut is no metric
	return err
}
