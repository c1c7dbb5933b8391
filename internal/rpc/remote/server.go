// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/weir-stream/weir/internal/artifacts"
	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/remote/remotepb"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// ServerConfig says what a Server serves.
type ServerConfig struct {
	// Listen is host:port; port 0 is any free one.
	Listen string
	// TLS is that of the listener; nil serves plain text.
	TLS    *tls.Config
	Router *rpc.Router
	// Welcome answers a TaskManager by one of both. It is called before versions are compared, so it only decides: a
	// TaskManager that it welcomes may be refused still. The Server sets the protocol of the welcome.
	Welcome func(*weirpb.Hello) (*weirpb.Welcome, *weirpb.Refused)
	// Artifacts are the programs that TaskManagers can fetch.
	Artifacts *artifacts.Store
	Logger    *slog.Logger
}

// Server is the JobManager's end of all connections.
type Server struct {
	remotepb.UnimplementedControlPlaneServer
	remotepb.UnimplementedArtifactsServer
	config   ServerConfig
	listener net.Listener
	grpc     *grpc.Server
	stop     sync.Once
	wg       sync.WaitGroup
}

// Serve listens when it returns.
func Serve(c ServerConfig) (*Server, error) {
	listener, err := net.Listen("tcp", c.Listen) //nolint:noctx // binding a socket doesn't wait
	if err != nil {
		return nil, fmt.Errorf("serve RPC on %s: %w", c.Listen, err)
	}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newFrames()),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingInterval, Timeout: pingTimeout}),
		grpc.ConnectionTimeout(greetTimeout),
		grpc.MaxRecvMsgSize(messageBytesMax),
		grpc.MaxSendMsgSize(messageBytesMax),
		grpc.MaxConcurrentStreams(streamsMax),
		grpc.WaitForHandlers(true),
	}
	if c.TLS != nil {
		options = append(options, grpc.Creds(logged{credentials.NewTLS(c.TLS), c.Logger}))
	}
	s := &Server{config: c, listener: listener, grpc: grpc.NewServer(options...)}
	remotepb.RegisterControlPlaneServer(s.grpc, s)
	remotepb.RegisterArtifactsServer(s.grpc, s)
	s.wg.Go(func() {
		if err := s.grpc.Serve(listener); err != nil {
			c.Logger.Error("the RPC server accepts no more connections", "address", s.Addr(), "error", err)
		}
	})
	return s, nil
}

// logged tells why a handshake failed: the other side often sees only that the connection ended.
type logged struct {
	credentials.TransportCredentials
	logger *slog.Logger
}

// ServerHandshake implements credentials.TransportCredentials.
func (l logged) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := l.TransportCredentials.ServerHandshake(conn)
	if err != nil {
		l.logger.Warn("refused a connection", "from", conn.RemoteAddr().String(), "error", err)
	}
	return secured, info, err
}

// Addr is the address that is listened on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Stop ends all connections and waits.
func (s *Server) Stop() {
	s.stop.Do(s.grpc.Stop)
	s.wg.Wait()
}

// Ping implements remotepb.ControlPlaneServer.
func (s *Server) Ping(context.Context, *remotepb.PingRequest) (*remotepb.PingReply, error) {
	return &remotepb.PingReply{}, nil
}

