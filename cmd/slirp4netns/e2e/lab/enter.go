package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// The stages of a program that enters the lab, each its own process.
const (
	stageEnv    = "SLIRP_LAB_STAGE"
	stageInit   = "init"   // process 1 of the lab: sets up, starts stageInside, reaps
	stageInside = "inside" // the program proper

	// oneUserEnv is set when the lab has only the calling user.
	oneUserEnv = "SLIRP_LAB_ONE_USER"
)

// oneUser tells that every user of the lab is the same one outside.
var oneUser bool

// Main is the whole body of a TestMain.
func Main(m interface{ Run() int }) {
	Enter()
	os.Exit(m.Run())
}

// Enter returns inside the lab. Outside it runs the program again, with the
// same arguments, inside, and exits with that one's status.
//
// It must be called before anything else of the program's main, as all that
// comes before it happens once in each stage.
func Enter() {
	stage := os.Getenv(stageEnv)
	oneUser = os.Getenv(oneUserEnv) != ""
	os.Unsetenv(stageEnv)
	os.Unsetenv(oneUserEnv)
	switch stage {
	case "":
		os.Exit(launch())
	case stageInit:
		os.Exit(runInit())
	case stageInside:
		forgetCaller()
		if err := startServers(); err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
			os.Exit(1)
		}
	default:
		fmt.Fprintf(os.Stderr, "lab: unknown stage %s=%s\n", stageEnv, stage)
		os.Exit(1)
	}
}

// forgetCaller keeps what is run here from what our caller happened to leave:
// open descriptors, and signals that are ignored, as by nohup(1).
func forgetCaller() {
	_ = unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
	for _, s := range []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM} {
		if signal.Ignored(s) {
			// One that has a handler is the default's after exec(2).
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// launch starts process 1 of the lab, waits for it and returns its status.
func launch() int {
	// PDEATHSIG means the thread that forked, so that one has to stay.
	runtime.LockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), stageEnv+"="+stageInit)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if !haveUsers() {
		cmd.Env = append(cmd.Env, oneUserEnv+"=1")
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return status(exit.Sys().(syscall.WaitStatus))
	case errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC):
		fmt.Fprintf(os.Stderr, "lab: new namespaces: %v (are unprivileged user namespaces allowed here? "+
			"see sysctl user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns)\n", err)
	default:
		fmt.Fprintf(os.Stderr, "lab: new namespaces: %v\n", err)
	}
	return 1
}

// runInit is process 1: it makes the host and inet namespaces, runs the
// program and reaps every orphan of the lab until the program ends.
func runInit() int {
	if err := setUp(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	var planes lookout
	if Locked() {
		go planes.watch()
	}
	env := append(os.Environ(), stageEnv+"="+stageInside)
	if oneUser {
		env = append(env, oneUserEnv+"=1")
	}
	pid, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
		Env:   env,
		Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab: start the program:", err)
		return 1
	}
	code, err := reap(pid)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab: wait4:", err)
		return 1
	}
	return planes.check(code)
}

// reap reaps every orphan of the lab until the program pid ends. It returns the
// program's status, or 1 where a seccomp filter killed what no test has seen.
func reap(pid int) (int, error) {
	var (
		killed  []int
		program syscall.WaitStatus
		options int
	)
	for {
		var ws syscall.WaitStatus
		p, err := syscall.Wait4(-1, &ws, options, nil)
		if err == syscall.EINTR {
			continue
		}
		if options == 0 && err != nil {
			return 0, err
		}
		if options != 0 && (err != nil || p == 0) { // no more that have ended
			return checkForbidden(status(program), killed), nil
		}
		switch {
		case p == pid:
			program, options = ws, syscall.WNOHANG
		case forbade(ws):
			killed = append(killed, p)
		}
	}
}

// status is the exit status that a shell would report.
func status(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
