package dns

import (
	"bufio"
	"bytes"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Port is the port of DNS, UDP and TCP (RFC 1035).
const Port = 53

// recheck is how often resolv.conf is looked at, at most. It is looked at only
// when there is a query.
const recheck = time.Second

// Resolvers follows the nameserver lines of a resolv.conf(5). Its methods may
// be called on several goroutines.
type Resolvers struct {
	path string
	now  func() time.Time

	mu      sync.Mutex
	checked time.Time        // guarded by mu
	id      fileID           // guarded by mu; the file that list was read from
	list    []netip.AddrPort // guarded by mu
}

// fileID tells one state of a file from another.
type fileID struct {
	dev, ino    uint64
	size, mtime int64
}

// NewResolvers makes a Resolvers; the file is read at the first query.
func NewResolvers(path string) *Resolvers { return &Resolvers{path: path, now: time.Now} }

// List returns all resolvers in the file's order. It is never empty: a file
// that is missing or names none stands for the loopback addresses, as for the
// C library.
func (r *Resolvers) List() []netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.list != nil && now.Sub(r.checked) < recheck {
		return r.list
	}
	r.checked = now
	fi, err := os.Stat(r.path)
	if err != nil {
		if r.list == nil {
			r.list = loopback()
		}
		return r.list // it is being replaced: keep what was there
	}
	id := identify(fi)
	if r.list != nil && id == r.id {
		return r.list
	}
	b, err := os.ReadFile(r.path)
	if err != nil {
		if r.list == nil {
			r.list = loopback()
		}
		return r.list
	}
	r.id = id
	r.list = parse(b)
	return r.list
}

// First is the first resolver of IPv4, the one that connections go to.
func (r *Resolvers) First() (netip.AddrPort, bool) {
	list := r.List()
	for _, a := range list {
		if a.Addr().Is4() {
			return a, true
		}
	}
	return list[0], true
}

func identify(fi fs.FileInfo) fileID {
	id := fileID{size: fi.Size(), mtime: fi.ModTime().UnixNano()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		id.dev, id.ino = uint64(st.Dev), st.Ino
	}
	return id
}

// loopback is where the C library looks when nothing is configured.
func loopback() []netip.AddrPort {
	return []netip.AddrPort{
		netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), Port),
		netip.AddrPortFrom(netip.IPv6Loopback(), Port),
	}
}

// parse reads the nameserver lines. Lines that are not understood are passed
// over, as resolv.conf(5) has it.
func parse(b []byte) []netip.AddrPort {
	var list []netip.AddrPort
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			list = append(list, netip.AddrPortFrom(a.Unmap(), Port))
		}
	}
	if list == nil {
		return loopback()
	}
	return list
}
