package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a program under measurement, with all its children.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs a program and waits until it writes a line that begins with ready; it returns the rest of that line.
func start(ctx context.Context, ready string, env []string, dir, name string, args ...string) (*process, string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, theirs, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	cmd.Stdout, cmd.Stderr = theirs, theirs
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		_ = out.Close()
		return nil, "", err
	}
	p := &process{cmd, make(chan struct{})}
	lines := make(chan string, 1)
	go func() {
		defer close(p.done)
		defer out.Close()
		found := false
		scan := bufio.NewScanner(out)
		scan.Buffer(nil, 1<<20)
		var last string
		for scan.Scan() {
			if i := strings.Index(scan.Text(), ready); i >= 0 && !found {
				found = true
				lines <- strings.TrimSpace(scan.Text()[i+len(ready):])
			} else if !found {
				last = scan.Text()
			}
		}
		_ = cmd.Wait()
		if !found {
			lines <- "\x00" + last
		}
	}()
	select {
	case line := <-lines:
		if last, failed := strings.CutPrefix(line, "\x00"); failed {
			return nil, "", fmt.Errorf("%s ended: %s", name, last)
		}
		return p, line, nil
	case <-ctx.Done():
		p.stop()
		return nil, "", context.Cause(ctx)
	}
}

// stop asks the program to end, and then makes it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// A cost is what a process and its children used.
type cost struct {
	cpu    time.Duration // since the beginning
	memory float64       // MiB, shared pages by their share
}

// costOf reads the cost of a process, where /proc tells it.
func costOf(pid int) cost {
	var c cost
	for _, p := range tree(pid) {
		fields := stat(p)
		if len(fields) < 13 {
			continue
		}
		for _, ticks := range fields[11:13] {
			n, _ := strconv.ParseInt(ticks, 10, 64)
			c.cpu += time.Duration(n) * 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
		}
		c.memory += pss(p)
	}
	return c
}

// stat returns the fields of a process from its state on.
func stat(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
}

func pss(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

// tree returns a process and all that descend from it.
func tree(root int) []int {
	children := map[int][]int{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if fields := stat(pid); len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}
