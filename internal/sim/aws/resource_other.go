package aws

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"polynat/internal/sim"
)

// roleType is that of IAM roles, by their names.
const roleType = "aws:iam/role:Role"

// record is a resource that is state and nothing else: what is checked, its id and its outputs.
type record struct {
	// name of the object, unique in the region; empty for one that has none, whose ids are made up with prefix.
	name   func(in sim.Object) string
	prefix string
	check  func(c *Cloud, s *state, in sim.Object) error
	out    func(c *Cloud, id string, in sim.Object) sim.Object
	made   func(s *state, id string, in sim.Object)
	remove func(s *state, id string, d *declaration) error
}

// kindOf makes the kind of a record's type.
func kindOf(typ string, r record) kind {
	return kind{
		create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
			if r.check != nil {
				if err := r.check(c, s, in); err != nil {
					return "", nil, err
				}
			}
			var id string
			switch {
			case s.adopting != nil:
				id = s.adopting.ID
			case r.name != nil:
				id = r.name(in)
				if s.Declared[typ][id] != nil {
					return "", nil, &Error{Code: "AlreadyExists", Message: fmt.Sprintf("%s already exists", id), Status: 409}
				}
			default:
				id = s.newID(r.prefix)
			}
			var out sim.Object
			if r.out != nil {
				out = r.out(c, id, in)
			}
			if r.made != nil {
				r.made(s, id, in)
			}
			return id, out, nil
		},
		update: func(c *Cloud, s *state, _ string, _, in sim.Object) error {
			if r.check == nil {
				return nil
			}
			return r.check(c, s, in)
		},
		remove: func(_ *Cloud, s *state, id string, d *declaration) error {
			if r.remove == nil {
				return nil
			}
			return r.remove(s, id, d)
		},
	}
}

// by names an object by properties.
func by(names ...string) func(sim.Object) string {
	return func(in sim.Object) string {
		var parts []string
		for _, n := range names {
			parts = append(parts, reference(in, n))
		}
		return strings.Join(parts, "/")
	}
}

// reference returns a text, or the name in an object that stands for a resource.
func reference(in sim.Object, name string) string {
	if o, ok := in[name].(sim.Object); ok {
		return sim.Text(o, "arn", "name", "id")
	}
	return sim.Text(in, name, name+"Prefix")
}

// checkJSON refuses what is no JSON object.
func checkJSON(code, property string) func(c *Cloud, s *state, in sim.Object) error {
	return func(_ *Cloud, _ *state, in sim.Object) error {
		text, ok := in[property].(string)
		if !ok {
			return nil
		}
		var o map[string]any
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			return refuse(code, "%s: the document is no JSON object: %v", property, err)
		}
		return nil
	}
}

// all makes several checks.
func all(checks ...func(c *Cloud, s *state, in sim.Object) error) func(c *Cloud, s *state, in sim.Object) error {
	return func(c *Cloud, s *state, in sim.Object) error {
		for _, check := range checks {
			if err := check(c, s, in); err != nil {
				return err
			}
		}
		return nil
	}
}

// exists refuses a reference to what is not there. find returns the id from the property.
func exists(typ, property, code string, find func(string) string) func(c *Cloud, s *state, in sim.Object) error {
	return func(_ *Cloud, s *state, in sim.Object) error {
		if id := find(reference(in, property)); s.Declared[typ][id] == nil {
			return &Error{Code: code, Message: fmt.Sprintf("%s cannot be found", id), Status: 404}
		}
		return nil
	}
}

func itself(s string) string { return s }

// last is what follows the last slash.
func last(s string) string { return s[strings.LastIndex(s, "/")+1:] }

// between refuses a number out of range.
func between(property string, lowest, highest int, path ...string) func(c *Cloud, s *state, in sim.Object) error {
	return func(_ *Cloud, _ *state, in sim.Object) error {
		for _, p := range path {
			in, _ = in[p].(sim.Object)
		}
		if n, set := in[property].(float64); set && (int(n) < lowest || int(n) > highest) {
			return refuse("ValidationException", "Value %v at '%s' failed to satisfy constraint: it is from %d to %d", n, property, lowest, highest)
		}
		return nil
	}
}

