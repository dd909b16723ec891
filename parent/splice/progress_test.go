package splice

import (
	"reflect"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// netstack is as this package knows it: the field is there, and a number.
func TestQueued(t *testing.T) {
	if k := reflect.TypeFor[tcp.Endpoint]().FieldByIndex(queuedField).Type.Kind(); k != reflect.Int {
		t.Errorf("%v is a %v, want an int", queuedField, k)
	}
}
