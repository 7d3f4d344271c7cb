package failover

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"polynat/internal/natzone"
)

// proberDocument is the prober's configuration. Where the zone's traffic may leave from is known once its addresses are.
func (b *builder) proberDocument(zone string, z Zone) pulumi.StringOutput {
	a := b.args
	document := natzone.Prober{
		Version: natzone.Version, Name: a.Name, Zone: zone, Targets: a.Targets, Identity: a.Identity, Detection: a.Detection,
		Health: healthURL(z.Address), MetricNamespace: natzone.MetricNamespace,
	}
	return pulumix.Cast[pulumi.StringOutput](pulumix.ApplyErr(z.Egress.ToStringArrayOutput(), func(egress []string) (string, error) {
		return withEgress(document, egress)
	}))
}

func withEgress(document natzone.Prober, egress []string) (string, error) {
	for _, text := range egress {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return "", fmt.Errorf("zone %s: address that traffic leaves from: %w", document.Zone, err)
		}
		document.Egress = append(document.Egress, address)
	}
	if err := document.Check(); err != nil {
		return "", fmt.Errorf("configuration of the prober of %s: %w", document.Zone, err)
	}
	return variable(document.Zone, document)
}

// controllerDocument is the controller's configuration.
func (b *builder) controllerDocument(zone string, z Zone) pulumi.StringOutput {
	a := b.args
	document := natzone.Controller{
		Version: natzone.Version, Name: a.Name, Zone: zone, Region: a.Account.Region, Destinations: z.Destinations,
		Group: z.Names.Group(), TerminateHook: natzone.TerminateHook, Targets: a.Targets,
		ProberFunction: z.Names.Prober(), StateParameter: z.Names.StateParameter(),
		MetricNamespace: natzone.MetricNamespace, Healing: a.Healing, Hold: a.Hold,
	}
	return pulumix.Cast[pulumi.StringOutput](pulumix.Apply3Err(
		z.RouteTables.ToStringArrayOutput(), z.Standby.ToStringOutput(), b.component.AlertTopicARN,
		func(tables []string, standby, topic string) (string, error) {
			document.RouteTables, document.Standby, document.AlertTopic = tables, standby, topic
			return variable(zone, document)
		},
	))
}

// environment is how large all variables of a function may be together, their names included.
const environment = 4096

// variable is a document as the value of a variable, the only one of its function.
func variable(zone string, document any) (string, error) {
	text, err := json.Marshal(document)
	if len(text)+len(natzone.ControllerVariable) > environment {
		return "", fmt.Errorf("zone %s: its route tables and targets make %d bytes of configuration: Lambda takes %d (give fewer, or shorter ones)", zone, len(text), environment)
	}
	return string(text), err
}

// healthURL is where the agent of the zone answers.
func healthURL(a netip.Addr) string {
	return "http://" + net.JoinHostPort(a.String(), strconv.Itoa(natzone.HealthPort)) + "/health"
}
