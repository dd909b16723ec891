package parent

import (
	"errors"
	"fmt"

	"github.com/slirp4netns-go/slirp4netns/parent/sandbox"
)

// hostFile is a file of the host's that we made, and remove at the end.
type hostFile struct {
	what   string
	path   string
	remove func() error // by the path
	// remover removes it from inside the sandbox. nil: nothing does, or there
	// is no sandbox.
	remover *sandbox.Remover
}

// keepRemovers makes sure that removeFiles works from inside the sandbox.
func (p *process) keepRemovers() error {
	for _, f := range p.files {
		r, err := sandbox.NewRemover(f.path)
		if errors.Is(err, sandbox.ErrNotRemovable) {
			warn(fmt.Errorf("%s %w", f.what, err))
			continue
		}
		if err != nil {
			return err
		}
		f.remover = r
	}
	return nil
}

// removeFiles removes what we made, once: whoever comes second waits for the
// first.
func (p *process) removeFiles() {
	if !p.listening.Load() {
		return // none of them is complete
	}
	p.removing.Do(p.removeAll)
}

func (p *process) removeAll() {
	for _, f := range p.files {
		var err error
		switch {
		case f.remover != nil:
			err = f.remover.Remove()
		case !p.entered:
			err = f.remove()
		}
		if err != nil {
			warn(err)
		}
	}
}
