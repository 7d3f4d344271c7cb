package privatenat_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"polynat/components/huaweicloud/network"
	"polynat/components/huaweicloud/privatenat"
	"polynat/sdks/huaweicloud"
	"polynat/tests/recorder"
)

const (
	prefix   = "huaweicloud:index/"
	dnatRule = prefix + "natPrivateDnatRule:NatPrivateDnatRule"
	snatRule = prefix + "natPrivateSnatRule:NatPrivateSnatRule"
)

func newArgs() *privatenat.Args {
	return &privatenat.Args{
		Gateway: privatenat.Gateway{Name: "private_nat_gateway", VPCID: pulumi.String("vpc-b"), VPCCIDR: "10.0.0.0/16", SubnetID: pulumi.String("net-b")},
		Networks: map[string]network.Network{
			"app":   {VPC: network.VPC{Name: "VPC-A", CIDR: "192.168.0.0/16"}, Subnet: network.Subnet{Name: "subnet-A01", CIDR: "192.168.0.0/24"}},
			"other": {VPC: network.VPC{ID: "vpc-c", CIDR: "192.168.0.0/16"}, Subnet: network.Subnet{ID: "net-c", CIDR: "192.168.7.0/24"}},
		},
		TransitIPs: map[string]privatenat.TransitIP{"main": {Network: "app"}, "fixed": {Network: "other", Address: "192.168.7.9"}, "out": {Network: "app"}, "away": {Network: "other"}},
		Targets: map[string]privatenat.Target{
			"elb":  {Type: privatenat.LoadBalancer, PortID: pulumi.String("port-elb"), Listeners: map[string]privatenat.Listener{"web": {Protocol: "HTTP", Port: 80}}},
			"tls":  {Type: privatenat.LoadBalancer, PortID: pulumi.String("port-tls"), Listeners: map[string]privatenat.Listener{"web": {Protocol: "HTTPS", Port: 443}}},
			"vm":   {Type: privatenat.Instance, PortID: pulumi.String("port-vm")},
			"vip":  {Type: privatenat.VirtualIP, PortID: pulumi.String("port-vip")},
			"bare": {Type: privatenat.Address, Address: "10.0.0.77"},
		},
		Rules: map[string]privatenat.Rule{
			"web":   {TransitIP: "main", Target: "elb", Protocol: "TCP", Port: 8080, TargetPort: 80, Description: "the shop"},
			"tls":   {TransitIP: "main", Target: "tls", Protocol: "tcp", Port: 443, TargetPort: 443},
			"dns":   {TransitIP: "main", Target: "vip", Protocol: "Udp", Port: 53, TargetPort: 5353},
			"ssh":   {TransitIP: "main", Target: "vm", Protocol: "tcp", Port: 22, TargetPort: 22},
			"whole": {TransitIP: "fixed", Target: "bare", Protocol: "any"},
		},
		SNATRules: map[string]privatenat.SNATRule{
			"reports": {TransitIP: "out"}, "batch": {TransitIP: "away", CIDR: "10.0.1.0/24"}, "rest": {TransitIP: "away", SubnetID: "net-d"},
		},
		Tags: map[string]string{"team": "network"},
	}
}

func program(args *privatenat.Args) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		mine := *args
		for name, field := range map[string]**huaweicloud.Provider{"service": &mine.Provider, "consumer": &mine.ConsumerProvider} {
			provider, err := huaweicloud.NewProvider(ctx, name, &huaweicloud.ProviderArgs{Region: pulumi.String("cn-north-4")})
			if err != nil {
				return err
			}
			*field = provider
		}
		_, err := privatenat.New(ctx, "nat", &mine)
		return err
	}
}

