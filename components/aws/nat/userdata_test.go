package nat_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"polynat/components/aws/nat"
	"polynat/internal/natzone"
)

// boot runs the user data of an instance in a directory of its own, with stand-ins for what it calls: each notes its call. It
// returns the calls and whether the script succeeded.
type boot struct {
	dir string
	// object is what S3 has; commands are stand-ins by name, beside those that only note their call.
	object   string
	commands map[string]string
}

// standIns note their call, and answer what the script asks.
const standIns = `#!/bin/bash
echo "$(basename "$0") $*" >>"$BOOT/calls"
case "$(basename "$0") $*" in
curl*instance-id) echo i-0123456789abcdef0 ;;
curl*mac) echo 02:00:00:00:00:01 ;;
curl*token) echo token ;;
aws\ s3api\ get-object*) cp "$BOOT/object" "${@: -1}" ;;
esac
`

func (b *boot) run(t *testing.T, script string) (calls string, ok bool) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash is installed to run the script with")
	}
	b.dir = t.TempDir()
	bin := filepath.Join(b.dir, "bin")
	for _, dir := range []string{bin, "run", "etc/systemd/system", "usr/local/bin", "sys/class/net/ens5", "sys/class/net/lo"} {
		if err := os.MkdirAll(filepath.Join(b.dir, strings.TrimPrefix(dir, b.dir)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(b.dir, "sys/class/net/ens5/address"), "02:00:00:00:00:01\n")
	write(filepath.Join(b.dir, "sys/class/net/lo/address"), "00:00:00:00:00:00\n")
	for _, name := range []string{"aws", "curl", "systemctl", "systemd-run", "sleep", "networkctl"} {
		write(filepath.Join(bin, name), standIns)
	}
	for name, text := range b.commands {
		write(filepath.Join(bin, name), text)
	}
	write(filepath.Join(b.dir, "object"), b.object)
	for _, root := range []string{"/etc/", "/run/", "/usr/local/bin/", "/sys/"} {
		script = strings.ReplaceAll(script, root, b.dir+root)
	}
	c := exec.Command(bash, "-s")
	c.Stdin = strings.NewReader(script)
	c.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "BOOT=" + b.dir}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err = c.Run()
	data, readErr := os.ReadFile(filepath.Join(b.dir, "calls"))
	if readErr != nil && !os.IsNotExist(readErr) {
		t.Fatal(readErr)
	}
	t.Logf("the script said:\n%s", &out)
	return string(data), err == nil
}

// agent is what stands in for natd, in the object and on the instance.
const agent = "#!/bin/sh\nexit 0\n"

// bootScript is user data for a natd that is that script.
func bootScript(t *testing.T, natd string, change func(*nat.Args)) string {
	t.Helper()
	args := newArgs("a")
	args.Artefacts.Natd = filepath.Join(t.TempDir(), "natd")
	if err := os.WriteFile(args.Artefacts.Natd, []byte(natd), 0o755); err != nil {
		t.Fatal(err)
	}
	change(args)
	return script(t, run(t, args), "eu-west-1a")
}

const abandoned = "--instance-id i-0123456789abcdef0 --lifecycle-action-result ABANDON"

func TestAnInstanceBootsIntoTheAgent(t *testing.T) {
	b := &boot{object: agent}
	calls, ok := b.run(t, bootScript(t, agent, same))
	if !ok || !strings.Contains(calls, "systemctl enable --now natd.service") || strings.Contains(calls, "ABANDON") {
		t.Errorf("succeeded %v, calls:\n%s", ok, calls)
	}
	for path, want := range map[string]string{"etc/polynat/natd.json": `"zone": "eu-west-1a"`, "etc/systemd/system/natd.service": "Restart=always", "usr/local/bin/natd": agent} {
		data, err := os.ReadFile(filepath.Join(b.dir, path))
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s: %v, %.60q; want %q", path, err, data, want)
		}
	}
}

