package engine

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	pulumiworkspace "github.com/pulumi/pulumi/pkg/v3/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/esc"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
)

// LoadConfig reads the project in dir and the configuration of one of its stacks as the CLI does: values of
// Pulumi.<stack>.yaml over the defaults of Pulumi.yaml, checked against the types declared there. Secrets come out
// blinded: nothing is decrypted. ESC environments are not opened, they live in a service.
func LoadConfig(ctx context.Context, dir, stack string) (project string, values map[string]string, err error) {
	p, err := workspace.LoadProject(filepath.Join(dir, "Pulumi.yaml"))
	if err != nil {
		return "", nil, err
	}
	path := filepath.Join(dir, "Pulumi."+stack+".yaml")
	if _, err := os.Stat(path); err != nil {
		return "", nil, fmt.Errorf("stack %q: %w (name one that has a file Pulumi.<stack>.yaml here)", stack, err)
	}
	sink := diag.DefaultSink(io.Discard, io.Discard, diag.FormatOptions{Color: colors.Never})
	s, err := workspace.LoadProjectStack(sink, p, path)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	if s.Config == nil {
		s.Config = config.Map{}
	}
	blind := config.NewBlindingDecrypter()
	if err := pulumiworkspace.ValidateStackConfigAndApplyProjectConfig(ctx, stack, p, esc.Value{}, s.Config, config.NewPanicCrypter(), blind); err != nil {
		return "", nil, err
	}
	values = map[string]string{}
	for key, value := range s.Config {
		if values[key.String()], err = value.Value(blind); err != nil {
			return "", nil, fmt.Errorf("configuration %s: %w", key, err)
		}
	}
	return p.Name.String(), values, nil
}
