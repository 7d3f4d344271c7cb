package natzone

import (
	"errors"
	"fmt"
	"strings"
)

// The user data of an instance is a shell script that writes two documents, each in a here-document.
const (
	// AgentFile is where the agent's document stands on the instance.
	AgentFile = "/etc/polynat/natd.json"
	// AgentMarker begins (quoted, after <<) and ends its here-document; no line of JSON reads like it.
	AgentMarker = "POLYNAT_NATD_JSON"
	// NetworkMarker is that of the [NetworkSettings].
	NetworkMarker = "POLYNAT_NETWORK"
)

// NetworkSettings are those of the interface, which systemd-networkd gets before the agent starts. Amazon Linux has networkd configure
// the interface anew whenever a secondary address has come or gone: networkd then gives up address and default route until a DHCP
// server has answered, and clients are cut off. Of all values only dhcp has it keep both (systemd 252, that of Amazon Linux 2023:
// dhcp-on-stop and yes do not). Since 257 it is another name of dynamic.
//
// The interface takes packets of 9001 bytes, and the Internet, which drops larger ones and tells nobody, 1500. With a default route that
// says so the kernel itself tells clients. Neighbors in the subnet still get 9001.
const NetworkSettings = "[Network]\nKeepConfiguration=dhcp\n\n[DHCPv4]\nRouteMTUBytes=1500"

// ErrNoAgent is returned by [AgentOf] for user data without a document.
var ErrNoAgent = errors.New("no document between lines of " + AgentMarker)

// AgentOf reads the agent's document that a script of user data, decoded, writes.
func AgentOf(script string) (*Agent, error) {
	text, ok := documentOf(script, AgentMarker)
	if !ok {
		return nil, fmt.Errorf("user data: %w", ErrNoAgent)
	}
	return ParseAgent([]byte(text))
}

// NetworkSettingsOf reads the settings of the interface that a script of user data, decoded, writes; empty without any.
func NetworkSettingsOf(script string) string {
	text, _ := documentOf(script, NetworkMarker)
	return text
}

func documentOf(script, marker string) (text string, ok bool) {
	_, rest, begun := strings.Cut(script, "<<'"+marker+"'\n")
	text, _, ended := strings.Cut(rest, "\n"+marker+"\n")
	if !begun || !ended {
		return "", false
	}
	return text, true
}