func iamARN(c *Cloud, kind, path, name string) string {
	if path == "" {
		path = "/"
	}
	return "arn:" + c.partition() + ":iam::" + c.opts.Account + ":" + kind + path + name
}

const (
	attachmentType = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
	profileType    = "aws:iam/instanceProfile:InstanceProfile"
	inlineType     = "aws:iam/rolePolicy:RolePolicy"
	bucketType     = "aws:s3/bucketV2:BucketV2"
	objectType     = "aws:s3/bucketObjectv2:BucketObjectv2"
	functionType   = "aws:lambda/function:Function"
	hookType       = "aws:autoscaling/lifecycleHook:LifecycleHook"
	parameterType  = "aws:ssm/parameter:Parameter"
)

// iamRecords are roles and what belongs to them.
var iamRecords = map[string]record{
	roleType: {
		name: by("name"), check: checkJSON("MalformedPolicyDocument", "assumeRolePolicy"),
		out: func(c *Cloud, id string, in sim.Object) sim.Object {
			return sim.Object{
				"arn": iamARN(c, "role", sim.Text(in, "path"), id), "createDate": "2026-01-01T00:00:00Z", "uniqueId": "AROA" + strings.ToUpper(id), "name": id,
				"managedPolicyArns": []any{}, "inlinePolicies": []any{},
			}
		},
		remove: func(s *state, id string, d *declaration) error {
			for _, typ := range []string{attachmentType, profileType, inlineType} {
				for _, o := range s.Declared[typ] {
					if reference(o.Inputs, "role") == id && !sim.Truth(d.Inputs, "forceDetachPolicies") {
						return &Error{Code: "DeleteConflict", Message: "Cannot delete entity, must detach all policies and remove the role from instance profiles first.", Status: 409}
					}
				}
			}
			return nil
		},
	},
	inlineType: {
		name:  by("role", "name"),
		check: all(checkJSON("MalformedPolicyDocument", "policy"), exists(roleType, "role", "NoSuchEntity", itself)),
		out:   func(_ *Cloud, id string, _ sim.Object) sim.Object { return sim.Object{"name": last(id)} },
	},
	attachmentType: {name: by("role", "policyArn"), check: exists(roleType, "role", "NoSuchEntity", itself)},
	profileType: {
		name: by("name"), check: exists(roleType, "role", "NoSuchEntity", itself),
		out: func(c *Cloud, id string, in sim.Object) sim.Object {
			return sim.Object{"arn": iamARN(c, "instance-profile", sim.Text(in, "path"), id), "createDate": "2026-01-01T00:00:00Z", "uniqueId": "AIPA" + strings.ToUpper(id), "name": id}
		},
	},
	"aws:iam/policy:Policy": {
		name: by("name"), check: checkJSON("MalformedPolicyDocument", "policy"),
		out: func(c *Cloud, id string, in sim.Object) sim.Object {
			return sim.Object{"arn": iamARN(c, "policy", sim.Text(in, "path"), id), "policyId": "ANPA" + strings.ToUpper(id), "attachmentCount": 0, "name": id}
		},
	},
}

