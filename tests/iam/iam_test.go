package iam_test

import (
	"strings"
	"testing"

	"polynat/tests/iam"
)

const document = `{"Version": "2012-10-17", "Statement": [
	{"Sid": "Tables", "Effect": "Allow", "Action": ["ec2:ReplaceRoute"], "Resource": ["arn:aws:ec2:eu-west-1:1:route-table/rtb-a"]},
	{"Sid": "Tagged", "Effect": "Allow", "Action": ["ec2:Modify*"], "Resource": ["arn:aws:ec2:eu-west-1:1:network-interface/*"],
	 "Condition": {"StringEquals": {"aws:ResourceTag/a": ["1"], "aws:ResourceTag/b": ["2"]}}},
	{"Sid": "All", "Effect": "Allow", "Action": ["ec2:CreateNetworkInterface"], "Resource": ["*"]},
	{"Sid": "NotMe", "Effect": "Deny", "Action": ["ec2:CreateNetworkInterface"], "Resource": ["*"],
	 "Condition": {"ArnEquals": {"lambda:SourceFunctionArn": ["arn:aws:lambda:eu-west-1:1:function:me"]}}}
]}`

func TestARequestIsAllowedByAStatementAndDeniedByAny(t *testing.T) {
	policy, err := iam.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	tagged := map[string]string{"aws:ResourceTag/a": "1", "aws:ResourceTag/b": "2"}
	for name, test := range map[string]struct {
		request iam.Request
		want    bool
	}{
		"the table":         {iam.Request{Action: "ec2:ReplaceRoute", Resource: "arn:aws:ec2:eu-west-1:1:route-table/rtb-a"}, true},
		"case of an action": {iam.Request{Action: "EC2:replaceroute", Resource: "arn:aws:ec2:eu-west-1:1:route-table/rtb-a"}, true},
		"another table":     {iam.Request{Action: "ec2:ReplaceRoute", Resource: "arn:aws:ec2:eu-west-1:1:route-table/rtb-ab"}, false},
		"another action":    {iam.Request{Action: "ec2:DeleteRoute", Resource: "arn:aws:ec2:eu-west-1:1:route-table/rtb-a"}, false},
		"both tags":         {iam.Request{Action: "ec2:ModifyX", Resource: "arn:aws:ec2:eu-west-1:1:network-interface/eni-1", Context: tagged}, true},
		"one tag":           {iam.Request{Action: "ec2:ModifyX", Resource: "arn:aws:ec2:eu-west-1:1:network-interface/eni-1", Context: map[string]string{"aws:ResourceTag/a": "1"}}, false},
		"not denied":        {iam.Request{Action: "ec2:CreateNetworkInterface", Resource: "*"}, true},
		"denied": {iam.Request{
			Action: "ec2:CreateNetworkInterface", Resource: "*", Context: map[string]string{"lambda:SourceFunctionArn": "arn:aws:lambda:eu-west-1:1:function:me"},
		}, false},
	} {
		if got := policy.Allows(test.request); got != test.want {
			t.Errorf("%s: allowed %v, want %v", name, got, test.want)
		}
	}
}

func TestWhatIsNotEvaluatedIsRefused(t *testing.T) {
	for name, replace := range map[string][2]string{
		"an operator": {`"StringEquals"`, `"NumericLessThan"`},
		"a null":      {`"StringEquals"`, `"Null"`},
		"a variable":  {`rtb-a"`, `${aws:PrincipalTag/table}"`},
		"an element":  {`"Sid": "All"`, `"NotAction": ["x"]`},
		"an effect":   {`"Deny"`, `"deny"`},
		"a version":   {"2012-10-17", "2008-10-17"},
	} {
		if _, err := iam.Parse(strings.Replace(document, replace[0], replace[1], 1)); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
}
