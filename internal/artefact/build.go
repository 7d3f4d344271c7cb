package artefact

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Module is the path of the module that holds the programs.
const Module = "polynat"

// moduleDir is where the source is: this checkout, or, when polynat is a library of another module, its place in the module
// cache. The programs are built there and not from the caller's module, whose go.sum does not know what only they import,
// and whose choice of versions would give other bytes.
func moduleDir(ctx context.Context) (string, error) {
	out, err := goTool(ctx, "", nil, "list", "-m", "-f", "{{.Dir}}", Module)
	if err != nil {
		return "", err
	}
	dir := strings.TrimSpace(string(out))
	if dir == "" {
		return "", fmt.Errorf("module %s: its source is not there: it is vendored, or was not downloaded", Module)
	}
	return dir, nil
}

// tags of every build. Without this one the Lambda library links a server that provided.al2023 does not use, and with it half
// of the AWS SDK.
const tags = "lambda.norpc"

// buildFlags are the same for every program, and part of what decides on its SHA-256.
var buildFlags = []string{"-tags=" + tags, "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="}

// compile builds the package for Linux. Nothing of the machine, the path, the time or the caller's settings goes in.
func compile(ctx context.Context, dir, pkg, arch string) ([]byte, error) {
	temp, err := os.MkdirTemp("", "polynat-build-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	out := filepath.Join(temp, "program")
	env := []string{
		"GOOS=linux", "GOARCH=" + arch, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off",
		"GOEXPERIMENT=", "GOFIPS140=off", "GOARM64=v8.0", "GOAMD64=v1",
	}
	if _, err := goTool(ctx, dir, env, slices.Concat([]string{"build"}, buildFlags, []string{"-o", out, pkg})...); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// goTool runs the Go toolchain.
func goTool(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir, command.Env = dir, append(os.Environ(), env...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, errors.New("there is no Go toolchain: go is not in the PATH")
	case err != nil:
		return nil, fmt.Errorf("go %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// bootstrap is the name under which provided.al2023 starts a program.
const bootstrap = "bootstrap"

// epoch is the earliest time that a zip can hold.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// bundle zips the executable.
func bundle(binary []byte) ([]byte, error) {
	var file bytes.Buffer
	archive := zip.NewWriter(&file)
	header := &zip.FileHeader{Name: bootstrap, Method: zip.Deflate, Modified: epoch}
	header.SetMode(0o755)
	w, err := archive.CreateHeader(header)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(binary); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return file.Bytes(), nil
}

// bootstrapOf is the executable in data, which is a zip of it or itself.
func bootstrapOf(data []byte) (executable []byte, zipped bool, err error) {
	archive, err := zip.NewReader(readerAt(data), int64(len(data)))
	if err != nil {
		if archOf(data) == "" {
			return nil, false, errors.New("is neither a zip nor an executable")
		}
		return data, false, nil
	}
	file, err := archive.Open(bootstrap)
	if err != nil {
		return nil, true, errors.New("is a zip without " + bootstrap)
	}
	executable, err = io.ReadAll(file)
	return executable, true, errors.Join(err, file.Close())
}

func readerAt(data []byte) *bytes.Reader { return bytes.NewReader(data) }

// keep writes the file into the user's cache, where the engine reads it from when it uploads.
func keep(name, arch string, data []byte) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil { // no home directory, as in a container
		cache = os.TempDir()
	}
	sum := sha256.Sum256(data)
	dir := filepath.Join(cache, "polynat", "artefacts", hex.EncodeToString(sum[:8])+"-"+arch)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	if standing, err := os.ReadFile(path); err == nil && bytes.Equal(standing, data) {
		return path, nil
	}
	temp, err := os.CreateTemp(dir, name+"-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(data)
	if err := errors.Join(err, temp.Chmod(0o755), temp.Close()); err != nil {
		return "", err
	}
	return path, os.Rename(temp.Name(), path) // whole or not at all, whoever else writes it too
}
