package stacks

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	alicloud "polynat/components/alicloud/migration"
	"polynat/components/aws/nat"
	"polynat/components/huaweicloud/privatenat"
	"polynat/internal/problem"
	"polynat/internal/stackfile"
	"polynat/internal/stackoutputs"
)

// Namespace of the configuration keys; it is the name of the project.
const Namespace = "polynat"

// Setup is one kind of network that a stack may hold.
type Setup struct {
	// Name is the configuration key within Namespace, the namespace of the provider's keys, and the name of the stack output.
	Name string
	// Block is the zero value of what the block is decoded into: its tags are the keys. Nil if it takes none.
	Block any
	// ProviderKeys are the keys of the provider's namespace that the setup passes on.
	ProviderKeys []string
	// Check finds everything that is wrong with what is given, without looking at the cloud. Nil if there is nothing to check.
	Check func(given Given) error
	// KnownBy are the outputs by which it knows its resources again in the state of the stack; nil if it does not look for them.
	KnownBy []string
	// Run registers the setup, once no Check refuses. It returns what to export, nil for nothing.
	Run func(ctx *pulumi.Context, given Given) (pulumi.Map, error)
}

// Given is everything that a setup knows before it looks at the cloud.
type Given struct {
	Project, Stack string
	// Block is its block of the configuration, nil when that is absent.
	Block map[string]any
	// Provider are the keys of its provider that are set, without their namespace.
	Provider map[string]string
	// Last is what the setup exported when the stack was last updated, nil when it has not been.
	Last map[string]any
}

// Setups is the table of everything that polynat can deploy.
func Setups() []Setup {
	return []Setup{
		{Name: "aws", Block: awsConfig{}, ProviderKeys: awsProviderKeys(), Check: checkAWS, KnownBy: nat.KnownBy(), Run: runAWS},
		{Name: "alicloud", Block: alicloudConfig{}, ProviderKeys: alicloudProviderKeys(), Check: checkAlicloud, KnownBy: alicloud.KnownBy(), Run: runAlicloud},
		{Name: "huaweicloud", Block: huaweicloudConfig{}, ProviderKeys: huaweicloudProviderKeys(), Check: checkHuaweicloud, KnownBy: privatenat.KnownBy(), Run: runHuaweicloud},
	}
}

// Stack is what the program gets to see of a stack.
type Stack struct {
	Project, Name string
	// Config by full key.
	Config map[string]string
	// Last are the outputs of the last update, nil before the first.
	Last map[string]any
}

// Program is the Pulumi program: it runs every setup of the table, once [Check] refuses nothing. keys are all configuration keys of the
// stack, with their namespaces, so that a misspelled one is found; nil skips that check. Problems come with their lines in the file of
// the stack, where the configuration is from that.
func Program(setups []Setup, keys []string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		file := stackfile.Read(ctx.RootDirectory(), ctx.Project(), ctx.Stack())
		return file.Locate(program(ctx, setups, keys, file.Misplaced(ctx.GetConfig, ours(setups))), ctx.GetConfig)
	}
}

// program runs the setups unless one is refused, or something is wrong already.
func program(ctx *pulumi.Context, setups []Setup, keys []string, wrong problem.List) error {
	last, err := stackoutputs.Last(ctx)
	if err != nil {
		return err
	}
	stack := Stack{Project: ctx.Project(), Name: ctx.Stack(), Config: map[string]string{}, Last: last}
	for _, key := range append(known(setups), keys...) {
		if value, ok := ctx.GetConfig(key); ok {
			stack.Config[key] = value
		}
	}
	given, err := check(setups, stack)
	if err := append(wrong, err).Err(); err != nil {
		return err
	}
	if known := knownBy(setups, given); len(known) > 0 {
		if ctx, err = stackoutputs.Remember(ctx, known...); err != nil {
			return err
		}
	}
	for i, s := range setups {
		outputs, err := s.Run(ctx, given[i])
		if err != nil {
			return err
		}
		if outputs != nil {
			ctx.Export(s.Name, outputs)
		}
	}
	return nil
}

// Check finds everything that is wrong with a stack without looking at a cloud: what a preview refuses before it has looked anything
// up, in the same words.
func Check(setups []Setup, stack Stack) error {
	_, err := check(setups, stack)
	return err
}

