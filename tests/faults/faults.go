// What is done to a cluster while clients work on it, and the table of scenarios.
package main

import (
	"fmt"
	"time"
)

// scenario is a kind of bad day: one fault again and again.
type scenario struct {
	name, about string
	nodes       int
	raft        string // more lines of the storage stanza
	disk        int64  // size of each node's disk, 0 for the machine's
	clock       bool   // clocks are moved
	slow        bool   // links are slowed
	pause       int    // seconds without an accepted write that are too many; 0: as usual
	fault       func(p *play) error
}

const usualPause = 10

// scenarios, in the order in which they run.
var scenarios = []scenario{
	{name: "calm", about: "no fault at all", nodes: 3, pause: 3, fault: calm},
	{name: "kill-leader", about: "kill -9 of the leader", nodes: 3, fault: killLeader},
	{name: "kill-one", about: "kill -9 of any node", nodes: 3, fault: killOne},
	{name: "kill-all", about: "kill -9 of all nodes at once", nodes: 3, fault: killAll},
	{name: "freeze", about: "SIGSTOP of any node, then SIGCONT", nodes: 3, fault: freeze},
	{name: "rolling", about: "every node is ended in order and started again", nodes: 3,
		fault: rolling},
	{name: "step-down", about: "the leader is told to step down", nodes: 3, fault: stepDown},
	{name: "isolate-leader", about: "the leader is cut off", nodes: 3, fault: isolateLeader},
	{name: "partition", about: "a minority is cut off", nodes: 5, fault: partition},
	{name: "one-way", about: "links that work in one direction only", nodes: 3, fault: oneWay},
	{name: "flap", about: "the whole network fails for moments", nodes: 3, fault: flap},
	{name: "slow", about: "a node's link is slow", nodes: 3, slow: true, fault: slowLink},
	{name: "disk-full", about: "disks fill up and are freed", nodes: 3, disk: 160 << 20,
		fault: diskFull},
	{name: "clock", about: "a node's wall clock jumps by an hour", nodes: 3, clock: true,
		fault: moveClock},
	{name: "members", about: "a node is removed, emptied, and joins again", nodes: 3,
		fault: changeMembers},
	{name: "snapshot-install", about: "a node is away until it needs a snapshot", nodes: 3,
		raft: "  trailing_logs = 64\n  snapshot_threshold = 64\n", fault: awayForLong},
	{name: "snapshot-save", about: "snapshots are saved", nodes: 3, fault: saveSnapshot},
	{name: "mixed", about: "any of these", nodes: 5, pause: 12, slow: true,
		raft: "  trailing_logs = 256\n  snapshot_threshold = 256\n"},
}

func init() { // mixed chooses from the table that it stands in
	scenarios[len(scenarios)-1].fault = mixed
}

// missing tells why a scenario cannot run here.
func (s *scenario) missing() string {
	if s.clock && clockLibrary() == "" {
		return "clock.c could not be compiled"
	}
	if s.slow && !hasProgram("tc") {
		return "there is no tc to slow links with"
	}
	return ""
}

func (s *scenario) mostPause() time.Duration {
	if s.pause > 0 {
		return time.Duration(s.pause) * time.Second
	}
	return usualPause * time.Second
}

// any is a node chosen by chance.
func (p *play) any() *node { return p.c.nodes[p.chance.Intn(len(p.c.nodes))] }

// leaderOrAny is the leader in most cases.
func (p *play) leaderOrAny() *node {
	if p.chance.Intn(3) > 0 {
		if n := p.c.leader(); n != nil {
			return n
		}
	}
	return p.any()
}

// others are all nodes but one, in an order by chance.
func (p *play) others(but *node) []*node {
	var out []*node
	for _, i := range p.chance.Perm(len(p.c.nodes)) {
		if p.c.nodes[i] != but {
			out = append(out, p.c.nodes[i])
		}
	}
	return out
}

func calm(p *play) error {
	p.sleep(500, 1000)
	return nil
}

func killLeader(p *play) error {
	n, err := p.c.waitLeader(healPatience)
	if err != nil {
		return err
	}
	return p.killAndStart(n, 300, 2500)
}

func killOne(p *play) error { return p.killAndStart(p.any(), 50, 1500) }

