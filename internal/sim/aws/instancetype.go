package aws

import "strings"

// instanceType is what EC2 says of a type.
type instanceType struct {
	Architecture string // "arm64" or "x86_64"
	VCPUs        int
	Memory       int // MiB
	Interfaces   int
	Addresses    int // IPv4 addresses per interface
	Burstable    bool
	Performance  string // network performance, as EC2 words it
}

// size is what the sizes of current general types have in common.
type size struct {
	name                         string
	vcpus, interfaces, addresses int
}

// sizes of the families without the burstable ones. Interfaces and addresses are those of the tables that
// aws/karpenter-provider-aws generates from DescribeInstanceTypes.
var sizes = []size{
	{"medium", 1, 2, 4}, {"large", 2, 3, 10}, {"xlarge", 4, 4, 15}, {"2xlarge", 8, 4, 15},
	{"4xlarge", 16, 8, 30}, {"8xlarge", 32, 8, 30}, {"12xlarge", 48, 8, 30}, {"16xlarge", 64, 15, 50},
}

// family of types: the memory for each vCPU, and whether it begins at medium (Graviton) or at large.
type family struct {
	name, architecture string
	memory             int // MiB per vCPU
}

var families = []family{
	{"c6g", "arm64", 2048}, {"c6gn", "arm64", 2048}, {"c7g", "arm64", 2048}, {"c7gn", "arm64", 2048}, {"c8g", "arm64", 2048}, {"c8gn", "arm64", 2048},
	{"m6g", "arm64", 4096}, {"m7g", "arm64", 4096}, {"m8g", "arm64", 4096}, {"r6g", "arm64", 8192}, {"r7g", "arm64", 8192},
	{"c5", "x86_64", 2048}, {"c5n", "x86_64", 2688}, {"c6i", "x86_64", 2048}, {"c6in", "x86_64", 2048}, {"c6a", "x86_64", 2048}, {"c7i", "x86_64", 2048}, {"c7a", "x86_64", 2048},
	{"m5", "x86_64", 4096}, {"m6i", "x86_64", 4096}, {"m6a", "x86_64", 4096}, {"m7i", "x86_64", 4096}, {"m7a", "x86_64", 4096}, {"r6in", "x86_64", 8192},
}

var instanceTypes = buildTypes()

func buildTypes() map[string]instanceType {
	types := map[string]instanceType{}
	for _, f := range families {
		for _, z := range sizes {
			if z.name == "medium" && f.architecture != "arm64" && f.name != "c7a" && f.name != "m7a" {
				continue
			}
			types[f.name+"."+z.name] = instanceType{f.architecture, z.vcpus, z.vcpus * f.memory, z.interfaces, z.addresses, false, "Up to 12.5 Gigabit"}
		}
	}
	burstable := []struct {
		size
		memory int
	}{
		{size{"nano", 2, 2, 2}, 512}, {size{"micro", 2, 2, 2}, 1024}, {size{"small", 2, 3, 4}, 2048}, {size{"medium", 2, 3, 6}, 4096},
		{size{"large", 2, 3, 12}, 8192}, {size{"xlarge", 4, 4, 15}, 16384}, {size{"2xlarge", 8, 4, 15}, 32768},
	}
	for _, name := range []string{"t4g", "t3", "t3a"} {
		architecture := "x86_64"
		if strings.HasSuffix(name, "g") {
			architecture = "arm64"
		}
		for _, z := range burstable {
			types[name+"."+z.name] = instanceType{architecture, z.vcpus, z.memory, z.interfaces, z.addresses, true, "Up to 5 Gigabit"}
		}
	}
	return types
}
