package dns

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// recheck is how often resolv.conf is looked at, at most. It is looked at only
// while there are queries. A change takes effect within twice that time, also
// for queries that wait.
const recheck = 250 * time.Millisecond

// maxResolvers bounds the resolvers. The C library reads three of a file.
const maxResolvers = 16

// ResolversConfig says where the resolvers come from.
type ResolversConfig struct {
	// Path is that of a resolv.conf(5).
	Path string
	// Servers take the place of the file's, if there are any.
	Servers []netip.AddrPort
	// Forbidden tells of addresses that are never asked. It may be nil.
	Forbidden func(netip.Addr) bool
}

// Resolvers follows a resolv.conf(5). Its methods may be called on several
// goroutines.
type Resolvers struct {
	cfg ResolversConfig
	now func() time.Time

	mu      sync.Mutex
	checked time.Time        // guarded by mu
	id      fileID           // guarded by mu; the file that the rest was read from
	list    []netip.AddrPort // guarded by mu; nil before the first look
	search  []string         // guarded by mu
	emptied bool             // guarded by mu; the file named no server at the last look
}

// fileID tells one state of a file from another.
type fileID struct {
	dev, ino, size, mtime, ctime int64
}

// NewResolvers makes a Resolvers; the file is read at the first query.
func NewResolvers(cfg ResolversConfig) *Resolvers {
	return &Resolvers{cfg: cfg, now: time.Now}
}

// List returns all resolvers in the file's order. A file that is missing or
// names none stands for the loopback addresses, as for the C library; the list
// is empty when all that it names are forbidden. It is another slice whenever
// it has changed, and must not be written to.
func (r *Resolvers) List() []netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lookLocked()
	return r.list
}

// Search returns the domains of the file's search line. It must not be written
// to.
func (r *Resolvers) Search() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lookLocked()
	return r.search
}

// lookLocked brings list and search up to date.
func (r *Resolvers) lookLocked() {
	now := r.now()
	if r.list != nil && now.Sub(r.checked) < recheck {
		return
	}
	r.checked = now
	fi, err := os.Stat(r.cfg.Path)
	if err != nil {
		r.noFileLocked(err)
		return
	}
	id := identify(fi)
	if r.list != nil && id == r.id {
		return
	}
	b, err := os.ReadFile(r.cfg.Path)
	if err != nil {
		r.noFileLocked(err)
		return
	}
	c := parse(b)
	if c.none && r.list != nil && !r.emptied {
		// It may be half written. The next look, which is not far, decides.
		r.emptied = true
		r.checked = now.Add(halfWritten - recheck)
		return
	}
	r.id, r.emptied = id, c.none
	r.setLocked(c)
}

// halfWritten is how long a file without servers, where there were some, is not
// believed.
const halfWritten = 100 * time.Millisecond

// noFileLocked keeps what was there, if anything: the file is being replaced, or
// there is no descriptor to read it with. The latter may be over at once.
func (r *Resolvers) noFileLocked(err error) {
	if r.list == nil {
		r.setLocked(resolvConf{servers: loopback()})
	}
	if !errors.Is(err, fs.ErrNotExist) {
		r.checked = time.Time{}
	}
}

func (r *Resolvers) setLocked(c resolvConf) {
	if len(r.cfg.Servers) > 0 {
		c.servers = r.cfg.Servers
	}
	list := make([]netip.AddrPort, 0, len(c.servers))
	for _, s := range c.servers {
		forbidden := r.cfg.Forbidden != nil && r.cfg.Forbidden(s.Addr())
		if !forbidden && !slices.Contains(list, s) && len(list) < maxResolvers {
			list = append(list, s)
		}
	}
	// Another slice stands for another network: see health.
	if r.list == nil || !slices.Equal(r.list, list) {
		r.list = list
	}
	r.search = c.search
}

// identify uses the time of the inode's change as well: cp -p sets the other
// one back.
func identify(fi fs.FileInfo) fileID {
	id := fileID{size: fi.Size(), mtime: fi.ModTime().UnixNano()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		id.dev, id.ino = int64(st.Dev), int64(st.Ino)
		id.ctime = int64(st.Ctim.Sec)*1e9 + int64(st.Ctim.Nsec)
	}
	return id
}