// watchRecords are those of CloudWatch and EventBridge.
var watchRecords = map[string]record{
	ruleType: {
		name: by("name"), check: checkRule,
		out: func(c *Cloud, id string, _ sim.Object) sim.Object {
			return sim.Object{"arn": c.arn("events", "rule/"+id), "name": id}
		},
		remove: func(s *state, id string, _ *declaration) error {
			if len(s.TargetsOf[id]) > 0 {
				return refuse("ValidationException", "Rule can't be deleted since it has targets.")
			}
			return nil
		},
	},
	targetType: {
		name: func(in sim.Object) string { return sim.Text(in, "rule") + "-" + targetID(in) },
		check: func(_ *Cloud, s *state, in sim.Object) error {
			rule := sim.Text(in, "rule")
			if s.Declared[ruleType][rule] == nil {
				return &Error{Code: "ResourceNotFoundException", Message: "Rule " + rule + " does not exist on EventBus default.", Status: 404}
			}
			if id := rule + "-" + targetID(in); len(s.TargetsOf[rule]) >= targetQuota && !slices.Contains(s.TargetsOf[rule], id) {
				return refuse("LimitExceededException", "The requested resource exceeds the maximum number allowed. (targets of a rule: %d)", targetQuota)
			}
			return nil
		},
		out: func(_ *Cloud, _ string, in sim.Object) sim.Object { return sim.Object{"targetId": targetID(in)} },
		made: func(s *state, id string, in sim.Object) {
			rule := sim.Text(in, "rule")
			s.TargetsOf[rule] = append(s.TargetsOf[rule], id)
		},
		remove: func(s *state, id string, d *declaration) error {
			drop(s.TargetsOf, sim.Text(d.Inputs, "rule"), id)
			return nil
		},
	},
	scheduleType: {
		name: func(in sim.Object) string {
			group := sim.Text(in, "groupName")
			if group == "" {
				group = "default"
			}
			return group + "/" + reference(in, "name")
		},
		check: checkSchedule,
		out: func(c *Cloud, id string, _ sim.Object) sim.Object {
			group, name, _ := strings.Cut(id, "/")
			return sim.Object{"arn": c.arn("scheduler", "schedule/"+id), "groupName": group, "name": name}
		},
	},
	"aws:scheduler/scheduleGroup:ScheduleGroup": {
		name: by("name"),
		out: func(c *Cloud, id string, _ sim.Object) sim.Object {
			return sim.Object{"arn": c.arn("scheduler", "schedule-group/"+id), "state": "ACTIVE", "creationDate": "2026-01-01T00:00:00Z", "lastModificationDate": "2026-01-01T00:00:00Z", "name": id}
		},
	},
	"aws:cloudwatch/logGroup:LogGroup": {
		name: by("name"),
		out: func(c *Cloud, id string, _ sim.Object) sim.Object {
			return sim.Object{"arn": c.arn("logs", "log-group:"+id), "name": id, "logGroupClass": "STANDARD"}
		},
	},
	"aws:cloudwatch/logMetricFilter:LogMetricFilter": {name: by("logGroupName", "name")},
	"aws:cloudwatch/metricAlarm:MetricAlarm": {
		name: by("name"), check: all(between("evaluationPeriods", 1, 1<<30), checkAlarm),
		out: func(c *Cloud, id string, _ sim.Object) sim.Object {
			return sim.Object{"arn": c.arn("cloudwatch", "alarm:"+id), "name": id, "evaluateLowSampleCountPercentiles": ""}
		},
	},
	"aws:cloudwatch/compositeAlarm:CompositeAlarm": {
		name: by("alarmName"),
		out: func(c *Cloud, id string, _ sim.Object) sim.Object {
			return sim.Object{"arn": c.arn("cloudwatch", "alarm:"+id)}
		},
	},
	"aws:cloudwatch/dashboard:Dashboard": {
		name: by("dashboardName"), check: checkDashboard,
		out: func(c *Cloud, id string, _ sim.Object) sim.Object {
			return sim.Object{"dashboardArn": "arn:" + c.partition() + ":cloudwatch::" + c.opts.Account + ":dashboard/" + id}
		},
	},
	"aws:autoscaling/schedule:Schedule": {
		name: by("autoscalingGroupName", "scheduledActionName"),
		check: func(_ *Cloud, s *state, in sim.Object) error {
			_, err := s.group(sim.Text(in, "autoscalingGroupName"))
			return err
		},
		out: func(c *Cloud, id string, _ sim.Object) sim.Object {
			return sim.Object{"arn": c.arn("autoscaling", "scheduledUpdateGroupAction:"+id)}
		},
	},
	"aws:autoscaling/tag:Tag": {prefix: "tag", check: func(_ *Cloud, s *state, in sim.Object) error {
		_, err := s.group(sim.Text(in, "autoscalingGroupName"))
		return err
	}},
}

