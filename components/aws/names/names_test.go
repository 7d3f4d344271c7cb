package names_test

import (
	"regexp"
	"strings"
	"testing"

	"polynat/components/aws/names"
)

// longest names of zones: a standard one, a local zone, a Wavelength zone.
var zones = []string{"us-gov-west-1a", "us-west-2-lax-1a", "us-east-1-wl1-bos-wlz-1", "ap-southeast-1-mnl-1a"}

func TestEveryNameFitsAndIsItsOwn(t *testing.T) {
	owner := map[string]string{}
	for _, project := range []string{"p", strings.Repeat("project", 9)} {
		for _, stack := range []string{"dev", "production"} {
			c := names.Component{Prefix: names.Prefix(project, stack, "egress")}
			if n := len(c.Prefix); n > names.Longest {
				t.Errorf("%s: %d characters", c.Prefix, n)
			}
			all := map[string]int{
				c.LifecycleTopic(): 256, c.AlertTopic(): 256, c.DeadLetters(): 80, c.Bucket("123456789012", "ap-southeast-1"): 63,
				c.NoticeRole("ap-southeast-1"): 64, c.RotationRole("ap-southeast-1"): 64, c.Dashboard("ap-southeast-1"): 255,
			}
			for _, zone := range zones {
				z := c.Zone(zone)
				all[z.Group()], all[z.Prober()], all[z.Controller()], all[z.InstanceRole()], all[z.StateParameter()] = 255, 64, 64, 64, 1011
			}
			for name, most := range all {
				if len(name) > most {
					t.Errorf("%s: %d characters, AWS takes %d", name, len(name), most)
				}
				if other, taken := owner[name]; taken {
					t.Errorf("%s is of %s and of %s", name, other, project+" "+stack)
				}
				owner[name] = project + " " + stack
			}
		}
	}
}

func TestNamesThatPulumiTakesAndAWSDoesNotAreSpelledAnew(t *testing.T) {
	plain := regexp.MustCompile(`^[a-z0-9][a-z0-9-]*[a-z0-9]$`)
	seen := map[string]bool{}
	for _, stack := range []string{"dev", "Dev", "d.ev", "d_ev", "d-ev", strings.Repeat("Dev_", 20)} {
		got := names.Prefix("Shop", stack, "egress")
		if !plain.MatchString(got) || len(got) > names.Longest || seen[got] {
			t.Errorf("%s becomes %s, which is no name or another's", stack, got)
		}
		seen[got] = true
	}
}

func TestANameOfAnotherRegionIsAnother(t *testing.T) {
	c := names.Component{Prefix: "polynat-dev-egress"}
	for kind, name := range map[string]func(string) string{"notices": c.NoticeRole, "rotation": c.RotationRole, "dashboard": c.Dashboard} {
		if name("eu-west-1") == name("eu-west-2") {
			t.Errorf("%s: %s in both: IAM and dashboards have no regions", kind, name("eu-west-1"))
		}
	}
}
