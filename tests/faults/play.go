// Plays one scenario: a cluster, clients, faults; then everything is healed and judged.
package main

import (
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	healPatience  = 30 * time.Second
	leastAccepted = 20
)

// play of one scenario.
type play struct {
	o       *options
	net     *network
	s       *scenario
	c       *cluster
	w       *workload
	watch   *observer
	chance  *rand.Rand
	seed    int64
	seconds int
	number  int
	dir     string
	began   time.Time
	notes   []string
	wrong   []string
}

func newRun(o *options, net *network, s *scenario, seed int64, number, seconds int) *play {
	return &play{o: o, net: net, s: s, seed: seed, number: number, seconds: seconds,
		chance: rand.New(rand.NewSource(seed)), began: time.Now(),
		dir: filepath.Join(o.keep, fmt.Sprintf("%s-%d", s.name, seed))}
}

// note tells of a fault.
func (p *play) note(format string, more ...interface{}) {
	text := fmt.Sprintf("%8.3f ", time.Since(p.began).Seconds()) + fmt.Sprintf(format, more...)
	p.notes = append(p.notes, text)
	if p.o.verbose {
		fmt.Println("    " + text)
	}
}

// fail notes what was not as it should be.
func (p *play) fail(format string, more ...interface{}) {
	text := fmt.Sprintf(format, more...)
	p.wrong = append(p.wrong, text)
	p.note("WRONG: %s", text)
}

// sleep waits between two times, by chance, in milliseconds.
func (p *play) sleep(least, most int) {
	time.Sleep(time.Duration(least+p.chance.Intn(most-least+1)) * time.Millisecond)
}

func (p *play) nodeCount() int {
	if p.o.nodes > 0 {
		return p.o.nodes
	}
	if p.number%2 == 1 && p.s.nodes == 3 {
		return 5
	}
	return p.s.nodes
}

// play runs the scenario and tells in one line what came of it; whether all was well.
func (p *play) play() bool {
	if err := os.RemoveAll(p.dir); err != nil {
		p.fail("%v", err)
	}
	p.c = newCluster(p.o, p.net, p.dir, p.nodeCount(), p.s.raft)
	defer p.c.unmount()
	defer p.c.release()
	p.act()
	p.c.release()
	if len(p.wrong) == 0 {
		for _, text := range p.c.compareStores() {
			p.fail("%s", text)
		}
	}
	p.readLogs()
	p.report()
	return len(p.wrong) == 0
}

// act is all that needs the processes.
func (p *play) act() {
	if err := p.prepare(); err != nil {
		p.fail("%v", err)
		return
	}
	if err := p.c.bringUp(); err != nil {
		p.fail("%v", err)
		return
	}
	p.w = newWorkload(p.c.nodes, p.c.root, p.seed)
	p.watch = newObserver(p.c.nodes, p.c.root)
	p.note("the clients begin")
	p.w.start()
	p.watch.start()
	end := time.Now().Add(time.Duration(p.seconds) * time.Second)
	for round := 0; time.Now().Before(end) && len(p.wrong) == 0; round++ {
		p.sleep(100, 600)
		if err := p.s.fault(p); err != nil {
			p.fail("%v", err)
		}
	}
	p.restore()
	if err := p.c.settle(healPatience); err != nil {
		p.fail("after the faults: %v", err)
	}
	p.w.stop()
	p.checkPause()
	p.watch.stop()
	p.judge()
}

// prepare makes what must be there before the nodes start.
func (p *play) prepare() error {
	for _, n := range p.c.nodes {
		if err := os.MkdirAll(n.dir, 0o755); err != nil {
			return err
		}
		if p.s.disk > 0 {
			if err := n.limitDisk(p.s.disk); err != nil {
				return err
			}
		}
		if p.s.clock {
			n.clock = clockLibrary()
		}
	}
	return p.net.healAll()
}

// restore ends every fault.
func (p *play) restore() {
	p.note("all is healed")
	if err := p.net.healAll(); err != nil {
		p.fail("%v", err)
	}
	for _, n := range p.c.nodes {
		n.resume()
		if err := n.freeDisk(); err != nil {
			p.fail("%v", err)
		}
		if err := n.start(); err != nil {
			p.fail("%v", err)
		}
	}
}

