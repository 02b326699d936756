// Watches which node says that it is active, and whether two of them take writes in one reign.
package main

import (
	"fmt"
	"sort"
	"sync"
	"time"
)

const lookEvery = 100 * time.Millisecond

// reign is the time over which one node, active since one moment, took writes by itself.
type reign struct {
	node        string
	since       string
	first, last time.Duration // the first taken write's answer, and the last one's request
}

// taken is one write that a node took by itself.
type taken struct {
	node, since string
	call, ret   time.Duration
}

// observer asks each node all the time.
type observer struct {
	nodes   []*node
	token   string
	began   time.Time
	mu      sync.Mutex
	writes  []taken
	active  map[string]bool
	stopped chan struct{}
	done    sync.WaitGroup
}

func newObserver(nodes []*node, token string) *observer {
	return &observer{nodes: nodes, token: token, began: time.Now(), active: map[string]bool{},
		stopped: make(chan struct{})}
}

func (o *observer) start() {
	for i := range o.nodes {
		o.done.Add(1)
		go func(n *node) {
			defer o.done.Done()
			c := newClient(o.token, patience)
			for {
				o.look(c, n)
				select {
				case <-o.stopped:
					return
				case <-time.After(lookEvery):
				}
			}
		}(o.nodes[i])
	}
}

func (o *observer) stop() {
	close(o.stopped)
	o.done.Wait()
}

// look asks a node whether it is active, has it write without forwarding, and asks again.
func (o *observer) look(c *client, n *node) {
	before, err := c.leader(n)
	if err != nil || !before.IsSelf {
		return
	}
	call := time.Since(o.began)
	a := c.send(n, "PUT", "kv1/probe", map[string]string{"v": n.name()},
		"X-Vault-No-Request-Forwarding", "true")
	ret := time.Since(o.began)
	if a.status != 204 {
		return
	}
	after, err := c.leader(n)
	if err != nil || !after.IsSelf || after.Active != before.Active {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes = append(o.writes, taken{n.name(), before.Active, call, ret})
	o.active[n.name()] = true
}

// reigns joins the writes of each reign.
func (o *observer) reigns() []reign {
	found := map[string]*reign{}
	for _, w := range o.writes {
		id := w.node + w.since
		r := found[id]
		if r == nil {
			r = &reign{w.node, w.since, w.ret, w.call}
			found[id] = r
		}
		if w.ret < r.first {
			r.first = w.ret
		}
		if w.call > r.last {
			r.last = w.call
		}
	}
	out := make([]reign, 0, len(found))
	for _, r := range found {
		out = append(out, *r)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].first < out[j].first })
	return out
}

// overlaps tells writes that one node took between two writes that another took in one reign.
func (o *observer) overlaps() (faults []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.reigns() {
		for _, w := range o.writes {
			if (w.node != r.node || w.since != r.since) && w.call > r.first && w.ret < r.last {
				faults = append(faults, fmt.Sprintf(
					"%s took a write at %v while %s was active from %v to %v",
					w.node, w.call, r.node, r.first, r.last))
			}
		}
	}
	if len(faults) > 5 {
		faults = faults[:5]
	}
	return faults
}

func (o *observer) changes() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.reigns())
}
