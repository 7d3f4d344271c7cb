package natzone

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
)

// URL is a target's, or what is wrong with it.
func (t Target) URL() (*url.URL, error) {
	u, err := url.Parse(string(t))
	if err != nil {
		return nil, fmt.Errorf("target: %q: %w", t, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("target: %q: is not a URL with http or https and a host", t)
	}
	if u.Port() != "" {
		if _, err := strconv.ParseUint(u.Port(), 10, 16); err != nil {
			return nil, fmt.Errorf("target: %q: port: %w", t, err)
		}
	}
	return u, nil
}

// checkTargets checks a list of URLs.
func checkTargets[T ~string](field string, list []T) (problems []error) {
	for i, t := range list {
		if _, err := Target(t).URL(); err != nil {
			problems = append(problems, fmt.Errorf("%s[%d]: %w", field, i, err))
		}
	}
	return problems
}

// Check returns everything that is wrong with the configuration of a prober.
func (p *Prober) Check() error {
	problems := append(checkTargets("targets", p.Targets), checkTargets("identity", p.Identity)...)
	if len(p.Targets) == 0 {
		problems = append(problems, errors.New("targets: none: there is nothing to try (name at least three)"))
	}
	if d := p.Detection; d.Interval <= 0 || d.Timeout <= 0 || d.Failed < 2 || d.Of < d.Failed {
		problems = append(problems, fmt.Errorf("detection: %+v: interval and timeout must be positive, and failed at least 2 and at most of", d))
	}
	return errors.Join(problems...)
}

// Check returns everything that is wrong with the configuration of an agent.
func (c *Agent) Check() error {
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
	problems = append(problems, c.checkRoutes()...)
	for i, p := range c.ClientCIDRs {
		if !p.Addr().Is4() || p != p.Masked() || p.Bits() == 0 {
			wrong("clientCidrs[%d]: %s: is not a canonical IPv4 network", i, p)
		}
	}
	if len(c.Targets) == 0 {
		wrong("targets: none: nothing could be proven")
	}
	problems = append(problems, checkTargets("targets", c.Targets)...)
	problems = append(problems, checkTargets("identity", c.Identity)...)
	if c.HealthPort < 1 || c.HealthPort > 65535 {
		wrong("healthPort: %d: is not a port", c.HealthPort)
	}
	return errors.Join(problems...)
}

// checkRoutes checks what is to be claimed.
func (c *Agent) checkRoutes() (problems []error) {
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
		case d.Addr().Is6() && (!c.NAT64 || d != NAT64Prefix()):
			add("destinations[%d]: %s: of IPv6 only %s can be translated, with nat64", i, d, NAT64Prefix())
		}
	}
	if c.NAT64 && !slices.Contains(c.Destinations, NAT64Prefix()) {
		add("destinations: has no %s, although nat64 is on", NAT64Prefix())
	}
	return problems
}