func (p *play) killAndStart(n *node, least, most int) error {
	p.note("kill -9 %s", n.name())
	n.kill()
	p.sleep(least, most)
	p.note("start %s", n.name())
	if err := n.start(); err != nil {
		return err
	}
	p.sleep(200, 1500)
	return nil
}

func killAll(p *play) error {
	p.note("kill -9 of all")
	p.c.killAll()
	p.sleep(0, 500)
	for _, i := range p.chance.Perm(len(p.c.nodes)) {
		if err := p.c.nodes[i].start(); err != nil {
			return err
		}
		p.sleep(0, 200)
	}
	p.note("all are started")
	_, err := p.c.waitLeader(healPatience)
	p.sleep(200, 1500)
	return err
}

func freeze(p *play) error {
	n := p.leaderOrAny()
	p.note("SIGSTOP %s", n.name())
	n.pause()
	p.sleep(200, 4000)
	p.note("SIGCONT %s", n.name())
	n.resume()
	p.sleep(100, 1000)
	return nil
}

func rolling(p *play) error {
	for _, i := range p.chance.Perm(len(p.c.nodes)) {
		n := p.c.nodes[i]
		p.note("SIGTERM %s", n.name())
		began := time.Now()
		if err := n.stop(8 * time.Second); err != nil {
			return err
		}
		p.note("%s ended after %v; start", n.name(), time.Since(began).Round(time.Millisecond))
		if err := n.start(); err != nil {
			return err
		}
		if err := p.caughtUp(n); err != nil {
			return err
		}
	}
	return nil
}

// caughtUp waits until a node has applied what was committed when this was called.
func (p *play) caughtUp(n *node) error {
	h := newClient(p.c.root, patience)
	leader, err := p.c.waitLeader(healPatience)
	if err != nil {
		return err
	}
	target, err := h.leader(leader)
	if err != nil {
		return nil // it is gone again; nothing to compare with
	}
	return until(n.name()+" catches up", healPatience, func() error {
		l, err := h.leader(n)
		if err == nil && l.Applied < target.Committed {
			err = fmt.Errorf("it has applied %d of %d", l.Applied, target.Committed)
		}
		return err
	})
}

func stepDown(p *play) error {
	n, err := p.c.waitLeader(healPatience)
	if err != nil {
		return err
	}
	p.note("step-down of %s", n.name())
	began := time.Now()
	a := newClient(p.c.root, 10*time.Second).send(n, "PUT", "sys/step-down", nil)
	p.note("step-down answered %v after %v", a, time.Since(began).Round(time.Millisecond))
	if a.fate == refused {
		return fmt.Errorf("step-down of %s: %v", n.name(), a)
	}
	p.sleep(300, 1000)
	return nil
}

// separate cuts all links between two groups, in silence or with errors, for a while.
func (p *play) separate(ones, others []*node, both bool, least, most int) error {
	cut, how := p.net.cut, "in silence"
	if p.chance.Intn(3) == 0 {
		cut, how = p.net.refuse, "by a blackhole route"
	}
	p.note("cut %s from %s, both ways: %v, %s", names(ones), names(others), both, how)
	for _, a := range ones {
		for _, b := range others {
			if err := cut(a.i, b.i); err != nil {
				return err
			}
			if both {
				if err := cut(b.i, a.i); err != nil {
					return err
				}
			}
		}
	}
	p.sleep(least, most)
	p.note("heal the network")
	err := p.net.healAll()
	p.sleep(300, 2000)
	return err
}

func names(nodes []*node) string {
	text := ""
	for i, n := range nodes {
		if i > 0 {
			text += "+"
		}
		text += n.name()
	}
	return text
}

func isolateLeader(p *play) error {
	n, err := p.c.waitLeader(healPatience)
	if err != nil {
		return err
	}
	return p.separate([]*node{n}, p.others(n), true, 500, 4000)
}

func partition(p *play) error {
	first := p.leaderOrAny()
	rest := p.others(first)
	few := 1 + p.chance.Intn((len(p.c.nodes)-1)/2) // of the smaller side
	return p.separate(append([]*node{first}, rest[:few-1]...), rest[few-1:], true, 500, 4000)
}

func oneWay(p *play) error {
	n := p.leaderOrAny()
	rest := p.others(n)
	some := rest[:1+p.chance.Intn(len(rest))]
	if p.chance.Intn(2) == 0 {
		return p.separate([]*node{n}, some, false, 500, 4000)
	}
	return p.separate(some, []*node{n}, false, 500, 4000)
}

