// Command containerd-shim-runsc-v1 is gVisor's shim, with a start of its own.
//
// The shim's own start sets its score with the kernel's out-of-memory killer
// to nearly the lowest, which takes CAP_SYS_RESOURCE, and ends without it; and
// it tells its address as JSON, which containerd before release 2 can't read.
// Here the score is a little above containerd's, as runc's shim has it, and the
// address is told as it is. Everything else is gVisor's.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shim"
	"gvisor.dev/gvisor/shim/v1/cli"
)

func main() {
	last := len(os.Args) - 1
	if os.Args[last] != "start" {
		cli.Main()
		return
	}
	address, err := start(os.Args[1:last])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(address)
}

// start has a shim serve a container, and returns its address. containerd calls
// it in the container's bundle, with the flags that the shim gets too
// (https://github.com/containerd/containerd/blob/main/core/runtime/v2/README.md).
func start(flags []string) (string, error) {
	said := flag.NewFlagSet("start", flag.ContinueOnError)
	namespace := said.String("namespace", "", "of containerd")
	containerd := said.String("address", "", "containerd's socket")
	id := said.String("id", "", "of the container")
	said.String("publish-binary", "", "not used: the shim tells of events at TTRPC_ADDRESS")
	said.Bool("debug", false, "whether the shim logs more")
	if err := said.Parse(flags); err != nil {
		return "", err
	}
	ctx := namespaces.WithNamespace(context.Background(), *namespace)
	address, err := shim.SocketAddress(ctx, *containerd, *id, false)
	if err != nil {
		return "", err
	}
	// Where containerd, and the shim at its end, look for it.
	if err := os.WriteFile("address", []byte(address), 0o600); err != nil {
		return "", err
	}
	return address, serve(address, flags)
}

// serve starts this program as the shim, which finds its socket as file 3.
func serve(address string, flags []string) error {
	socket, err := shim.NewSocket(address)
	if err != nil {
		return err
	}
	listener, err := socket.File()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	server := exec.Command(self, flags...)
	server.ExtraFiles = []*os.File{listener}
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := server.Start(); err != nil {
		return err
	}
	if err := shim.AdjustOOMScore(server.Process.Pid); err != nil {
		server.Process.Kill()
		return err
	}
	return shim.WritePidFile("shim.pid", server.Process.Pid)
}
