// Package huaweicloud simulates what Huawei Cloud's control plane does to VPCs, dedicated load balancers, instances and
// private NAT gateways, and follows connections through them.
//
// The objects of the state are spelled as the provider spells its properties, so that a property bag is an object in JSON.
// Each kind of object has its rules in one place: what is refused when it is made, changed and removed. Where the vendor's
// documentation is silent the simulation takes the stricter reading: a load balancer, a subnet or a pool that something
// still uses stays, a name is held against the API's pattern, and an address that is taken is taken.
package huaweicloud
