package problem_test

import (
	"errors"
	"testing"

	"polynat/internal/problem"
)

// The texts are those of the real provider, by the real bridge, as a Go program gets them.
func TestTheAnswerOfALookupIsWithoutItsLayers(t *testing.T) {
	const before = "rpc error: code = Unknown desc = invocation of aws:ec2/getVpc:getVpc returned an error: invoking aws:ec2/getVpc:getVpc: 1 error occurred:\n\t* "
	for text, want := range map[string]string{
		before + "no matching EC2 VPC found\n\n": "no matching EC2 VPC found",
		before + "reading EC2 Instance Type (t4g.smal): operation error EC2: DescribeInstanceTypes, https response error StatusCode: 400, RequestID: 1b2c, api error InvalidInstanceType: The following supplied instance types do not exist: [t4g.smal]\n\n": "InvalidInstanceType: The following supplied instance types do not exist: [t4g.smal]",
		"a text of its own": "a text of its own",
	} {
		if got := problem.Answer(errors.New(text)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if !problem.Nothing(errors.New(before+"no matching EC2 VPC found")) || problem.Nothing(nil) || problem.Nothing(errors.New("AccessDenied")) {
		t.Error("what found nothing is not told from what was not answered")
	}
}
