package emf

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func TestTheMetricsOfAZoneAreOneLine(t *testing.T) {
	var out bytes.Buffer
	err := Write(&out, "polynat", "egress", "a", time.UnixMilli(1700000000123), Metric{"Probes", Count, 720}, Metric{"ProbeLatency", Milliseconds, 1.5})
	want := `{"Name":"egress","ProbeLatency":1.5,"Probes":720,"Zone":"a","_aws":{"Timestamp":1700000000123,"CloudWatchMetrics":[` +
		`{"Namespace":"polynat","Dimensions":[["Name","Zone"]],"Metrics":[{"Name":"Probes","Unit":"Count"},{"Name":"ProbeLatency","Unit":"Milliseconds"}]}]}}` + "\n"
	if err != nil || out.String() != want {
		t.Errorf("%v\ngot  %swant %s", err, out.String(), want)
	}
}

func TestALineThatCannotBeWrittenIsAnError(t *testing.T) {
	if err := Write(broken{}, "polynat", "egress", "a", time.Now()); err == nil {
		t.Error("no error")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("closed") }
