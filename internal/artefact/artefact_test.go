package artefact

import (
	"archive/zip"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// module writes a module with one tiny program, under a path of its own, and returns its directory.
func module(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module tiny\n\ngo 1.24\n")
	write(t, filepath.Join(dir, "cmd", "tiny", "main.go"), "package main\n\nfunc main() { println("+text+") }\n")
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// cacheElsewhere has artefacts kept in a directory of the test, and the toolchain's cache where it is.
func cacheElsewhere(t *testing.T) {
	t.Helper()
	cache, err := goTool(t.Context(), "", nil, "env", "GOCACHE")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

func tiny(t *testing.T, text, arch string) []byte {
	t.Helper()
	binary, err := compile(t.Context(), module(t, text), "./cmd/tiny", arch)
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func TestTheSameSourceGivesTheSameBytesAnywhere(t *testing.T) {
	cacheElsewhere(t)
	for _, arch := range []string{ARM64, AMD64} {
		one := tiny(t, `"one"`, arch)
		t.Setenv("GOFLAGS", "-race") // settings of the caller do not go in
		t.Setenv("GOAMD64", "v3")
		again := tiny(t, `"one"`, arch)
		if !bytes.Equal(one, again) {
			t.Errorf("%s: two builds of one source differ", arch)
		}
		if bytes.Equal(one, tiny(t, `"two"`, arch)) {
			t.Errorf("%s: builds of two sources do not differ", arch)
		}
		if got := archOf(one); got != arch {
			t.Errorf("built for %s, want %s", got, arch)
		}
		first, err := bundle(one)
		if err != nil {
			t.Fatal(err)
		}
		second, err := bundle(again)
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("%s: two zips of one program differ, error %v", arch, err)
		}
	}
}

func TestTheZipHoldsAnExecutableNamedBootstrap(t *testing.T) {
	data, err := bundle([]byte("program"))
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.File) != 1 {
		t.Fatalf("%d files", len(archive.File))
	}
	if f := archive.File[0]; f.Name != "bootstrap" || f.Mode().Perm() != 0o755 || !f.Modified.Equal(epoch) {
		t.Errorf("%s, mode %v, of %v", f.Name, f.Mode(), f.Modified)
	}
}

func TestTheProgramsOfThisModuleAreBuiltOnceAndReproducibly(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the real programs")
	}
	cacheElsewhere(t)
	for _, p := range []Program{Natd, Failover} {
		dir, err := moduleDir(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "cmd", string(p), "main.go")); err != nil {
			t.Skipf("cmd/%s is not there", p)
		}
		// For this machine, as the drills have it: the AWS SDK is compiled for minutes, once for each architecture.
		s := Source{Program: p, Arch: runtime.GOARCH}
		one, err := s.Make(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := s.Make(t.Context()); again != one {
			t.Errorf("%s: is built twice in one process", p)
		}
		rebuilt, err := s.make(t.Context())
		if err != nil || *rebuilt != *one {
			t.Errorf("%s: built again: %v, error %v; want %v", p, rebuilt, err, one)
		}
		data, err := os.ReadFile(one.Path)
		if err != nil || *describe(one.Path, data) != *one {
			t.Errorf("%s: %v does not describe its file, error %v", p, one, err)
		}
	}
}

// A program outside this repository imports polynat: its own go.sum does not know what natd imports.
func TestAnotherModuleFindsTheSourceOfThisOne(t *testing.T) {
	here, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module caller\n\ngo 1.24\n\nrequire polynat v0.0.0\n\nreplace polynat => "+here+"\n")
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "-mod=mod")
	got, err := moduleDir(t.Context())
	if err != nil || got != here {
		t.Errorf("found at %q, want %q, error %v", got, here, err)
	}
}

func TestAPrebuiltProgramIsTakenAsItIs(t *testing.T) {
	cacheElsewhere(t)
	dir, binary := t.TempDir(), tiny(t, `"one"`, AMD64)
	zipped, err := bundle(binary)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		program Program
		data    []byte
		same    bool
	}{
		"an executable for natd":         {Natd, binary, true},
		"a script for natd":              {Natd, []byte("#!/bin/sh\n"), true},
		"a zip for the functions.zip":    {Failover, zipped, true},
		"a zip under another name":       {Failover, zipped, false},
		"an executable for the function": {Failover, binary, false},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		write(t, path, string(test.data))
		got, err := Source{Program: test.program, Arch: AMD64, Prebuilt: path}.Make(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := test.data
		if !test.same {
			want = zipped
		}
		if *got != *describe(got.Path, want) || (got.Path == path) != test.same {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestWhatCannotBeDeployedIsRefused(t *testing.T) {
	dir, binary := t.TempDir(), tiny(t, `"one"`, AMD64)
	write(t, filepath.Join(dir, "amd64"), string(binary))
	write(t, filepath.Join(dir, "text"), "text")
	var empty bytes.Buffer
	if err := zip.NewWriter(&empty).Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "empty.zip"), empty.String())
	for name, test := range map[string]struct {
		program Program
		arch    string
		want    []string
	}{
		"nothing":   {Natd, ARM64, []string{"aws.programs.x", "nothing", "cannot be read"}},
		"amd64":     {Natd, ARM64, []string{"aws.programs.x", "is built for amd64, not for arm64", "GOARCH=arm64"}},
		"text":      {Failover, ARM64, []string{"neither a zip nor an executable"}},
		"empty.zip": {Failover, ARM64, []string{"a zip without bootstrap"}},
		"unheard":   {Natd, "riscv64", []string{"riscv64", "use arm64 or amd64"}},
	} {
		_, err := Source{Program: test.program, Arch: test.arch, Prebuilt: filepath.Join(dir, name), Field: "aws.programs.x"}.Make(t.Context())
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", name, err, want)
			}
		}
	}
}

func TestWithoutAToolchainTheErrorNamesTheWayOut(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := exec.LookPath("go"); err == nil {
		t.Fatal("there is a toolchain")
	}
	_, err := Source{Program: Natd, Arch: ARM64, Field: "aws.programs.natd"}.make(t.Context())
	for _, want := range []string{"aws.programs.natd", "there is no Go toolchain", "give its path here"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestABrokenProgramIsRefusedWithTheCompilersWords(t *testing.T) {
	_, err := compile(t.Context(), module(t, "undefined"), "./cmd/tiny", AMD64)
	if err == nil || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Errorf("error %v", err)
	}
}
