package natd

import (
	"errors"
	"fmt"
	"net/url"
	"slices"

	"polynat/internal/natzone"
)

// Check returns everything that is wrong with a configuration.
func Check(c *natzone.Agent) error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, f := range []struct{ name, value string }{
		{"name", c.Name}, {"zone", c.Zone}, {"region", c.Region}, {"allocationId", c.AllocationID}, {"group", c.Group},
		{"launchHook", c.LaunchHook}, {"terminateHook", c.TerminateHook}, {"metricNamespace", c.MetricNamespace},
	} {
		if f.value == "" {
			wrong("%s: is empty", f.name)
		}
	}
	if !c.PublicAddress.Is4() {
		wrong("publicAddress: %s: is not an IPv4 address", c.PublicAddress)
	}
	if !c.Address.Is4() {
		wrong("address: %s: is not an IPv4 address", c.Address)
	}
	problems = append(problems, checkRoutes(c)...)
	for i, p := range c.ClientCIDRs {
		if !p.Addr().Is4() || p != p.Masked() || p.Bits() == 0 {
			wrong("clientCidrs[%d]: %s: is not a canonical IPv4 network", i, p)
		}
	}
	if len(c.Targets) == 0 {
		wrong("targets: none: nothing could be proven")
	}
	for i, t := range c.Targets {
		if !isURL(string(t)) {
			wrong("targets[%d]: %s: is not an http or https URL", i, t)
		}
	}
	for i, u := range c.Identity {
		if !isURL(u) {
			wrong("identity[%d]: %s: is not an http or https URL", i, u)
		}
	}
	if c.HealthPort < 1 || c.HealthPort > 65535 {
		wrong("healthPort: %d: is not a port", c.HealthPort)
	}
	return errors.Join(problems...)
}

// checkRoutes checks what is to be claimed.
func checkRoutes(c *natzone.Agent) (problems []error) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if len(c.RouteTables) == 0 {
		add("routeTables: none: nothing would be claimed")
	}
	if len(c.Destinations) == 0 {
		add("destinations: none: nothing would be claimed")
	}
	for i, d := range c.Destinations {
		switch {
		case !d.IsValid() || d != d.Masked():
			add("destinations[%d]: %s: is not a canonical network", i, d)
		case d.Addr().Is6() && (!c.NAT64 || d != natzone.NAT64Prefix()):
			add("destinations[%d]: %s: of IPv6 only %s can be translated, with nat64", i, d, natzone.NAT64Prefix())
		}
	}
	if c.NAT64 && !slices.Contains(c.Destinations, natzone.NAT64Prefix()) {
		add("destinations: has no %s, although nat64 is on", natzone.NAT64Prefix())
	}
	return problems
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
