package aws

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"polynat/internal/sim"
)

// mostTags is how many a resource takes, by the documents of each service; objectTags how many an object of S3 takes, by its user guide.
// Keys have at most longestKey characters, values longestValue.
const (
	mostTags     = 50
	objectTags   = 10
	longestKey   = 128
	longestValue = 256
)

// Configure implements [sim.Configurable].
func (c *Cloud) Configure(args sim.Object) {
	block := args["defaultTags"]
	if text, ok := block.(string); ok {
		var decoded any
		if json.Unmarshal([]byte(text), &decoded) == nil {
			block = decoded
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.defaultTags = below(block, "tags")
}

// below is the object under a key of another one, nil where there is none.
func below(value any, key string) sim.Object {
	o, _ := value.(sim.Object)
	tags, _ := o[key].(sim.Object)
	return tags
}

// Checked implements [sim.Checking]: the provider writes its default tags, below those of the resource, into tags and tagsAll, and drops
// both when there are none. One tag that is not known yet makes all unknown. An override of the provider by an object of S3 comes too late.
func (c *Cloud) Checked(typ string, in sim.Object) sim.Object {
	if !tagged(typ) {
		return in
	}
	c.mu.Lock()
	tags := maps.Clone(c.defaultTags)
	c.mu.Unlock()
	if tags == nil {
		tags = sim.Object{}
	}
	given, _ := in["tags"].(sim.Object)
	maps.Copy(tags, given)
	var merged any = tags
	for _, v := range append(slices.Collect(maps.Values(tags)), in["tags"]) {
		if u, unknown := v.(sim.Unknown); unknown {
			merged = u
		}
	}
	if _, known := merged.(sim.Object); known && len(tags) == 0 {
		delete(in, "tags")
		return in
	}
	in["tags"], in["tagsAll"] = merged, merged
	return in
}

// tagged reports whether the provider manages the tags of a type, among them its default ones. Those of groups are a list, which it
// leaves alone.
func tagged(typ string) bool {
	r, known := Schema().Resources[typ]
	if !known {
		return false
	}
	_, takes := r.Inputs["tags"]
	return takes && slices.Contains(r.Outputs, "tagsAll")
}

// checkTags refuses what AWS does not take as the tags of a resource.
func checkTags(typ string, in sim.Object) error {
	tags := tagsOf(in)
	if typ == scalingType {
		for _, t := range objects(in, "tags") {
			tags[sim.Text(t, "key")] = sim.Text(t, "value")
		}
	}
	most, object := mostTags, typ == "aws:s3/bucketObjectv2:BucketObjectv2"
	if object {
		most = objectTags
	}
	switch n := len(tags); {
	case n > most && object:
		return refuse("BadRequest", "Object tags cannot be greater than %d", most)
	case n > most:
		return refuse("TagLimitExceeded", "The maximum number of Tags for a resource has been reached: %d of %d", n, most)
	}
	folded := map[string]bool{}
	for _, key := range sorted(tags) {
		switch low := strings.ToLower(key); {
		case strings.HasPrefix(low, "aws:"):
			return refuse("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case key == "" || utf8.RuneCountInString(key) > longestKey || utf8.RuneCountInString(tags[key]) > longestValue:
			return refuse("InvalidParameterValue", "The tag %q is too long, or has no key", key)
		case folded[low] && strings.HasPrefix(typ, "aws:iam/"):
			return refuse("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		default:
			folded[low] = true
		}
	}
	return nil
}

// checkDashboard refuses a graph without a line.
func checkDashboard(c *Cloud, s *state, in sim.Object) error {
	if err := checkJSON("InvalidParameterInput", "dashboardBody")(c, s, in); err != nil {
		return err
	}
	var body struct {
		Widgets []struct {
			Type       string
			Properties struct{ Metrics []any }
		}
	}
	text, _ := in["dashboardBody"].(string)
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		return refuse("InvalidParameterInput", "The dashboard body is invalid: %v", err)
	}
	for i, w := range body.Widgets {
		if w.Type == "metric" && len(w.Properties.Metrics) == 0 {
			return refuse("InvalidParameterInput", "The dashboard body is invalid: /widgets/%d/properties/metrics: should have at least 1 item", i)
		}
	}
	return nil
}
