package drill

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"polynat/internal/artefact"
)

// programs are the binaries under test, for this machine.
type programs struct {
	// natd and bootstrap are executables; archive is what Lambda is given, with bootstrap in it.
	natd, bootstrap, archive string
	size                     size
}

// build makes the programs as they are deployed.
func build(ctx context.Context, dir string) (programs, error) {
	agent, err := artefact.Source{Program: artefact.Natd, Arch: runtime.GOARCH}.Make(ctx)
	if err != nil {
		return programs{}, err
	}
	functions, err := artefact.Source{Program: artefact.Failover, Arch: runtime.GOARCH}.Make(ctx)
	if err != nil {
		return programs{}, err
	}
	p := programs{natd: agent.Path, bootstrap: filepath.Join(dir, "bootstrap"), archive: functions.Path}
	// What is kept for deployment need not be executable here.
	p.natd = filepath.Join(dir, "natd")
	if err := install(agent.Path, p.natd); err != nil {
		return programs{}, err
	}
	if err := unpack(p.archive, p.bootstrap); err != nil {
		return programs{}, err
	}
	for path, bytes := range map[string]*int64{p.natd: &p.size.natd, p.bootstrap: &p.size.failover, p.archive: &p.size.archive} {
		info, err := os.Stat(path)
		if err != nil {
			return programs{}, err
		}
		*bytes = info.Size()
	}
	return p, nil
}

func install(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	return executable(to, source)
}

func executable(path string, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// unpack takes the executable out of the archive.
func unpack(archive, to string) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	defer func() { _ = z.Close() }()
	content, err := z.Open("bootstrap")
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	defer func() { _ = content.Close() }()
	return executable(to, content)
}
