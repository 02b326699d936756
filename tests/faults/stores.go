// Compares the stores of all nodes, key by key, when no process is left: what each has applied must
// be the same.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

// store copies what a node has stored, as it stands, to files in a folder: key to checksum.
func (n *node) store() (map[string][32]byte, error) {
	folder := filepath.Join("/run/stores", n.name()) // in memory: nothing of it is kept
	if err := os.RemoveAll(folder); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(n.dir, "copy.hcl")
	text := fmt.Sprintf("storage_source \"raft\" {\n  path = \"%s\"\n  node_id = \"%s\"\n}\n"+
		"storage_destination \"file\" {\n  path = \"%s\"\n}\n", n.data(), n.name(), folder)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p := exec.Command(n.program, "operator", "migrate", "-config="+file)
	p.Env = n.environment()
	if out, err := p.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("copying the store of %s: %v: %.500s", n.name(), err, out)
	}
	found := map[string][32]byte{}
	err := filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, folder)] = sha256.Sum256(content)
		return err
	})
	return found, err
}

// compareStores tells the keys in which a node differs from the first one.
func (c *cluster) compareStores() (faults []string) {
	var first map[string][32]byte
	for i, n := range c.nodes {
		have, err := n.store()
		if err != nil {
			return append(faults, err.Error())
		}
		if i == 0 {
			first = have
			continue
		}
		if differ := differences(first, have); len(differ) > 0 {
			faults = append(faults, fmt.Sprintf("the stores of %s and %s differ in %d keys: %s",
				c.nodes[0].name(), n.name(), len(differ), strings.Join(differ[:few(len(differ))], " ")))
		}
	}
	return faults
}

func few(n int) int {
	if n > 8 {
		return 8
	}
	return n
}

func differences(a, b map[string][32]byte) (keys []string) {
	for key, sum := range a {
		if other, is := b[key]; !is || other != sum {
			keys = append(keys, key)
		}
	}
	for key := range b {
		if _, is := a[key]; !is {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	return keys
}
