//go:build !linux

package kernel

import "errors"

// Outside needs the kernel of Linux.
func Outside(string) (string, error) { return "", errors.New("needs Linux") }
