package flowtable

import (
	"slices"
	"testing"
	"time"
)

// clock is a fake that tests move by hand.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newTest(max int) (*Table[string, int], *clock, *[]int) {
	var gone []int
	t := New[string](max, func(v int) { gone = append(gone, v) })
	c := &clock{t: time.Unix(1e9, 0)}
	t.now = c.now
	return t, c, &gone
}

func TestTableEvictsLeastRecentlyUsed(t *testing.T) {
	tab, _, gone := newTest(2)
	defer tab.Close()
	tab.Put("a", 1, time.Hour)
	tab.Put("b", 2, time.Hour)
	if v, ok := tab.Get("a"); !ok || v != 1 {
		t.Fatalf("Get(a) = %d, %v; want 1, true", v, ok)
	}
	tab.Put("c", 3, time.Hour)
	if want := []int{2}; !slices.Equal(*gone, want) {
		t.Errorf("ended %v, want %v: b was the least recently used", *gone, want)
	}
	if tab.Len() != 2 {
		t.Errorf("Len() = %d, want 2", tab.Len())
	}
}

// Flows that nobody answered go first.
func TestTableKeepsAnswered(t *testing.T) {
	tab, _, gone := newTest(3)
	defer tab.Close()
	tab.Put("live", 1, time.Hour)
	tab.Answered("live", time.Hour)
	for i := range 100 {
		tab.Put(string(rune('α'+i)), 100+i, time.Hour)
	}
	if slices.Contains(*gone, 1) {
		t.Error("a scan pushed out an answered flow")
	}
	tab.Answered(string(rune('α'+98)), time.Hour)
	tab.Answered(string(rune('α'+99)), time.Hour)
	tab.Put("new", 2, time.Hour)
	if !slices.Contains(*gone, 1) {
		t.Error("a table of answered flows did not give up the oldest one")
	}
}

func TestTableExpiresIdle(t *testing.T) {
	tab, c, gone := newTest(10)
	defer tab.Close()
	tab.Put("long", 1, 240*time.Second)
	tab.Put("short", 2, 240*time.Second)
	tab.Answered("short", 10*time.Second)
	c.t = c.t.Add(9 * time.Second)
	tab.expire()
	if len(*gone) != 0 {
		t.Fatalf("ended %v after 9 s, want none", *gone)
	}
	c.t = c.t.Add(time.Second)
	tab.expire()
	if want := []int{2}; !slices.Equal(*gone, want) {
		t.Fatalf("ended %v after 10 s, want %v", *gone, want)
	}
	c.t = c.t.Add(230 * time.Second)
	tab.expire()
	if want := []int{2, 1}; !slices.Equal(*gone, want) {
		t.Fatalf("ended %v after 240 s, want %v", *gone, want)
	}
	if tab.timer != nil {
		t.Error("an empty table has a timer")
	}
}

func TestTableReplacesAndCloses(t *testing.T) {
	tab, _, gone := newTest(10)
	tab.Put("a", 1, time.Hour)
	tab.Put("a", 2, time.Hour)
	tab.Put("b", 3, time.Hour)
	tab.Remove("b")
	tab.Remove("b")
	tab.Close()
	tab.Put("c", 4, time.Hour)
	slices.Sort((*gone)[2:])
	if want := []int{1, 3, 2, 4}; !slices.Equal(*gone, want) {
		t.Errorf("ended %v, want %v: each flow exactly once", *gone, want)
	}
}

// A port that asked a DNS server and is used for something else afterwards
// does not keep the short time of DNS.
func TestTableGetRestoresIdle(t *testing.T) {
	tab, c, gone := newTest(10)
	defer tab.Close()
	tab.Put("a", 1, 240*time.Second)
	tab.Answered("a", 10*time.Second)
	tab.Get("a")
	c.t = c.t.Add(100 * time.Second)
	tab.expire()
	if len(*gone) != 0 {
		t.Error("ended after 100 s, want 240 s after the last Get")
	}
	c.t = c.t.Add(140 * time.Second)
	tab.expire()
	if !slices.Equal(*gone, []int{1}) {
		t.Errorf("ended %v, want [1] after 240 s", *gone)
	}
}

// A storm of answered queries pushes out no conversation.
func TestTableKeepsAssured(t *testing.T) {
	tab, _, gone := newTest(16)
	defer tab.Close()
	tab.Put("live", 1, time.Hour)
	tab.Answered("live", time.Hour)
	tab.Get("live")
	for i := range 1000 {
		key := string(rune('α' + i))
		tab.Put(key, 100+i, time.Hour)
		tab.Answered(key, time.Hour)
	}
	if slices.Contains(*gone, 1) {
		t.Error("a storm pushed out a flow that was in use")
	}
	if n := tab.Len(); n != 16 {
		t.Errorf("%d flows, want 16", n)
	}
}

// In a table of assured flows new ones still have time to be answered.
func TestTableHasRoomForFresh(t *testing.T) {
	tab, _, gone := newTest(16)
	defer tab.Close()
	for i := range 16 {
		key := string(rune('a' + i))
		tab.Put(key, i, time.Hour)
		tab.Answered(key, time.Hour)
		tab.Get(key)
	}
	tab.Put("new", 100, time.Hour)
	tab.Put("newer", 101, time.Hour)
	if want := []int{0, 1}; !slices.Equal(*gone, want) {
		t.Errorf("ended %v, want %v: two of 16 places are for new flows", *gone, want)
	}
	tab.Put("newest", 102, time.Hour)
	if want := []int{0, 1, 2}; !slices.Equal(*gone, want) {
		t.Errorf("ended %v, want %v", *gone, want)
	}
	tab.Put("last", 103, time.Hour)
	if want := []int{0, 1, 2, 100}; !slices.Equal(*gone, want) {
		t.Errorf("ended %v, want %v: new flows have more than their share", *gone, want)
	}
}

// Flows that were put are counted, and of those that ended only what a full
// table gave up: not what was idle, replaced, removed or closed, nor what came
// after the end.
func TestTableCountsWhatFails(t *testing.T) {
	tab, c, gone := newTest(3)
	check := func(when string, total, evicted uint64, ended int) {
		t.Helper()
		if got, lost := tab.Total(), tab.Evicted(); got != total || lost != evicted || len(*gone) != ended {
			t.Errorf("%s: %d flows, %d given up, %d ended; want %d, %d, %d", when, got, lost, len(*gone), total, evicted, ended)
		}
	}
	for i, key := range []string{"a", "b", "c"} {
		tab.Put(key, i, time.Hour)
	}
	check("full", 3, 0, 0)
	tab.Put("d", 3, time.Minute)
	tab.Put("e", 4, time.Hour)
	check("two too many", 5, 2, 2)
	tab.Put("e", 5, time.Hour)
	check("one replaced", 6, 2, 3)
	tab.Remove("c")
	tab.Remove("c")
	tab.Remove("never there")
	check("one removed", 6, 2, 4)
	c.t = c.t.Add(2 * time.Minute)
	tab.expire()
	check("one idle", 6, 2, 5)
	tab.Close()
	check("closed", 6, 2, 6)
	tab.Put("late", 6, time.Hour)
	check("after the end", 6, 2, 7)
	if tab.Len() != 0 {
		t.Errorf("%d flows are left", tab.Len())
	}
}
