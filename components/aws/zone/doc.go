// Package zone makes one availability zone of a component: first, by [New], what never moves (the zone's address, its standby
// gateway, the routes), then, by [Zone.Launch], the Auto Scaling group whose one instance claims address and routes.
//
// A route is made to the standby gateway and from then on belongs to the programs that run in the zone: Pulumi ignores where
// it points, so that no update takes it from a working instance, and deletes it with the zone. Without a standby gateway it
// is made to a network interface that nothing is attached to, until the first instance claims it; so that there, too, the
// route is Pulumi's to delete, and no black hole stays behind.
//
// The zone's address is an Elastic IP bound to a secondary private address that is reserved in the public subnet: it moves
// from instance to instance with that address.
package zone
