package contract

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

const requireMoto = "POLYNAT_REQUIRE_MOTO"

var listening = regexp.MustCompile(`Running on (http://\S+)`)

// startMoto runs moto_server until the test ends and returns its address.
func startMoto(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		if os.Getenv(requireMoto) != "" {
			t.Fatalf("%s is set: %v", requireMoto, err)
		}
		t.Skipf("needs moto, which is not installed: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, path, "-H", "127.0.0.1", "-p", "0")
	// A shim may leave the server behind when it is killed; an interrupt is handed on.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	address := ""
	for address == "" && lines.Scan() {
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			address = found[1]
		}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() { // or it would block when the pipe is full
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-drained
		_ = cmd.Wait() // it was interrupted
	})
	if address == "" {
		t.Fatal("moto_server did not say where it listens")
	}
	return address
}

// motoWorld makes the world by calls, after moto has forgotten the last one.
func motoWorld(t *testing.T, address string) *world {
	t.Helper()
	response, err := http.Post(address+"/moto-api/reset", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	w := connect(t, address)
	w.putHook = func(name, transition string) error {
		_, err := w.autoscaling.PutLifecycleHook(t.Context(), &autoscaling.PutLifecycleHookInput{
			AutoScalingGroupName: &w.groups[0], LifecycleHookName: &name, LifecycleTransition: &transition,
		})
		return err
	}
	if err := w.build(t.Context()); err != nil {
		t.Fatalf("build the world in moto: %v", err)
	}
	return w
}

func (w *world) build(ctx context.Context) error {
	vpc, err := w.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	if err != nil {
		return err
	}
	w.vpc = *vpc.Vpc.VpcId
	for cidr, id := range map[string]*string{"10.0.1.0/24": &w.publicSubnet, "10.0.2.0/24": &w.privateSubnet} {
		subnet, err := w.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: &w.vpc, CidrBlock: aws.String(cidr), AvailabilityZone: aws.String(zone)})
		if err != nil {
			return err
		}
		*id = *subnet.Subnet.SubnetId
	}
	for at := range w.tables {
		table, err := w.ec2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: &w.vpc})
		if err != nil {
			return err
		}
		w.tables[at] = *table.RouteTable.RouteTableId
	}
	if _, err := w.ec2.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: &w.tables[0], SubnetId: &w.privateSubnet}); err != nil {
		return err
	}
	if err := w.buildGateway(ctx); err != nil {
		return err
	}
	topic, err := w.sns.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("contract")})
	if err != nil {
		return err
	}
	w.topic = *topic.TopicArn
	if err := w.buildGroups(ctx); err != nil {
		return err
	}
	return w.find(ctx)
}

func (w *world) buildGateway(ctx context.Context) error {
	var allocations [2]string
	for at := range allocations {
		address, err := w.ec2.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: ec2types.DomainTypeVpc})
		if err != nil {
			return err
		}
		allocations[at] = *address.AllocationId
	}
	gateway, err := w.ec2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: &w.publicSubnet, AllocationId: &allocations[0]})
	if err != nil {
		return err
	}
	w.gateway, w.allocation = *gateway.NatGateway.NatGatewayId, allocations[1]
	return nil
}

func (w *world) buildGroups(ctx context.Context) error {
	template, err := w.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("contract"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: aws.String("ami-12c6146b"), InstanceType: ec2types.InstanceTypeT4gSmall},
	})
	if err != nil {
		return err
	}
	for at := range w.groups {
		w.groups[at] = fmt.Sprintf("contract-%d", at)
		if _, err := w.autoscaling.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
			AutoScalingGroupName: &w.groups[at], MinSize: aws.Int32(1), MaxSize: aws.Int32(1), VPCZoneIdentifier: &w.publicSubnet,
			LaunchTemplate: &autoscalingtypes.LaunchTemplateSpecification{LaunchTemplateId: template.LaunchTemplate.LaunchTemplateId},
			Tags:           []autoscalingtypes.Tag{{Key: aws.String(tagName), Value: aws.String(tagValue), PropagateAtLaunch: aws.Bool(true)}},
		}); err != nil {
			return err
		}
	}
	return nil
}
