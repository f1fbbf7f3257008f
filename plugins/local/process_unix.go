//go:build unix

package local

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a program the leader of a group, so that it can be killed with what it starts.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// kill kills the group of a program.
func kill(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