// targetQuota is the number of targets of a rule, which is fixed.
const targetQuota = 5

func targetID(in sim.Object) string {
	if id := sim.Text(in, "targetId"); id != "" {
		return id
	}
	return "target-" + last(sim.Text(in, "arn"))
}

// drop takes a value out of a list in a map.
func drop(m map[string][]string, key, value string) {
	m[key] = slices.DeleteFunc(m[key], func(v string) bool { return v == value })
	if len(m[key]) == 0 {
		delete(m, key)
	}
}

func checkRule(_ *Cloud, _ *state, in sim.Object) error {
	pattern, schedule := sim.Text(in, "eventPattern"), sim.Text(in, "scheduleExpression")
	if pattern == "" && schedule == "" {
		return refuse("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
	}
	if schedule != "" && !strings.HasPrefix(schedule, "rate(") && !strings.HasPrefix(schedule, "cron(") {
		return refuse("ValidationException", "Parameter ScheduleExpression is not valid.")
	}
	if pattern != "" {
		return checkPattern(pattern)
	}
	return nil
}

// checkSchedule holds a schedule of EventBridge Scheduler against its API's rules.
func checkSchedule(_ *Cloud, s *state, in sim.Object) error {
	expression := sim.Text(in, "scheduleExpression")
	if !strings.HasPrefix(expression, "rate(") && !strings.HasPrefix(expression, "cron(") && !strings.HasPrefix(expression, "at(") {
		return refuse("ValidationException", "Invalid Schedule Expression %s.", expression)
	}
	if group := sim.Text(in, "groupName"); group != "" && group != "default" && s.Declared["aws:scheduler/scheduleGroup:ScheduleGroup"][group] == nil {
		return &Error{Code: "ResourceNotFoundException", Message: "Schedule group " + group + " does not exist.", Status: 404}
	}
	window, _ := in["flexibleTimeWindow"].(sim.Object)
	if minutes, set := window["maximumWindowInMinutes"].(float64); (sim.Text(window, "mode") == "FLEXIBLE") != set || set && (minutes < 1 || minutes > 1440) {
		return refuse("ValidationException", "A flexible time window has 1 to 1440 minutes, and one that is OFF has none.")
	}
	target, _ := in["target"].(sim.Object)
	if !strings.HasPrefix(sim.Text(target, "arn"), "arn:") || !strings.HasPrefix(sim.Text(target, "roleArn"), "arn:") {
		return refuse("ValidationException", "Provided Arn is not in correct format.")
	}
	retry, _ := target["retryPolicy"].(sim.Object)
	if age, set := retry["maximumEventAgeInSeconds"].(float64); set && (age < 60 || age > 86400) {
		return refuse("ValidationException", "The maximum age of an event is from 60 to 86400 seconds.")
	}
	if n, set := retry["maximumRetryAttempts"].(float64); set && (n < 0 || n > 185) {
		return refuse("ValidationException", "The number of retries is from 0 to 185.")
	}
	return nil
}

func checkAlarm(_ *Cloud, _ *state, in sim.Object) error {
	_, metric := in["metricName"].(string)
	queries := objects(in, "metricQueries")
	if metric == (len(queries) > 0) {
		return refuse("ValidationError", "An alarm has either a metric or metric queries.")
	}
	if metric && (sim.Text(in, "statistic", "extendedStatistic") == "" || sim.Number(in, "period") == 0 || sim.Text(in, "namespace") == "") {
		return refuse("ValidationError", "An alarm on a metric has a namespace, a period and a statistic.")
	}
	if n, set := in["datapointsToAlarm"].(float64); set && int(n) > sim.Number(in, "evaluationPeriods") {
		return refuse("ValidationError", "DatapointsToAlarm %v is more than EvaluationPeriods.", n)
	}
	return nil
}

// messageRecords are those of SNS, SQS, Lambda's surroundings, S3, KMS and endpoints.
var messageRecords = map[string]record{
	"aws:sns/topicPolicy:TopicPolicy": {name: by("arn"), check: all(checkJSON("InvalidParameter", "policy"), exists(topicType, "arn", "NotFound", itself))},
	subscriptionType: {
		prefix: "subscription", check: exists(topicType, "topic", "NotFound", itself),
		out: func(c *Cloud, id string, in sim.Object) sim.Object {
			return sim.Object{"arn": reference(in, "topic") + ":" + strings.TrimPrefix(id, "subscription-"), "confirmationWasAuthenticated": true, "ownerId": c.opts.Account, "pendingConfirmation": false}
		},
		made: func(s *state, id string, in sim.Object) {
			topic := reference(in, "topic")
			s.SubscriptionsOf[topic] = append(s.SubscriptionsOf[topic], id)
		},
		remove: func(s *state, id string, d *declaration) error {
			drop(s.SubscriptionsOf, reference(d.Inputs, "topic"), id)
			return nil
		},
	},
	"aws:sqs/queuePolicy:QueuePolicy": {name: by("queueUrl"), check: checkJSON("InvalidAttributeValue", "policy")},
	"aws:lambda/permission:Permission": {
		prefix: "permission",
		check: func(_ *Cloud, s *state, in sim.Object) error {
			if name := functionName(reference(in, "function")); s.Functions[name] == nil {
				return &Error{Code: "ResourceNotFoundException", Message: "Function not found: " + name, Status: 404}
			}
			return nil
		},
		out: func(_ *Cloud, id string, in sim.Object) sim.Object {
			statement := sim.Text(in, "statementId")
			if statement == "" {
				statement = id
			}
			return sim.Object{"statementId": statement, "statementIdPrefix": ""}
		},
	},
	"aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": {
		name:  func(in sim.Object) string { return functionName(sim.Text(in, "functionName")) },
		check: all(between("maximumEventAgeInSeconds", 60, 21600), between("maximumRetryAttempts", 0, 2), exists(functionType, "functionName", "ResourceNotFoundException", functionName)),
	},
	"aws:lambda/invocation:Invocation": {prefix: "invocation", out: func(*Cloud, string, sim.Object) sim.Object { return sim.Object{"result": "null"} }},
	bucketType:                         {name: by("bucket"), check: checkBucket, out: bucketOut, remove: removeBucket},
	"aws:s3/bucket:Bucket":             {name: by("bucket"), check: checkBucket, out: bucketOut, remove: removeBucket},
	objectType: {
		name: by("bucket", "key"), check: existsBucket,
		out: func(c *Cloud, id string, in sim.Object) sim.Object {
			return sim.Object{
				"arn": "arn:" + c.partition() + ":s3:::" + id, "etag": fmt.Sprintf("%x", len(id)), "versionId": "", "storageClass": "STANDARD", "contentType": "application/octet-stream",
				"serverSideEncryption": "AES256", "acl": "private", "bucketKeyEnabled": false, "kmsKeyId": "", "key": sim.Text(in, "key"),
			}
		},
	},
	"aws:s3/bucketPolicy:BucketPolicy":                                                           {name: by("bucket"), check: all(checkJSON("MalformedPolicy", "policy"), existsBucket)},
	"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock":                                     {name: by("bucket"), check: existsBucket},
	"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": {name: by("bucket"), check: existsBucket},
	"aws:s3/bucketVersioningV2:BucketVersioningV2":                                               {name: by("bucket"), check: existsBucket},
	"aws:kms/key:Key": {
		prefix: "key",
		out: func(c *Cloud, id string, _ sim.Object) sim.Object {
			return sim.Object{"arn": c.arn("kms", "key/"+id), "keyId": id, "multiRegion": false}
		},
	},
	"aws:kms/alias:Alias": {
		name: by("name"),
		out: func(c *Cloud, id string, in sim.Object) sim.Object {
			return sim.Object{"arn": c.arn("kms", id), "targetKeyArn": c.arn("kms", "key/"+sim.Text(in, "targetKeyId")), "name": id}
		},
	},
}

func checkBucket(_ *Cloud, s *state, in sim.Object) error {
	name := sim.Text(in, "bucket", "bucketPrefix")
	if len(name) < 3 || len(name) > 63 || name != strings.ToLower(name) || strings.ContainsAny(name, "_ /") {
		return refuse("InvalidBucketName", "The specified bucket is not valid: %s", name)
	}
	return nil
}

func bucketOut(c *Cloud, id string, _ sim.Object) sim.Object {
	return sim.Object{
		"arn": "arn:" + c.partition() + ":s3:::" + id, "bucket": id, "bucketDomainName": id + ".s3.amazonaws.com", "hostedZoneId": "Z3AQBSTGFYJSTF",
		"bucketRegionalDomainName": id + ".s3." + c.opts.Region + ".amazonaws.com", "region": c.opts.Region, "objectLockEnabled": false,
	}
}

func existsBucket(_ *Cloud, s *state, in sim.Object) error {
	id := reference(in, "bucket")
	if s.Declared[bucketType][id] == nil && s.Declared["aws:s3/bucket:Bucket"][id] == nil {
		return &Error{Code: "NoSuchBucket", Message: "The specified bucket does not exist: " + id, Status: 404}
	}
	return nil
}

func removeBucket(s *state, id string, d *declaration) error {
	for _, o := range s.Declared[objectType] {
		if reference(o.Inputs, "bucket") == id && !sim.Truth(d.Inputs, "forceDestroy") {
			return &Error{Code: "BucketNotEmpty", Message: "The bucket you tried to delete is not empty", Status: 409}
		}
	}
	return nil
}

// topicKind and queueKind have ids that hold the account and the region.
var topicKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		arn := c.arn("sns", sim.Text(in, "name", "namePrefix"))
		if s.Declared[topicType][arn] != nil {
			return "", nil, refuse("InvalidParameter", "Invalid parameter: Attributes Reason: Topic already exists with different attributes")
		}
		return arn, sim.Object{"arn": arn, "owner": c.opts.Account, "name": sim.Text(in, "name", "namePrefix"), "beginningArchiveTime": ""}, nil
	},
}

var queueKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		name := sim.Text(in, "name", "namePrefix")
		url := "https://sqs." + c.opts.Region + ".amazonaws.com/" + c.opts.Account + "/" + name
		if s.Declared["aws:sqs/queue:Queue"][url] != nil {
			return "", nil, refuse("QueueAlreadyExists", "A queue already exists with the same name and a different value for an attribute")
		}
		for property, bounds := range map[string][2]int{"messageRetentionSeconds": {60, 1209600}, "visibilityTimeoutSeconds": {0, 43200}} {
			if err := between(property, bounds[0], bounds[1])(c, s, in); err != nil {
				return "", nil, err
			}
		}
		return url, sim.Object{"arn": c.arn("sqs", name), "url": url, "name": name}, nil
	},
}

var parameterKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		name := sim.Text(in, "name")
		p, err := c.putParameter(s, PutParameterInput{Name: name, Value: sim.Text(in, "value", "insecureValue"), Type: sim.Text(in, "type"), Overwrite: sim.Truth(in, "overwrite")})
		if err != nil {
			return "", nil, err
		}
		return name, sim.Object{"arn": p.ARN, "dataType": "text", "keyId": ""}, nil
	},
	update: func(c *Cloud, s *state, id string, old, in sim.Object) error {
		value := sim.Text(in, "value", "insecureValue")
		if value == sim.Text(old, "value", "insecureValue") {
			return nil
		}
		_, err := c.putParameter(s, PutParameterInput{Name: id, Value: value, Type: sim.Text(in, "type"), Overwrite: true})
		return err
	},
	remove: func(_ *Cloud, s *state, id string, _ *declaration) error { delete(s.Parameters, id); return nil },
	show: func(_ *Cloud, s *state, id string, d *declaration) (sim.Object, bool) {
		p, ok := s.Parameters[id]
		if !ok {
			return nil, false
		}
		out := sim.Object{"version": p.Version, "value": p.Value, "insecureValue": nil}
		if _, given := d.Inputs["insecureValue"]; given {
			out["insecureValue"] = p.Value
		}
		return out, true
	},
}

