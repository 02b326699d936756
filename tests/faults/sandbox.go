// The place where clusters run: namespaces of processes, mounts and network that end with the
// harness, a bridge for the clients, and a network namespace for each node.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

const (
	maxNodes   = 5
	marker     = "COFFER_FAULTS_INSIDE"
	harnessIP  = "198.51.100.254"
	nowhereMAC = "02:00:00:00:ff:ff"
)

// inside reports whether this process is in the namespaces already.
func inside() bool { return os.Getenv(marker) != "" }

// enter starts this program again in new namespaces, and returns its exit status.
func enter() int {
	if os.Geteuid() != 0 {
		return notRun(errors.New("network namespaces take root"))
	}
	again := exec.Command("/proc/self/exe", os.Args[1:]...)
	again.Stdout, again.Stderr = os.Stdout, os.Stderr
	again.Env = append(os.Environ(), marker+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	err := again.Run()
	var ended *exec.ExitError
	if err == nil {
		return 0
	}
	if errors.As(err, &ended) && ended.ExitCode() >= 0 {
		return ended.ExitCode()
	}
	if again.Process == nil {
		return notRun(err)
	}
	fmt.Println("faults:", err)
	return 1
}

// network is the bridge and the nodes' namespaces.
type network struct {
	nodes  int
	slowBy string // the queueing discipline that this kernel slows links with, "" for none
}

// sh runs a program, and its output is the error's text.
func sh(line string) error {
	words := strings.Fields(line)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %v: %s", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func all(lines ...string) error {
	for _, line := range lines {
		if err := sh(line); err != nil {
			return err
		}
	}
	return nil
}

func space(i int) string  { return fmt.Sprintf("n%d", i+1) }
func nodeIP(i int) string { return fmt.Sprintf("198.51.100.%d", i+1) }
func mac(i int) string    { return fmt.Sprintf("02:00:00:00:00:%02x", i+1) }

// newNetwork makes it all; the harness is in a network namespace of its own already.
func newNetwork(nodes int) (*network, error) {
	n := &network{nodes: nodes}
	err := all("mount --make-rprivate /", "mount -t proc proc /proc", "mount -t tmpfs tmpfs /run",
		"mkdir /run/netns", "ip link set lo up", "ip link add br0 type bridge",
		"ip link set br0 address "+mac(253)+" up", "ip address add "+harnessIP+"/24 dev br0")
	for i := 0; i < nodes && err == nil; i++ {
		err = n.addNode(i)
	}
	if err != nil {
		return nil, err
	}
	n.slowBy = n.findSlow()
	return n, nil
}

func (n *network) addNode(i int) error {
	in, outside := "ip -n "+space(i)+" ", "p"+space(i)
	err := all("ip netns add "+space(i),
		"ip link add "+outside+" type veth peer name eth0 netns "+space(i),
		"ip link set "+outside+" master br0 up",
		in+"link set lo up", in+"link set eth0 address "+mac(i)+" up",
		in+"address add "+nodeIP(i)+"/24 dev eth0",
		in+"neigh replace "+harnessIP+" lladdr "+mac(253)+" dev eth0 nud permanent",
		"ip neigh replace "+nodeIP(i)+" lladdr "+mac(i)+" dev br0 nud permanent")
	for j := 0; j < n.nodes && err == nil; j++ {
		if j != i {
			err = n.heal(i, j)
		}
	}
	return err
}

// cut drops in silence what node ${from} sends to node ${to}: it leaves for a machine that is not.
func (n *network) cut(from, to int) error {
	return sh(fmt.Sprintf("ip -n %s neigh replace %s lladdr %s dev eth0 nud permanent", space(from),
		nodeIP(to), nowhereMAC))
}

// refuse is a cut that the sender is told of: a route that leads nowhere.
func (n *network) refuse(from, to int) error {
	return sh(fmt.Sprintf("ip -n %s route replace blackhole %s/32", space(from), nodeIP(to)))
}

// heal undoes cut and refuse.
func (n *network) heal(from, to int) error {
	// the route may not be there
	_ = sh(fmt.Sprintf("ip -n %s route del blackhole %s/32", space(from), nodeIP(to)))
	return sh(fmt.Sprintf("ip -n %s neigh replace %s lladdr %s dev eth0 nud permanent", space(from),
		nodeIP(to), mac(to)))
}

// healAll makes every link whole and quick.
func (n *network) healAll() error {
	if err := sh("ip link set br0 up"); err != nil {
		return err
	}
	for i := 0; i < n.nodes; i++ {
		n.quicken(i)
		for j := 0; j < n.nodes; j++ {
			if i == j {
				continue
			}
			if err := n.heal(i, j); err != nil {
				return err
			}
		}
	}
	return nil
}

// bridge takes the bridge up or down, for nodes and clients alike.
func (n *network) bridge(up bool) error {
	if !up {
		return sh("ip link set br0 down")
	}
	err := sh("ip link set br0 up")
	for i := 0; i < n.nodes && err == nil; i++ { // entries of a link that went down are gone
		err = sh("ip neigh replace " + nodeIP(i) + " lladdr " + mac(i) + " dev br0 nud permanent")
	}
	return err
}

// Disciplines that slow a link, best first.
var slowDisciplines = []string{
	"netem delay 120ms 60ms 25% loss 2%",
	"tbf rate 200kbit burst 4kb latency 800ms",
}

func (n *network) findSlow() string {
	for _, discipline := range slowDisciplines {
		if n.slowWith(0, discipline) == nil {
			n.quicken(0)
			return discipline
		}
	}
	return ""
}

func (n *network) slowWith(i int, discipline string) error {
	return sh(fmt.Sprintf("tc -n %s qdisc replace dev eth0 root %s", space(i), discipline))
}

// slow delays all that node ${i} sends.
func (n *network) slow(i int) error { return n.slowWith(i, n.slowBy) }

// quicken undoes slow; fine when there is nothing to undo.
func (n *network) quicken(i int) {
	_ = sh("tc -n " + space(i) + " qdisc del dev eth0 root")
}