func TestTheNetworkServiceIsToldToKeepItsLeaseBeforeTheAgentServes(t *testing.T) {
	b := &boot{object: agent}
	calls, _ := b.run(t, bootScript(t, agent, same))
	reload, natd := strings.Index(calls, "networkctl reload"), strings.Index(calls, "natd.service")
	if reload < 0 || reload > natd {
		t.Errorf("calls:\n%s", calls)
	}
	written, err := filepath.Glob(filepath.Join(b.dir, "etc/systemd/network/*/*"))
	if err != nil || len(written) != 2 {
		t.Fatalf("%v, %q: want a file for the interface and one for what Amazon Linux brings", err, written)
	}
	for i, name := range []string{"70-ens5", "80-ec2"} {
		data, err := os.ReadFile(written[i])
		if err != nil || string(data) != natzone.NetworkSettings+"\n" || !strings.HasSuffix(written[i], name+".network.d/polynat.conf") {
			t.Errorf("%s: %v, %q", written[i], err, data)
		}
	}
}

func TestAnAgentThatIsNotWhatWasDeployedNeverRuns(t *testing.T) {
	calls, ok := (&boot{object: "another"}).run(t, bootScript(t, agent, same))
	if ok || !strings.Contains(calls, abandoned) || strings.Contains(calls, "systemctl") {
		t.Errorf("succeeded %v, calls:\n%s", ok, calls)
	}
	if n := strings.Count(calls, "get-object"); n != 30 {
		t.Errorf("it was fetched %d times, want 30", n)
	}
}

func TestABootThatFailsIsGivenUp(t *testing.T) {
	for name, b := range map[string]*boot{
		"systemd": {object: agent, commands: map[string]string{"systemctl": "#!/bin/sh\nexit 1\n"}},
		"S3":      {object: agent, commands: map[string]string{"aws": "#!/bin/bash\necho \"aws $*\" >>\"$BOOT/calls\"\n[ \"$1\" = autoscaling ]\n"}},
	} {
		if calls, ok := b.run(t, bootScript(t, agent, same)); ok || !strings.Contains(calls, abandoned) {
			t.Errorf("%s: succeeded %v, calls:\n%s", name, ok, calls)
		}
	}
	refusing := "#!/bin/sh\nexit 2\n"
	if calls, ok := (&boot{object: refusing}).run(t, bootScript(t, refusing, same)); ok || !strings.Contains(calls, abandoned) {
		t.Errorf("a configuration that natd refuses: succeeded %v, calls:\n%s", ok, calls)
	}
}

func TestWhatIsOptionalNeverStopsTheAgent(t *testing.T) {
	b := &boot{object: agent, commands: map[string]string{"systemd-run": "#!/bin/sh\nexit 1\n", "networkctl": "#!/bin/sh\nexit 1\n"}}
	calls, ok := b.run(t, bootScript(t, agent, func(a *nat.Args) {
		a.Instance = nat.Instance{CloudWatchAgent: true, Before: "exit 3", After: `echo "after ran" >>"$BOOT/calls"; false`}
	}))
	if !ok || !strings.Contains(calls, "natd.service") || !strings.Contains(calls, "after ran") || strings.Contains(calls, "ABANDON") {
		t.Errorf("succeeded %v, calls:\n%s", ok, calls)
	}
}

func TestCommandsOfTheUserRunInTheirOrder(t *testing.T) {
	note := func(what string) string { return fmt.Sprintf(`echo %s >>"$BOOT/calls"`, what) }
	calls, _ := (&boot{object: agent}).run(t, bootScript(t, agent, func(a *nat.Args) { a.Instance = nat.Instance{Before: note("BEFORE"), After: note("AFTER")} }))
	before, natd, after := strings.Index(calls, "BEFORE"), strings.Index(calls, "natd.service"), strings.Index(calls, "AFTER")
	if before < 0 || before > natd || natd > after {
		t.Errorf("calls:\n%s", calls)
	}
}