// judge looks at what the clients saw.
func (p *play) judge() {
	p.note("judging")
	p.wrong = append(p.wrong, p.w.finish()...)
	if err := until("all have applied the same", healPatience, p.c.agree); err != nil {
		p.fail("at the end: %v", err)
	}
	p.wrong = append(p.wrong, p.w.wrong...)
	p.wrong = append(p.wrong, p.watch.overlaps()...)
	p.wrong = append(p.wrong, p.c.accidents()...)
	if _, acked, _ := p.w.h.counts(); acked < leastAccepted {
		p.fail("only %d writes were ever accepted", acked)
	}
	faults, undecided, keys := p.w.h.judge(p.dir)
	p.wrong = append(p.wrong, faults...)
	if undecided*10 > keys {
		p.fail("%d of %d keys could not be decided", undecided, keys)
	}
}

// checkPause tells when the clients had to wait longest, and whether that was too long.
func (p *play) checkPause() {
	pause, upTo := p.w.h.longestPause()
	p.note("the longest pause: %v, up to %.3f", pause.Round(time.Millisecond),
		(p.w.h.began.Sub(p.began) + upTo).Seconds())
	if pause > p.s.mostPause() {
		p.fail("no write was accepted for %v", pause.Round(time.Millisecond))
	}
}

// Words in a server's log that are never well.
var alarms = []string{"AddressSanitizer", "ThreadSanitizer", "runtime error:", "assertion", "Assertion",
	"stack smashing", "corrupted", "double free"}

// readLogs looks for alarms.
func (p *play) readLogs() {
	for _, n := range p.c.nodes {
		text, err := os.ReadFile(n.log())
		if err != nil {
			continue
		}
		for _, alarm := range alarms {
			if i := strings.Index(string(text), alarm); i >= 0 {
				line := string(text[i:])
				if end := strings.IndexByte(line, '\n'); end > 0 {
					line = line[:end]
				}
				p.fail("%s logged: %.200s", n.name(), line)
			}
		}
	}
}

// report tells what came of it and keeps or removes what was written.
func (p *play) report() {
	verdict, detail := "ok  ", "never started"
	if p.w != nil {
		total, acked, unknowns := p.w.h.counts()
		pause, _ := p.w.h.longestPause()
		detail = fmt.Sprintf("%d operations, %d writes accepted, %d unknown, longest pause %v, "+
			"%d reigns", total, acked, unknowns, pause.Round(time.Millisecond), p.watch.changes())
	}
	if len(p.wrong) > 0 {
		verdict = "FAIL"
	}
	fmt.Printf("%s %s, %d nodes, seed %d: %s, %.1f s\n", verdict, p.s.name, len(p.c.nodes), p.seed,
		detail, time.Since(p.began).Seconds())
	if len(p.wrong) == 0 && !p.o.all {
		_ = os.RemoveAll(p.dir) // the next run would
		return
	}
	for _, text := range p.wrong {
		fmt.Println("     " + text)
	}
	p.keep()
	fmt.Printf("     kept in %s; again: -faults %s -seed %d -nodes %d\n", p.dir, p.s.name, p.seed,
		len(p.c.nodes))
}

// keep writes history and faults beside the nodes' logs.
func (p *play) keep() {
	_ = os.MkdirAll(p.dir, 0o755)
	text := strings.Join(append(p.notes, p.wrong...), "\n") + "\n"
	err := os.WriteFile(filepath.Join(p.dir, "faults.txt"), []byte(text), 0o644)
	if err == nil && p.w != nil {
		err = p.w.h.save(filepath.Join(p.dir, "history.json"))
	}
	if err != nil {
		fmt.Println("     not kept:", err)
	}
}

// clockLibrary is clock.c compiled, beside this program; "" when it is not there.
func clockLibrary() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	library := filepath.Join(filepath.Dir(self), "clock.so")
	if _, err := os.Stat(library); err != nil {
		return ""
	}
	return library
}

// hasProgram reports whether the shell would find it.
func hasProgram(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}
