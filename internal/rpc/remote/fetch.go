// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weir-stream/weir/internal/artifacts"
	"github.com/weir-stream/weir/internal/rpc/remote/remotepb"
)

// ArtifactBytesMax bounds a program.
const ArtifactBytesMax = 4 << 30

// Fetch gets a program from the JobManager into a Store, unless it is there. It waits for a connection, and goes on where it
// was when one breaks, until ctx is done. The error is artifacts.ErrNotFound if the JobManager hasn't the program, and
// artifacts.ErrHash if what it sends is something else. Fetches of one program by several goroutines are one.
func (c *Client) Fetch(ctx context.Context, sha256 string, into *artifacts.Store) error {
	for {
		if _, err := into.Path(sha256); !errors.Is(err, artifacts.ErrNotFound) {
			return err
		}
		mine, others := c.enter(sha256)
		if mine {
			err := c.fetch(ctx, sha256, into)
			c.leave(sha256)
			return err
		}
		select {
		case <-others:
		case <-ctx.Done():
			return fmt.Errorf("fetch program %s: %w", sha256, context.Cause(ctx))
		}
	}
}

// enter makes the caller the one that fetches a program, or returns what is closed when the one that does has ended.
func (c *Client) enter(sha256 string) (mine bool, others <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.mu.fetching[sha256]; other != nil {
		return false, other
	}
	c.mu.fetching[sha256] = make(chan struct{})
	return true, nil
}

func (c *Client) leave(sha256 string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.mu.fetching[sha256])
	delete(c.mu.fetching, sha256)
}

// fetch tries until the program is there, or something is wrong that another try doesn't mend.
func (c *Client) fetch(ctx context.Context, sha256 string, into *artifacts.Store) error {
	backoff := backoffMin
	for {
		conn, err := c.connection(ctx)
		if err != nil {
			return fmt.Errorf("fetch program %s: wait for a connection: %w", sha256, err)
		}
		again, err := fetchOnce(ctx, conn, sha256, into)
		if err == nil {
			return nil
		}
		if !again || ctx.Err() != nil {
			return fmt.Errorf("fetch program %s: %w", sha256, err)
		}
		c.config.Logger.WarnContext(ctx, "fetching a program broke, it goes on", "sha256", sha256, "error", err)
		timer := time.NewTimer(backoff)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		backoff = min(2*backoff, backoffMax)
	}
}

// connection waits for one.
func (c *Client) connection(ctx context.Context) (*grpc.ClientConn, error) {
	for {
		c.mu.Lock()
		conn, changed := c.mu.conn, c.mu.changed
		c.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-changed:
		case <-c.run.Done():
			return nil, errStopped
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// fetchOnce goes on with a program over one connection; again tells that an error may pass.
func fetchOnce(
	ctx context.Context, conn *grpc.ClientConn, sha256 string, into *artifacts.Store,
) (again bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream
	partial, err := into.Partial(sha256, ArtifactBytesMax)
	if err != nil {
		return false, err
	}
	stream, err := remotepb.NewArtifactsClient(conn).Fetch(ctx, &remotepb.FetchRequest{Sha256: sha256, Offset: partial.Offset()})
	if err != nil {
		return true, errors.Join(err, partial.Close())
	}
	resumed := partial.Offset() > 0
	for {
		chunk, err := stream.Recv()
		if err == nil {
			if err := store(partial, chunk); err != nil {
				return false, errors.Join(err, partial.Close())
			}
			continue
		}
		switch code := status.Code(err); {
		case code == codes.NotFound:
			return false, errors.Join(fmt.Errorf("%w on the JobManager", artifacts.ErrNotFound), partial.Close())
		case code != codes.OutOfRange && !errors.Is(err, io.EOF):
			return true, errors.Join(err, partial.Close())
		}
		// All of it is here, or more than there is. If it is something else, its beginning, from an earlier connection, may
		// be what is wrong: Commit has removed it.
		return resumed, partial.Commit()
	}
}

// store keeps a part of a program.
func store(partial *artifacts.Partial, chunk *remotepb.Chunk) error {
	if size := chunk.GetSize(); size > ArtifactBytesMax {
		return fmt.Errorf("%w: %d bytes, at most %d are possible", artifacts.ErrTooLarge, size, int64(ArtifactBytesMax))
	}
	_, err := partial.Write(chunk.GetData())
	return err
}
