//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a program the leader of a group, so that it can be killed with what it starts, and does not get the
// signals of the terminal.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killGroup kills the group of a program.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
