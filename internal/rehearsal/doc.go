// Package rehearsal walks a Pulumi program through the steps of a setup, on the real engine and a simulated cloud, and
// reports what would have been lost on the way.
//
// After every single change of the simulated cloud, new connections are tried, the established ones are looked after, and
// the question of the setup is asked: on Alibaba Cloud every destination for its next hop, on Huawei Cloud what applications
// reach through the rules of a private NAT gateway, and what else, which must be nothing. Beside what happened, each step is held against what might have
// happened: its deletions alone, as if its creations had failed or come late, and each of its operations failing once.
//
// Nothing here knows a backend, a credential or a network: the engine runs in this process, the provider is the
// simulation.
package rehearsal
