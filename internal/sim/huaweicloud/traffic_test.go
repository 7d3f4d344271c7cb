package huaweicloud_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"polynat/internal/sim/huaweicloud"
)

func equal(a, b any) bool { return cmp.Equal(a, b) }

func (r *region) watch() (*huaweicloud.Traffic, *[]huaweicloud.Sample) {
	traffic := huaweicloud.NewTraffic(r.cloud)
	samples := &[]huaweicloud.Sample{}
	r.cloud.OnChange = func() { *samples = append(*samples, traffic.Observe()) }
	return traffic, samples
}

func TestAReachesTheMemberThroughTheRuleAndNothingElse(t *testing.T) {
	r := example(t)
	client := r.cloud.Clients(r.id["vpc-a"])[0]
	if client.Instance != r.id["ecs-a"] {
		t.Fatalf("the client is %v, want ECS-A", client)
	}
	transit := netip.MustParseAddr(r.out["transit"]["ipAddress"].(string))
	d := r.cloud.Connect(client, transit, "tcp", 80)
	if !d.Reached() || d.Rule != r.id["rule"] || d.LoadBalancer != r.id["elb"] || d.Addr.String() != r.out["ecs-b"]["accessIpV4"] {
		t.Fatalf("%+v", d)
	}
	for _, protocol := range []string{"tcp", "udp"} {
		for port := 1; port <= 65535; port++ {
			if d := r.cloud.Connect(client, transit, protocol, port); d.Reached() && (port != 80 || protocol != "tcp") {
				t.Fatalf("%d/%s: %+v", port, protocol, d)
			}
		}
	}
	for a := netip.MustParseAddr("10.0.0.0"); a != netip.MustParseAddr("10.0.1.0"); a = a.Next() {
		if d := r.cloud.Connect(client, a, "tcp", 80); d.Reached() || !strings.Contains(d.Refused, "no route") {
			t.Fatalf("%s: %+v", a, d)
		}
	}
	if leaks := r.cloud.Leaks(nil); len(leaks) > 0 {
		t.Error(leaks)
	}
}

func TestAnOpenPeeringIsFoundOut(t *testing.T) {
	r := example(t)
	_, samples := r.watch()
	if err := r.cloud.AddPeering(huaweicloud.Peering{A: r.id["vpc-b"], B: r.id["vpc-a"]}); err != nil {
		t.Fatal(err)
	}
	elb := r.out["elb"]["ipv4Address"].(string)
	if leaks := (*samples)[0].Leaks; !slices.ContainsFunc(leaks, func(l string) bool { return strings.Contains(l, "to "+elb+":80/tcp") }) {
		t.Errorf("leaks %v, want one to %s", leaks, elb)
	}
}

func TestWhatKeepsAFromReachingTheLoadBalancerIsNamed(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(r *region)
		says  string
	}{
		{"no listener", func(r *region) { r.delete("listener") }, "has no listener on port 80/tcp"},
		{"no member", func(r *region) { r.delete("member") }, "has no member"},
		{"a member that takes nothing", func(r *region) { r.update("member", o{"weight": 0.0}) }, "has weight 0"},
		{"a member that is closed", func(r *region) { r.delete("admit") }, "does not admit the load balancer's backend subnet"},
		{"a health check that is not let in", func(r *region) { r.update("monitor", o{"port": 8080.0}) }, "to port 8080"},
		{"an instance that is gone", func(r *region) { r.delete("ecs-b") }, "which no instance has"},
		{"another port inside", func(r *region) { r.update("rule", o{"internalServicePort": 8080.0}) }, "has no listener on port 8080/tcp"},
		{"another protocol", func(r *region) { r.update("rule", o{"protocol": "udp"}) }, "has no listener on port 80/udp"},
		{"a moved load balancer", func(r *region) { r.update("elb", o{"ipv4Address": "10.0.0.100"}) }, "which nobody has"},
		{"no rule", func(r *region) { r.delete("rule") }, "the rule is gone"},
		{"a client that lets nothing out", func(r *region) {
			r.make("strict", groupType, o{"name": "strict", "deleteDefaultRules": true})
			r.update("ecs-a", o{"securityGroupIds": []any{r.id["strict"]}})
		}, "let nothing out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := example(t)
			_, samples := r.watch()
			c.spoil(r)
			last := (*samples)[len(*samples)-1]
			if text := strings.Join(last.Unreached, "\n"); !strings.Contains(text, "rule rule: ") || !strings.Contains(text, c.says) {
				t.Errorf("unreached %q, want it to say %q", text, c.says)
			}
			if len(last.Cut) != 1 {
				t.Errorf("cut %v, want the established connection", last.Cut)
			}
		})
	}
}

