package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Numbers of linux/ethtool.h.
const (
	ethtoolDriverInfo = 0x03
	ethtoolStrings    = 0x1b
	ethtoolStats      = 0x1d
	stringSetStats    = 1
	stringLength      = 32
)

// allowances is the sum of the counters by which the driver of the Elastic Network Adapter tells what the instance type did not
// allow: bandwidth, packets, connections and packets to AWS's own services. 0 with other drivers.
func allowances(device string) (uint64, error) {
	stats, err := driverStats(device)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPERM) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("statistics of the driver of %s: %w", device, err)
	}
	var sum uint64
	for name, value := range stats {
		if strings.HasSuffix(name, "_allowance_exceeded") {
			sum += value
		}
	}
	return sum, nil
}

// driverStats are the counters of a network driver by name, as "ethtool -S" lists them.
func driverStats(device string) (map[string]uint64, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	// struct ethtool_drvinfo: cmd, then text, and the number of counters at 180 of 196 bytes.
	info := make([]byte, 196)
	binary.NativeEndian.PutUint32(info, ethtoolDriverInfo)
	if err := ethtool(fd, device, info); err != nil {
		return nil, err
	}
	count := int(binary.NativeEndian.Uint32(info[180:]))
	// struct ethtool_gstrings: cmd, set, length; struct ethtool_stats: cmd, length.
	names := make([]byte, 12+count*stringLength)
	binary.NativeEndian.PutUint32(names, ethtoolStrings)
	binary.NativeEndian.PutUint32(names[4:], stringSetStats)
	binary.NativeEndian.PutUint32(names[8:], uint32(count))
	values := make([]byte, 8+count*8)
	binary.NativeEndian.PutUint32(values, ethtoolStats)
	binary.NativeEndian.PutUint32(values[4:], uint32(count))
	if err := errors.Join(ethtool(fd, device, names), ethtool(fd, device, values)); err != nil {
		return nil, err
	}
	stats := make(map[string]uint64, count)
	for i := range count {
		name, _, _ := bytes.Cut(names[12+i*stringLength:12+(i+1)*stringLength], []byte{0})
		stats[string(name)] = binary.NativeEndian.Uint64(values[8+i*8:])
	}
	return stats, nil
}

// ethtool makes one request, whose answer replaces it.
func ethtool(fd int, device string, request []byte) error {
	var ifreq struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the union is larger than a pointer
	}
	copy(ifreq.name[:unix.IFNAMSIZ-1], device)
	ifreq.data = unsafe.Pointer(&request[0])
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifreq)))
	runtime.KeepAlive(request)
	if errno != 0 {
		return errno
	}
	return nil
}
