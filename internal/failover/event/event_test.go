package event

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/natzone"
)

// The payloads are as AWS documents them, shortened by what nobody reads.
func TestEveryPayloadIsReadForWhatItIs(t *testing.T) {
	for name, test := range map[string]struct {
		payload string
		want    Message
	}{
		"report of the prober": {
			`{"version":"1.0","timestamp":"2026-11-22T00:00:04.5Z","requestContext":{"requestId":"1","functionArn":"arn:aws:lambda:eu-west-1:1:function:prober:$LATEST","condition":"Success","approximateInvokeCount":1},
			"requestPayload":{"time":"2026-11-22T00:00:00Z"},"responseContext":{"statusCode":200,"executedVersion":"$LATEST"},"responsePayload":{"version":1,"zone":"a","cause":"streak","rounds":3}}`,
			Observed{natzone.Report{Version: 1, Zone: "a", Cause: natzone.Streak, Rounds: 3}},
		},
		"prober that failed": {
			`{"requestContext":{"condition":"RetriesExhausted"},"responseContext":{"statusCode":200,"functionError":"Unhandled"},"responsePayload":{"errorMessage":"x"}}`,
			Silent{"RetriesExhausted Unhandled"},
		},
		"prober that was never run": {`{"requestContext":{"condition":"EventAgeExceeded"}}`, Silent{"EventAgeExceeded"}},
		"report of another release": {
			`{"requestContext":{"condition":"Success"},"responsePayload":{"version":2,"zone":"a"}}`,
			Unknown{"report of the prober: of another version"},
		},
		"instance stopping": {
			`{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{"instance-id":"i-1","state":"stopping"}}`,
			Instances{[]string{"i-1"}, Stopping},
		},
		"instance running": {
			`{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{"instance-id":"i-1","state":"running"}}`,
			Ignored{"instance is running"},
		},
		"state change without an instance": {
			`{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{}}`,
			Unknown{"EC2 Instance State-change Notification without an instance"},
		},
		"Spot interruption, whose ARN is odd": {
			`{"source":"aws.ec2","detail-type":"EC2 Spot Instance Interruption Warning","resources":["arn:aws:ec2:eu-west-1a:instance/i-1"],"detail":{"instance-id":"i-1","instance-action":"terminate"}}`,
			Instances{[]string{"i-1"}, Interruption},
		},
		"rebalance recommendation": {
			`{"source":"aws.ec2","detail-type":"EC2 Instance Rebalance Recommendation","detail":{"instance-id":"i-1"}}`,
			Instances{[]string{"i-1"}, Rebalance},
		},
		"termination hook by EventBridge": {
			`{"source":"aws.autoscaling","detail-type":"EC2 Instance-terminate Lifecycle Action","detail":{"LifecycleActionToken":"t","AutoScalingGroupName":"g","LifecycleHookName":"h","EC2InstanceId":"i-1","LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING","Origin":"AutoScalingGroup","Destination":"EC2"}}`,
			Terminating{"g", "h", "i-1"},
		},
		"termination hook by SNS": {
			`{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","Sns":{"Type":"Notification","Message":"{\"LifecycleHookName\":\"h\",\"AccountId\":\"1\",\"RequestId\":\"r\",\"LifecycleTransition\":\"autoscaling:EC2_INSTANCE_TERMINATING\",\"AutoScalingGroupName\":\"g\",\"Service\":\"AWS Auto Scaling\",\"Time\":\"2026-11-22T00:00:00Z\",\"EC2InstanceId\":\"i-1\",\"LifecycleActionToken\":\"t\"}"}}]}`,
			Terminating{"g", "h", "i-1"},
		},
		"launch hook": {
			`{"source":"aws.autoscaling","detail-type":"EC2 Instance-launch Lifecycle Action","detail":{"EC2InstanceId":"i-1","LifecycleTransition":"autoscaling:EC2_INSTANCE_LAUNCHING"}}`,
			Ignored{"launch of i-1"},
		},
		"test notice": {
			`{"Records":[{"Sns":{"Message":"{\"AccountId\":\"1\",\"AutoScalingGroupARN\":\"arn\",\"AutoScalingGroupName\":\"g\",\"Service\":\"AWS Auto Scaling\",\"Event\":\"autoscaling:TEST_NOTIFICATION\",\"Time\":\"x\"}"}}]}`,
			Ignored{"test notice"},
		},
		"notice that is no JSON": {`{"Records":[{"Sns":{"Message":"hello"}}]}`, Unknown{"notice of Auto Scaling: invalid character 'h' looking for beginning of value"}},
		"record of SQS":          {`{"Records":[{"eventSource":"aws:sqs","body":"x"}]}`, Unknown{"record is not of SNS"}},
		"failed launch": {
			`{"source":"aws.autoscaling","detail-type":"EC2 Instance Launch Unsuccessful","detail":{"AutoScalingGroupName":"g","StatusMessage":"no capacity","Cause":"c"}}`,
			LaunchFailed{"g", "no capacity"},
		},
		"failed launch without a message": {
			`{"source":"aws.autoscaling","detail-type":"EC2 Instance Launch Unsuccessful","detail":{"AutoScalingGroupName":"g","Cause":"c"}}`,
			LaunchFailed{"g", "c"},
		},
		"ended": {
			`{"source":"aws.autoscaling","detail-type":"EC2 Instance Terminate Successful","detail":{"AutoScalingGroupName":"g","EC2InstanceId":"i-1"}}`,
			Instances{[]string{"i-1"}, Terminated},
		},
		"ended, but which": {
			`{"source":"aws.autoscaling","detail-type":"EC2 Instance Terminate Successful","detail":{}}`,
			Unknown{"EC2 Instance Terminate Successful without an instance"},
		},
		"refresh": {
			`{"source":"aws.autoscaling","detail-type":"EC2 Auto Scaling Instance Refresh Started","detail":{}}`,
			Ignored{"EC2 Auto Scaling Instance Refresh Started"},
		},
		"health event": {
			`{"source":"aws.health","detail-type":"AWS Health Event","detail":{"service":"EC2","eventTypeCategory":"scheduledChange","affectedEntities":[{"entityValue":"i-1"},{"entityValue":"vol-1"},{"entityValue":"i-2"}]}}`,
			Instances{[]string{"i-1", "i-2"}, Maintenance},
		},
		"health event of something else": {
			`{"source":"aws.health","detail-type":"AWS Health Event","detail":{"affectedEntities":[{"entityValue":"arn:aws:rds:x"}]}}`,
			Ignored{"health event without instances"},
		},
		"another service":    {`{"source":"aws.s3","detail-type":"Object Created","detail":{}}`, Unknown{"aws.s3: Object Created"}},
		"a tick gone astray": {`{"time":"2026-11-22T00:00:00Z"}`, Unknown{"neither the record of a destination nor an event of EventBridge or SNS"}},
	} {
		if diff := cmp.Diff([]Message{test.want}, Parse([]byte(test.payload)), cmp.Comparer(func(a, b natzone.Report) bool {
			return a.Version == b.Version && a.Zone == b.Zone && a.Cause == b.Cause && a.Rounds == b.Rounds
		})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestSNSMayDeliverSeveralRecords(t *testing.T) {
	got := Parse([]byte(`{"Records":[{"Sns":{"Message":"{\"Event\":\"autoscaling:TEST_NOTIFICATION\"}"}},{"Sns":{"Message":"{}"}}]}`))
	if len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `[]`, `{"Records":[null]}`, `{"requestContext":{}}`, `{"source":"aws.ec2","detail":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(Parse(payload)) == 0 && string(payload) == "" {
			t.Error("nothing to be said of an empty payload")
		}
	})
}
