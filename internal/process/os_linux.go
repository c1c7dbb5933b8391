// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// waitExited returns when a child has ended, and leaves it to be reaped.
func waitExited(pid int) {
	for {
		// An error other than an interruption means that somebody else has reaped it.
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// residentFile tells the memory of a process; it stays open, since a look is one call then.
type residentFile struct {
	file *os.File
	conn syscall.RawConn // of file; nothing else reads it with one call
	text [residentTextMax]byte
}

// residentTextMax is more than the seven numbers take.
const residentTextMax = 256

// openResident opens what tells the memory of a process; false if that can't be known.
func openResident(pid int) (*residentFile, bool) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return nil, false
	}
	conn, err := f.SyscallConn()
	return &residentFile{file: f, conn: conn}, err == nil
}

// read is the memory that the process holds for itself alone; false if that can't be known.
func (r *residentFile) read() (int64, bool) {
	var n int
	var failed error
	err := r.conn.Read(func(fd uintptr) bool {
		n, failed = unix.Pread(int(fd), r.text[:], 0)
		return true
	})
	if err != nil || failed != nil {
		return 0, false
	}
	fields := bytes.Fields(r.text[:n])
	if len(fields) < 3 {
		return 0, false
	}
	resident, err1 := strconv.ParseInt(string(fields[1]), 10, 64)
	shared, err2 := strconv.ParseInt(string(fields[2]), 10, 64)
	return (resident - shared) * int64(os.Getpagesize()), err1 == nil && err2 == nil
}

func (r *residentFile) close() { _ = r.file.Close() } // nothing was written
