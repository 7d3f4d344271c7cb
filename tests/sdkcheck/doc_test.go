// Package sdkcheck_test holds polynat against the Alibaba Cloud SDK: against
// the newest release that its users may bump to, which is not the one that
// go.mod pins, and against the schema that the simulated cloud checks inputs by.
//
// An SDK here is what the type checker sees of it. The pinned one is read from
// the module cache; a later one is the pinned one with the differences that
// testdata/<package>-<version>.json lists. Everything else that is imported
// comes from the compiler's export data, so a check costs no compilation
// beyond what building polynat costs anyway.
package sdkcheck_test
