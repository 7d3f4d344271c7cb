package aws

import (
	"encoding/json"
	"maps"

	"polynat/internal/sim"
)

// objectTags is how many an object of S3 takes, by its user guide.
const objectTags = 10

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

// checkObjectTags counts the tags of an object with the provider's, unless the object overrides these.
func checkObjectTags(c *Cloud, _ *state, in sim.Object) error {
	tags := sim.Object{}
	if override := below(in["overrideProvider"], "defaultTags"); override != nil {
		maps.Copy(tags, below(override, "tags"))
	} else {
		maps.Copy(tags, c.defaultTags)
	}
	maps.Copy(tags, below(in, "tags"))
	if len(tags) > objectTags {
		return refuse("BadRequest", "Object tags cannot be greater than %d", objectTags)
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
