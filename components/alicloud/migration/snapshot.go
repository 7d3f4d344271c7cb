package migration

import (
	"net/netip"
	"slices"

	"polynat/internal/migration"
	"polynat/internal/route"
)

// Snapshot is the network around the migration as the last update has found it: what the stack's own resources do not
// say. It lets a rehearsal begin from an exported stack.
type Snapshot struct {
	VPCID      string            `json:"vpcId"`
	RouterID   string            `json:"routerId"`
	CIDRs      []string          `json:"cidrs"`
	VSwitches  []SnapshotVSwitch `json:"vswitches"`
	Tables     []SnapshotTable   `json:"tables"`
	OldNextHop SnapshotHop       `json:"oldNextHop"`
	// Zones are those that offer enhanced NAT.
	Zones []string `json:"zones"`
}

// SnapshotVSwitch is a vSwitch and the table that routes it.
type SnapshotVSwitch struct {
	ID    string `json:"id"`
	CIDR  string `json:"cidr"`
	Zone  string `json:"zone"`
	Table string `json:"table"`
}

// SnapshotTable is a route table with the custom entries that are not the migration's.
type SnapshotTable struct {
	ID     string          `json:"id"`
	System bool            `json:"system"`
	Routes []SnapshotRoute `json:"routes"`
}

// SnapshotRoute is an entry of a table.
type SnapshotRoute struct {
	CIDR string `json:"cidr"`
	Type string `json:"type"`
	ID   string `json:"id"`
}

// SnapshotHop is the old next hop and how it was doing.
type SnapshotHop struct {
	Type      string   `json:"type"`
	ID        string   `json:"id"`
	Instances []string `json:"instances"`
	Running   bool     `json:"running"`
	Bandwidth int      `json:"bandwidth"`
	Addresses []string `json:"addresses"`
}

// snapshot is nil while there is no network.
func (d *decision) snapshot() *Snapshot {
	found, spec := d.survey, d.plan.Spec()
	if found == nil {
		return nil
	}
	s := &Snapshot{
		VPCID: found.VPC.ID, RouterID: found.VPC.RouterID, Zones: found.Zones,
		OldNextHop: SnapshotHop{
			Type: spec.Old.Type, ID: spec.Old.ID, Instances: spec.Old.Instances,
			Running: found.Old.Running, Bandwidth: found.Old.Bandwidth, Addresses: found.Old.Addresses,
		},
	}
	for _, cidr := range found.VPC.CIDRs {
		s.CIDRs = append(s.CIDRs, cidr.String())
	}
	for _, v := range found.VSwitches {
		s.VSwitches = append(s.VSwitches, SnapshotVSwitch{v.ID, v.CIDR.String(), v.Zone, v.Table})
	}
	for _, t := range found.Tables {
		table := SnapshotTable{ID: t.ID, System: t.System, Routes: []SnapshotRoute{}}
		for _, r := range t.Routes {
			if !r.System && r.CIDR.IsValid() && !ours(r, spec, slices.Contains(d.plan.TableIDs(), t.ID)) {
				table.Routes = append(table.Routes, SnapshotRoute{r.CIDR.String(), r.Hop.Type, r.Hop.ID})
			}
		}
		s.Tables = append(s.Tables, table)
	}
	return s
}

// ours tells entries that the migration makes and deletes: the state knows them better than a lookup before an update.
func ours(r migration.Route, spec migration.Spec, migrated bool) bool {
	isOurs := func(cidr netip.Prefix) bool { return cidr == route.Default() || slices.Contains(route.Blocks(), cidr) }
	return migrated && isOurs(r.CIDR) && (r.Hop == spec.Old.Hop || r.Hop.Type == migration.HopNATGateway)
}
