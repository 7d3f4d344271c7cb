package rehearsal

import "slices"

// zonesOf are the zones that a simulated region has: by every letter, those of the region and those of each place in it, such as
// us-west-2-lax, of which the blocks name a zone. Which of them the vendor has, a preview asks it; a list in here would be out of date.
// None, for those of the simulation, without a region.
func zonesOf(region string, blocks ...block) (zones []string) {
	if region == "" {
		return nil
	}
	stems := []string{region}
	if last := region[len(region)-1]; last < '0' || last > '9' { // cn-hangzhou-i, and ap-southeast-1a
		stems[0] += "-"
	}
	for _, b := range blocks {
		stems = append(stems, stemsIn(region+"-", map[string]any(b))...)
	}
	slices.Sort(stems)
	for _, stem := range slices.Compact(stems) {
		for letter := 'a'; letter <= 'z'; letter++ {
			zones = append(zones, stem+string(letter))
		}
	}
	return zones
}

// stemsIn are the names without their last letters of all that begins with a prefix, as a key or a value, in a value of the configuration.
func stemsIn(prefix string, value any) (stems []string) {
	switch v := value.(type) {
	case map[string]any:
		for key, below := range v {
			stems = append(append(stems, stemsIn(prefix, key)...), stemsIn(prefix, below)...)
		}
	case []any:
		for _, below := range v {
			stems = append(stems, stemsIn(prefix, below)...)
		}
	case string:
		if last := len(v) - 1; len(v) > len(prefix) && v[:len(prefix)] == prefix && 'a' <= v[last] && v[last] <= 'z' {
			stems = append(stems, v[:last])
		}
	}
	return stems
}
