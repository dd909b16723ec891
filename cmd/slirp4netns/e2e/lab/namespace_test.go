package lab

import (
	"errors"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMainThreadStaysOnTheHost: as many goroutines inside another namespace as
// need every idle thread leave the main one where it is.
func TestMainThreadStaysOnTheHost(t *testing.T) {
	const goroutines = 64
	var all sync.WaitGroup
	gate := make(chan struct{})
	var inside sync.WaitGroup
	inside.Add(goroutines)
	for range goroutines {
		all.Go(func() {
			isInside := sync.OnceFunc(inside.Done)
			defer isInside() // or the others would wait for ever
			err := Inet.Do(func() error {
				isInside()
				<-gate
				if unix.Gettid() == os.Getpid() {
					return errors.New("the main thread is inside the other namespace")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	inside.Wait()
	close(gate)
	all.Wait()
}
