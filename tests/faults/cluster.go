// A cluster: its nodes, its keys, the goroutine that unseals whoever is sealed.
package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	readyPatience = 30 * time.Second
	pollEvery     = 20 * time.Millisecond
	tendEvery     = 50 * time.Millisecond
)

// cluster is made by newCluster and started by bringUp.
type cluster struct {
	nodes   []*node
	net     *network
	key     string
	root    string
	stopped chan struct{}
	done    sync.WaitGroup
}

func newCluster(o *options, net *network, dir string, count int, raft string) *cluster {
	c := &cluster{net: net, stopped: make(chan struct{})}
	for i := 0; i < count; i++ {
		c.nodes = append(c.nodes, &node{i: i, dir: filepath.Join(dir, space(i)), program: o.binary,
			raft: raft})
	}
	return c
}

// until asks again and again, and tells what the last try said when the time is over.
func until(what string, patience time.Duration, try func() error) error {
	end := time.Now().Add(patience)
	for {
		err := try()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: not within %v: %s", what, patience, brief(err))
		}
		time.Sleep(pollEvery)
	}
}

// bringUp starts all nodes: the first makes the cluster, the others join it by retry_join.
func (c *cluster) bringUp() error {
	for i, n := range c.nodes {
		if i > 0 {
			n.peers = len(c.nodes)
		}
		if err := n.start(); err != nil {
			return err
		}
	}
	if err := c.initialise(); err != nil {
		return err
	}
	c.tend()
	err := until("a cluster of all nodes", readyPatience, func() error { return c.voters(c.nodes) })
	for _, n := range c.nodes {
		n.peers = len(c.nodes) // from now on the first joins too, should it come back empty
	}
	if err != nil {
		return err
	}
	return c.mounts()
}

func (c *cluster) initialise() error {
	var keys struct {
		Keys []string `json:"keys_base64"`
		Root string   `json:"root_token"`
	}
	first, h := c.nodes[0], newClient("", readyPatience)
	err := until("the first node listens", readyPatience, func() error {
		_, err := h.sealed(first)
		return err
	})
	if err == nil {
		err = h.send(first, "PUT", "sys/init",
			map[string]int{"secret_shares": 1, "secret_threshold": 1}).into(&keys)
	}
	if err != nil {
		return err
	}
	c.key, c.root = keys.Keys[0], keys.Root
	return until("the first node is active", readyPatience, func() error {
		c.unseal(h, first)
		return expect(h.send(first, "GET", "sys/health", nil), 200)
	})
}

func (c *cluster) mounts() error {
	h := newClient(c.root, readyPatience)
	leader := c.nodes[0]
	if l := c.leader(); l != nil {
		leader = l
	}
	for path, version := range map[string]string{"kv1": "1", "kv2": "2"} {
		a := h.send(leader, "POST", "sys/mounts/"+path, map[string]interface{}{"type": "kv",
			"options": map[string]string{"version": version}})
		if err := expect(a, 204); err != nil {
			return fmt.Errorf("mounting %s: %v", path, err)
		}
	}
	return nil
}

func expect(a answer, status int) error {
	if a.status != status {
		return fmt.Errorf("%v", a)
	}
	return nil
}

// unseal gives a node its key if it wants it.
func (c *cluster) unseal(h *client, n *node) {
	if sealed, err := h.sealed(n); err == nil && sealed {
		h.send(n, "PUT", "sys/unseal", map[string]string{"key": c.key})
	}
}

// tend unseals whoever is sealed, until release.
func (c *cluster) tend() {
	for i := range c.nodes {
		c.done.Add(1)
		go func(n *node) {
			defer c.done.Done()
			h := newClient("", patience)
			for {
				if n.running() && !n.paused() {
					c.unseal(h, n)
				}
				select {
				case <-c.stopped:
					return
				case <-time.After(tendEvery):
				}
			}
		}(c.nodes[i])
	}
}

