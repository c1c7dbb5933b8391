// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package flink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Config is what a session is made of.
type Config struct {
	// Dir is a directory for its files.
	Dir string
	// Classes is a directory of compiled classes that all of its processes know, or empty.
	Classes string
	// Slots are those of the TaskManager, and the parallelism of queries.
	Slots int
	// CheckpointInterval is the time between two, 0 for none.
	CheckpointInterval time.Duration
	// Memory is that of the TaskManager, as Flink writes sizes.
	Memory string
}

// Session is a JobManager that runs queries.
type Session struct {
	home   Home
	config Config
	rest   rest
	jm     *proc
	// tmJVM and tmArguments lay out the memory of a TaskManager.
	tmJVM, tmArguments []string
}

// startTimeout is how long a process may take until it answers.
const startTimeout = 2 * time.Minute

// Start starts a JobManager and returns when it answers. It ends with Stop.
func Start(ctx context.Context, h Home, c Config) (s *Session, err error) {
	s = &Session{home: h, config: c}
	rpc, err := freePort()
	if err != nil {
		return nil, err
	}
	web, err := freePort()
	if err != nil {
		return nil, err
	}
	s.rest = rest(fmt.Sprintf("http://localhost:%d", web))
	if err := s.configure(rpc, web); err != nil {
		return nil, err
	}
	if err := s.layOut(ctx); err != nil {
		return nil, err
	}
	s.jm, err = s.start(ctx, "jobmanager", "-Xmx1g", "-cp", s.classPath(),
		"org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint", "--configDir", s.conf(), "--executionMode", "cluster")
	if err != nil {
		return nil, err
	}
	if err := await(ctx, s.jm, func() bool { return s.rest.slots() == 0 }); err != nil {
		return nil, errors.Join(fmt.Errorf("start the JobManager of Flink: %w", err), s.Stop())
	}
	return s, nil
}

// Stop ends the processes of the session and waits for them.
func (s *Session) Stop() error { return s.jm.stop() }

func (s *Session) conf() string { return filepath.Join(s.config.Dir, "conf") }

func (s *Session) classPath(more ...string) string {
	all := []string{s.home.libraries()}
	if s.config.Classes != "" {
		all = append([]string{s.config.Classes}, all...)
	}
	return strings.Join(append(all, more...), string(os.PathListSeparator))
}

// configure writes the configuration: on loopback, state in the heap, no second try of what fails, SQL that gathers changes for up
// to two seconds before it looks at state, which it likes best.
func (s *Session) configure(rpc, web int) error {
	c := s.config
	lines := []string{
		"jobmanager.rpc.address: localhost", "jobmanager.bind-host: localhost", "jobmanager.memory.process.size: 1600m",
		"taskmanager.host: localhost", "taskmanager.bind-host: localhost", "rest.address: localhost", "rest.bind-address: localhost",
		fmt.Sprint("jobmanager.rpc.port: ", rpc), fmt.Sprint("rest.port: ", web),
		fmt.Sprint("taskmanager.numberOfTaskSlots: ", c.Slots), fmt.Sprint("parallelism.default: ", c.Slots),
		"taskmanager.memory.process.size: " + c.Memory,
		"state.backend.type: hashmap", "restart-strategy.type: disable",
		"execution.checkpointing.dir: file://" + filepath.Join(c.Dir, "checkpoints"),
		"execution.checkpointing.checkpoints-after-tasks-finish.enabled: false",
		"table.exec.mini-batch.enabled: true", "table.exec.mini-batch.allow-latency: 2s", "table.exec.mini-batch.size: 50000",
		"table.optimizer.distinct-agg.split.enabled: true",
	}
	if c.CheckpointInterval > 0 {
		lines = append(lines, fmt.Sprintf("execution.checkpointing.interval: %dms", c.CheckpointInterval.Milliseconds()),
			"execution.checkpointing.mode: EXACTLY_ONCE", "execution.checkpointing.incremental: true")
	}
	logging := `rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
appender.file.name = File
appender.file.type = File
appender.file.fileName = ${sys:log.file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %-5p %c - %m%n
`
	if err := os.MkdirAll(s.conf(), 0o755); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(s.conf(), "config.yaml"), []byte(strings.Join(lines, "\n")+"\n"), 0o644),
		os.WriteFile(filepath.Join(s.conf(), "log4j.properties"), []byte(logging), 0o644))
}

