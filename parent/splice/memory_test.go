package splice

import "testing"

// fill has n new flows take all that p gives them.
func fill(p *pool, n int, steady bool) {
	for range n {
		f := new(Flow)
		limit, _ := p.limit(f, steady, 1<<20)
		p.charge(f, limit)
	}
}

// However many connections stand still, they hold no more than the pool, or two
// if they were steady, and the least of each. A steady one beside them has all
// of its buffer as long as they are hundreds that never were, and always
// something.
func TestPoolBound(t *testing.T) {
	for _, p := range []*pool{&NewMemory().toGuest, &NewMemory().toHost} {
		fill(p, 200, false)
		if n := p.total.Load(); n > p.size+200*p.least {
			t.Errorf("200 hold %d bytes, want no more than %d", n, p.size+200*p.least)
		}
		if n, short := p.limit(new(Flow), true, 1<<20); n != 1<<20 || short {
			t.Errorf("a steady one beside 200 has %d bytes, short %v; want 1 MiB", n, short)
		}
		if n, short := p.limit(new(Flow), false, 1<<20); n < p.least || !short {
			t.Errorf("a new one beside 200 has %d bytes, short %v; want less than it may have, and %d at least", n, short, p.least)
		}
		fill(p, 2000, true)
		if n := p.total.Load(); n > 2*p.size+2200*p.least {
			t.Errorf("2200 hold %d bytes, want no more than %d", n, 2*p.size+2200*p.least)
		}
		if n, _ := p.limit(new(Flow), true, 1<<20); n < p.least {
			t.Errorf("a steady one beside 2200 has %d bytes, want %d at least", n, p.least)
		}
	}
}

// What a connection is charged is no reason to give it less.
func TestPoolOwnCharge(t *testing.T) {
	p, f := &NewMemory().toGuest, new(Flow)
	before, _ := p.limit(f, true, 1<<20)
	p.charge(f, before)
	if after, short := p.limit(f, true, 1<<20); after != before || short {
		t.Errorf("%d bytes, short %v, after having been charged %d", after, short, before)
	}
	p.charge(f, 0)
	if n := p.total.Load(); n != 0 || len(p.charges) != 0 {
		t.Errorf("%d bytes for %d are charged after the end", n, len(p.charges))
	}
}

// A review lowers charges to what is held, and leaves alone what was charged or
// has ended while it looked. There is no other one at once.
func TestPoolReview(t *testing.T) {
	p := &NewMemory().toGuest
	var less, more, anew, ended Flow
	for _, f := range []*Flow{&less, &more, &anew, &ended} {
		p.charge(f, 1000)
	}
	holds := func(f *Flow) int64 {
		switch f {
		case &more:
			return 1001
		case &anew:
			p.charge(f, 2000)
		case &ended:
			p.charge(f, 0)
		}
		return 0
	}
	p.review(holds)
	if n := p.total.Load(); n != 3000 || p.charges[&more].bytes != 1000 || p.charges[&anew].bytes != 2000 || len(p.charges) != 2 {
		t.Errorf("%d bytes are charged after the review, %v; want 1000 and 2000", n, p.charges)
	}
	p.review(func(*Flow) int64 { t.Error("a second review at once"); return 0 })
}
