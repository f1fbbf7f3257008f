package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// soundRate is the rate of microphone and speaker, in Hz; both are mono, with 16 bits.
const soundRate = 24000

// listLimit is how long listing devices may take.
const listLimit = 5 * time.Second

// A soundSystem is a pair of programs that every machine of some kind has, one that writes what a microphone hears to its
// standard output, and one that plays its standard input. They spare us a library in C.
type soundSystem struct {
	name           string
	record, play   string
	recordArgs     []string
	playArgs       []string
	deviceArg      string // takes the device
	deviceVariable string // or this variable of the environment does
	list           func(ctx context.Context, input bool) ([]device, error)
}

// A device is a microphone or a speaker.
type device struct{ id, name string }

// devices are those that are wanted; empty is the default.
type devices struct{ input, output string }

var soundSystems = []soundSystem{
	{
		name: "ALSA", record: "arecord", play: "aplay", deviceArg: "-D", list: listALSA,
		recordArgs: []string{"-q", "-t", "raw", "-f", "S16_LE", "-r", "24000", "-c", "1", "--buffer-time=200000", "--period-time=20000"},
		playArgs:   []string{"-q", "-t", "raw", "-f", "S16_LE", "-r", "24000", "-c", "1", "--buffer-time=120000", "--period-time=20000"},
	},
	{
		name: "PipeWire", record: "pw-record", play: "pw-play", deviceArg: "--target", list: listPipeWire,
		recordArgs: []string{"--raw", "--format", "s16", "--rate", "24000", "--channels", "1", "--latency", "20ms", "-"},
		playArgs:   []string{"--raw", "--format", "s16", "--rate", "24000", "--channels", "1", "--latency", "20ms", "-"},
	},
	{
		name: "SoX", record: "rec", play: "play", deviceVariable: "AUDIODEV",
		recordArgs: []string{"-q", "--buffer", "960", "-t", "raw", "-e", "signed", "-b", "16", "-r", "24000", "-c", "1", "-"},
		playArgs:   []string{"-q", "--buffer", "960", "-t", "raw", "-e", "signed", "-b", "16", "-r", "24000", "-c", "1", "-"},
	},
}

var errNoSound = errors.New("there is no program for sound here: arecord and aplay, pw-record and pw-play, or rec and play")

// findSound returns the first system whose programs are here.
func findSound() (soundSystem, error) {
	for _, s := range soundSystems {
		_, noRecord := exec.LookPath(s.record)
		_, noPlay := exec.LookPath(s.play)
		if noRecord == nil && noPlay == nil {
			return s, nil
		}
	}
	return soundSystem{}, errNoSound
}

// resolve finds a device by its number, its id or a part of its name. Empty is the default.
func (s soundSystem) resolve(ctx context.Context, input bool, want string) (string, error) {
	if want == "" || s.list == nil { // SoX takes what it is told
		return want, nil
	}
	list, err := s.list(ctx, input)
	if err != nil {
		return "", err
	}
	if n, err := strconv.Atoi(want); err == nil && n >= 0 && n < len(list) {
		return list[n].id, nil
	}
	for _, d := range list {
		if d.id == want {
			return d.id, nil
		}
	}
	for _, d := range list {
		if strings.Contains(strings.ToLower(d.id+"\n"+d.name), strings.ToLower(want)) {
			return d.id, nil
		}
	}
	kind := "output"
	if input {
		kind = "input"
	}
	return "", fmt.Errorf("there is no %s device %q; -list-devices shows those that there are", kind, want)
}

// listDevices shows the devices.
func (p *process) listDevices(ctx context.Context) error {
	s, err := findSound()
	if err != nil {
		return err
	}
	if s.list == nil {
		fmt.Fprintf(p.stdout, "%s does not list its devices; give -input-device and -output-device what it calls them.\n", s.name)
		return nil
	}
	for _, side := range []struct {
		title string
		input bool
	}{{"Input devices", true}, {"Output devices", false}} {
		list, err := s.list(ctx, side.input)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "%s (%s)\n", side.title, s.name)
		for i, d := range list {
			fmt.Fprintf(p.stdout, "%3d  %s", i, d.id)
			if d.name != "" {
				fmt.Fprintf(p.stdout, "  (%s)", d.name)
			}
			fmt.Fprintln(p.stdout)
		}
	}
	return nil
}

// ask returns what a program says.
func ask(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, listLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.WaitDelay = soundEnvironment(), time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s does not list the devices: %w", name, err)
	}
	return out, nil
}

// listALSA has one device a paragraph: its id, and below it what it is.
func listALSA(ctx context.Context, input bool) (list []device, err error) {
	name := "aplay"
	if input {
		name = "arecord"
	}
	out, err := ask(ctx, name, "-L")
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\n")
		switch text := strings.TrimSpace(line); {
		case text == "":
		case text == line:
			list = append(list, device{id: text})
		case len(list) > 0 && list[len(list)-1].name == "":
			list[len(list)-1].name = text
		}
	}
	return list, err
}

// listPipeWire asks for all that there is, and takes the nodes that are sources or sinks.
func listPipeWire(ctx context.Context, input bool) (list []device, err error) {
	out, err := ask(ctx, "pw-dump")
	if err != nil {
		return nil, err
	}
	var objects []struct {
		Info struct {
			Props map[string]any `json:"props"`
		} `json:"info"`
	}
	if err := json.Unmarshal(out, &objects); err != nil {
		return nil, fmt.Errorf("pw-dump does not list the devices: %w", err)
	}
	class := "Audio/Sink"
	if input {
		class = "Audio/Source"
	}
	for _, o := range objects {
		text := func(key string) string { s, _ := o.Info.Props[key].(string); return s }
		if text("media.class") == class {
			list = append(list, device{text("node.name"), text("node.description")})
		}
	}
	return list, nil
}
