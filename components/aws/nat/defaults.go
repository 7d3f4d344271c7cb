package nat

import (
	"time"

	"polynat/components/aws/zone"
	"polynat/internal/natzone"
)

// DefaultTargets are what operators of large networks serve for connectivity checks: near everywhere, answered in a few bytes
// and without encryption, and independent of each other. By name and by address, so that a DNS failure shows as one.
func DefaultTargets() []string {
	return []string{"http://www.gstatic.com/generate_204", "http://www.msftconnecttest.com/connecttest.txt", "http://1.1.1.1/"}
}

// DefaultIdentity are services that answer with the caller's address.
func DefaultIdentity() []string {
	return []string{"https://checkip.amazonaws.com/", "https://api.ipify.org/"}
}

const (
	defaultType               = "t4g.small"
	defaultVolume             = 8 // GiB, the size of the image
	defaultLaunchHeartbeat    = 10 * time.Minute
	defaultTerminateHeartbeat = 5 * time.Minute
	defaultRetention          = 30 // days
	// image is the standard Amazon Linux 2023: the minimal one has no SSM agent.
	image = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-"
)

func (i Instance) types() []string {
	if len(i.Types) == 0 {
		return []string{defaultType}
	}
	return i.Types
}

// imageID is one, or where EC2 finds it at each launch.
func (i Instance) imageID(architecture string) string {
	switch {
	case i.ImageID != "":
		return i.ImageID
	case i.ImageParameter != "":
		return "resolve:ssm:" + i.ImageParameter
	}
	return "resolve:ssm:" + image + architecture
}

func (i Instance) tuning() natzone.Tuning {
	if i.Tuning == nil {
		return natzone.DefaultTuning()
	}
	return *i.Tuning
}

// tracking of EC2: a little longer than natd's, so that natd, which tells both ends, is the one that closes. EC2's default for TCP is
// five days, or with the newest types 350 s whatever natd's is.
func (i Instance) tracking() *zone.Tracking {
	seconds := func(natd time.Duration) int { return int((natd + natzone.TrackingMargin) / time.Second) }
	return &zone.Tracking{
		TCPEstablished: min(seconds(time.Duration(i.tuning().EstablishedTimeout)), 432000), UDP: seconds(natzone.UDPTimeout), UDPStream: seconds(natzone.UDPStreamTimeout),
	}
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

func (f Failover) targets() []string {
	if len(f.Targets) == 0 {
		return DefaultTargets()
	}
	return f.Targets
}

func (f Failover) identity() []string {
	if len(f.Identity) == 0 {
		return DefaultIdentity()
	}
	return f.Identity
}

func (f Failover) detection() natzone.Detection {
	switch {
	case f.Detection != nil:
		return *f.Detection
	case f.Economy:
		return natzone.EconomyDetection()
	}
	return natzone.DefaultDetection()
}

func (f Failover) healing() natzone.Healing {
	if f.Healing == nil {
		return natzone.DefaultHealing()
	}
	return *f.Healing
}

func (f Failover) restore() natzone.Restore {
	if f.Restore == nil {
		return natzone.DefaultRestore()
	}
	return *f.Restore
}

func (a *Args) standby() StandbyMode { return or(a.Standby, PerZone) }

// ownAddresses are how many Elastic IPs are made.
func (a *Args) ownAddresses() (n int) {
	for _, z := range a.Zones {
		if z.AllocationID == "" {
			n++
		}
		if a.standby() == PerZone && z.Standby.AllocationID == "" {
			n++
		}
	}
	if a.standby() == Shared && a.SharedStandby.AllocationID == "" {
		n++
	}
	return n
}

func given(id, publicIP string) *zone.GivenAddress {
	if id == "" {
		return nil
	}
	return &zone.GivenAddress{AllocationID: id, PublicIP: publicIP}
}