func flap(p *play) error {
	for i := 1 + p.chance.Intn(3); i > 0; i-- {
		p.note("the bridge is down")
		if err := p.net.bridge(false); err != nil {
			return err
		}
		p.sleep(50, 1500)
		p.note("the bridge is up")
		if err := p.net.bridge(true); err != nil {
			return err
		}
		p.sleep(100, 1500)
	}
	return nil
}

func slowLink(p *play) error {
	if p.net.slowBy == "" {
		return fmt.Errorf("this kernel slows no links")
	}
	n := p.leaderOrAny()
	p.note("slow %s: %s", n.name(), p.net.slowBy)
	if err := p.net.slow(n.i); err != nil {
		return err
	}
	p.sleep(1000, 4000)
	p.note("%s is quick again", n.name())
	p.net.quicken(n.i)
	p.sleep(200, 1000)
	return nil
}

func diskFull(p *play) error {
	full := []*node{p.leaderOrAny()}
	if p.chance.Intn(3) == 0 {
		full = p.c.nodes
	}
	leave := int64(p.chance.Intn(200 << 10))
	p.note("fill the disk of %s but %d bytes", names(full), leave)
	for _, n := range full {
		if err := n.fillDisk(leave); err != nil {
			return err
		}
	}
	p.sleep(500, 4000)
	p.note("free the disk of %s", names(full))
	for _, n := range full {
		if err := n.freeDisk(); err != nil {
			return err
		}
	}
	p.sleep(500, 2000)
	return nil
}

func moveClock(p *play) error {
	n := p.leaderOrAny()
	seconds := []int{3600, -3600, 90, -90}[p.chance.Intn(4)]
	p.note("the clock of %s is moved by %d s", n.name(), seconds)
	if err := n.setClock(seconds); err != nil {
		return err
	}
	p.sleep(1500, 4000)
	if p.chance.Intn(2) == 0 {
		if err := p.killAndStart(n, 0, 300); err != nil { // new links, made by the wrong clock
			return err
		}
	}
	p.note("the clock of %s is right again", n.name())
	if err := n.setClock(0); err != nil {
		return err
	}
	p.sleep(1200, 2500)
	return nil
}

// changeMembers removes a node by way of any node, empties it, and has it join again.
func changeMembers(p *play) error {
	n := p.any()
	if err := p.remove(n); err != nil {
		return err
	}
	p.sleep(0, 800)
	n.kill()
	if err := n.wipe(); err != nil {
		return err
	}
	p.note("%s is empty and starts", n.name())
	began := time.Now()
	if err := n.start(); err != nil {
		return err
	}
	err := until("all are voters", healPatience, func() error { return p.c.voters(p.c.nodes) })
	p.note("%s is a voter after %v", n.name(), time.Since(began).Round(time.Millisecond))
	return err
}

func (p *play) remove(n *node) error {
	h := newClient(p.c.root, 10*time.Second)
	return until("removal of "+n.name(), healPatience, func() error {
		by := p.any()
		a := h.send(by, "POST", "sys/storage/raft/remove-peer", map[string]string{"server_id": n.name()})
		p.note("remove %s by way of %s: %v", n.name(), by.name(), a)
		return expect(a, 204)
	})
}

func awayForLong(p *play) error {
	n := p.any()
	p.note("kill -9 %s", n.name())
	n.kill()
	p.sleep(1500, 3500)
	p.note("start %s", n.name())
	if err := n.start(); err != nil {
		return err
	}
	return p.caughtUp(n)
}

func saveSnapshot(p *play) error {
	n := p.any()
	a := newClient(p.c.root, healPatience).send(n, "GET", "sys/storage/raft/snapshot", nil)
	if a.status != 200 {
		return fmt.Errorf("snapshot by way of %s: %v", n.name(), a)
	}
	p.note("a snapshot of %d bytes by way of %s", len(a.body), n.name())
	return checkArchive(a.body)
}

// mixed plays any of the faults that any cluster knows.
func mixed(p *play) error {
	for {
		s := scenarios[p.chance.Intn(len(scenarios)-1)]
		if s.disk == 0 && !s.clock && !(s.slow && p.net.slowBy == "") {
			return s.fault(p)
		}
	}
}
