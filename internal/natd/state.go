package natd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"polynat/internal/natd/claim"
	"polynat/internal/natd/metadata"
)

// record is what the agent remembers over a reboot.
type record struct {
	Identity metadata.Identity `json:"identity"`
	// Networks of the VPC, so that the kernel can be put right before instance metadata has answered.
	Networks []netip.Prefix `json:"networks,omitempty"`
	// Self is kernel.Config.Self.
	Self  bool        `json:"self,omitempty"`
	Claim claim.State `json:"claim"`
}

func recordFile(dir string) string { return filepath.Join(dir, "state.json") }

// recall reads the record; an empty one if there is none, or if it cannot be read: then the agent is as good as new.
func recall(dir string) (record, error) {
	data, err := os.ReadFile(recordFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, fmt.Errorf("%s: %w", recordFile(dir), err)
	}
	return r, nil
}

// keep writes the record so that a power cut leaves the old one or the new one.
func (r record) keep(dir string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "state-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), recordFile(dir))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
