// Command demo connects a fresh network namespace of an ordinary user with
// slirp4netns, fetches pages through it and shows each command. It runs in
// the lab: nothing that it does can leave the machine.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// timeout is for each command.
const timeout = 15 * time.Second

func main() {
	lab.Enter()
	p := lab.NewProgram("demo")
	run(p)
	p.Close()
	if p.Failed() {
		os.Exit(1)
	}
}

// run is the demonstration.
func run(p *lab.Program) {
	say("A host, without any way out but to a second namespace, \"inet\", that plays the internet.\n" +
		"A web server listens on the host's 127.0.0.1:8000, another on inet's 198.51.100.2:80 (lab.test).")
	command("host", 0, "ip", "-br", "addr")

	say("An ordinary user (uid %d) makes a user and a network namespace: no way out at all.", lab.OrdinaryUID)
	g := lab.NewGuest(p, lab.GuestOptions{})
	pid := strconv.Itoa(g.PID)
	fmt.Printf("user$ unshare --user --map-root-user --net --mount   # PID %s\n", pid)
	inside(p, g, "ip", "-br", "addr")

	say("He connects it, with no privilege whatever:")
	fmt.Printf("user$ slirp4netns --configure --mtu=65520 --ready-fd=3 --exit-fd=4 %s tap0\n", pid)
	s := g.Slirp(p, "--configure", "--mtu=65520")
	fmt.Print(s.Log())
	fmt.Printf("(ready after %.1f ms)\n", float64(s.Ready.Microseconds())/1000)
	g.Nameserver(p, "10.0.2.3")
	inside(p, g, "ip", "-br", "addr")
	inside(p, g, "ip", "route")

	say("The guest pings the host, and fetches pages from the host's loopback and from the internet, by name:")
	inside(p, g, "ping", "-n", "-c", "2", "-i", "0.2", "10.0.2.2")
	expect(p, inside(p, g, "curl", "-sS", "http://10.0.2.2:8000/"), lab.HostPage)
	expect(p, inside(p, g, "curl", "-sS", "-4", "http://"+lab.Domain+"/"), lab.InetPage)
	inside(p, g, "curl", "-sS", "-o", "/dev/null", "-w", "%{size_download} bytes, %{speed_download} bytes/s\n",
		"http://198.51.100.2/bytes/1000000000")

	say("The end: the exit-fd closes, and slirp4netns ends with status 0.")
	s.Stop()
	if !p.Failed() {
		fmt.Println("demo: everything worked")
	}
}

// say prints a paragraph.
func say(format string, args ...any) { fmt.Printf("\n# "+format+"\n", args...) }

// inside shows and runs a command in the guest.
func inside(p *lab.Program, g *lab.Guest, name string, args ...string) string {
	fmt.Printf("guest# %s\n", shell(name, args))
	out := g.Run(p, timeout, name, args...)
	fmt.Print(out)
	return out
}

// command shows and runs a command on the host.
func command(prompt string, uid int, name string, args ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	fmt.Printf("%s# %s\n", prompt, shell(name, args))
	cmd := lab.Command(ctx, uid, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Printf("(%v)\n", err)
	}
}

// shell is a command as one would type it.
func shell(name string, args []string) string {
	words := []string{name}
	for _, a := range args {
		if strings.ContainsAny(a, " \n{}") {
			a = "'" + strings.ReplaceAll(a, "\n", `\n`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// expect fails the demonstration when a page is not the right one.
func expect(p *lab.Program, got, want string) {
	if got != want {
		p.Fatalf("got %q, want %q", got, want)
	}
}