// killAll ends all processes at once, as a loss of power would.
func (c *cluster) killAll() {
	var group sync.WaitGroup
	for i := range c.nodes {
		group.Add(1)
		go func(n *node) {
			n.kill()
			group.Done()
		}(c.nodes[i])
	}
	group.Wait()
}

// release ends the processes and what tends them.
func (c *cluster) release() {
	if c.stopped != nil {
		close(c.stopped)
		c.done.Wait()
		c.stopped = nil
	}
	c.killAll()
}

// unmount takes away what limits the disks, with all that is on them.
func (c *cluster) unmount() {
	for _, n := range c.nodes {
		n.unmountDisk()
	}
}

// voters asks that exactly these nodes are voters.
func (c *cluster) voters(nodes []*node) error {
	leader := c.leader()
	if leader == nil {
		return errors.New("there is no leader")
	}
	members, err := newClient(c.root, patience).members(leader)
	if err != nil {
		return err
	}
	var have, want []string
	for _, m := range members {
		if !m.Voter {
			return fmt.Errorf("%s is no voter yet", m.ID)
		}
		have = append(have, m.ID)
	}
	for _, n := range nodes {
		want = append(want, n.name())
		if !strings.Contains(" "+strings.Join(have, " ")+" ", " "+n.name()+" ") {
			return fmt.Errorf("%s is no member yet of %v", n.name(), have)
		}
	}
	if len(have) != len(want) {
		return fmt.Errorf("members are %v, not %v", have, want)
	}
	return nil
}

// leader is a node that says it is active, or nil.  Two may say so; then it is the later one.
func (c *cluster) leader() *node {
	type found struct {
		n     *node
		since string
	}
	answers := make(chan found, len(c.nodes))
	for i := range c.nodes {
		go func(n *node) {
			if n.running() && !n.paused() {
				if l, err := newClient(c.root, time.Second).leader(n); err == nil && l.IsSelf {
					answers <- found{n, l.Active}
					return
				}
			}
			answers <- found{}
		}(c.nodes[i])
	}
	var best found
	for range c.nodes {
		if f := <-answers; f.n != nil && (best.n == nil || f.since > best.since) {
			best = f
		}
	}
	return best.n
}

// waitLeader waits for one.
func (c *cluster) waitLeader(patience time.Duration) (*node, error) {
	var n *node
	err := until("a leader", patience, func() error {
		if n = c.leader(); n == nil {
			return errors.New("nobody is active")
		}
		return nil
	})
	return n, err
}

// settle waits until all is well: everybody runs, is a voter, and takes a write.
func (c *cluster) settle(patience time.Duration) error {
	end := time.Now().Add(patience)
	left := func() time.Duration { return time.Until(end) }
	if err := until("all are voters", left(), func() error { return c.voters(c.nodes) }); err != nil {
		return err
	}
	h := newClient(c.root, 2*time.Second)
	for i := range c.nodes {
		n := c.nodes[i]
		err := until("a write by way of "+n.name(), left(), func() error {
			return expect(h.send(n, "PUT", "kv1/settled", map[string]string{"v": n.name()}), 204)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// agree asks that all nodes have the same committed and applied index.
func (c *cluster) agree() error {
	h := newClient(c.root, 2*time.Second)
	var first leaderAnswer
	for i, n := range c.nodes {
		l, err := h.leader(n)
		if err != nil {
			return fmt.Errorf("%s: %v", n.name(), err)
		}
		if i == 0 {
			first = l
		}
		if l.Applied == 0 || l.Applied != first.Applied || l.Committed != first.Committed {
			return fmt.Errorf("%s has committed %d and applied %d, %s %d and %d", c.nodes[0].name(),
				first.Committed, first.Applied, n.name(), l.Committed, l.Applied)
		}
	}
	return nil
}

// accidents are processes that ended without being asked to.
func (c *cluster) accidents() (out []string) {
	for _, n := range c.nodes {
		n.mu.Lock()
		if n.accident != "" {
			out = append(out, n.accident)
		}
		n.mu.Unlock()
	}
	return out
}
