package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// nginxConf serves one small page from memory.
const nginxConf = `daemon off; worker_processes 1; pid %[1]s/pid; error_log /dev/null;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c;
  uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e; keepalive_requests 1000000000;
  server { listen 127.0.0.1:%[2]d backlog=4096; location / { return 200 "hello\n"; } }
}
`

// serveWeb starts nginx on the host's loopback.
func (b *bench) serveWeb() error {
	dir := lab.TempDir(b.p, lab.OrdinaryUID)
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, webPort), 0o644); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := lab.Command(ctx, lab.OrdinaryUID, "nginx", "-c", conf, "-e", "/dev/null")
	if err := cmd.Start(); err != nil {
		cancel()
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	b.p.Cleanup(func() { cancel(); <-ended })
	if err := await(lab.Host, "127.0.0.1", webPort); err != nil {
		return err
	}
	// Somebody listens there; nginx, unless it has failed.
	select {
	case err := <-ended:
		ended <- nil
		return fmt.Errorf("nginx: %w", err)
	case <-time.After(300 * time.Millisecond):
		return nil
	}
}

// The lines of wrk's report that count.
var (
	wrkRate   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkErrors = regexp.MustCompile(`(Socket errors|Non-2xx).*`)
)

// readWrk is the rate in wrk's report. A single request that failed, of
// whatever kind, is an error.
func readWrk(out []byte) (float64, error) {
	if failed := wrkErrors.Find(out); failed != nil {
		return 0, fmt.Errorf("wrk: %s", failed)
	}
	m := wrkRate.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("wrk: no rate in %q", out)
	}
	rate, err := strconv.ParseFloat(string(m[1]), 64)
	if err == nil && rate == 0 {
		err = errors.New("wrk: no request was answered")
	}
	return rate, err
}

// webRequests is how many pages wrk gets in a second.
func webRequests(keepAlive bool) method {
	return func(b *bench, s *subject) [][]float64 {
		var rate float64
		b.connected(s, setup{mtu: latencyMTU}, func(at *place) {
			ctx, cancel := context.WithTimeout(context.Background(), b.rate()+20*time.Second)
			defer cancel()
			args := []string{"-t1", "-c" + strconv.Itoa(parallel), "-d" + strconv.Itoa(b.o.seconds) + "s"}
			if !keepAlive {
				args = append(args, "-H", "Connection: close")
			}
			out, err := at.command(ctx, "wrk", append(args, fmt.Sprintf("http://%s:%d/", at.gateway, webPort))...).Output()
			if err == nil {
				rate, err = readWrk(out)
			}
			if err != nil {
				b.p.Fatalf("%v", err)
			}
		})
		return [][]float64{{rate}}
	}
}
