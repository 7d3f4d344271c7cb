// Package attach runs the stock Pulumi CLI on a program in this process, attached to the simulated clouds.
package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"

	"polynat/internal/launch"
	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
	"polynat/internal/sim/aws"
	"polynat/internal/sim/huaweicloud"
)

// Options of a run.
type Options struct {
	// Dir holds Pulumi.yaml; the playground is made below it, in .polynat.
	Dir string
	// Program makes the program for the keys of a stack's configuration.
	Program func(keys []string) pulumi.RunFunc
	// Args are those of pulumi.
	Args []string
	// Stack is made and selected when the playground is new; empty means dev.
	Stack string
	// CLI is the pulumi to run; empty means what POLYNAT_PULUMI_CLI names, or the one on the PATH.
	CLI string
	// Stdout and Stderr are those of pulumi; nil means this process's, with its standard input and its terminal.
	Stdout, Stderr io.Writer
	// Observe, if set, is called after each operation of a provider, never twice at the same time.
	Observe func(sim.Operation)
}

func (o Options) stack() string {
	if o.Stack == "" {
		return "dev"
	}
	return o.Stack
}

// savedCloud is a simulated cloud that a playground keeps.
type savedCloud interface {
	sim.Cloud
	Save() ([]byte, error)
	Load([]byte) error
}

// clouds are those that the playground has, each in a file. The zones of AWS are named after its region, which is the one that
// the stack's file gives its provider.
var clouds = []struct {
	file   string
	schema *sim.Schema
	empty  func(region string) savedCloud
}{
	{"aws.json", aws.Schema(), func(region string) savedCloud { return aws.New(aws.Options{Region: region}) }},
	{"cloud.json", alicloud.Schema(), func(string) savedCloud { return alicloud.New(alicloud.Options{}) }},
	{"huaweicloud.json", huaweicloud.Schema(), func(string) savedCloud { return huaweicloud.New(huaweicloud.Options{}) }},
}

// forbidden are the arguments by which pulumi would leave the playground.
var forbidden = map[string]string{
	"login":  "the playground has a backend of its own",
	"logout": "the playground has a backend of its own",
	"-C":     "pulumi runs in the playground",
	"--cwd":  "pulumi runs in the playground",
}

// Run runs pulumi and waits for it. Its exit status is an *exec.ExitError.
func Run(ctx context.Context, o Options) error {
	if err := allowed(o.Args); err != nil {
		return err
	}
	cli, err := findCLI(o.CLI)
	if err != nil {
		return err
	}
	p, err := openPlayground(o.Dir)
	if err != nil {
		return err
	}
	notes := io.Writer(os.Stderr)
	if o.Stderr != nil {
		notes = o.Stderr
	}
	if err := p.follow(o.Dir, notes); err != nil {
		return err
	}
	region, err := p.region(o.stack())
	if err != nil {
		return err
	}
	served, err := serve(p.root, region, o.Observe)
	if err != nil {
		return err
	}
	defer served.stop()
	language, stop, err := launch.ServeLanguage(o.Program)
	if err != nil {
		return err
	}
	defer stop()
	run := func(args []string, stdout, stderr io.Writer) error {
		c := exec.CommandContext(ctx, cli, args...)
		c.Dir, c.Env = p.project, p.environment(strings.Join(served.attached, ","), language)
		c.Stdin, c.Stdout, c.Stderr = os.Stdin, stdout, stderr
		return c.Run()
	}
	if p.fresh {
		var said strings.Builder
		if err := run([]string{"stack", "init", "--non-interactive", o.stack()}, &said, &said); err != nil {
			return errors.Join(fmt.Errorf("make stack %s in the playground: %w\n%s", o.stack(), err, said.String()), os.RemoveAll(p.root))
		}
	}
	stdout, stderr := o.Stdout, o.Stderr
	if stdout == nil && stderr == nil {
		fmt.Fprintln(os.Stderr, "polynat: a simulated cloud, on a copy of the stack files in", p.project)
		// The CLI has the terminal: an interrupt reaches it as well, and this process waits for what it does about it.
		stdout, stderr = os.Stdout, os.Stderr
		ctx = context.WithoutCancel(ctx)
	}
	return errors.Join(run(o.Args, stdout, stderr), served.err())
}

// served are the simulated clouds of the playground while pulumi runs.
type served struct {
	attached []string // as PULUMI_DEBUG_PROVIDERS takes them
	stops    []func()

	mu     sync.Mutex // guards failed, and lets one operation at a time be observed
	failed error
}

