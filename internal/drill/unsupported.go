package drill

import "errors"

// ErrUnsupported says that no drill can be held on this machine.
var ErrUnsupported = errors.New("drills need Linux and root")
