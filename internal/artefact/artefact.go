// Package artefact makes the programs that components deploy: it builds them from their source in this module, with the Go
// toolchain that the Pulumi program itself runs on, or takes what was built elsewhere.
//
// The same source and toolchain give the same bytes, on every machine, from a checkout as from the module cache: a preview
// without a change of the source shows none.
package artefact

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"polynat/internal/problem"
)

// Program is the name of a directory of cmd.
type Program string

// Programs.
const (
	Natd     Program = "natd"     // the agent on a NAT instance: a bare executable
	Failover Program = "failover" // the Lambda functions: a zip with the executable as bootstrap, as provided.al2023 wants it
)

// Architectures by their Go names.
const (
	ARM64 = "arm64"
	AMD64 = "amd64"
)

// Source says where a program comes from.
type Source struct {
	Program Program
	// Arch is ARM64 or AMD64.
	Arch string
	// Prebuilt is the path of the file that was built elsewhere; empty to build it. Of Failover it may be the zip or the bare
	// executable, which is then zipped.
	Prebuilt string
	// Field of the input that Prebuilt comes from, for errors.
	Field string
}

// Artefact is a file to deploy.
type Artefact struct {
	// Path of the file. It stays until the process has ended, and where it was built, beyond.
	Path string
	// SHA256 of its content in hexadecimal digits, and Base64, the same as Lambda spells it.
	SHA256, Base64 string
}

var made sync.Map // of Source to func() (*Artefact, error)

// Make returns the artefact. Whoever asks for the same again in one process gets the same without a second build.
func (s Source) Make(ctx context.Context) (*Artefact, error) {
	once, _ := made.LoadOrStore(s, sync.OnceValues(func() (*Artefact, error) { return s.make(ctx) }))
	return once.(func() (*Artefact, error))()
}

func (s Source) make(ctx context.Context) (*Artefact, error) {
	if !slices.Contains([]string{ARM64, AMD64}, s.Arch) {
		return nil, problem.Problem{Field: "architecture", Value: s.Arch, Rule: "is not one that programs are built for", WayOut: "use arm64 or amd64"}
	}
	if s.Prebuilt != "" {
		return s.take()
	}
	dir, err := moduleDir(ctx)
	if err != nil {
		return nil, s.unbuilt(err)
	}
	binary, err := compile(ctx, dir, "./cmd/"+string(s.Program), s.Arch)
	if err != nil {
		return nil, s.unbuilt(err)
	}
	return s.store(binary)
}

// Unbuilt is the error of a program that could not be built on this machine.
type Unbuilt struct{ error }

func (u Unbuilt) Unwrap() error { return u.error }

// unbuilt says how to go on without a build.
func (s Source) unbuilt(err error) error {
	field := s.Field
	if field == "" {
		field = string(s.Program)
	}
	return Unbuilt{fmt.Errorf("%s: build %s for linux/%s: %w (or build it elsewhere, and give its path here)", field, s.Program, s.Arch, err)}
}

// take reads what was built elsewhere.
func (s Source) take() (*Artefact, error) {
	refuse := func(rule, wayOut string) (*Artefact, error) {
		return nil, problem.Problem{Field: s.Field, Value: s.Prebuilt, Rule: rule, WayOut: wayOut}
	}
	data, err := os.ReadFile(s.Prebuilt)
	if err != nil {
		return refuse("cannot be read: "+err.Error(), "give the path of the built program, or leave it out to have it built")
	}
	executable, zipped := data, false
	if s.Program == Failover {
		if executable, zipped, err = bootstrapOf(data); err != nil {
			return refuse(err.Error(), "give the executable, or a zip that holds it as bootstrap")
		}
	}
	if arch := archOf(executable); arch != "" && arch != s.Arch {
		return refuse("is built for "+arch+", not for "+s.Arch, "build it with GOOS=linux GOARCH="+s.Arch)
	}
	switch {
	case s.Program == Failover && !zipped:
		return s.store(executable)
	case zipped && filepath.Ext(s.Prebuilt) != ".zip": // the engine tells archives by their names
		return s.keep(data)
	}
	return describe(s.Prebuilt, data), nil
}

// store writes what was built, as it is to be deployed.
func (s Source) store(executable []byte) (*Artefact, error) {
	if s.Program != Failover {
		return s.keep(executable)
	}
	zipped, err := bundle(executable)
	if err != nil {
		return nil, err
	}
	return s.keep(zipped)
}

// keep writes data under a name that its content gives it: a build that changes nothing changes no path.
func (s Source) keep(data []byte) (*Artefact, error) {
	name := string(s.Program)
	if s.Program == Failover {
		name += ".zip"
	}
	path, err := keep(name, s.Arch, data)
	if err != nil {
		return nil, fmt.Errorf("keep %s: %w", name, err)
	}
	return describe(path, data), nil
}

func describe(path string, data []byte) *Artefact {
	sum := sha256.Sum256(data)
	return &Artefact{Path: path, SHA256: hex.EncodeToString(sum[:]), Base64: base64.StdEncoding.EncodeToString(sum[:])}
}

// archOf is the architecture that an executable is for, "" if it is none that the kernel could tell it of.
func archOf(data []byte) string {
	file, err := elf.NewFile(readerAt(data))
	if err != nil {
		return ""
	}
	switch file.Machine {
	case elf.EM_AARCH64:
		return ARM64
	case elf.EM_X86_64:
		return AMD64
	}
	return file.Machine.String()
}
