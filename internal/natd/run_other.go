//go:build !linux

package natd

import (
	"context"
	"errors"
)

// Run needs the kernel of Linux.
func Run(context.Context, Options) error { return errors.New("natd: needs Linux") }
