package aws_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/sim"
	"polynat/internal/sim/aws"
)

const objectType = "aws:s3/bucketObjectv2:BucketObjectv2"

func TestTheProviderMergesItsDefaultTags(t *testing.T) {
	for name, test := range map[string]struct {
		defaults, typ string
		in, want      o
	}{
		"the resource's win":     {`{"tags": {"env": "dev", "team": "a"}}`, vpcType, o{"tags": o{"team": "b"}}, o{"tags": o{"env": "dev", "team": "b"}, "tagsAll": o{"env": "dev", "team": "b"}}},
		"none of its own":        {`{"tags": {"env": "dev"}}`, vpcType, o{}, o{"tags": o{"env": "dev"}, "tagsAll": o{"env": "dev"}}},
		"empty ones are dropped": {``, vpcType, o{"tags": o{}}, o{}},
		"no default ones":        {``, vpcType, o{"tags": o{"team": "b"}}, o{"tags": o{"team": "b"}, "tagsAll": o{"team": "b"}}},
		"one that is not known":  {`{"tags": {"env": "dev"}}`, vpcType, o{"tags": o{"id": sim.Unknown{}}}, o{"tags": sim.Unknown{}, "tagsAll": sim.Unknown{}}},
		"none that is known":     {``, vpcType, o{"tags": sim.Unknown{}}, o{"tags": sim.Unknown{}, "tagsAll": sim.Unknown{}}},
		"an override comes too late": {`{"tags": {"env": "dev"}}`, objectType, o{"overrideProvider": o{"defaultTags": o{"tags": o{}}}},
			o{"overrideProvider": o{"defaultTags": o{"tags": o{}}}, "tags": o{"env": "dev"}, "tagsAll": o{"env": "dev"}}},
		"a group has a list":           {`{"tags": {"env": "dev"}}`, scalingType, o{"tags": []any{}}, o{"tags": []any{}}},
		"what has no tags stays as is": {`{"tags": {"env": "dev"}}`, routeType, o{}, o{}},
	} {
		cloud := aws.New(aws.Options{})
		cloud.Configure(o{"defaultTags": test.defaults})
		if diff := cmp.Diff(test.want, cloud.Checked(test.typ, test.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAWSRefusesTagsThatItDoesNotTake(t *testing.T) {
	many := func(n int) o {
		tags := o{}
		for i := range n {
			tags[fmt.Sprint("t", i)] = "1"
		}
		return tags
	}
	list := func(n int) (tags []any) {
		for i := range n {
			tags = append(tags, o{"key": fmt.Sprint("t", i), "value": "1", "propagateAtLaunch": true})
		}
		return tags
	}
	w := newWorld(t, aws.Options{}).zone()
	w.make("bucket", "aws:s3/bucketV2:BucketV2", o{"bucket": "artefacts"})
	object := func(tags o) o { return o{"bucket": "artefacts", "key": "k", "tags": tags} }
	role := func(tags o) o { return o{"assumeRolePolicy": "{}", "tags": tags} }
	vpc := func(tags o) o { return o{"cidrBlock": "10.0.0.0/16", "tags": tags} }
	for name, test := range map[string]struct {
		typ  string
		in   o
		code string
	}{
		"more than fifty":            {vpcType, vpc(many(51)), "TagLimitExceeded"},
		"fifty":                      {vpcType, vpc(many(50)), ""},
		"more than ten of an object": {objectType, object(many(11)), "BadRequest"},
		"ten of an object":           {objectType, object(many(10)), ""},
		"AWS's own":                  {vpcType, vpc(o{"Aws:team": "x"}), "InvalidParameterValue"},
		"more than fifty of a role":  {roleType, role(many(51)), "TagLimitExceeded"},
		"of one key in two cases":    {roleType, role(o{"team": "a", "Team": "b"}), "InvalidInput"},
		"of two keys, as EC2 tells":  {vpcType, vpc(o{"team": "a", "Team": "b"}), ""},
		"a key that is too long":     {vpcType, vpc(o{fmt.Sprintf("%0129d", 0): "a"}), "InvalidParameterValue"},
		"a value that is too long":   {vpcType, vpc(o{"k": fmt.Sprintf("%0257d", 0)}), "InvalidParameterValue"},
	} {
		err := w.try(name, test.typ, test.in)
		if test.code == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		refused(t, err, test.code, "")
	}
	refused(t, w.update("vpc", o{"tags": many(51)}), "TagLimitExceeded", "")
	refused(t, w.update("group", o{"tags": list(51)}), "TagLimitExceeded", "")
}
