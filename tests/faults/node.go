// One server process in its network namespace.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	apiPort     = 8200
	clusterPort = 8201
)

// node is one member: its directory, its configuration, its process while there is one.
type node struct {
	i        int
	dir      string
	program  string
	peers    int    // members to ask for a place in the cluster; 0: it makes one
	raft     string // more lines of the storage stanza
	clock    string // clock.c as a library, "" for the machine's clock
	mu       sync.Mutex
	process  *exec.Cmd
	ended    chan struct{} // closed when the process has ended
	wanted   bool          // false: it was us who ended it
	accident string        // how it ended when nobody asked for that
	stopped  bool          // by SIGSTOP
}

func (n *node) name() string    { return space(n.i) }
func (n *node) url() string     { return fmt.Sprintf("http://%s:%d", nodeIP(n.i), apiPort) }
func (n *node) data() string    { return filepath.Join(n.dir, "data") }
func (n *node) log() string     { return filepath.Join(n.dir, "server.log") }
func (n *node) clockAt() string { return filepath.Join(n.dir, "clock") }

// configure writes the configuration; retry_join names all the others.
func (n *node) configure() error {
	joins := ""
	for j := 0; j < n.peers; j++ {
		if j != n.i {
			joins += fmt.Sprintf("  retry_join {\n    leader_api_addr = \"http://%s:%d\"\n  }\n",
				nodeIP(j), apiPort)
		}
	}
	text := fmt.Sprintf(`storage "raft" {
  path = "%s"
  node_id = "%s"
%s%s}
listener "tcp" {
  address = "%s:%d"
  cluster_address = "%s:%d"
  tls_disable = true
}
api_addr = "%s"
cluster_addr = "https://%s:%d"
disable_mlock = true
raw_storage_endpoint = true
log_level = "debug"
`, n.data(), n.name(), n.raft, joins, nodeIP(n.i), apiPort, nodeIP(n.i), clusterPort, n.url(),
		nodeIP(n.i), clusterPort)
	if err := os.MkdirAll(n.data(), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(n.dir, "server.hcl"), []byte(text), 0o600)
}

func (n *node) environment() []string {
	env := []string{"HOME=" + n.dir, "PATH=" + os.Getenv("PATH")}
	if n.clock != "" {
		env = append(env, "LD_PRELOAD="+n.clock, "SHIFTED_CLOCK="+n.clockAt(),
			"ASAN_OPTIONS=verify_asan_link_order=0")
	}
	return env
}

// start starts the process if it is not there; it need not be ready when this returns.
func (n *node) start() error {
	n.awaitEnd()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process != nil {
		return nil
	}
	if err := n.configure(); err != nil {
		return err
	}
	if n.clock != "" {
		if _, err := os.Stat(n.clockAt()); err != nil {
			if err := n.setClock(0); err != nil {
				return err
			}
		}
	}
	log, err := os.OpenFile(n.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p := exec.Command("ip", "netns", "exec", n.name(), n.program, "server",
		"-config="+filepath.Join(n.dir, "server.hcl"))
	p.Dir, p.Env, p.Stdout, p.Stderr = n.dir, n.environment(), log, log
	if err := p.Start(); err != nil {
		return err
	}
	n.process, n.ended, n.wanted, n.stopped = p, make(chan struct{}), true, false
	go n.watch(p, n.ended)
	return nil
}

// watch waits for the end of a process and notes when it came by itself.
func (n *node) watch(p *exec.Cmd, ended chan struct{}) {
	err := p.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wanted {
		n.accident = fmt.Sprintf("%s ended by itself: %v", n.name(), err)
		if err == nil {
			n.accident = n.name() + " ended by itself with status 0"
		}
	}
	n.process = nil
	close(ended)
}

func (n *node) running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process != nil
}

// signal sends one to the process, if there is one; ending says that it will end of it.
func (n *node) signal(s syscall.Signal, ending bool) chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return nil
	}
	n.wanted = n.wanted && !ending
	_ = n.process.Process.Signal(s) // it may have ended this very moment
	return n.ended
}

// awaitEnd lets a process that was told to end do so.
func (n *node) awaitEnd() {
	n.mu.Lock()
	ended := n.ended
	ending := n.process != nil && !n.wanted
	n.mu.Unlock()
	if ending {
		<-ended
	}
}

func (n *node) kill() {
	if ended := n.signal(syscall.SIGKILL, true); ended != nil {
		<-ended
	}
}

// stop ends the process in order; an error when it takes too long.
func (n *node) stop(patience time.Duration) error {
	ended := n.signal(syscall.SIGTERM, true)
	if ended == nil {
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-time.After(patience):
		n.kill()
		return fmt.Errorf("%s did not end within %v of SIGTERM", n.name(), patience)
	}
}

func (n *node) pause() {
	n.signal(syscall.SIGSTOP, false)
	n.mu.Lock()
	n.stopped = true
	n.mu.Unlock()
}

func (n *node) resume() {
	n.signal(syscall.SIGCONT, false)
	n.mu.Lock()
	n.stopped = false
	n.mu.Unlock()
}

func (n *node) paused() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stopped
}

// wipe takes the data away; the process is not there.
func (n *node) wipe() error {
	entries, err := os.ReadDir(n.data())
	for _, e := range entries {
		if err == nil {
			err = os.RemoveAll(filepath.Join(n.data(), e.Name()))
		}
	}
	return err
}

// setClock moves the wall clock of the node by so many seconds, which clock.c reads at every look.
func (n *node) setClock(seconds int) error {
	f, err := os.OpenFile(n.clockAt(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], uint64(int64(seconds)))
	_, err = f.WriteAt(number[:], 0)
	return err
}

// limitDisk puts the data on a file system of so many bytes.
func (n *node) limitDisk(bytes int64) error {
	if err := os.MkdirAll(n.data(), 0o700); err != nil {
		return err
	}
	return syscall.Mount("tmpfs", n.data(), "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
}

func (n *node) unmountDisk() { _ = syscall.Unmount(n.data(), syscall.MNT_DETACH) }

// fillDisk takes all the room there is but ${leave} bytes.
func (n *node) fillDisk(leave int64) error {
	f, err := os.Create(filepath.Join(n.data(), "filler"))
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 4096)
	var written int64
	for {
		count, err := f.Write(block)
		written += int64(count)
		if err != nil {
			break // no room left, which is what was wanted
		}
	}
	if written < leave {
		leave = written
	}
	return f.Truncate(written - leave)
}

func (n *node) freeDisk() error {
	err := os.Remove(filepath.Join(n.data(), "filler"))
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
