package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// maxEvent is how long an event may be.
const maxEvent = 16 << 20

var errEventTooLong = errors.New("event too long")

// An eventReader reads server-sent events whose data is JSON.
//
// The library's own reader is not used because it loses the last line if that has no line break, loses an error that
// comes after a comment, waits for one more line after an error, and does not say whether [DONE] came.
type eventReader struct {
	r    *bufio.Reader
	line []byte // the line at hand, when it was longer than the buffer
	data []byte // the lines of an event that is not complete
}

func newEventReader(r io.Reader) *eventReader { return &eventReader{r: bufio.NewReaderSize(r, 8<<10)} }

// next returns the data of the next event, which is valid until the next call. The error is io.EOF at the end.
//
// An event of one line is returned without waiting for the blank line after it, which some servers leave out.
func (e *eventReader) next() ([]byte, error) {
	e.data = e.data[:0]
	for {
		line, err := e.readLine()
		if err != nil && (err != io.EOF || len(line) == 0) {
			if err == io.EOF && len(e.data) > 0 {
				return e.data, nil
			}
			return nil, err
		}
		switch data, ok := bytes.CutPrefix(line, []byte("data:")); {
		case len(line) == 0:
			if len(e.data) > 0 {
				return e.data, nil
			}
		case !ok: // a comment, or a field that is of no interest
		case len(e.data) == 0:
			data = bytes.TrimSpace(data)
			if isDone(data) || json.Valid(data) {
				return data, nil
			}
			e.data = append(e.data, data...)
		case len(e.data)+len(data) > maxEvent:
			return nil, errEventTooLong
		default:
			e.data = append(append(e.data, '\n'), bytes.TrimPrefix(data, []byte(" "))...)
		}
	}
}

// readLine returns a line without its end. With the error io.EOF there may be a last one.
func (e *eventReader) readLine() ([]byte, error) {
	e.line = e.line[:0]
	for {
		part, err := e.r.ReadSlice('\n')
		if err == bufio.ErrBufferFull || len(e.line) > 0 {
			if len(e.line)+len(part) > maxEvent {
				return nil, errEventTooLong
			}
			e.line = append(e.line, part...)
			part = e.line
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		return bytes.TrimRight(part, "\r\n"), err
	}
}

func isDone(data []byte) bool { return string(data) == "[DONE]" }