// serve loads the clouds of the playground and serves them. Each is saved after every operation, so that the playground survives what a
// real cloud survives.
func serve(root, region string, observe func(sim.Operation)) (*served, error) {
	s := &served{}
	for _, c := range clouds {
		cloud, path := c.empty(region), filepath.Join(root, c.file)
		if err := load(cloud, path); err != nil {
			s.stop()
			return nil, err
		}
		server := sim.NewServer(c.schema, cloud)
		server.Observe = func(op sim.Operation) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.failed = errors.Join(s.failed, save(cloud, path))
			if observe != nil {
				observe(op)
			}
		}
		port, stop, err := launch.ServeProvider(server)
		if err != nil {
			s.stop()
			return nil, err
		}
		s.stops = append(s.stops, stop)
		s.attached = append(s.attached, fmt.Sprintf("%s:%d", server.Plugin(), port))
	}
	return s, nil
}

func (s *served) stop() {
	for _, stop := range s.stops {
		stop()
	}
}

// err is why a cloud could not be saved.
func (s *served) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// allowed refuses arguments by which pulumi would leave the playground.
func allowed(args []string) error {
	for _, arg := range args {
		if strings.HasPrefix(arg, "-C") {
			arg = "-C"
		}
		if strings.Contains(arg, "://") {
			return fmt.Errorf("pulumi %s: is not possible here: the playground has a program of its own (leave the address out)", arg)
		}
		if reason, ok := forbidden[strings.SplitN(arg, "=", 2)[0]]; ok {
			return fmt.Errorf("pulumi %s: is not possible here: %s (leave it out)", arg, reason)
		}
	}
	return nil
}

func findCLI(named string) (string, error) {
	if named == "" {
		named = os.Getenv("POLYNAT_PULUMI_CLI")
	}
	if named == "" {
		named = "pulumi"
	}
	path, err := exec.LookPath(named)
	if err != nil {
		return "", fmt.Errorf("the stock Pulumi CLI: %w (install Pulumi, or name its executable in POLYNAT_PULUMI_CLI; `polynat rehearse` needs neither)", err)
	}
	return filepath.Abs(path)
}

// Project is the name of the project whose program is run.
const Project = "polynat"

// playground is the folder in which pulumi runs.
type playground struct {
	root, project string
	fresh         bool
}

// openPlayground makes the folder at its first use.
func openPlayground(dir string) (*playground, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(dir, ".polynat")
	p := &playground{root: root, project: filepath.Join(root, "project")}
	if _, err := os.Stat(p.statePath()); err == nil {
		return p, nil
	}
	p.fresh = true
	for _, d := range []string{p.project, p.takenPath(), p.statePath(), p.homePath()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "Pulumi*.yaml"))
	if err != nil || !slices.Contains(files, filepath.Join(dir, "Pulumi.yaml")) {
		return nil, errors.Join(err, os.RemoveAll(root), fmt.Errorf("%s: has no Pulumi.yaml (run this where it is)", dir))
	}
	if project, err := workspace.LoadProject(filepath.Join(dir, "Pulumi.yaml")); err != nil || project.Name != Project {
		return nil, errors.Join(err, os.RemoveAll(root), fmt.Errorf("%s: is not the project %s, whose program would run here (run this in a checkout of polynat)", dir, Project))
	}
	return p, nil
}

// region is aws:region of a stack of the playground; empty without one.
func (p *playground) region(stack string) (string, error) {
	text, err := os.ReadFile(filepath.Join(p.project, "Pulumi."+stack+".yaml"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	var file struct{ Config map[string]any }
	if err == nil {
		err = yaml.Unmarshal(text, &file)
	}
	region, _ := file.Config["aws:region"].(string)
	return region, err
}

func (p *playground) takenPath() string { return filepath.Join(p.root, "taken") }
func (p *playground) statePath() string { return filepath.Join(p.root, "state") }
func (p *playground) homePath() string  { return filepath.Join(p.root, "home") }

// load makes a cloud what the last operation left, if there was one.
func load(cloud savedCloud, path string) error {
	saved, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = cloud.Load(saved)
	}
	return err
}

func save(cloud savedCloud, path string) error {
	state, err := cloud.Save()
	if err != nil {
		return err
	}
	// Renaming is what leaves either the old or the new state when the process dies.
	next := path + ".new"
	if err := os.WriteFile(next, state, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// passed are the variables that pulumi may see of this environment: none that holds a credential or names a backend.
var passed = []string{"PATH", "TERM", "COLORTERM", "NO_COLOR", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "COLUMNS", "LINES", "TMPDIR"}

// environment is all that pulumi gets to see.
func (p *playground) environment(providers string, language int) []string {
	var env []string
	for _, name := range passed {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env,
		"HOME="+p.homePath(),
		"PULUMI_HOME="+p.homePath(),
		"PULUMI_BACKEND_URL=file://"+p.statePath(),
		"PULUMI_CONFIG_PASSPHRASE=",
		"PULUMI_SKIP_UPDATE_CHECK=true",
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true",
		"PULUMI_DEBUG_PROVIDERS="+providers,
		fmt.Sprintf("PULUMI_DEBUG_LANGUAGES=go:%d", language),
	)
}
