// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/remote/remotepb"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// Between two attempts to connect, the Client waits from backoffMin on, twice as long each time, up to backoffMax.
const (
	backoffMin = 50 * time.Millisecond
	backoffMax = time.Second
)

var (
	errStopped = errors.New("rpc: the client was stopped")
	// errNoAnswer ends a silent connection.
	errNoAnswer = fmt.Errorf("no answer to a ping within %v", pingTimeout)
)

// ClientConfig says to whom a Client connects, and as whom.
type ClientConfig struct {
	// Addresses are those of the JobManagers, host:port, one at least; one of them is the leader.
	Addresses []string
	// TLS is that of connections; nil connects in plain text.
	TLS    *tls.Config
	Router *rpc.Router
	// Hello introduces this process; the Client sets the versions of the protocol.
	Hello  *weirpb.Hello
	Logger *slog.Logger
	// Connected is called when the Router has its uplink, before anything that came by it is delivered. Lost is called
	// when it has it no more. Both are called by turns, by one goroutine, and may be nil.
	Connected func(*weirpb.Welcome)
	Lost      func(error)
	// Unfit, if not nil, is called once, and then the Client tries no more, when a JobManager does not take a process of this
	// version and none has taken it before. One that has been connected has work to keep: it goes on trying.
	Unfit func(error)
}

// Client keeps a TaskManager connected to the leader of its JobManagers.
type Client struct {
	config ClientConfig
	hello  *weirpb.Hello
	// run is the Client's own context, canceled by Stop.
	run    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	mu     struct {
		sync.Mutex
		conn     *grpc.ClientConn         // nil while there is no connection
		changed  chan struct{}            // closed when conn changes
		fetching map[string]chan struct{} // of programs, closed when the fetch has ended
	}
}

// Connect starts to keep a connection up, until Stop.
func Connect(c ClientConfig) *Client {
	client := newClient(c)
	client.wg.Go(client.keepUp)
	return client
}

func newClient(c ClientConfig) *Client {
	run, cancel := context.WithCancelCause(context.Background()) //nolint:forbidigo // the Client owns it: Stop ends it
	client := &Client{config: c, run: run, cancel: cancel}
	client.hello = proto.CloneOf(c.Hello)
	client.hello.ProtocolMin, client.hello.ProtocolMax = rpc.ProtocolMin, rpc.Protocol
	client.mu.changed = make(chan struct{})
	client.mu.fetching = map[string]chan struct{}{}
	return client
}

// Stop ends the connection, once what was sent before has been written, for up to rpc.LinkFlushTimeout, and waits.
func (c *Client) Stop() {
	c.cancel(errStopped)
	c.wg.Wait()
}

// refusedError is the answer of a JobManager that doesn't want this TaskManager.
type refusedError struct {
	reason, leader string
	version        bool
}

func (e *refusedError) Error() string { return "refused: " + e.reason }

// keepUp tries addresses in turn, and pauses when it has tried all. A leader that another JobManager names is tried at once,
// but only once in a row: two that name each other are no reason to hurry.
func (c *Client) keepUp() {
	var (
		next    int    // of the addresses
		tried   int    // of them, since the last pause
		leader  string // named by the last attempt
		before  string // why the last attempt failed; the same is logged once
		backoff = backoffMin
		welcome bool // there was a connection
	)
	for c.run.Err() == nil {
		address, followed := leader, leader != ""
		leader = ""
		if !followed {
			address = c.config.Addresses[next%len(c.config.Addresses)]
			next++
			tried++
		}
		connected, err := c.attempt(address)
		if c.run.Err() != nil {
			return
		}
		if connected {
			c.config.Logger.Warn("the connection to the JobManager is lost", "address", address, "error", err)
			before, backoff, tried = "", backoffMin, len(c.config.Addresses)
			if !followed && !errors.Is(err, errNoAnswer) {
				next-- // one that is started again is back soon, one that fell silent is not
			}
		} else if err.Error() != before {
			before = err.Error()
			c.config.Logger.Warn("no connection to the JobManager yet", "address", address, "error", err)
		}
		welcome = welcome || connected
		refused := (*refusedError)(nil)
		if errors.As(err, &refused) && refused.version && !welcome && c.config.Unfit != nil {
			c.config.Unfit(err)
			return
		}
		if refused != nil && !followed {
			leader = refused.leader
		}
		if leader == "" && tried >= len(c.config.Addresses) {
			// Spread, since many come back at once when a JobManager does.
			c.wait(backoff/2 + rand.N(backoff/2))
			backoff, tried = min(2*backoff, backoffMax), 0
		}
	}
}

// wait pauses, or until Stop.
func (c *Client) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.run.Done():
	}
}

// attempt connects to an address and keeps the connection until it ends; connected tells whether there was one.
func (c *Client) attempt(address string) (connected bool, err error) {
	conn, err := c.dial(address)
	if err != nil {
		return false, err
	}
	// Close gives an error only if it was called before.
	defer func() { _ = conn.Close() }()
	// The stream outlives Stop for as long as it takes to send what was said before.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(c.run))
	defer cancel(nil)
	stream, welcome, err := c.greet(ctx, cancel, conn)
	if err != nil {
		return false, fmt.Errorf("connect to JobManager %s: %w", address, err)
	}
	return true, c.exchange(ctx, cancel, conn, stream, welcome)
}

