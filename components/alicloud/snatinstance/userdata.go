package snatinstance

import (
	_ "embed"
	"strings"
)

//go:embed userdata.sh
var userDataTemplate string

// userData is the script that makes an instance forward and masquerade the sources of cidr, now and after every reboot.
func userData(cidr string) string {
	return strings.ReplaceAll(userDataTemplate, "{{CIDR}}", cidr)
}
