package cli

import (
	"context"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// pollInterval is how often the files are looked at. Looking needs nothing of the system, and works on the mounts of
	// containers, where the system does not tell of changes.
	pollInterval = 250 * time.Millisecond
	// settleTime is how long nothing must change after a change.
	settleTime = 500 * time.Millisecond
)

// A stamp is what a change changes of a file.
type stamp struct {
	size     int64
	modified time.Time
}

// A watcher waits for changes of the files of Go programs below a directory.
type watcher struct {
	root  string
	files map[string]stamp
}

func newWatcher(root string) *watcher {
	w := &watcher{root: root}
	w.files = w.look()
	return w
}

// watched says whether a program may be built from the file.
func watched(name string) bool {
	return !strings.HasPrefix(name, ".") && (strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") ||
		slices.Contains([]string{"go.mod", "go.sum", "go.work"}, name))
}

// passedOver says whether a directory is not looked into.
func passedOver(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || slices.Contains([]string{"vendor", "node_modules", "testdata"}, name)
}

// look returns the files as they are. What cannot be read is not there.
func (w *watcher) look() map[string]stamp {
	files := map[string]stamp{}
	_ = filepath.WalkDir(w.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case d.IsDir():
			if path != w.root && passedOver(d.Name()) {
				return fs.SkipDir
			}
		case watched(d.Name()):
			if info, err := d.Info(); err == nil {
				files[path] = stamp{info.Size(), info.ModTime()}
			}
		}
		return nil
	})
	return files
}

// next waits until files have changed, since the last call too, and then not for settleTime. The error is the cause of ctx.
func (w *watcher) next(ctx context.Context) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var changed time.Time
	for {
		if files := w.look(); !maps.Equal(files, w.files) {
			w.files, changed = files, time.Now()
		}
		if !changed.IsZero() && time.Since(changed) >= settleTime {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
