// The clients: reads, writes and check-and-sets of a few keys on nodes chosen by chance, writes that
// are looked for at the end, tokens that must hold at once everywhere.
package main

import (
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"time"
)

const (
	clients      = 8
	registers    = 5                       // keys of kv v1 at a time
	versions     = 4                       // keys of kv v2 at a time
	mostOps      = 220                     // of one key; then another takes its place
	mostUnknown  = 10                      // of one key: each makes judging harder
	patience     = 2500 * time.Millisecond // of a client with a request
	breath       = 5 * time.Millisecond    // of a client between requests
	backOff      = 120 * time.Millisecond  // after one that failed
	markerEvery  = 6                       // requests of a client to one that is looked for at the end
	tokenEvery   = 40                      // and to one token made, used and revoked
	mostComplain = 20
)

// key is one that clients work on.
type key struct {
	path            string
	v2              bool
	ops, unknown    int
	version, writes int // the newest version seen, for check-and-set
}

// workload is what the clients share.
type workload struct {
	nodes   []*node
	h       *history
	token   string
	seed    int64
	mu      sync.Mutex
	keys    []*key
	serial  int
	marks   map[string]string // path: value that was acknowledged
	wrong   []string          // answers that no fault explains
	stopped chan struct{}
	done    sync.WaitGroup
}

func newWorkload(nodes []*node, token string, seed int64) *workload {
	w := &workload{nodes: nodes, h: newHistory(), token: token, seed: seed,
		marks: map[string]string{}, stopped: make(chan struct{})}
	for i := 0; i < registers+versions; i++ {
		w.keys = append(w.keys, w.newKey(i >= registers))
	}
	return w
}

// newKey is one that nobody has used.
func (w *workload) newKey(v2 bool) *key {
	w.serial++
	if v2 {
		return &key{path: fmt.Sprintf("kv2/data/k%d", w.serial), v2: true}
	}
	return &key{path: fmt.Sprintf("kv1/k%d", w.serial)}
}

// pick chooses a key, and puts another in its place when it has been used enough.
func (w *workload) pick(chance *rand.Rand) (*key, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := chance.Intn(len(w.keys))
	k := w.keys[i]
	k.ops++
	if k.ops > mostOps || k.unknown > mostUnknown {
		w.keys[i] = w.newKey(k.v2)
	}
	return k, k.version
}

// learn keeps what an operation told about its key.
func (w *workload) learn(k *key, o op) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o.Outcome == isUnknown {
		k.unknown++
	} else if o.Version > k.version {
		k.version = o.Version
	}
}

// complain notes an answer that is wrong whatever faults there are.
func (w *workload) complain(format string, more ...interface{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wrong) < mostComplain {
		w.wrong = append(w.wrong, fmt.Sprintf("at %.3f s: ", time.Since(w.h.began).Seconds())+
			fmt.Sprintf(format, more...))
	}
}

func (w *workload) start() {
	for i := 0; i < clients; i++ {
		w.done.Add(1)
		go func(number int) {
			defer w.done.Done()
			w.work(number, rand.New(rand.NewSource(w.seed*100+int64(number))))
		}(i)
	}
}

func (w *workload) stop() {
	close(w.stopped)
	w.done.Wait()
}

func (w *workload) work(number int, chance *rand.Rand) {
	c := newClient(w.token, patience)
	for turn := 0; ; turn++ {
		wait := breath
		var well bool
		switch {
		case turn%tokenEvery == number:
			well = w.useToken(c, chance)
		case turn%markerEvery == 0:
			well = w.mark(c, chance, fmt.Sprintf("kv1/mark/%d-%d", number, turn))
		default:
			well = w.one(c, chance, number, fmt.Sprintf("%d-%d", number, turn))
		}
		if !well {
			wait = backOff
		}
		select {
		case <-w.stopped:
			return
		case <-time.After(wait):
		}
	}
}

func (w *workload) node(chance *rand.Rand) *node { return w.nodes[chance.Intn(len(w.nodes))] }

// one does an operation on a key; false when it did not go well.
func (w *workload) one(c *client, chance *rand.Rand, number int, value string) bool {
	k, version := w.pick(chance)
	o := op{Client: number, Key: k.path, Kind: opRead}
	switch roll := chance.Intn(100); {
	case roll < 45:
	case roll < 50 && !k.v2:
		o.Kind = opWrite // of nothing
	case roll < 90 && k.v2:
		o.Kind, o.Expect, o.Value = opCas, version, value
	default:
		o.Kind, o.Value = opWrite, value
	}
	return w.perform(c, w.node(chance), k, o)
}

// perform does one operation on one node and records it.
func (w *workload) perform(c *client, n *node, k *key, o op) bool {
	o.Node = n.name()
	o.Call = w.h.now()
	a := request(c, n, &o)
	o.Return = w.h.now()
	if !w.judgeAnswer(&o, a) {
		return false // surely nothing happened
	}
	w.h.add(o)
	w.learn(k, o)
	return o.Outcome != isUnknown
}

