package loadbalancer

import (
	_ "embed"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

//go:embed userdata.sh
var userDataTemplate string

// maxPage is what of the 32 KiB of user data, encoded twice in base 64, remains beside the script.
const maxPage = 16 << 10

// userData is the script that makes an instance serve page on ports, now and after every reboot.
func userData(page string, ports []int) string {
	var words []string
	for _, p := range slices.Sorted(slices.Values(ports)) {
		words = append(words, strconv.Itoa(p))
	}
	return strings.NewReplacer(
		"{{PAGE}}", base64.StdEncoding.EncodeToString([]byte(page)),
		"{{PORTS}}", strings.Join(words, " "),
	).Replace(userDataTemplate)
}
