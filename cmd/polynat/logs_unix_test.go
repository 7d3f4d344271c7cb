//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

func TestLogsUnderSudoLeaveAFolderThatWasThereToItsOwner(t *testing.T) {
	uid := os.Getuid()
	if uid != 0 {
		t.Skip("only root can give a file away")
	}
	t.Setenv("SUDO_UID", "4711")
	t.Setenv("SUDO_GID", "4712")
	dir := t.TempDir()
	stranger, log := filepath.Join(dir, "stranger"), filepath.Join(dir, "reboot-1.log")
	write := func(path string) {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(stranger)
	giveBack, err := makeFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	write(log)
	giveBack()
	for path, want := range map[string]int{dir: uid, stranger: uid, log: 4711} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != want {
			t.Errorf("%s belongs to %d, want %d", path, got, want)
		}
	}
}

func TestLogsUnderSudoBelongToTheUserWithAllThatWasMadeForThem(t *testing.T) {
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 4711, 4712
	}
	t.Setenv("SUDO_UID", strconv.Itoa(uid))
	t.Setenv("SUDO_GID", strconv.Itoa(gid))
	dir := t.TempDir()
	giveBack, err := makeFolder(filepath.Join(dir, ".polynat", "logs"))
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, ".polynat", "logs", "reboot-1.log")
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	giveBack()
	for path, want := range map[string]int{log: uid, filepath.Dir(log): uid, filepath.Join(dir, ".polynat"): uid, dir: os.Getuid()} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != want {
			t.Errorf("%s belongs to %d, want %d", path, got, want)
		}
	}
}
