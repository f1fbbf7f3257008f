//go:build !unix

package livekit

import "time"

// processTime is the processor time that this process used, which is not known here: load then is what the jobs are.
func processTime() (time.Duration, bool) { return 0, false }