// A program that embeds the component may run where the state cannot be read. It goes on, and takes nothing over.
func TestAStateThatCannotBeReadIsInNobodysWay(t *testing.T) {
	wanted := newArgs().Rules["ssh"]
	for takes, unreadable := range map[string]error{"": errors.New("not supported by this backend"), "theirs": nil} {
		made := run(t, newArgs(), recorder.Options{Unreadable: unreadable, Invoke: func(token string, args map[string]any) (map[string]any, error) {
			switch {
			case strings.HasSuffix(token, "getNatPrivateGateways") && unreadable != nil:
				return map[string]any{"gateways": []any{map[string]any{"id": "other", "name": "private_nat_gateway", "subnetId": "net-b"}}}, nil
			case strings.HasSuffix(token, "getNatPrivateDnatRules"):
				return map[string]any{"rules": []any{map[string]any{
					"id": "theirs", "gatewayId": args["gatewayId"], "transitIpId": "nat-transit-main.id", "protocol": "tcp", "backendInterfaceId": "port-vm",
					"transitServicePort": strconv.Itoa(wanted.Port), "internalServicePort": strconv.Itoa(wanted.TargetPort),
				}}}, nil
			}
			return map[string]any{}, nil
		}})
		if got := made.Named(dnatRule)["nat-rule-ssh"].ImportID; got != takes {
			t.Errorf("state %v: takes over %q, want %q", unreadable, got, takes)
		}
	}
}