func request(c *client, n *node, o *op) answer {
	v2 := o.versioned()
	switch {
	case o.Kind == opRead:
		return c.send(n, "GET", o.Key, nil)
	case o.Kind == opCas:
		return c.send(n, "POST", o.Key, map[string]interface{}{
			"options": map[string]int{"cas": o.Expect}, "data": map[string]string{"v": o.Value}})
	case v2:
		return c.send(n, "POST", o.Key, map[string]interface{}{"data": map[string]string{"v": o.Value}})
	case o.Value == "":
		return c.send(n, "DELETE", o.Key, nil)
	}
	return c.send(n, "PUT", o.Key, map[string]string{"v": o.Value})
}

// judgeAnswer fills in the outcome; false when there is nothing to record.
func (w *workload) judgeAnswer(o *op, a answer) bool {
	if o.Kind == opRead {
		if a.err != nil || a.status >= 500 {
			return false
		}
		var err error
		o.Value, o.Version, err = kvValue(a, o.versioned())
		if err != nil {
			w.complain("a read of %s at %s was answered: %v", o.Key, o.Node, err)
			return false
		}
		if !o.versioned() {
			o.Version = 0
		}
		o.Outcome = isOk
		return true
	}
	switch a.fate {
	case unknown:
		o.Outcome = isUnknown
		return true
	case refused:
		if o.Kind == opCas && a.status == 400 && a.has("did not match the current version") {
			o.Outcome = isMismatch
			return true
		}
		if a.err == nil {
			w.complain("a %s of %s at %s was answered: %v", o.Kind, o.Key, o.Node, a)
		}
		return false
	case good:
	}
	o.Outcome = isOk
	if o.versioned() {
		var made struct {
			Data struct {
				Version int `json:"version"`
			} `json:"data"`
		}
		if err := a.into(&made); err != nil {
			w.complain("a %s of %s at %s: %v", o.Kind, o.Key, o.Node, err)
		}
		o.Version = made.Data.Version
	}
	return true
}

// mark writes what must be found at the end if it is acknowledged.
func (w *workload) mark(c *client, chance *rand.Rand, path string) bool {
	a := c.send(w.node(chance), "PUT", path, map[string]string{"v": path})
	if a.fate != good {
		if a.fate == refused && a.err == nil {
			w.complain("a write of %s was answered: %v", path, a)
		}
		return false
	}
	w.h.mu.Lock()
	w.h.accepted()
	w.h.mu.Unlock()
	w.mu.Lock()
	w.marks[path] = path
	w.mu.Unlock()
	return true
}

// useToken makes a token at one node, uses it at another, revokes it at a third, and then no node may
// know it.
func (w *workload) useToken(c *client, chance *rand.Rand) bool {
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	n := []*node{w.node(chance), w.node(chance), w.node(chance), w.node(chance)}
	body := map[string]interface{}{"ttl": "10h", "policies": []string{"default"}}
	if err := c.send(n[0], "POST", "auth/token/create", body).into(&made); err != nil {
		return false
	}
	own := *c
	own.token = made.Auth.Token
	if a := own.send(n[1], "GET", "auth/token/lookup-self", nil); a.status == 403 {
		w.complain("a token made at %s was refused by %s: %v", n[0].name(), n[1].name(), a)
		return false
	}
	if a := own.send(n[2], "PUT", "auth/token/revoke-self", nil); a.status != 204 {
		return a.err == nil && a.status < 500
	}
	if a := own.send(n[3], "GET", "auth/token/lookup-self", nil); a.status == 200 {
		w.complain("a token revoked at %s was still good at %s", n[2].name(), n[3].name())
		return false
	}
	return true
}

// finish reads every key and every mark through every node; what is missing.
func (w *workload) finish() []string {
	var missing []string
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range w.nodes {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			lost := w.finishOn(w.nodes[i], 100+i)
			mu.Lock()
			missing = append(missing, lost...)
			mu.Unlock()
		}(i)
	}
	group.Wait()
	return missing
}

func (w *workload) finishOn(n *node, number int) (missing []string) {
	c := newClient(w.token, 4*patience)
	for _, path := range w.paths() {
		o := op{Client: number, Key: path, Kind: opRead}
		if !w.perform(c, n, &key{}, o) {
			missing = append(missing, fmt.Sprintf("%s could not be read at %s at the end", path, n.name()))
		}
	}
	for path, want := range w.marks {
		a := c.send(n, "GET", path, nil)
		value, _, err := kvValue(a, false)
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s at %s at the end: %s", path, n.name(), brief(err)))
		} else if value != want {
			missing = append(missing, fmt.Sprintf("LOST: the acknowledged write of %s is not at %s",
				path, n.name()))
		}
	}
	if len(missing) > mostComplain {
		more := len(missing) - mostComplain
		missing = append(missing[:mostComplain], fmt.Sprintf("... and %d more at %s", more, n.name()))
	}
	return missing
}

// paths are all keys that were ever worked on.
func (w *workload) paths() []string {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	seen, out := map[string]bool{}, []string{}
	for _, o := range w.h.ops {
		if !seen[o.Key] && strings.HasPrefix(o.Key, "kv") {
			seen[o.Key] = true
			out = append(out, o.Key)
		}
	}
	return out
}
