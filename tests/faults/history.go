// What the clients did and saw, and the judgement on it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// kinds of operations
const (
	opRead  = "read"
	opWrite = "write" // whatever was there before; "" deletes
	opCas   = "cas"   // only if the version is the expected one
)

// op is one operation of one client.
type op struct {
	Client  int    `json:"client"`
	Node    string `json:"node"`
	Key     string `json:"key"`
	Kind    string `json:"kind"`
	Value   string `json:"value"`            // written, or read
	Expect  int    `json:"expect,omitempty"` // version that a cas wants
	Version int    `json:"version"`          // that was read or made
	Call    int64  `json:"call_ns"`
	Return  int64  `json:"return_ns"`
	Outcome string `json:"outcome"` // ok, mismatch (of a cas), unknown
}

const (
	isOk       = "ok"
	isMismatch = "mismatch"
	isUnknown  = "unknown"
)

// history collects operations from all clients.
type history struct {
	mu    sync.Mutex
	began time.Time
	ops   []op
	acked int       // accepted writes
	last  time.Time // of the last accepted write
	pause time.Duration
	upTo  time.Duration // when the longest pause was over
}

func newHistory() *history {
	now := time.Now()
	return &history{began: now, last: now}
}

// now is the time of the history's clock.
func (h *history) now() int64 { return time.Since(h.began).Nanoseconds() }

func (h *history) add(o op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, o)
	if o.Kind != opRead && o.Outcome == isOk {
		h.accepted()
	}
}

// accepted notes that a write was; with the lock held.
func (h *history) accepted() {
	now := time.Now()
	if gap := now.Sub(h.last); gap > h.pause {
		h.pause, h.upTo = gap, now.Sub(h.began)
	}
	h.last = now
	h.acked++
}

// longestPause is the longest time without an accepted write up to now, and when it ended.
func (h *history) longestPause() (pause, upTo time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if gap := time.Since(h.last); gap > h.pause {
		return gap, time.Since(h.began)
	}
	return h.pause, h.upTo
}

func (h *history) counts() (total, acked, unknowns int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.ops {
		if o.Outcome == isUnknown {
			unknowns++
		}
	}
	return len(h.ops), h.acked, unknowns
}

// state of one key: what is there, and which version (kv v1: always 0).
type state struct {
	value   string
	version int
}

// stepRegister: kv v1, a register whose empty value is none at all.
func stepRegister(s, in, _ interface{}) (bool, interface{}) {
	o := in.(op)
	if o.Kind == opRead {
		return o.Value == s.(state).value, s
	}
	return true, state{value: o.Value}
}

// stepVersioned: kv v2, a register with versions.  An operation of unknown outcome may stand at the
// very end, which is the same as never.
func stepVersioned(s, in, _ interface{}) (bool, interface{}) {
	o, was := in.(op), s.(state)
	next := state{value: o.Value, version: was.version + 1}
	switch {
	case o.Kind == opRead:
		return o.Version == was.version && o.Value == was.value, was
	case o.Kind == opCas && o.Outcome == isMismatch:
		return o.Expect != was.version, was
	case o.Kind == opCas && o.Outcome == isUnknown && o.Expect != was.version:
		return true, was
	case o.Kind == opCas && o.Expect != was.version:
		return false, was
	}
	return o.Outcome == isUnknown || o.Version == next.version, next
}

func describe(in, _ interface{}) string {
	o := in.(op)
	switch {
	case o.Kind == opRead:
		return fmt.Sprintf("%s read %q v%d", o.Node, o.Value, o.Version)
	case o.Kind == opCas:
		return fmt.Sprintf("%s cas(%d) %q v%d %s", o.Node, o.Expect, o.Value, o.Version, o.Outcome)
	}
	return fmt.Sprintf("%s write %q v%d %s", o.Node, o.Value, o.Version, o.Outcome)
}

func model(versioned bool) porcupine.Model {
	step := stepRegister
	if versioned {
		step = stepVersioned
	}
	return porcupine.Model{
		Init:              func() interface{} { return state{} },
		Step:              step,
		DescribeOperation: describe,
		DescribeState: func(s interface{}) string {
			return fmt.Sprintf("%q v%d", s.(state).value, s.(state).version)
		},
	}
}

// judgeSeconds is how long Porcupine may think about one key.
const judgeSeconds = 20

// operations are those of one key in Porcupine's form; unknown ones never return, on a client each.
func operations(ops []op) []porcupine.Operation {
	const never = int64(1) << 62
	var out []porcupine.Operation
	extra := 1000
	for _, o := range ops {
		p := porcupine.Operation{ClientId: o.Client, Input: o, Call: o.Call, Return: o.Return}
		if o.Outcome == isUnknown {
			p.Return, p.ClientId = never, extra
			extra++
		}
		out = append(out, p)
	}
	return out
}

// judge has Porcupine look at every key; what is wrong, and how many keys it could not decide.
func (h *history) judge(dir string) (faults []string, undecided, keys int) {
	byKey := map[string][]op{}
	for _, o := range h.ops {
		byKey[o.Key] = append(byKey[o.Key], o)
	}
	names := make([]string, 0, len(byKey))
	for name := range byKey {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		m := model(byKey[name][0].versioned())
		result, info := porcupine.CheckOperationsVerbose(m, operations(byKey[name]),
			judgeSeconds*time.Second)
		switch result {
		case porcupine.Ok:
		case porcupine.Unknown:
			undecided++
		case porcupine.Illegal:
			drawing := filepath.Join(dir, "not-linearizable-"+filepath.Base(name)+".html")
			if err := porcupine.VisualizePath(m, info, drawing); err != nil {
				drawing = err.Error()
			}
			faults = append(faults, fmt.Sprintf("key %s is not linearizable: %s", name, drawing))
		}
	}
	return faults, undecided, len(names)
}

func (o op) versioned() bool { return o.Key[:4] == "kv2/" }

// save keeps the history.
func (h *history) save(path string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	out := json.NewEncoder(f)
	for _, o := range h.ops {
		if err := out.Encode(o); err != nil {
			f.Close()
			return err
		}
	}
	return f.Close()
}
