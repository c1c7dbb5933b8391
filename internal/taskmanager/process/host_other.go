// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package process

import (
	"fmt"
	"os"
)

// hostID is the same for processes that see the same files.
func hostID() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("identify host: %w", err)
	}
	return host, nil
}
