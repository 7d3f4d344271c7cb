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
	"polynat/internal/problem"
	"polynat/internal/stackfile"
	"polynat/internal/stackoutputs"
)

// Namespace of the configuration keys; it is the name of the project.
const Namespace = "polynat"

// Setup is one kind of network that a stack may hold.
type Setup struct {
	// Name is the configuration key within Namespace, and the name of the stack output.
	Name string
	// Block is the zero value of what the block is decoded into: its tags are the keys. Nil if it takes none.
	Block any
	// ProviderKeys are the keys of the provider's namespace, which is Name too, that the setup passes on.
	ProviderKeys []string
	// CheckProvider finds what is wrong with the keys of the provider, each of which value returns, empty if it is not set. Nil if there is
	// nothing to check before Run.
	CheckProvider func(config map[string]any, value func(key string) string) error
	// Check finds what is wrong with a block without looking at the cloud. Its arguments are those of Run; last may be nil, for
	// a check without a stack. Nil if there is nothing to check.
	Check func(project, stack string, config, last map[string]any) error
	// KnownBy are the outputs by which it knows its resources again in the state of the stack; nil if it does not look for them.
	KnownBy []string
	// Run registers the setup. config is its block, nil when it is absent; last is what the setup exported when the stack was
	// last updated, nil when it has not been. It returns what to export, nil for nothing.
	Run func(ctx *pulumi.Context, config, last map[string]any) (pulumi.Map, error)
}

// Setups is the table of everything that polynat can deploy.
func Setups() []Setup {
	return []Setup{
		{Name: "aws", Block: awsConfig{}, ProviderKeys: awsProviderKeys(), CheckProvider: checkAWSProvider, Check: checkAWS, KnownBy: nat.KnownBy(), Run: runAWS},
		{Name: "alicloud", Block: alicloudConfig{}, ProviderKeys: alicloudProviderKeys(), Check: checkAlicloud, KnownBy: alicloud.KnownBy(), Run: runAlicloud},
		{Name: "huaweicloud", Block: huaweicloudConfig{}, ProviderKeys: huaweicloudProviderKeys(), Check: checkHuaweicloud, Run: runHuaweicloud},
	}
}

// Program is the Pulumi program: it runs every setup of the table, once none is refused by its Check. keys are all configuration keys of the stack, with
// their namespaces, so that a misspelled one is found; nil skips that check. Problems come with their lines in the file of the stack, where
// the configuration is from that.
func Program(setups []Setup, keys []string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		file := stackfile.Read(ctx.RootDirectory(), ctx.Project(), ctx.Stack())
		wrong := append(file.Misplaced(ctx.GetConfig), checkKeys(setups, keys))
		return file.Locate(program(ctx, setups, wrong), ctx.GetConfig)
	}
}

// program runs the setups unless one is refused, or something is wrong already.
func program(ctx *pulumi.Context, setups []Setup, problems problem.List) error {
	last, err := stackoutputs.Last(ctx)
	if err != nil {
		return err
	}
	configs, recorded := make([]map[string]any, len(setups)), make([]map[string]any, len(setups))
	for i, s := range setups {
		configs[i], err = readBlock(ctx, s.Name)
		recorded[i], _ = last[s.Name].(map[string]any)
		if err == nil && s.Check != nil {
			err = s.Check(ctx.Project(), ctx.Stack(), configs[i], recorded[i])
		}
		problems = append(problems, err, s.checkProvider(configs[i], func(key string) string {
			text, _ := ctx.GetConfig(key)
			return text
		}))
	}
	if err := problems.Err(); err != nil {
		return err
	}
	if known := knownBy(setups, configs); len(known) > 0 {
		if ctx, err = stackoutputs.Remember(ctx, known...); err != nil {
			return err
		}
	}
	for i, s := range setups {
		outputs, err := s.Run(ctx, configs[i], recorded[i])
		if err != nil {
			return err
		}
		if outputs != nil {
			ctx.Export(s.Name, outputs)
		}
	}
	return nil
}

// knownBy are the outputs of the setups that have a block.
func knownBy(setups []Setup, configs []map[string]any) (outputs []string) {
	for i, s := range setups {
		if configs[i] != nil {
			outputs = append(outputs, s.KnownBy...)
		}
	}
	return outputs
}

// CheckFile is [Check] for a configuration that comes from the stack's file in the folder dir, with the lines in it.
func CheckFile(setups []Setup, dir, project, stack string, config map[string]string) error {
	return checkFile(stackfile.Read(dir, project, stack), setups, project, stack, config)
}

func checkFile(file *stackfile.File, setups []Setup, project, stack string, config map[string]string) error {
	value := func(key string) (string, bool) {
		text, ok := config[key]
		return text, ok
	}
	wrong := file.Misplaced(value)
	for _, s := range setups {
		if text, ok := config[Namespace+":"+s.Name]; ok && text == "" {
			wrong = append(wrong, problem.Problem{Field: s.Name, Rule: "is empty", WayOut: "indent its keys below it, or leave it out"})
		}
	}
	return file.Locate(errors.Join(wrong.Err(), Check(setups, project, stack, config)), value)
}

// Explain says what is wrong with the file of a stack that Pulumi does not load, by the words of [CheckFile] if it finds anything; else it
// returns why loading failed.
func Explain(setups []Setup, dir, stack string, failed error) error {
	file := stackfile.Read(dir, Namespace, stack)
	if wrong := checkFile(file, setups, Namespace, stack, file.Values()); wrong != nil {
		return wrong
	}
	return failed
}

// Check finds what is wrong with the configuration of a stack, by full key, without running the program.
func Check(setups []Setup, project, stack string, config map[string]string) error {
	problems := []error{checkKeys(setups, slices.Collect(maps.Keys(config)))}
	for _, s := range setups {
		block, err := parseBlock(s.Name, config[Namespace+":"+s.Name])
		if err == nil && s.Check != nil {
			err = s.Check(project, stack, block, nil)
		}
		problems = append(problems, err, s.checkProvider(block, func(key string) string { return config[key] }))
	}
	return errors.Join(problems...)
}

// checkProvider calls CheckProvider with what full returns for a full key.
func (s Setup) checkProvider(block map[string]any, full func(key string) string) error {
	if s.CheckProvider == nil {
		return nil
	}
	return s.CheckProvider(block, func(key string) string { return full(s.Name + ":" + key) })
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