// layOut asks Flink how a TaskManager divides its memory: it refuses to start without being told.
func (s *Session) layOut(ctx context.Context) error {
	const marked = "BASH_JAVA_UTILS_EXEC_RESULT:"
	out, err := s.java(ctx, "layout", "-cp", s.classPath(filepath.Join(s.home.dir, memoryUtils)),
		"org.apache.flink.runtime.util.bash.BashJavaUtils", "GET_TM_RESOURCE_PARAMS", "--configDir", s.conf()).Output()
	if err != nil {
		return fmt.Errorf("lay out the memory of Flink's TaskManager: %w", err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if _, rest, found := strings.Cut(line, marked); found {
			lines = append(lines, rest)
		}
	}
	if len(lines) != 2 {
		return fmt.Errorf("lay out the memory of Flink's TaskManager: %d lines, want two: %s", len(lines), out)
	}
	s.tmJVM, s.tmArguments = strings.Fields(lines[0]), strings.Fields(lines[1])
	return nil
}

// taskManager starts a fresh one, and returns when its slots are there.
func (s *Session) taskManager(ctx context.Context) (*proc, error) {
	args := append(append([]string{}, s.tmJVM...), "-cp", s.classPath(),
		"org.apache.flink.runtime.taskexecutor.TaskManagerRunner", "--configDir", s.conf())
	tm, err := s.start(ctx, "taskmanager", append(args, s.tmArguments...)...)
	if err != nil {
		return nil, err
	}
	if err := await(ctx, tm, func() bool { return s.rest.slots() == s.config.Slots }); err != nil {
		return nil, errors.Join(fmt.Errorf("start a TaskManager of Flink: %w", err), tm.stop())
	}
	return tm, nil
}

func (s *Session) java(ctx context.Context, name string, args ...string) *exec.Cmd {
	all := append(javaArguments(), "-Dlog4j.configurationFile=file:"+filepath.Join(s.conf(), "log4j.properties"),
		"-Dlog.file="+filepath.Join(s.config.Dir, name+".log"))
	cmd := exec.CommandContext(ctx, s.home.java, append(all, args...)...)
	cmd.Env = append(os.Environ(), "FLINK_HOME="+s.home.dir, "FLINK_CONF_DIR="+s.conf(), "FLINK_LIB_DIR="+filepath.Join(s.home.dir, "lib"),
		"FLINK_OPT_DIR="+filepath.Join(s.home.dir, "opt"), "FLINK_PLUGINS_DIR="+filepath.Join(s.home.dir, "plugins"))
	return cmd
}

// proc is a process that runs until it is stopped.
type proc struct {
	cmd *exec.Cmd
	// ended is closed once the process has; err is how.
	ended chan struct{}
	err   error
}

// start starts a process, which outlives the context: stop ends it.
func (s *Session) start(ctx context.Context, name string, args ...string) (*proc, error) {
	p := &proc{cmd: s.java(context.WithoutCancel(ctx), name, args...), ended: make(chan struct{})}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	// Owner: stop, which ends the process and waits for it.
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// killAfter is how long a process may take to end.
const killAfter = 20 * time.Second

func (p *proc) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(killAfter):
	}
	err := p.cmd.Process.Kill()
	<-p.ended
	return err
}

// pollInterval is the time between two looks at a session.
const pollInterval = 50 * time.Millisecond

// await waits until something holds, for startTimeout at most, while a process runs.
func await(ctx context.Context, p *proc, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-p.ended:
			return fmt.Errorf("the process has ended: %w", p.err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// freePort is a port that nobody listened on just now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
