package backgroundaudio

import "context"

// A Handle is a sound that is being played. Its methods are safe for concurrent use.
type Handle struct {
	stop func()
	done chan struct{}
	err  error // once done is closed
}

// Stop ends the sound, with its fade out if it has one. It does not wait. It does nothing when the sound is over, or
// was stopped before.
func (h *Handle) Stop() { h.stop() }

// Done returns a channel that is closed when the sound is over: all of it was given to the output, which may hold up to
// about a second of it, or it was stopped and has faded out, or the player has closed.
func (h *Handle) Done() <-chan struct{} { return h.done }

// Wait waits until the sound is over. The error is the cause of ctx if that is done first, or what went wrong with the
// sound's Frames.
func (h *Handle) Wait(ctx context.Context) error {
	select {
	case <-h.done:
		return h.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finish ends the handle. The player calls it once.
func (h *Handle) finish(err error) {
	h.err = err
	close(h.done)
}

func (h *Handle) over() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}