// check returns what is given to each of the setups.
func check(setups []Setup, stack Stack) ([]Given, error) {
	problems := []error{checkKeys(setups, slices.Collect(maps.Keys(stack.Config)))}
	given := make([]Given, len(setups))
	for i, s := range setups {
		g := Given{Project: stack.Project, Stack: stack.Name, Provider: map[string]string{}}
		for _, key := range s.ProviderKeys {
			if value, ok := stack.Config[s.Name+":"+key]; ok {
				g.Provider[key] = value
			}
		}
		g.Last, _ = stack.Last[s.Name].(map[string]any)
		var err error
		if g.Block, err = parseBlock(s.Name, stack.Config[Namespace+":"+s.Name]); err == nil && s.Check != nil {
			err = s.Check(g)
		}
		problems = append(problems, err)
		given[i] = g
	}
	return given, errors.Join(problems...)
}

// knownBy are the outputs of the setups that have a block.
func knownBy(setups []Setup, given []Given) (outputs []string) {
	for i, s := range setups {
		if given[i].Block != nil {
			outputs = append(outputs, s.KnownBy...)
		}
	}
	slices.Sort(outputs)
	return slices.Compact(outputs)
}

// CheckFile is [Check] for a configuration that comes from the stack's file in the folder dir, with the lines in it.
func CheckFile(setups []Setup, dir string, stack Stack) error {
	return checkFile(stackfile.Read(dir, stack.Project, stack.Name), setups, stack)
}

// Locate is an error of the program with the lines of a configuration that comes from the stack's file in the folder dir.
func Locate(dir, project, stack string, config map[string]string, err error) error {
	return stackfile.Read(dir, project, stack).Locate(err, func(key string) (string, bool) {
		text, ok := config[key]
		return text, ok
	})
}

func checkFile(file *stackfile.File, setups []Setup, stack Stack) error {
	value := func(key string) (string, bool) {
		text, ok := stack.Config[key]
		return text, ok
	}
	wrong := file.Misplaced(value, ours(setups))
	for _, s := range setups {
		if text, ok := stack.Config[Namespace+":"+s.Name]; ok && text == "" {
			wrong = append(wrong, problem.Problem{Field: s.Name, Rule: "is empty", WayOut: "indent its keys below it, or leave it out"})
		}
	}
	return file.Locate(errors.Join(wrong.Err(), Check(setups, stack)), value)
}

// Explain says what is wrong with the file of a stack that Pulumi does not load, by the words of [CheckFile] if it finds anything; else it
// returns why loading failed.
func Explain(setups []Setup, dir, stack string, failed error) error {
	file := stackfile.Read(dir, Namespace, stack)
	if wrong := checkFile(file, setups, Stack{Project: Namespace, Name: stack, Config: file.Values()}); wrong != nil {
		return wrong
	}
	return failed
}

// known are the full keys of everything in the table.
func known(setups []Setup) (keys []string) {
	for _, s := range setups {
		keys = append(keys, Namespace+":"+s.Name)
		for _, key := range s.ProviderKeys {
			keys = append(keys, s.Name+":"+key)
		}
	}
	return keys
}

// ours reports whether a key is one of the namespaces of the table, a setup or a key of its block: with that, whoever wrote it means the
// program.
func ours(setups []Setup) func(key string) bool {
	return func(key string) bool {
		namespace, _, full := strings.Cut(key, ":")
		for _, s := range setups {
			switch {
			case key == s.Name, full && (namespace == s.Name || namespace == Namespace):
				return true
			case s.Block != nil && slices.Contains(keysOf(reflect.TypeOf(s.Block)), key):
				return true
			}
		}
		return false
	}
}

// indented are the fields that a key of the namespace would be if it were indented below its setup.
func indented(setups []Setup, key string) (fields []string) {
	if name, ok := strings.CutPrefix(key, Namespace+":"); ok {
		for _, s := range setups {
			if s.Block != nil && slices.Contains(keysOf(reflect.TypeOf(s.Block)), name) {
				fields = append(fields, name+" below "+Namespace+":"+s.Name)
			}
		}
	}
	return fields
}

// checkKeys refuses keys of the namespace that are not in the table, and keys of a provider that it would not get: an
// explicit provider does not read the stack's configuration, so what is not passed on would have no effect.
func checkKeys(setups []Setup, keys []string) error {
	var problems []error
	check := func(namespace, rule string, known []string) {
		listed := ""
		for _, k := range slices.Sorted(slices.Values(keys)) {
			if name, ok := strings.CutPrefix(k, namespace+":"); ok && !slices.Contains(known, name) {
				problems = append(problems, unknown(k, name, rule, known, indented(setups, k), &listed))
			}
		}
	}
	var names []string
	for _, s := range setups {
		names = append(names, s.Name)
		check(s.Name, "is not a key that the provider is given", s.ProviderKeys)
	}
	check(Namespace, "is not a known key", names)
	return errors.Join(problems...)
}
