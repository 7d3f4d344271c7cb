package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// setting is one value under /proc/sys.
type setting struct {
	path, value string
	// least means that a larger value is right too.
	least bool
	// only is the one value that is replaced; any other is right.
	only string
	// optional means that clients are served without it: it is the host's in a network namespace of its own.
	optional bool
}

// settings of a configuration, in the order in which they are written: turning forwarding on resets others.
func settings(c Config, memory uint64) []setting {
	device := func(name, key string) string { return "net/ipv4/conf/" + name + "/" + key }
	limit := strconv.Itoa(c.MaxConnections)
	if c.MaxConnections == 0 {
		limit = strconv.FormatUint(ConnectionLimit(memory), 10)
	}
	list := []setting{
		{path: "net/ipv4/ip_forward", value: "1"},
		// Clients and Internet are behind one interface, so the kernel would tell clients of a shorter way, which AWS does not allow.
		{path: device("all", "send_redirects"), value: "0"},
		{path: device(c.Outside, "send_redirects"), value: "0"},
		{path: device("all", "accept_redirects"), value: "0"},
		{path: device(c.Outside, "accept_redirects"), value: "0"},
		// Strict reverse-path filtering drops what comes in by another interface than its answer leaves by: an instance with several.
		// The larger value of "all" and the interface counts, so 2 (loose) on the interface lifts 1 on either.
		{path: device(c.Outside, "rp_filter"), value: "2"},
		// A packet out of the window is translated nevertheless: when a path moves, packets arrive late and out of order.
		{path: "net/netfilter/nf_conntrack_tcp_be_liberal", value: "1"},
		// Mid-stream packets are new connections, so that the rules decide on them.
		{path: "net/netfilter/nf_conntrack_tcp_loose", value: "1"},
		{path: "net/netfilter/nf_conntrack_buckets", value: limit, least: true, optional: true},
		{path: "net/netfilter/nf_conntrack_max", value: limit, optional: true},
	}
	for _, timeout := range []struct {
		name  string
		value time.Duration
	}{{"tcp_timeout_established", c.EstablishedTimeout}, {"udp_timeout", c.UDPTimeout}, {"udp_timeout_stream", c.UDPStreamTimeout}} {
		if timeout.value > 0 {
			list = append(list, setting{path: "net/netfilter/nf_conntrack_" + timeout.name, value: strconv.Itoa(int(timeout.value / time.Second))})
		}
	}
	if c.IPv6 {
		list = append(list,
			setting{path: "net/ipv6/conf/all/forwarding", value: "1"},
			// A kernel that forwards does not listen to routers any more, from whom it has its default route, unless it is told to.
			// systemd-networkd listens itself, and has the kernel's listening off.
			setting{path: "net/ipv6/conf/" + c.Outside + "/accept_ra", value: "2", only: "1"})
	}
	return list
}

// ConnectionLimit for a memory of that many bytes: a tracked connection takes about 320 bytes, and a bucket 8, so that a full
// table of one entry per 4 KiB takes a twelfth of the memory. At least what the kernel gives a machine with 1 GiB, at most
// 8 Mi entries: security groups track fewer on any instance type (SGCT in AWS's documentation; the number is not published).
func ConnectionLimit(memory uint64) uint64 { return min(max(memory/4096, 65536), 8<<20) }

func memory() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return info.Totalram * uint64(info.Unit)
}

func (k *Kernel) applySettings(c Config, r *Report) error {
	var failures []error
	for _, s := range settings(c, memory()) {
		changed, err := s.apply()
		switch {
		case err != nil && s.optional:
			r.Tolerated = append(r.Tolerated, err.Error())
		case err != nil:
			failures = append(failures, err)
		case changed != "":
			r.Changed = append(r.Changed, changed)
		}
	}
	return errors.Join(failures...)
}

func (s setting) apply() (string, error) {
	file := filepath.Join("/proc/sys", s.path)
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.path, err)
	}
	have := strings.TrimSpace(string(data))
	if have == s.value || s.only != "" && have != s.only || s.least && atLeast(have, s.value) {
		return "", nil
	}
	if err := os.WriteFile(file, []byte(s.value), 0); err != nil {
		reason := err
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
			reason = fmt.Errorf("stays %s instead of %s (it is not writable in this network namespace): %w", have, s.value, err)
		}
		return "", fmt.Errorf("%s: %w", s.path, reason)
	}
	return fmt.Sprintf("%s: %s -> %s", s.path, have, s.value), nil
}

func atLeast(have, want string) bool {
	h, errH := strconv.ParseUint(have, 10, 64)
	w, errW := strconv.ParseUint(want, 10, 64)
	return errH == nil && errW == nil && h >= w
}