// endpointKind is a VPC endpoint: an interface one has ENIs.
var endpointKind = kind{
	create: func(c *Cloud, s *state, in sim.Object) (string, sim.Object, error) {
		vpcID := sim.Text(in, "vpcId")
		if _, err := s.vpc(vpcID); err != nil {
			return "", nil, err
		}
		id := s.newID("vpce")
		var enis []any
		if sim.Text(in, "vpcEndpointType") == "Interface" {
			for _, subnetID := range sim.Texts(in, "subnetIds") {
				e, err := c.newInterface(s, subnetID, "", sim.Texts(in, "securityGroupIds"))
				if err != nil {
					for _, made := range enis {
						s.removeInterface(made.(string))
					}
					return "", nil, err
				}
				e.InterfaceType, e.RequesterManaged, e.Status, e.Owner = "vpc_endpoint", true, "in-use", id
				enis = append(enis, e.NetworkInterfaceID)
			}
		}
		return id, sim.Object{
			"arn": c.arn("ec2", "vpc-endpoint/"+id), "ownerId": c.opts.Account, "state": "available", "networkInterfaceIds": enis, "cidrBlocks": []any{}, "dnsEntries": []any{},
			"prefixListId": "", "requesterManaged": false, "ipAddressType": "ipv4", "privateDnsEnabled": sim.Truth(in, "privateDnsEnabled"),
		}, nil
	},
	remove: func(_ *Cloud, s *state, id string, _ *declaration) error {
		for eni, e := range s.Interfaces {
			if e.Owner == id {
				s.removeInterface(eni)
			}
		}
		return nil
	},
}

