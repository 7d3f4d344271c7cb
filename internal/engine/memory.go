package engine

import (
	"os"
	"runtime/debug"
	"sync"
)

// MemoryLimit is the memory, in bytes, that a process with a [Stack] uses before its garbage collector works harder, unless
// the environment variable GOMEMLIMIT says otherwise. It is a soft limit: what is in use is never refused.
//
// What the engine leaves behind (see [Stack]) is collected by nobody, and by default Go lets a heap grow to twice of what is
// in use: the rehearsal of the AWS setup with failures took 2.13 GB. With this limit it takes 1.26 GB and a tenth more CPU.
const MemoryLimit = 1200 << 20

var limitMemory = sync.OnceFunc(func() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(MemoryLimit)
	}
})
