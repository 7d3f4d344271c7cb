package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ProgramOptions say what to run in a namespace.
type ProgramOptions struct {
	Path string
	Args []string
	// Env is the whole environment.
	Env []string
	// Files that the program sees instead of the system's: paths there to paths here. What it sees has to exist.
	Files map[string]string
	// OwnSys has it see the devices of its namespace alone, under /sys, and no more than see: as in a container, where no udev is
	// asked what it knows of them.
	OwnSys         bool
	Stdout, Stderr io.Writer
}

// Program runs in a namespace. It is killed when this process ends, however it does.
type Program struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start runs a program inside the namespace.
func (n *Namespace) Start(o ProgramOptions) (*Program, error) {
	p := &Program{cmd: exec.Command(o.Path, o.Args...), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = o.Env, o.Stdout, o.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := n.spawn(p.cmd, o.Files, o.OwnSys); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

// Spawn starts a prepared command inside the namespace, which the caller has to wait for. It sees files in place of
// others, as [ProgramOptions] says, and is killed when this process ends.
func (n *Namespace) Spawn(cmd *exec.Cmd, files map[string]string) error {
	return n.spawn(cmd, files, false)
}

func (n *Namespace) spawn(cmd *exec.Cmd, files map[string]string, sys bool) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error, 1)
	go func() {
		// The thread belongs to the program: the kernel kills the child when the thread that started it ends, and the
		// thread's mounts are the child's. It is not unlocked, so that nobody else runs on it.
		runtime.LockOSThread()
		err := errors.Join(netns.Set(n.ns), private(files, sys))
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			err = fmt.Errorf("start %s in %s: %w", cmd.Path, n.name, err)
		}
		started <- err
		for waiting := err == nil; waiting; {
			// Until it has ended, which whoever called for it is to hear.
			err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
			waiting = errors.Is(err, unix.EINTR)
		}
	}()
	return <-started
}

// private gives the thread mounts of its own, with files in place of others, and perhaps its own /sys.
func private(files map[string]string, sys bool) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare mounts", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	for there, here := range files {
		if err := unix.Mount(here, there, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s as %s: %w", here, there, err)
		}
	}
	if !sys {
		return nil
	}
	return os.NewSyscallError("mount /sys", unix.Mount("sysfs", "/sys", "sysfs", unix.MS_RDONLY, ""))
}

// Done is closed when the program has ended.
func (p *Program) Done() <-chan struct{} { return p.done }

// Err is how the program ended; valid after Done.
func (p *Program) Err() error { return p.err }

// PID of the program.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal to the program and all that it started.
func (p *Program) Signal(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// stopPatience is how long a stop may take to reach every thread of a program on a busy machine.
const stopPatience = 5 * time.Second

// Stop freezes the program until it gets SIGCONT, and returns when no thread of it runs: until the kernel has told them all,
// others would go on.
func (p *Program) Stop() error {
	p.Signal(syscall.SIGSTOP)
	for begin := time.Now(); ; {
		select {
		case <-p.done:
			return nil
		default:
		}
		if p.stopped() {
			return nil
		}
		if time.Since(begin) > stopPatience {
			return fmt.Errorf("%s: still runs %s after it was stopped", p.cmd.Path, stopPatience)
		}
		time.Sleep(time.Millisecond)
	}
}

// stopped says that every thread is.
func (p *Program) stopped() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.PID()))
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, path := range threads {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that has ended
		}
		// <pid> (<name>) <state> …, where the name may hold anything.
		_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
		if !strings.HasPrefix(rest, "T") {
			return false
		}
	}
	return true
}

// Kill ends the program and waits until it is gone.
func (p *Program) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// MaxMemory is the most memory that the program held at once, in bytes; valid after Done.
func (p *Program) MaxMemory() int64 {
	if usage, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss * 1024
	}
	return 0
}
