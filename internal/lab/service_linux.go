package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NetworkService has a node's interface configured by systemd-networkd, the system's own program, as Amazon Linux 2023 has it done:
// the primary address and the default route come by DHCP, and the tool amazon-ec2-net-utils writes what it is to do besides. That
// tool is imitated here: once the node is online it gives the interface a file of its own, and then asks from time to time for
// the secondary addresses, writes those that it did not know, and has the service read its files again.
type NetworkService struct {
	// Dir is an empty folder for the files of the service. Those under etc outlive a reboot.
	Dir string
	// Answer is how long the DHCP server takes for each of its two answers.
	Answer time.Duration
	// First is the time from a boot to the first question for secondary addresses, Every that from one to the next: 30 s and 60 s
	// on Amazon Linux. Zero: it is asked by [Node.Refresh] alone.
	First, Every time.Duration
	// Secondary addresses of the interface, as instance metadata lists them.
	Secondary func() []netip.Addr
	// Log takes what the programs write; nil for nobody.
	Log io.Writer
}

// ErrNoNetworkService says that this machine has no systemd-networkd to run.
var ErrNoNetworkService = errors.New("there is no systemd-networkd (install the packages systemd and dbus-daemon)")

// Programs of the service.
const (
	networkd   = "/lib/systemd/systemd-networkd"
	networkctl = "networkctl"
	dbusDaemon = "dbus-daemon"
)

// NetworkServiceVersion is that of this machine's systemd-networkd, or [ErrNoNetworkService].
func NetworkServiceVersion() (string, error) {
	if _, err := os.Stat(networkd); err != nil {
		return "", ErrNoNetworkService
	}
	for _, name := range []string{networkctl, dbusDaemon} {
		if _, err := exec.LookPath(name); err != nil {
			return "", ErrNoNetworkService
		}
	}
	out, err := exec.Command(networkctl, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoNetworkService, err)
	}
	version, _, _ := strings.Cut(string(out), "\n")
	return version, nil
}

// service is what runs of it, from a boot to the next.
type service struct {
	NetworkService
	eth     end
	subnet  netip.Prefix
	address netip.Addr
	dhcp    *dhcp
	files   map[string]string
	life    context.Context // until the node stops
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	settled chan struct{} // closed when the interface has its file

	// mu guards what is below, and the use of the node's namespace, which goes after the service has stopped.
	mu sync.Mutex
	// known are the secondary addresses that the service was told, as they were written.
	known string
}

// bus is a system bus for whoever is in the namespace.
const bus = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow send_type="*"/><allow receive_type="*"/>
  </policy>