// Connect implements remotepb.ControlPlaneServer: it is the life of one connection.
func (s *Server) Connect(stream grpc.BidiStreamingServer[weirpb.Frame, weirpb.Frame]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	hello := first.GetHello()
	if hello == nil {
		return status.Error(codes.InvalidArgument, "the first frame must be a hello")
	}
	log := s.config.Logger.With("task_manager", hello.GetId(), "incarnation", hello.GetIncarnation())
	welcome, refused := s.answer(hello)
	if refused != nil {
		log.Warn("refused a TaskManager", "reason", refused.GetReason(), "leader", refused.GetLeader())
		return stream.Send(&weirpb.Frame{Body: &weirpb.Frame_Refused{Refused: refused}})
	}
	if err := stream.Send(&weirpb.Frame{Body: &weirpb.Frame_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	log.Info("a TaskManager is connected", "version", hello.GetVersion(), "protocol", welcome.GetProtocol())
	err = s.exchange(stream, hello)
	log.Info("the connection of a TaskManager has ended", "reason", reason(err))
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// answer decides about a TaskManager.
func (s *Server) answer(hello *weirpb.Hello) (*weirpb.Welcome, *weirpb.Refused) {
	welcome, refused := s.config.Welcome(hello)
	if refused != nil {
		return nil, refused
	}
	version, ok := negotiate(hello)
	if !ok {
		return nil, &weirpb.Refused{Version: true, Reason: fmt.Sprintf(
			"TaskManager %s of version %s speaks %s, the JobManager of version %s speaks %s: both must be of the same or of adjacent versions",
			hello.GetId(), hello.GetVersion(), protocols(hello.GetProtocolMin(), hello.GetProtocolMax()),
			welcome.GetVersion(), protocols(rpc.ProtocolMin, rpc.Protocol))}
	}
	welcome.Protocol = version
	return welcome, nil
}

// exchange carries Frames between a stream and the Router until the stream ends.
func (s *Server) exchange(stream grpc.BidiStreamingServer[weirpb.Frame, weirpb.Frame], hello *weirpb.Hello) error {
	queue := rpc.NewQueue(func(err error) {
		// Downwards there are Envelopes alone, which can be dropped: this is not reached.
		s.config.Logger.Error("frames to a TaskManager are lost", "task_manager", hello.GetId(), "error", err)
	})
	var writer sync.WaitGroup
	// The writer ends with the queue, or by the error of the stream, whose end is seen below.
	writer.Go(func() { _ = send(stream, queue) })
	attachment := s.config.Router.Attach(peer{queue}, false)
	err := receive(stream.Recv, attachment)
	queue.End()
	writer.Wait()
	attachment.Detach(fmt.Sprintf("the connection of TaskManager %s has ended: %s", hello.GetId(), reason(err)))
	return err
}

// receive hands what arrives to the Router, until the error.
func receive(next func() (*weirpb.Frame, error), to *rpc.Attachment) error {
	for {
		f, err := next()
		if err != nil {
			return err
		}
		to.Receive(f)
	}
}

// reason is why a stream ended, for people.
func reason(err error) string {
	if errors.Is(err, io.EOF) {
		return "closed by the other side"
	}
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return err.Error()
}

// Fetch implements remotepb.ArtifactsServer.
func (s *Server) Fetch(r *remotepb.FetchRequest, stream grpc.ServerStreamingServer[remotepb.Chunk]) error {
	path, err := s.config.Artifacts.Path(r.GetSha256())
	switch {
	case errors.Is(err, artifacts.ErrNotFound):
		return status.Errorf(codes.NotFound, "%v", err)
	case errors.Is(err, artifacts.ErrBadHash):
		return status.Errorf(codes.InvalidArgument, "%v", err)
	case err != nil:
		return status.Errorf(codes.Internal, "%v", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return status.Errorf(codes.Internal, "open program %s: %v", r.GetSha256(), err)
	}
	defer func() { _ = file.Close() }() // it was read only
	info, err := file.Stat()
	if err != nil {
		return status.Errorf(codes.Internal, "open program %s: %v", r.GetSha256(), err)
	}
	if r.GetOffset() < 0 || r.GetOffset() > info.Size() {
		return status.Errorf(codes.OutOfRange, "program %s has %d bytes, and not %d", r.GetSha256(), info.Size(), r.GetOffset())
	}
	return sendChunks(io.NewSectionReader(file, r.GetOffset(), info.Size()-r.GetOffset()), info.Size(), stream)
}

// sendChunks sends all of r, and one chunk at least.
func sendChunks(r io.Reader, size int64, stream grpc.ServerStreamingServer[remotepb.Chunk]) error {
	data := make([]byte, chunkBytes)
	for first := true; ; first = false {
		n, err := io.ReadFull(r, data)
		if n > 0 || first {
			if err := stream.Send(&remotepb.Chunk{Data: data[:n], Size: size}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return status.Errorf(codes.Internal, "read program: %v", err)
		}
	}
}
