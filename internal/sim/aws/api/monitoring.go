package api

import (
	"time"

	"polynat/internal/sim/aws"
)

func snsService(cloud *aws.Cloud) service {
	return query{
		service: "sns", namespace: "http://sns.amazonaws.com/doc/2010-03-31/", cloud: cloud,
		operations: map[string]operation{
			"Publish": ask((*aws.Cloud).Publish, func(id string) any {
				return struct {
					ID string `xml:"MessageId"`
				}{id}
			}),
		},
	}
}

func cloudWatchService(cloud *aws.Cloud) service {
	return query{
		service: "cloudwatch", namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/", cloud: cloud,
		operations: map[string]operation{"PutMetricData": do(putMetricData, nil)},
	}
}

// metricData is what PutMetricData takes, as far as it is simulated: single values.
type metricData struct {
	Namespace  string
	MetricData []struct {
		MetricName, Unit, Timestamp string
		Value                       float64
		StorageResolution           int
		Dimensions                  []struct{ Name, Value string }
	}
}

func putMetricData(c *aws.Cloud, in metricData) error {
	var data []aws.Datum
	for _, d := range in.MetricData {
		datum := aws.Datum{Namespace: in.Namespace, MetricName: d.MetricName, Unit: d.Unit, Value: d.Value, Time: c.Now(), Dimensions: map[string]string{}}
		if d.Timestamp != "" {
			at, err := time.Parse(time.RFC3339, d.Timestamp)
			if err != nil {
				return mistake("InvalidParameterValue", "The value %s for parameter Timestamp is invalid.", d.Timestamp)
			}
			datum.Time = at
		}
		for _, dimension := range d.Dimensions {
			datum.Dimensions[dimension.Name] = dimension.Value
		}
		data = append(data, datum)
	}
	return c.PutMetricData(data...)
}
