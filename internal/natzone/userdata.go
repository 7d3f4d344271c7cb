package natzone

import (
	"errors"
	"fmt"
	"strings"
)

// The user data of an instance is a shell script that writes the document of its agent in a here-document.
const (
	// AgentFile is where the document stands on the instance.
	AgentFile = "/etc/polynat/natd.json"
	// AgentMarker begins (quoted, after <<) and ends the here-document; no line of JSON reads like it.
	AgentMarker = "POLYNAT_NATD_JSON"
)

// ErrNoAgent is returned by [AgentOf] for user data without a document.
var ErrNoAgent = errors.New("no document between lines of " + AgentMarker)

// AgentOf reads the document that a script of user data, decoded, writes.
func AgentOf(script string) (*Agent, error) {
	_, rest, begun := strings.Cut(script, "<<'"+AgentMarker+"'\n")
	text, _, ended := strings.Cut(rest, "\n"+AgentMarker+"\n")
	if !begun || !ended {
		return nil, fmt.Errorf("user data: %w", ErrNoAgent)
	}
	return ParseAgent([]byte(text))
}