func TestARuleIsFollowedFromTheMomentItIsMade(t *testing.T) {
	r := example(t)
	r.delete("rule", "listener")
	traffic, samples := r.watch()
	if traffic.Rules() != 0 {
		t.Fatalf("%d rules, want none", traffic.Rules())
	}
	r.make("rule", dnatType, r.in["rule"])
	r.make("listener", listenerType, r.in["listener"])
	if got := (*samples)[0].Unreached; len(got) != 1 || !strings.Contains(got[0], "no listener") {
		t.Errorf("a rule without its listener: %v", got)
	}
	if got := (*samples)[1].Unreached; len(got) != 0 {
		t.Errorf("with it: %v", got)
	}
}

func TestMovingARuleInPlaceCutsButNeverFails(t *testing.T) {
	r := example(t)
	r.second()
	_, samples := r.watch()
	r.update("rule", o{"backendInterfaceId": r.out["elb2"]["ipv4PortId"]})
	r.update("rule", o{"transitServicePort": 8080.0})
	for _, s := range *samples {
		if len(s.Unreached) != 0 || len(s.Cut) != 1 || len(s.Leaks) != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func TestARuleForAllPortsReachesWhatTheDestinationListensOn(t *testing.T) {
	r := example(t)
	r.update("rule", o{"protocol": "any", "transitServicePort": nil, "internalServicePort": nil})
	traffic, _ := r.watch()
	if s := traffic.Observe(); len(s.Unreached)+len(s.Cut)+len(s.Leaks) != 0 {
		t.Errorf("%+v", s)
	}
}

func TestASecurityGroupRuleThatDeniesWinsOverOneThatAllows(t *testing.T) {
	r := example(t)
	traffic, _ := r.watch()
	deny := o{
		"securityGroupId": r.id["group-b"], "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "ports": "79-81,443",
		"action": "deny", "priority": 1.0, "remoteIpPrefix": "10.0.0.0/24",
	}
	r.make("deny", groupRuleType, deny)
	if s := traffic.Observe(); len(s.Unreached) != 1 {
		t.Errorf("with a rule that denies: %+v", s)
	}
	r.delete("deny")
	deny["priority"] = 2.0
	r.make("deny", groupRuleType, deny)
	if s := traffic.Observe(); len(s.Unreached) != 0 {
		t.Errorf("with one of less weight: %+v", s)
	}
}

// Nobody documents which source a destination sees, so what it admits has to be right either way.
func TestAnInstanceAnswersARuleWhenItAdmitsTheSourceThatItSees(t *testing.T) {
	for _, c := range []struct {
		name   string
		hides  bool
		admits string
		says   string // empty if it answers
	}{
		{"the client, and admits the load balancers only", false, "", "do not admit 192.168.0.2 to port 22"},
		{"the client, and admits it", false, "192.168.0.0/16", ""},
		{"the client, and admits the gateway's subnet", false, "10.0.0.0/24", "do not admit 192.168.0.2 to port 22"},
		{"the gateway, and admits the client", true, "192.168.0.0/16", "do not admit 10.0.0.254 to port 22"},
		{"the gateway, and admits its subnet", true, "10.0.0.0/24", ""},
	} {
		r := exampleIn(t, huaweicloud.Options{HideClients: c.hides})
		if c.admits != "" {
			r.make("ssh", groupRuleType, o{
				"securityGroupId": r.id["group-b"], "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "ports": "22", "remoteIpPrefix": c.admits,
			})
		}
		port := r.out["ecs-b"]["networks"].([]any)[0].(o)["port"]
		r.update("rule", o{"backendInterfaceId": port, "transitServicePort": 2222.0, "internalServicePort": 22.0})
		traffic, _ := r.watch()
		said := strings.Join(traffic.Observe().Unreached, "\n")
		if (c.says == "") != (said == "") || !strings.Contains(said, c.says) {
			t.Errorf("it sees %s: %q, want %q", c.name, said, c.says)
		}
	}
}
