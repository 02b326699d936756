// Faults starts clusters in network namespaces of their own, breaks them while clients work, and
// has Porcupine judge what the clients saw.
//
// The last line of the output is "N passed, M failed, K skipped"; the exit status is 0 when M is 0.
package main

import (
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// options are the command line's.
type options struct {
	binary, keep, faults string
	seed                 int64
	seconds, nodes       int
	list, verbose, all   bool
}

// Each scenario gets its share of the seconds, within these bounds; what is over is for more rounds.
const (
	leastSeconds = 5
	mostSeconds  = 45
	setUpSeconds = 6 // what starting, healing and judging take of a scenario's share
)

func parse() options {
	var o options
	flag.StringVar(&o.binary, "binary", "build/check/coffer", "the `program` under test")
	flag.StringVar(&o.keep, "keep", "", "`directory` for what failures leave (default: a new one)")
	flag.StringVar(&o.faults, "faults", "", "`names` of scenarios, with commas between (default: all)")
	flag.Int64Var(&o.seed, "seed", 0, "`seed` of all that is chosen by chance (default: from the clock)")
	flag.IntVar(&o.seconds, "seconds", 240, "how long all of it may take, about")
	flag.IntVar(&o.nodes, "nodes", 0, "nodes of each cluster, 3 or 5 (default: as the scenario likes)")
	flag.BoolVar(&o.list, "list", false, "tell the scenarios and end")
	flag.BoolVar(&o.all, "all", false, "keep what good scenarios leave, too")
	flag.BoolVar(&o.verbose, "v", false, "tell every fault when it happens")
	flag.Parse()
	if o.seed == 0 {
		o.seed = time.Now().UnixNano() % 1000000
	}
	return o
}

// chosen are the scenarios that were asked for, in the table's order.
func chosen(names string) ([]scenario, error) {
	if names == "" {
		return scenarios, nil
	}
	var found []scenario
	for _, name := range strings.Split(names, ",") {
		known := false
		for _, s := range scenarios {
			if s.name == name {
				found, known = append(found, s), true
			}
		}
		if !known {
			return nil, fmt.Errorf("there is no scenario %q; -list tells them", name)
		}
	}
	return found, nil
}

// tally counts scenarios.
type tally struct{ passed, failed, skipped int }

func (t *tally) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", t.passed, t.failed, t.skipped)
}

// share is how many seconds of faults a scenario gets.
func share(seconds, scenarios int) int {
	each := seconds/scenarios - setUpSeconds
	if each < leastSeconds {
		return leastSeconds
	}
	if each > mostSeconds {
		return mostSeconds
	}
	return each
}

// round runs each scenario once, and reports false when the time is over.
func round(o *options, net *network, list []scenario, number int, end time.Time, t *tally) bool {
	seconds := share(o.seconds, len(list))
	for i, s := range list {
		seed := o.seed + int64(number*1000+i)
		if len(list) == 1 {
			seed = o.seed + int64(number)
		}
		if why := s.missing(); why != "" {
			fmt.Printf("SKIP %s: not run: %s\n", s.name, why)
			t.skipped++
			continue
		}
		r := newRun(o, net, &s, seed, number, seconds)
		if r.play() {
			t.passed++
		} else {
			t.failed++
		}
		if number > 0 && time.Now().After(end) {
			return false
		}
	}
	return time.Until(end) > time.Duration(setUpSeconds+seconds)*time.Second*time.Duration(len(list))/2
}

func run(o options) int {
	list, err := chosen(o.faults)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		return 2
	}
	if o.list {
		for _, s := range list {
			fmt.Printf("%-16s %d nodes: %s\n", s.name, s.nodes, s.about)
		}
		return 0
	}
	if !inside() {
		return enter()
	}
	net, err := newNetwork(maxNodes)
	if err != nil {
		return notRun(err)
	}
	if o.binary, err = ownBinary(o.binary); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		return 2
	}
	fmt.Printf("faults: -seed %d -seconds %d\n", o.seed, o.seconds)
	rand.Seed(o.seed)
	var t tally
	end := time.Now().Add(time.Duration(o.seconds) * time.Second)
	for number := 0; round(&o, net, list, number, end, &t); number++ {
	}
	fmt.Println(t.String())
	if t.failed > 0 {
		return 1
	}
	return 0
}

// ownBinary copies the program to where nobody builds a newer one meanwhile, under a name that no
// killall means.
func ownBinary(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	own := "/run/server" // a file system that ends with this process
	return own, os.WriteFile(own, text, 0o755)
}

// notRun tells why nothing was tried, in the way that a runner counts.
func notRun(why error) int {
	fmt.Printf("SKIP faults: not run: %v\n0 passed, 0 failed, 1 skipped\n", why)
	return 0
}

func main() {
	o := parse()
	path, err := filepath.Abs(o.binary)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(2)
	}
	o.binary = path
	if _, err := os.Stat(o.binary); err != nil && !o.list {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(2)
	}
	if o.keep == "" {
		o.keep = filepath.Join(os.TempDir(), fmt.Sprintf("cluster-faults-%d", o.seed))
	}
	os.Exit(run(o))
}