</busconfig>
`

// users: the service may keep the rights of whoever starts it, so that it is killed with the lab. The kernel forgets to for a program
// that has become another user.
const users = "root:x:0:0::/:/bin/sh\nsystemd-network:x:0:0::/:/bin/sh\n"

// start begins to configure the interface, with fresh files but those under etc.
func (n *Node) startService(o *NetworkService) (err error) {
	s := &service{NetworkService: *o, eth: n.eth, subnet: n.zone.Public, address: n.Address, settled: make(chan struct{})}
	if s.Log == nil {
		s.Log = io.Discard
	}
	if s.dhcp, err = n.lab.router.dhcp(n.port, s.subnet, s.address, s.Answer); err != nil {
		return err
	}
	s.life, s.cancel = context.WithCancel(context.Background())
	n.service = s
	if err := s.lay(); err != nil {
		return err
	}
	start := func(path string, args ...string) error {
		p, err := n.Namespace.Start(s.program(ProgramOptions{Path: path, Args: args}))
		if err == nil {
			n.programs = append(n.programs, p)
		}
		return err
	}
	daemon, err := exec.LookPath(dbusDaemon)
	if err == nil {
		err = start(daemon, "--config-file=/run/bus.conf", "--nofork", "--nopidfile")
	}
	if err == nil {
		err = s.await(s.life, "the system bus is there", func() bool {
			_, err := os.Stat(filepath.Join(s.Dir, "run/dbus/system_bus_socket"))
			return err == nil
		})
	}
	if err == nil {
		err = start(networkd)
	}
	if err != nil {
		return err
	}
	s.ended.Go(func() { s.run(s.life) })
	return nil
}

// servicePatience is how long the service may take on a busy machine for what takes it a second.
const servicePatience = 30 * time.Second

// ErrStopped says that a node does not run.
var ErrStopped = errors.New("is not running")

// await waits for a condition while the node runs.
func (s *service) await(ctx context.Context, what string, condition func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, servicePatience)
	defer cancel()
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for !condition() {
		select {
		case <-s.life.Done():
			return ErrStopped
		case <-ctx.Done():
			return fmt.Errorf("%s: not yet: %w", what, ctx.Err())
		case <-t.C:
		}
	}
	return nil
}

// lay makes the files of a system that has just booted.
func (s *service) lay() error {
	at := func(name string) string { return filepath.Join(s.Dir, name) }
	errs := []error{os.RemoveAll(at("run"))}
	for _, dir := range []string{"run/dbus", "run/systemd/network", "etc", "lib"} {
		errs = append(errs, os.MkdirAll(at(dir), 0o755))
	}
	for name, text := range map[string]string{
		"run/bus.conf": bus, "users": users, "machine-id": strings.ReplaceAll(s.eth.link.Attrs().HardwareAddr.String(), ":", "") + strings.Repeat("0", 20) + "\n",
		// What Amazon Linux brings, for this interface instead of those with its drivers.
		"lib/80-ec2.network": "[Match]\nMACAddress=" + s.eth.link.Attrs().HardwareAddr.String() + "\n\n[Link]\nMTUBytes=" + fmt.Sprint(jumbo) + "\n\n[Network]\nDHCP=yes\nIPv6DuplicateAddressDetection=0\nLLMNR=no\n\n" +
			"[DHCPv4]\nUseHostname=no\n",
	} {
		errs = append(errs, os.WriteFile(at(name), []byte(text), 0o644))
	}
	s.files = map[string]string{
		"/run": at("run"), "/etc/systemd/network": at("etc"), "/usr/lib/systemd/network": at("lib"),
		"/etc/machine-id": at("machine-id"), "/etc/passwd": at("users"),
	}
	return errors.Join(errs...)
}

func (s *service) program(o ProgramOptions) ProgramOptions {
	o.Env, o.Files, o.OwnSys, o.Stdout, o.Stderr = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, s.files, true, s.Log, s.Log
	return o
}

// stop ends what the lab itself does for the service; its programs are the node's.
func (s *service) stop() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.dhcp.close()
	s.ended.Wait()
}

// run is the tool: it gives the interface its file, and asks for addresses.
func (s *service) run(ctx context.Context) {
	s.note(s.setUp(ctx))
	close(s.settled)
	if s.First == 0 {
		return
	}
	timer := time.NewTimer(s.First)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		_, err := s.refresh(ctx)
		s.note(err)
		timer.Reset(s.Every)
	}
}

func (s *service) note(err error) {
	if err != nil && s.life.Err() == nil {
		fmt.Fprintf(s.Log, "network service: %v\n", err)
	}
}

// own is the interface's own file below a folder: settings are added in the folder that is called after it.
func (s *service) own(name string) string {
	return "70-" + s.eth.link.Attrs().Name + ".network" + name
}

// setUp gives the interface a file of its own, with a higher metric and routes of its own table, as every interface of a machine
// that may have several.
func (s *service) setUp(ctx context.Context) error {
	if err := s.await(ctx, "the interface is configured", s.online); err != nil {
		return err
	}
	dir := filepath.Join(s.Dir, "run/systemd/network")
	err := os.Symlink("/usr/lib/systemd/network/80-ec2.network", filepath.Join(dir, s.own("")))
	if err == nil {
		err = add(filepath.Join(dir, s.own(".d")), "eni.conf", fmt.Sprintf(
			"[Match]\nMACAddress=%s\n[Network]\nDHCP=yes\n[DHCPv4]\nRouteMetric=512\nUseRoutes=true\nUseGateway=true\n[IPv6AcceptRA]\nRouteMetric=512\nUseGateway=true\n"+
				"[Route]\nTable=10000\nGateway=_ipv6ra\n[Route]\nGateway=_dhcp4\nTable=10000\n[Route]\nTable=10000\nDestination=%s\n",
			s.eth.link.Attrs().HardwareAddr, s.subnet.Masked()))
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	_, err = s.alias()
	s.mu.Unlock()
	if err == nil {
		err = s.reload(ctx)
	}
	return err
}

// add writes a file into a folder of additions.
func add(dir, name, text string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
}

// refresh asks for the secondary addresses, and has the service told if they are others than before.
func (s *service) refresh(ctx context.Context) (changed bool, err error) {
	s.mu.Lock()
	changed, err = s.alias()
	s.mu.Unlock()
	if err != nil || !changed {
		return changed, err
	}
	return true, s.reload(ctx)
}

// alias writes the secondary addresses. mu is held.
func (s *service) alias() (changed bool, err error) {
	var text strings.Builder
	if s.Secondary != nil {
		for _, a := range s.Secondary() {
			fmt.Fprintf(&text, "[Address]\nAddress=%s\nAddPrefixRoute=false\n", host(a))
		}
	}
	if s.known == text.String() {
		return false, nil
	}
	s.known = text.String()
	dir := filepath.Join(s.Dir, "run/systemd/network", s.own(".d"))
	if s.known == "" {
		return true, os.Remove(filepath.Join(dir, "ec2net_alias.conf"))
	}
	return true, add(dir, "ec2net_alias.conf", s.known)
}

// reload has the service read its files, which have changed, and waits until it has configured the interface anew. It asks for the
// address again then, whether it keeps it meanwhile or not.
func (s *service) reload(ctx context.Context) error {
	before := s.dhcp.leases.Load()
	var out bytes.Buffer
	o := s.program(ProgramOptions{Path: networkctl, Args: []string{"reload"}})
	o.Stdout, o.Stderr = &out, &out
	p, err := s.start(o)
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
	case <-s.life.Done():
		p.Kill()
		return ErrStopped
	case <-ctx.Done():
		p.Kill()
		return ctx.Err()
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("networkctl reload: %w: %s", err, bytes.TrimSpace(out.Bytes()))
	}
	return s.await(ctx, "the interface is configured anew", func() bool { return s.dhcp.leases.Load() > before && s.online() })
}

// start runs a program on the node.
func (s *service) start(o ProgramOptions) (*Program, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return nil, ErrStopped
	}
	return s.eth.in.Start(o)
}

// online says that the interface has its address and a way out.
func (s *service) online() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return false
	}
	addresses, err := s.eth.in.links.AddrList(s.eth.link, unix.AF_INET)
	if err != nil {
		return false
	}
	routes, err := s.eth.in.links.RouteListFiltered(unix.AF_INET, &netlink.Route{LinkIndex: s.eth.index(), Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	if err != nil {
		return false
	}
	has, leaves := false, false
	for _, a := range addresses {
		has = has || a.IP.Equal(s.address.AsSlice())
	}
	for _, r := range routes {
		leaves = leaves || r.Gw != nil && (r.Dst == nil || r.Dst.IP.IsUnspecified())
	}
	return has && leaves
}

// running is the node's network service, nil where it has none.
func (n *Node) running() *service {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.service
}

// Online waits until the network service has configured the interface, in the file of its own. Without a service there is nothing to
// wait for.
func (n *Node) Online(ctx context.Context) error {
	s := n.running()
	if s == nil {
		return nil
	}
	select {
	case <-s.settled:
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.await(ctx, "the interface is configured", s.online)
}

// Connected says that the node has its primary address and a default route now.
func (n *Node) Connected() bool {
	s := n.running()
	return s == nil || s.online()
}

// ConfigureNetwork adds settings to those of the interface, as a program on the node does under /etc/systemd/network, has the service read
// them, and waits until the node is online again. The settings outlive a reboot.
func (n *Node) ConfigureNetwork(ctx context.Context, settings string) error {
	s := n.running()
	if s == nil {
		return nil
	}
	for _, file := range []string{s.own(""), "80-ec2.network"} {
		if err := add(filepath.Join(s.Dir, "etc", file+".d"), "polynat.conf", settings); err != nil {
			return err
		}
	}
	return s.reload(ctx)
}

// Refresh is the tool's next question for secondary addresses, now. It says whether they were others than before, in which case the
// interface has been configured anew.
func (n *Node) Refresh(ctx context.Context) (changed bool, err error) {
	s := n.running()
	if s == nil {
		return false, fmt.Errorf("node %s: has no network service, or %w", n.name, ErrStopped)
	}
	return s.refresh(ctx)
}

// LoseLeases has the DHCP server lose the next requests of the node.
func (n *Node) LoseLeases(requests int) {
	if s := n.running(); s != nil {
		s.dhcp.lose.Store(int32(requests))
	}
}