func run(t *testing.T, args *privatenat.Args, o recorder.Options) *recorder.Recording {
	t.Helper()
	made, err := recorder.Run(program(args), o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestTheComponentFollowsTheRules(t *testing.T) {
	args := newArgs()
	made := run(t, args, recorder.Options{})
	made.Check(t)
	preview := run(t, args, recorder.Options{DryRun: true})
	if diff := cmp.Diff(made.URNs(), preview.URNs()); diff != "" {
		t.Errorf("a preview registers other names (-update +preview):\n%s", diff)
	}
	var text strings.Builder
	for _, o := range made.Objects {
		if strings.HasPrefix(o.Type, prefix) {
			fmt.Fprintf(&text, "%s %s\n", o.Name, o.Type)
		}
	}
	recorder.GoldenText(t, "children", text.String(), "names are API: one that goes is deleted, one that comes is created")
}

func TestEachSideHasItsProvider(t *testing.T) {
	consumer := []string{"vpc", "vpcSubnet", "natPrivateTransitIp"}
	for _, o := range run(t, newArgs(), recorder.Options{}).Objects {
		kind, _, _ := strings.Cut(strings.TrimPrefix(o.Type, prefix), ":")
		want := "::service::"
		if slices.Contains(consumer, kind) {
			want = "::consumer::"
		}
		if strings.HasPrefix(o.Type, prefix) && !strings.Contains(o.Provider, want) {
			t.Errorf("%s: provider %s, want %s", o.Name, o.Provider, want)
		}
	}
}

func TestWithoutAProviderOfItsOwnTheSideOfTheApplicationsUsesTheOther(t *testing.T) {
	made, err := recorder.Run(func(ctx *pulumi.Context) (err error) {
		args := newArgs()
		if args.Provider, err = huaweicloud.NewProvider(ctx, "one", nil); err == nil {
			_, err = privatenat.New(ctx, "nat", args)
		}
		return err
	}, recorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	made.Check(t)
}

func TestPortsAndProtocolsAreSpelledAsTheAPISpellsThem(t *testing.T) {
	rules := run(t, newArgs(), recorder.Options{}).Named(dnatRule)
	for name, want := range map[string]map[string]any{
		"web":   {"protocol": "tcp", "transitServicePort": 8080.0, "internalServicePort": 80.0, "backendInterfaceId": "port-elb", "description": "the shop", "transitIpId": "nat-transit-main.id"},
		"tls":   {"protocol": "tcp", "transitServicePort": 443.0, "internalServicePort": 443.0, "backendInterfaceId": "port-tls", "transitIpId": "nat-transit-main.id"},
		"dns":   {"protocol": "udp", "transitServicePort": 53.0, "internalServicePort": 5353.0, "backendInterfaceId": "port-vip", "transitIpId": "nat-transit-main.id"},
		"ssh":   {"protocol": "tcp", "transitServicePort": 22.0, "internalServicePort": 22.0, "backendInterfaceId": "port-vm", "transitIpId": "nat-transit-main.id"},
		"whole": {"protocol": "any", "backendPrivateIp": "10.0.0.77", "transitIpId": "nat-transit-fixed.id"},
	} {
		want["gatewayId"] = "nat-gateway.id"
		if diff := cmp.Diff(want, rules["nat-rule-"+name].Inputs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSNATRulesTakeASubnetOrACIDR(t *testing.T) {
	rules := run(t, newArgs(), recorder.Options{}).Named(snatRule)
	for name, want := range map[string]map[string]any{
		"reports": {"subnetId": "net-b", "transitIpId": "nat-transit-out.id"},
		"batch":   {"cidr": "10.0.1.0/24", "transitIpId": "nat-transit-away.id"},
		"rest":    {"subnetId": "net-d", "transitIpId": "nat-transit-away.id"},
	} {
		want["gatewayId"] = "nat-gateway.id"
		if diff := cmp.Diff(want, rules["nat-snat-"+name].Inputs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatCannotStandBesideItsSuccessorIsDeletedFirst(t *testing.T) {
	first := map[string]bool{"vpcSubnet": true, "natPrivateDnatRule": true, "natPrivateSnatRule": true}
	for _, o := range run(t, newArgs(), recorder.Options{}).Objects {
		kind, _, _ := strings.Cut(strings.TrimPrefix(o.Type, prefix), ":")
		if o.Custom && o.DeleteBeforeReplace != first[kind] {
			t.Errorf("%s: deleteBeforeReplace is %v", o.Name, o.DeleteBeforeReplace)
		}
	}
}

func TestARuleComesAfterWhatAnswersAtItsTarget(t *testing.T) {
	made, err := recorder.Run(func(ctx *pulumi.Context) error {
		args := newArgs()
		provider, err := huaweicloud.NewProvider(ctx, "service", nil)
		if err != nil {
			return err
		}
		listener, err := huaweicloud.NewElbListener(ctx, "listener", &huaweicloud.ElbListenerArgs{
			LoadbalancerId: pulumi.String("elb"), Protocol: pulumi.String("HTTP"),
		}, pulumi.Provider(provider))
		if err != nil {
			return err
		}
		target := args.Targets["elb"]
		target.Ready, args.Provider = []pulumi.Resource{listener}, provider
		args.Targets["elb"] = target
		_, err = privatenat.New(ctx, "nat", args)
		return err
	}, recorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	listener := made.Named(prefix + "elbListener:ElbListener")["listener"].URN
	for name, o := range made.Named(dnatRule) {
		if got, want := slices.Contains(o.Dependencies, listener), name == "nat-rule-web"; got != want {
			t.Errorf("%s: waits for the listener: %v, want %v", name, got, want)
		}
	}
}

func TestTheOutputsSayWhereATargetIsReachedAndHowToTryIt(t *testing.T) {
	got := map[string]map[string]string{"urls": {}, "checks": {}}
	args := newArgs()
	_, err := recorder.Run(func(ctx *pulumi.Context) (err error) {
		if args.Provider, err = huaweicloud.NewProvider(ctx, "one", nil); err != nil {
			return err
		}
		n, err := privatenat.New(ctx, "nat", args)
		if err != nil {
			return err
		}
		n.URLs.ApplyT(func(m map[string]string) string { maps.Copy(got["urls"], m); return "" })
		n.Checks.ApplyT(func(m map[string]string) string { maps.Copy(got["checks"], m); return "" })
		return nil
	}, recorder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const at = "nat-transit-main.ipAddress"
	want := map[string]map[string]string{
		"urls": {
			"web": "http://" + at + ":8080/", "tls": "https://" + at + ":443/", "dns": "udp://" + at + ":53", "ssh": "tcp://" + at + ":22", "whole": "any://192.168.7.9",
		},
		"checks": {
			"web":   "curl --fail --silent --show-error --max-time 5 http://" + at + ":8080/",
			"tls":   "curl --fail --silent --show-error --max-time 5 --insecure https://" + at + ":443/",
			"dns":   "nc -z -u -w 5 " + at + " 53",
			"ssh":   "nc -z -w 5 " + at + " 22",
			"whole": "ping -c 1 -W 5 192.168.7.9",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Maps have no order to shuffle; that they are walked in order shows in the order of what is registered.
func TestTheGraphIsTheSameAtEveryRun(t *testing.T) {
	want := run(t, newArgs(), recorder.Options{})
	for range 10 {
		recorder.SameGraph(t, want, run(t, newArgs(), recorder.Options{}))
	}
}

func TestWithoutOneRuleTheOthersKeepTheirNamesAndInputs(t *testing.T) {
	args := newArgs()
	before := run(t, args, recorder.Options{})
	delete(args.Rules, "dns")
	run(t, args, recorder.Options{}).Keeps(t, before, 1) // the rule
}

func TestAFailureAtAnyRegistrationFailsTheUpdate(t *testing.T) {
	recorder.FailsAnywhere(t, program(newArgs()), recorder.Options{})
}

func TestWithoutProviderNothingIsRegistered(t *testing.T) {
	made, err := recorder.Run(func(ctx *pulumi.Context) error {
		_, err := privatenat.New(ctx, "nat", newArgs())
		return err
	}, recorder.Options{})
	if want := "provider: is missing (make one with huaweicloud.NewProvider and a region)"; err == nil || !strings.Contains(err.Error(), want) || len(made.Objects) > 0 {
		t.Errorf("error %v, %d objects; want %s", err, len(made.Objects), want)
	}
}

func TestAGatewayWithoutVPCOrSubnetIsRefused(t *testing.T) {
	args := newArgs()
	args.Gateway = privatenat.Gateway{VPCCIDR: "10.0.0.0/16"}
	err := args.Validate("x")
	for _, want := range []string{"gateway.vpcId: is missing", "gateway.subnetId: is missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// An automatic address could be the one that another is to have.
func TestTransitIPsWithAFixedAddressComeFirst(t *testing.T) {
	transits := run(t, newArgs(), recorder.Options{}).Named(prefix + "natPrivateTransitIp:NatPrivateTransitIp")
	for name, o := range transits {
		if got, want := slices.Contains(o.Dependencies, transits["nat-transit-fixed"].URN), name != "nat-transit-fixed"; got != want {
			t.Errorf("%s waits for the fixed one: %v, want %v", name, got, want)
		}
	}
}

func TestTheCheckOfARuleTriesTheListenerThatItLeadsTo(t *testing.T) {
	listeners := map[string]privatenat.Listener{"a": {Protocol: "HTTPS", Port: 443}, "b": {Protocol: "QUIC", Port: 443}, "c": {Protocol: "HTTP", Port: 80}}
	for _, c := range []struct {
		rule       privatenat.Rule
		url, check string
	}{
		{privatenat.Rule{Protocol: "udp", Port: 8443, TargetPort: 443}, "udp://%s:8443", "nc -z -u -w 5 %s 8443"},
		{privatenat.Rule{Protocol: "tcp", Port: 8443, TargetPort: 443}, "https://%s:8443/", "curl --fail --silent --show-error --max-time 5 --insecure https://%s:8443/"},
		{privatenat.Rule{Protocol: "any"}, "https://%s:443/", "curl --fail --silent --show-error --max-time 5 --insecure https://%s:443/"},
	} {
		url, check := c.rule.Reached(privatenat.Target{Type: privatenat.LoadBalancer, Listeners: listeners})
		if url != c.url || check != c.check {
			t.Errorf("%+v: %s and %s, want %s and %s", c.rule, url, check, c.url, c.check)
		}
	}
}

func TestNamesThatTheCloudRefusesAreRefusedAsTheyWouldBe(t *testing.T) {
	for name, wants := range map[string][]string{
		"private.nat":           {"gateway.name"},
		strings.Repeat("n", 65): {"gateway.name", "networks.app.vpc.name"},
	} {
		args := newArgs()
		args.Gateway.Name = ""
		app := args.Networks["app"]
		app.VPC.Name = ""
		args.Networks["app"] = app
		made, err := recorder.Run(func(ctx *pulumi.Context) (err error) {
			if args.Provider, err = huaweicloud.NewProvider(ctx, "one", nil); err != nil {
				return err
			}
			_, err = privatenat.New(ctx, name, args)
			return err
		}, recorder.Options{})
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want+`: "`+name) {
				t.Errorf("%s: error %v, want %s", name, err, want)
			}
		}
		if len(made.Objects) > 1 {
			t.Errorf("%s: %d objects", name, len(made.Objects))
		}
	}
}
