package problem

import (
	"regexp"
	"strings"
)

// layers are what the provider, its bridge, the engine and the SDK write before the answer of a cloud.
var layers = regexp.MustCompile(`^.*(?:errors? occurred: \* |invoking [^ ]+: |returned an error: |desc = |api error )`)

// Answer is what a cloud said to a lookup, without what the layers between it and the program write around it.
func Answer(err error) string {
	return layers.ReplaceAllString(strings.Join(strings.Fields(err.Error()), " "), "")
}

// Nothing reports whether a lookup on AWS was answered, and found nothing.
func Nothing(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "no matching") || strings.Contains(err.Error(), "NotFound"))
}