// kinds of all resource types.
var kinds = buildKinds()

func buildKinds() map[string]kind {
	all := map[string]kind{
		"aws:ec2/vpc:Vpc": vpcKind, "aws:ec2/subnet:Subnet": subnetKind, "aws:ec2/subnetCidrReservation:SubnetCidrReservation": reservationKind,
		"aws:ec2/internetGateway:InternetGateway": attachedKind("igw", "internet-gateway", func(s *state) map[string]*attachment { return s.Internet }, (*state).detachInternet),
		"aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway": attachedKind("eigw", "egress-only-internet-gateway", func(s *state) map[string]*attachment { return s.EgressOnly },
			func(s *state, id string) error { s.EgressOnly[id].VPC = ""; return nil }),
		"aws:ec2/routeTable:RouteTable": tableKind, "aws:ec2/route:Route": routeKind, "aws:ec2/routeTableAssociation:RouteTableAssociation": associationKind,
		"aws:ec2/natGateway:NatGateway": gatewayKind, "aws:ec2/eip:Eip": eipKind, "aws:ec2/eipAssociation:EipAssociation": eipAssociationKind,
		"aws:ec2/networkInterface:NetworkInterface": interfaceKind, "aws:ec2/securityGroup:SecurityGroup": groupKind, "aws:ec2/securityGroupRule:SecurityGroupRule": oldRuleKind,
		"aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ruleKind(false), "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": ruleKind(true),
		"aws:ec2/vpcEndpoint:VpcEndpoint": endpointKind, "aws:ec2/launchTemplate:LaunchTemplate": templateKind, scalingType: scalingKind,
		hookType: hookKind, functionType: functionKind, parameterType: parameterKind,
	}
	for _, records := range []map[string]record{iamRecords, watchRecords, messageRecords} {
		for typ, r := range records {
			all[typ] = kindOf(typ, r)
		}
	}
	all[topicType], all["aws:sqs/queue:Queue"] = topicKind, queueKind
	return all
}
