// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weir-stream/weir/internal/rpc"
	"github.com/weir-stream/weir/internal/rpc/weirpb"
)

// lingerTimeout bounds the wait for the last frames and output of a process that has ended: only another process that left
// its group can hold them open.
const lingerTimeout = 200 * time.Millisecond

// Config is what a Process is made of. Path, Receive and Logger are required.
type Config struct {
	// Path is the program, Args what follows its name; Dir is its working directory, empty for that of this process.
	Path string
	Args []string
	Dir  string
	// Env is the whole environment, without what this package adds; nil for that of this process without WEIR_ variables.
	Env []string
	// Log is the path of the file that the output goes to, rotated; empty for none.
	Log string
	// MemoryBytes is what the process may take; zero for no limit. Cgroups holds it to that; nil where none can be made.
	// Watch looks at it where no cgroup holds it; nil for one of its own.
	MemoryBytes int64
	Cgroups     *Cgroups
	Watch       *MemoryWatch
	// Receive is called with each frame from the child, in order, by one goroutine; it must not call Stop.
	Receive func(*weirpb.Frame)
	Logger  *slog.Logger
}

// Process is a child. Its methods are safe for use by several goroutines.
type Process struct {
	config Config
	proc   *os.Process
	link   *rpc.Link
	log    *Log
	tail   tail
	output *os.File // the parent's end of the pipe
	cgroup *cgroup
	limit  atomic.Int64  // what it may take, zero for no limit
	copied chan struct{} // closed when the output is in the log and the tail
	done   chan struct{}
	exit   Exit // settled when done is closed
	wg     sync.WaitGroup
	mu     struct {
		sync.Mutex
		reaping    bool // the group's number is not the child's any more
		killed     bool // by Kill
		overMemory bool // and killed for that
	}
}

// Start starts a child.
func Start(c Config) (*Process, error) {
	p := &Process{
		config: c, copied: make(chan struct{}), done: make(chan struct{}),
	}
	p.limit.Store(c.MemoryBytes)
	if c.Watch == nil {
		p.config.Watch = &MemoryWatch{}
	}
	if c.Log != "" {
		log, err := OpenLog(c.Log)
		if err != nil {
			return nil, err
		}
		p.log = log
	}
	conn, err := p.start()
	if err != nil {
		p.log.close()
		return nil, err
	}
	p.link = rpc.NewLink(conn, c.Receive)
	p.wg.Go(p.copyOutput)
	if c.MemoryBytes > 0 && p.cgroup == nil {
		p.config.Watch.add(p)
	}
	p.wg.Go(p.wait)
	return p, nil
}

// start makes the descriptors and the child; it returns the parent's end of the link.
func (p *Process) start() (conn *os.File, err error) {
	var open []*os.File
	defer func() {
		if err != nil {
			closeAll(open)
			p.cgroup.remove()
		}
	}()
	parent, child, err := socketpair()
	if err != nil {
		return nil, fmt.Errorf("start %s: make a socket pair: %w", p.config.Path, err)
	}
	open = append(open, parent)
	ours := []*os.File{child} // closed here in any case
	defer func() { closeAll(ours) }()
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: make a pipe: %w", p.config.Path, err)
	}
	open, ours = append(open, out), append(ours, in)
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.config.Path, err)
	}
	ours = append(ours, null)
	p.output = out
	p.cgroup = p.config.Cgroups.add(p.config.MemoryBytes, p.config.Logger)
	attributes := &syscall.SysProcAttr{Setpgid: true}
	p.cgroup.join(attributes)
	p.proc, err = startRetrying(p.config.Path, append([]string{p.config.Path}, p.config.Args...), &os.ProcAttr{
		Dir: p.config.Dir, Env: p.environment(), Files: []*os.File{null, in, in, child}, Sys: attributes,
	})
	if err != nil {
		return nil, fmt.Errorf("start program: %w", err)
	}
	return parent, nil
}

// PID is the number of the process.
func (p *Process) PID() int { return p.proc.Pid }

// Send passes a frame to the child, as rpc.Link does.
func (p *Process) Send(f *weirpb.Frame) bool { return p.link.Send(f) }

// AllowMemory raises what a process that has a limit may take. It can't be lowered: what is in use is not given back at
// once. The runtime of the child is to be told by a frame.
func (p *Process) AllowMemory(bytes int64) {
	for {
		before := p.limit.Load()
		if before == 0 || bytes <= before {
			return
		}
		if p.limit.CompareAndSwap(before, bytes) {
			p.cgroup.allow(bytes)
			return
		}
	}
}

// Done is closed when the process has ended and everything of it is cleared away.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit tells how the process ended; to be called once Done is closed.
func (p *Process) Exit() Exit { return p.exit }

// Stop closes the link, which tells the child to end, kills the group if it has not ended after grace, and returns when
// all is cleared away. It can be called several times.
func (p *Process) Stop(grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	var closing sync.WaitGroup // beside the wait: a child that doesn't read holds up the end of the link
	closing.Go(func() {
		_ = p.link.Close() // how it ended is the exit's business
	})
	select {
	case <-p.done:
	case <-timer.C:
		p.Kill()
		<-p.done
	}
	closing.Wait()
	p.wg.Wait()
}

// Kill kills the process and all others of its group. It doesn't wait.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.mu.reaping {
		p.mu.killed = true
		p.killGroup()
	}
}

// killGroup is called with the lock held, while the number of the group is the child's.
func (p *Process) killGroup() {
	p.cgroup.kill()
	// It fails when all have ended, which is what is wanted.
	_ = syscall.Kill(-p.proc.Pid, syscall.SIGKILL)
}

// wait is there until the child has ended, and clears away what it leaves.
func (p *Process) wait() {
	waitExited(p.proc.Pid)
	p.mu.Lock()
	p.mu.reaping = true
	p.killGroup()
	p.mu.Unlock()
	state, err := p.proc.Wait()
	p.config.Watch.remove(p)
	linger := time.NewTimer(lingerTimeout)
	defer linger.Stop()
	select {
	case <-p.link.Done(): // all that the child sent is received
	case <-linger.C:
	}
	_ = p.link.Close() // it ended with the child
	p.drainOutput()
	p.settle(state, err)
	p.cgroup.remove()
	close(p.done)
}

// settle notes how the child ended.
func (p *Process) settle(state *os.ProcessState, err error) {
	p.exit.Code, p.exit.Tail = -1, p.tail.text()
	if err != nil { // somebody else has reaped it
		p.config.Logger.Error("wait for process", "pid", p.proc.Pid, "error", err)
	} else if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		p.exit.Signal = status.Signal()
	} else {
		p.exit.Code = state.ExitCode()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exit.MemoryBytes = p.limit.Load()
	p.exit.OOM = p.mu.overMemory || p.cgroup.killedForMemory() || p.exit.Code > 0 && p.tail.outOfMemory()
	p.exit.Killed = p.mu.killed && !p.exit.OOM
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // nothing was written
	}
}
