// Checks that a snapshot is whole: gzip, tar, the four members, the checksums.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

func checkArchive(archive []byte) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return fmt.Errorf("snapshot: %v", err)
	}
	sums, have := "", map[string]string{}
	for members := tar.NewReader(unzipped); ; {
		member, err := members.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("snapshot: %v", err)
		}
		text, err := io.ReadAll(members)
		if err != nil {
			return fmt.Errorf("snapshot: %s: %v", member.Name, err)
		}
		hash := sha256.Sum256(text)
		have[member.Name] = hex.EncodeToString(hash[:])
		if member.Name == "SHA256SUMS" {
			sums = string(text)
		}
	}
	for _, name := range []string{"meta.json", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed"} {
		if have[name] == "" {
			return fmt.Errorf("snapshot: there is no %s", name)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(sums), "\n") {
		words := strings.Fields(line)
		if len(words) != 2 || have[words[1]] != words[0] {
			return fmt.Errorf("snapshot: the checksum %q is wrong", line)
		}
	}
	return nil
}
