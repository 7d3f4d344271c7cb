//go:build !linux

package nat64

import (
	"context"
	"errors"
)

// Run needs the TUN device of Linux.
func Run(context.Context, Config) error { return errors.New("NAT64: needs Linux") }
