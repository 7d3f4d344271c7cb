package lambdaruntime

import (
	"bufio"
	"bytes"
	"crypto/rand"
	enchex "encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// process is the running code of an environment.
type process interface {
	// exited is closed when the process has ended and everything it wrote is logged; then exitError says how.
	exited() <-chan struct{}
	exitError() error
	kill()
	// freeze stops it until thaw, as Lambda does between two invocations.
	freeze()
	thaw()
	// maxMemory is its peak resident memory in bytes; 0 if unknown.
	maxMemory() int64
}

// exec starts the bootstrap of a function with the environment that Lambda gives it.
func (s *Service) exec(f *function, runtimeAPI string) (process, error) {
	f.mu.Lock()
	f.started++
	stream := fmt.Sprintf("%s/[$LATEST]%032x", time.Now().UTC().Format("2006/01/02"), f.started)
	f.mu.Unlock()

	cmd := exec.Command(f.Bootstrap)
	cmd.Env = s.environ(f, runtimeAPI, stream)
	log := &lines{each: func(line string) { s.options.Log(f.Name, line) }}
	cmd.Stdout, cmd.Stderr = log, log
	// A grandchild that keeps the output open must not keep the environment alive.
	cmd.WaitDelay = time.Second
	if err := f.Start(cmd); err != nil {
		return nil, fmt.Errorf("start of %s: %w", f.Bootstrap, err)
	}
	p := &osProcess{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		log.flush()
		close(p.done)
	}()
	return p, nil
}

// environ are the reserved variables of a custom runtime, and the function's own after them.
func (s *Service) environ(f *function, runtimeAPI, stream string) []string {
	env := []string{
		"AWS_DEFAULT_REGION=" + s.options.Region,
		"AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(f.MemoryMB),
		"AWS_LAMBDA_FUNCTION_NAME=" + f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/" + f.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME=" + stream,
		"AWS_LAMBDA_RUNTIME_API=" + runtimeAPI,
		"AWS_REGION=" + s.options.Region,
		"HOME=/tmp",
		"LANG=en_US.UTF-8",
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"TZ=:UTC",
		"_HANDLER=bootstrap",
	}
	for k, v := range f.Env {
		env = append(env, k+"="+v)
	}
	return env
}

type osProcess struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // set before done is closed
}

func (p *osProcess) exited() <-chan struct{} { return p.done }
func (p *osProcess) exitError() error        { return p.err }
func (p *osProcess) kill()                   { _ = p.cmd.Process.Kill() } // an ended process needs none

func (p *osProcess) maxMemory() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for scanner := bufio.NewScanner(bytes.NewReader(status)); scanner.Scan(); {
		if value, ok := strings.CutPrefix(scanner.Text(), "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// lines is a writer that hands on whole lines.
type lines struct {
	each func(string)

	mu   sync.Mutex
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.each(string(line))
		l.rest = rest
	}
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.each(string(l.rest))
		l.rest = nil
	}
}

// hex are n random bytes.
func hex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return enchex.EncodeToString(b)
}
