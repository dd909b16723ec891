package parent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc/door"
)

// state is what the process takes with it when it replaces itself by its
// sandboxed stage. Descriptors are numbers; -1 stands for none.
type state struct {
	Config *Config
	// Name is the process's name, as ps(1) shows it.
	Name string
	// UID and GID are the caller's, and mapped to 0 where the sandbox has a
	// user namespace of its own.
	UID, GID int

	ReadyFD, ExitFD, TapFD, TargetFD int
	Mute, HungUp                     bool // as in process

	// The child, which is making the TAP meanwhile.
	ChildPID, ChildFD, RPC, RPCFiles int

	WhyRefused string // as in process

	DeathSignal unix.Signal
	Caller      int // the PID that DeathSignal is about
}

// descriptors are those that the state names.
func (s *state) descriptors() []int {
	var fds []int
	for _, fd := range []int{s.ReadyFD, s.ExitFD, s.TapFD, s.TargetFD, s.ChildFD, s.RPC, s.RPCFiles} {
		if fd >= 0 {
			fds = append(fds, fd)
		}
	}
	return fds
}

// stagePrefix begins the door's name for the sandboxed stage; the number of
// the descriptor with the state follows.
const stagePrefix = "sandbox:"

// maxState is the size of a pipe in bytes (pipe(7)). Paths of 4096 bytes are
// the longest parts of a state.
const maxState = 64 << 10

// send puts s into a pipe, and returns its other end and the stage's name.
func (s *state) send() (pipe int, stage string, err error) {
	text, err := json.Marshal(s)
	if err != nil {
		return -1, "", err
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, "", fmt.Errorf("pipe2: %w", err)
	}
	n, err := unix.Write(fds[1], text)
	unix.Close(fds[1])
	if err == nil && n < len(text) {
		err = fmt.Errorf("%d of %d bytes", n, len(text))
	}
	if err != nil {
		return -1, "", fmt.Errorf("write to a pipe: %w", err)
	}
	if pipe, err = door.Avoid(fds[0]); err != nil {
		return -1, "", err
	}
	return pipe, stagePrefix + strconv.Itoa(pipe), nil
}

// receiveState reads what send wrote. It takes nothing that it does not know:
// both ends are the same program.
func receiveState(stage string) (*state, error) {
	number, ok := strings.CutPrefix(stage, stagePrefix)
	fd, err := strconv.Atoi(number)
	if !ok || err != nil || fd < 3 {
		return nil, fmt.Errorf("malformed stage %q", stage)
	}
	pipe := os.NewFile(uintptr(fd), "state")
	if pipe == nil {
		return nil, fmt.Errorf("stage %q: not a descriptor", stage)
	}
	defer pipe.Close()
	text, err := io.ReadAll(io.LimitReader(pipe, maxState))
	if err != nil {
		return nil, err
	}
	s := new(state)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return nil, fmt.Errorf("stage %q: %w", stage, err)
	}
	if d.More() || s.Config == nil {
		return nil, errors.New("stage " + stage + ": malformed state")
	}
	return s, nil
}
