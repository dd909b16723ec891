package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// work is what the process may do under the filter.
type work struct {
	file     string
	listener net.Listener
	ready    [2]int
}

// newWork is what is done before the filter: files are made, the control
// socket is bound, the ready-fd is there.
func newWork() *work {
	w := &work{file: os.Args[0]}
	var err error
	if w.listener, err = net.Listen("unix", ""); err != nil {
		panic(err)
	}
	if err := unix.Pipe(w.ready[:]); err != nil {
		panic(err)
	}
	return w
}

func (w *work) do(without []string) error {
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"threads", threads}, {"memory", memory}, {"timers", timers}, {"goroutines that panic", panics},
		{"files", w.files}, {"streams", streams}, {"datagrams", datagrams}, {"socketpair", pair},
		{"interfaces", interfaces}, {"control socket", w.control}, {"descriptors run out", exhaustion},
		{"ready-fd on stdout", w.readyOnStdout}, {"signals", signals},
	} {
		if slices.Contains(without, step.name) {
			continue
		}
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// threads makes 2,000 threads at once, and lets them end.
func threads() error {
	var up, end sync.WaitGroup
	up.Add(2000)
	stay := make(chan struct{})
	for range 2000 {
		end.Go(func() {
			runtime.LockOSThread() // and never unlock: the thread ends here
			up.Done()
			<-stay
		})
	}
	up.Wait()
	close(stay)
	end.Wait()
	return nil
}

// memory has the heap grow and shrink, goroutines' stacks too, within a limit
// that keeps the garbage collector at work.
func memory() error {
	debug.SetMemoryLimit(64 << 20)
	defer debug.SetMemoryLimit(1 << 62)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			var keep [][]byte
			for i := range 2000 {
				keep = append(keep, make([]byte, 1<<(i%18)))
				if len(keep) > 100 {
					keep = keep[50:]
				}
			}
			deep(10000)
		})
	}
	all.Wait()
	runtime.GC()
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return nil
}

func deep(n int) (sum int) {
	var page [512]byte
	if n > 0 {
		sum = deep(n - 1)
	}
	return sum + int(page[n%512])
}

func timers() error {
	for range 20 {
		time.Sleep(time.Millisecond)
	}
	select {
	case <-time.After(5 * time.Millisecond):
	case <-make(chan int):
	}
	_ = time.Now().In(time.Local)
	return nil
}

func panics() (err error) {
	defer func() {
		if recover() == nil {
			err = errors.New("no panic")
		}
	}()
	var p *work
	return p.listener.Close() // a SIGSEGV
}

func (w *work) files() error {
	if _, err := os.Stat(w.file); err != nil {
		return err
	}
	if _, err := os.ReadFile(w.file); err != nil {
		return err
	}
	_, err := os.ReadFile("/nonexistent")
	if !os.IsNotExist(err) {
		return err
	}
	return nil
}

func (w *work) control() error {
	w.listener.(*net.UnixListener).SetDeadline(time.Now().Add(10 * time.Millisecond))
	_, err := w.listener.Accept()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

func pair() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fds[0]), "pair")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return err
	}
	defer c.Close()
	unix.Close(fds[1])
	if _, err := io.ReadAll(c); err != nil {
		return err
	}
	return nil
}

func interfaces() error {
	all, err := net.Interfaces()
	for _, i := range all {
		i.Addrs()
	}
	return err
}

// exhaustion opens sockets until the kernel gives no more.
func exhaustion() error {
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	for range 1 << 20 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if errors.Is(err, unix.EMFILE) {
			_, err := os.ReadFile("/etc/resolv.conf")
			if !errors.Is(err, unix.EMFILE) {
				return fmt.Errorf("with no descriptor left: %w", err)
			}
			return nil
		}
		if err != nil {
			return err
		}
		fds = append(fds, fd)
	}
	return errors.New("there is no limit")
}

// readyOnStdout is what parent does with a ready-fd below 3.
func (w *work) readyOnStdout() error {
	if err := unix.Dup3(w.ready[1], 1, 0); err != nil {
		return err
	}
	return unix.Close(w.ready[1])
}

// signals ends by SIGTERM as parent does: by its default action.
func signals() error {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, unix.SIGUSR1, unix.SIGTERM)
	unix.Kill(os.Getpid(), unix.SIGUSR1)
	<-ch
	unix.Kill(os.Getpid(), unix.SIGTERM)
	<-ch
	signal.Reset(unix.SIGTERM)
	unix.Kill(os.Getpid(), unix.SIGTERM)
	time.Sleep(10 * time.Second) // another thread may be the one to die of it
	return errors.New("SIGTERM did not end it")
}
