// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"debug/elf"
	"debug/macho"
	"fmt"
	"runtime"

	"github.com/weir-stream/weir/internal/rest"
)

// checkPlatform refuses a file that this machine could not run as a program, where it knows how such a file looks.
func checkPlatform(file string) error {
	wrong := func(what string) error {
		return fmt.Errorf("%w: %s, but the cluster runs programs for %s/%s; build with GOOS=%s GOARCH=%s CGO_ENABLED=0",
			rest.ErrInvalid, what, runtime.GOOS, runtime.GOARCH, runtime.GOOS, runtime.GOARCH)
	}
	switch runtime.GOOS {
	case "linux":
		f, err := elf.Open(file)
		if err != nil {
			return wrong("this is no program for Linux")
		}
		defer func() { _ = f.Close() }() // it was only read
		want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
		if want != elf.EM_NONE && f.Machine != want {
			return wrong("this program is for " + f.Machine.String())
		}
	case "darwin":
		f, err := macho.Open(file)
		if err != nil {
			return wrong("this is no program for macOS")
		}
		defer func() { _ = f.Close() }() // it was only read
		want := map[string]macho.Cpu{"amd64": macho.CpuAmd64, "arm64": macho.CpuArm64}[runtime.GOARCH]
		if want != 0 && f.Cpu != want {
			return wrong("this program is for " + f.Cpu.String())
		}
	}
	return nil
}
