//go:build unix

package lambdaruntime

import "syscall"

func (p *osProcess) freeze() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) } // an ended process needs none
func (p *osProcess) thaw()   { _ = p.cmd.Process.Signal(syscall.SIGCONT) }