// dial makes a connection that connects with its first call, and is given up with its first error.
func (c *Client) dial(address string) (*grpc.ClientConn, error) {
	security := insecure.NewCredentials()
	if c.config.TLS != nil {
		security = credentials.NewTLS(c.config.TLS)
	}
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(security),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
		}),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(newFrames()), grpc.MaxCallRecvMsgSize(messageBytesMax), grpc.MaxCallSendMsgSize(messageBytesMax),
		),
	)
	if err != nil {
		return nil, fmt.Errorf("address of JobManager %s: %w", address, err)
	}
	return conn, nil
}

type clientStream = grpc.BidiStreamingClient[weirpb.Frame, weirpb.Frame]

// greet opens the stream and waits for the welcome, for no longer than greetTimeout or until Stop.
func (c *Client) greet(
	ctx context.Context, cancel context.CancelCauseFunc, conn *grpc.ClientConn,
) (clientStream, *weirpb.Welcome, error) {
	stopped := context.AfterFunc(c.run, func() { cancel(errStopped) }) //nolint:contextcheck // ctx outlives run but here
	defer stopped()
	late := time.AfterFunc(greetTimeout, func() { cancel(fmt.Errorf("no welcome within %v", greetTimeout)) })
	defer late.Stop()
	fail := func(err error) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return errors.New(reason(err))
	}
	stream, err := remotepb.NewControlPlaneClient(conn).Connect(ctx)
	if err != nil {
		return nil, nil, fail(err)
	}
	if err := stream.Send(&weirpb.Frame{Body: &weirpb.Frame_Hello{Hello: c.hello}}); err != nil {
		// The reason is what Recv returns.
		c.config.Logger.DebugContext(ctx, "hello not sent", "error", err)
	}
	answer, err := stream.Recv()
	if err != nil {
		return nil, nil, fail(err)
	}
	if refused := answer.GetRefused(); refused != nil {
		return nil, nil, &refusedError{refused.GetReason(), refused.GetLeader(), refused.GetVersion()}
	}
	welcome := answer.GetWelcome()
	if v := welcome.GetProtocol(); welcome == nil || v < rpc.ProtocolMin || v > rpc.Protocol {
		return nil, nil, fmt.Errorf("the JobManager of version %s chose protocol %d, this TaskManager speaks %s",
			welcome.GetVersion(), v, protocols(rpc.ProtocolMin, rpc.Protocol))
	}
	return stream, welcome, nil
}

// exchange carries Frames between a stream and the Router until the stream ends; the error says why.
func (c *Client) exchange(
	ctx context.Context, cancel context.CancelCauseFunc, conn *grpc.ClientConn, stream clientStream, welcome *weirpb.Welcome,
) error {
	queue := rpc.NewQueue(func(err error) { cancel(err) })
	attachment := c.config.Router.Attach(peer{queue}, true)
	c.setConn(conn)
	if c.config.Connected != nil {
		c.config.Connected(welcome)
	}
	var helpers sync.WaitGroup
	helpers.Go(func() {
		// A broken stream is seen by receive; a queue that has ended ends the stream in good order.
		if send(stream, queue) == nil {
			_ = stream.CloseSend() // never fails
		}
	})
	helpers.Go(func() { c.ping(ctx, cancel, conn) })
	helpers.Go(func() { c.flush(ctx, cancel, queue) })
	err := receive(stream.Recv, attachment)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(err)
	queue.End()
	helpers.Wait()
	c.setConn(nil)
	attachment.Detach("the connection to the JobManager has ended: " + reason(err))
	if c.config.Lost != nil {
		c.config.Lost(err)
	}
	return err
}

// ping ends the connection when the JobManager doesn't answer.
func (c *Client) ping(ctx context.Context, cancel context.CancelCauseFunc, conn *grpc.ClientConn) {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		one, done := context.WithTimeoutCause(ctx, pingTimeout, errNoAnswer)
		_, err := remotepb.NewControlPlaneClient(conn).Ping(one, &remotepb.PingRequest{})
		cause := context.Cause(one)
		done()
		if errors.Is(cause, errNoAnswer) {
			cancel(cause)
		} else if err != nil {
			cancel(err)
		}
	}
}

// flush has the stream end after Stop, when all has been sent or after a time.
func (c *Client) flush(ctx context.Context, cancel context.CancelCauseFunc, queue *rpc.Queue) {
	select {
	case <-ctx.Done():
		return
	case <-c.run.Done():
	}
	queue.End()
	timer := time.NewTimer(rpc.LinkFlushTimeout)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
		cancel(errStopped)
	}
}

func (c *Client) setConn(conn *grpc.ClientConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.conn = conn
	close(c.mu.changed)
	c.mu.changed = make(chan struct{})
}
