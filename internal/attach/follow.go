package attach

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"gopkg.in/yaml.v3"
)

// follow takes the stack files of dir into the playground, and later what has changed in them. A copy that has changes of its own, as by
// `pulumi config set`, stays as it is. Both are said in a line.
func (p *playground) follow(dir string, notes io.Writer) error {
	files, err := filepath.Glob(filepath.Join(dir, "Pulumi*.yaml"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.takenPath(), 0o700); err != nil {
		return err
	}
	for _, file := range files {
		if err := p.followFile(file, notes); err != nil {
			return err
		}
	}
	return nil
}

func (p *playground) followFile(file string, notes io.Writer) error {
	name := filepath.Base(file)
	copied, taken := filepath.Join(p.project, name), filepath.Join(p.takenPath(), name)
	now, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, err := readIfThere(taken)
	if err != nil || before != nil && bytes.Equal(now, before) {
		return err
	}
	mine, err := readIfThere(copied)
	if err != nil {
		return err
	}
	switch {
	case mine == nil || before != nil && sameConfig(mine, before):
		if !p.fresh {
			fmt.Fprintf(notes, "polynat: took %s as it is now\n", name)
		}
		if err := os.WriteFile(copied, withSalt(now, mine), 0o600); err != nil {
			return err
		}
	case !sameConfig(mine, now):
		fmt.Fprintf(notes, "polynat: %s has changed, and so has the copy in the playground, which stays (`cp %s %s` takes the file; removing %s begins anew)\n",
			name, file, p.project, p.root)
		return nil
	}
	return os.WriteFile(taken, now, 0o600)
}

// readIfThere is nil without an error where there is no file.
func readIfThere(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// salt is the key that the CLI adds to a stack's file: secrets in the state need it.
const salt = "encryptionsalt"

// sameConfig compares two files by what they mean, but for the salt of the copy.
func sameConfig(mine, other []byte) bool {
	var a, b map[string]any
	if yaml.Unmarshal(mine, &a) != nil || yaml.Unmarshal(other, &b) != nil {
		return bytes.Equal(mine, other)
	}
	if b[salt] == nil {
		delete(a, salt)
	}
	return reflect.DeepEqual(a, b)
}

// withSalt is a stack's file with the salt that its copy has.
func withSalt(text, mine []byte) []byte {
	var a, b map[string]any
	if yaml.Unmarshal(mine, &a) != nil || yaml.Unmarshal(text, &b) != nil || a[salt] == nil || b[salt] != nil {
		return text
	}
	return fmt.Appendf(bytes.TrimRight(text, "\n"), "\n%s: %v\n", salt, a[salt])
}
