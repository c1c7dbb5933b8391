// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/weir-stream/weir/internal/exchange"
	"github.com/weir-stream/weir/internal/task"
)

// Exchange is the exchange of one TaskManager.
type Exchange interface {
	task.Exchange
	// Address is where the TaskManagers of other processes, or of this one, reach it.
	Address() string
	Close() error
}

var _ Exchange = (*exchange.Environment)(nil)

// newExchange makes the exchange of a TaskManager, of the configured network.
func (k *Cluster) newExchange(taskManager string) (Exchange, error) {
	if k.config.NewExchange != nil {
		return k.config.NewExchange(taskManager)
	}
	c := exchange.Config{Network: k.config.Network}
	switch c.Network {
	case "local":
		c.Hub = &k.hub
	case "tcp":
		c.Listen = "127.0.0.1:0"
	case "unix":
		dir, err := os.MkdirTemp("", "weir")
		if err != nil {
			return nil, fmt.Errorf("directory of the socket: %w", err)
		}
		c.Listen = filepath.Join(dir, taskManager)
		e, err := exchange.NewEnvironment(c)
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		return &inDirectory{e, dir}, nil
	}
	return exchange.NewEnvironment(c)
}

// inDirectory is an exchange whose socket has a directory of its own.
type inDirectory struct {
	*exchange.Environment
	dir string
}

// Close closes the exchange and removes the directory.
func (x *inDirectory) Close() error { return errors.Join(x.Environment.Close(), os.RemoveAll(x.dir)) }
