package parent

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"
)

func TestPatientLog(t *testing.T) {
	var got bytes.Buffer
	l := newPatientLog(&got)
	want := ""
	for i := range maxLines {
		fmt.Fprintf(l, "line %d\n", i)
		want += fmt.Sprintf("line %d\n", i)
	}
	l.Close()
	if got.String() != want {
		t.Errorf("wrote %q, want %q", got.String(), want)
	}
}

// TestPatientLogWithoutReader is a pipe that is full.
func TestPatientLogWithoutReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	start := time.Now()
	l := newPatientLog(w)
	for range 10 * maxLines {
		if n, err := l.Write(make([]byte, 4096)); n != 4096 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	l.Close()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}
