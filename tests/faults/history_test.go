// The judge itself: histories that are fine, and such that are not.
package main

import "testing"

// at is an operation of known outcome on one key from one time to another.
func at(kind, value string, expect, version int, call, ret int64, outcome string) op {
	return op{Key: "kv2/data/k", Kind: kind, Value: value, Expect: expect, Version: version,
		Call: call, Return: ret, Outcome: outcome}
}

func judged(t *testing.T, fine bool, key string, ops ...op) {
	t.Helper()
	h := newHistory()
	for i, o := range ops {
		o.Client, o.Key = i, key
		h.add(o)
	}
	faults, undecided, keys := h.judge(t.TempDir())
	if undecided != 0 || keys != 1 {
		t.Fatalf("%d of %d keys undecided", undecided, keys)
	}
	if fine != (len(faults) == 0) {
		t.Fatalf("faults: %v", faults)
	}
}

const one, two = "kv1/k", "kv2/data/k"

func TestReadsThatSeeTheLastWriteAreFine(t *testing.T) {
	judged(t, true, one, at(opWrite, "a", 0, 0, 1, 2, isOk), at(opRead, "a", 0, 0, 3, 4, isOk),
		at(opWrite, "", 0, 0, 5, 6, isOk), at(opRead, "", 0, 0, 7, 8, isOk))
}

func TestAStaleReadIsFound(t *testing.T) {
	judged(t, false, one, at(opWrite, "a", 0, 0, 1, 2, isOk), at(opWrite, "b", 0, 0, 3, 4, isOk),
		at(opRead, "a", 0, 0, 5, 6, isOk))
}

func TestALostWriteIsFound(t *testing.T) {
	judged(t, false, one, at(opWrite, "a", 0, 0, 1, 2, isOk), at(opRead, "", 0, 0, 3, 4, isOk))
}

func TestAReadDuringAWriteMaySeeEither(t *testing.T) {
	judged(t, true, one, at(opWrite, "a", 0, 0, 1, 9, isOk), at(opRead, "", 0, 0, 2, 3, isOk),
		at(opRead, "a", 0, 0, 4, 5, isOk))
}

func TestReadsThatGoBackAreFound(t *testing.T) {
	judged(t, false, one, at(opWrite, "a", 0, 0, 1, 9, isOk), at(opRead, "a", 0, 0, 2, 3, isOk),
		at(opRead, "", 0, 0, 4, 5, isOk))
}

func TestAnUnknownWriteMayComeLateOrNever(t *testing.T) {
	judged(t, true, one, at(opWrite, "a", 0, 0, 1, 2, isUnknown), at(opRead, "", 0, 0, 3, 4, isOk),
		at(opRead, "a", 0, 0, 5, 6, isOk))
	judged(t, true, one, at(opWrite, "a", 0, 0, 1, 2, isUnknown), at(opRead, "", 0, 0, 3, 4, isOk))
}

func TestAnUnknownWriteIsNotSeenBeforeItWasSent(t *testing.T) {
	judged(t, false, one, at(opRead, "a", 0, 0, 1, 2, isOk), at(opWrite, "a", 0, 0, 3, 4, isUnknown))
}

func TestVersionsCount(t *testing.T) {
	judged(t, true, two, at(opCas, "a", 0, 1, 1, 2, isOk), at(opWrite, "b", 0, 2, 3, 4, isOk),
		at(opCas, "c", 1, 0, 5, 6, isMismatch), at(opRead, "b", 0, 2, 7, 8, isOk))
	judged(t, false, two, at(opWrite, "a", 0, 1, 1, 2, isOk), at(opWrite, "b", 0, 3, 3, 4, isOk))
}

func TestTwoCheckAndSetsOfOneVersionAreFound(t *testing.T) {
	judged(t, false, two, at(opCas, "a", 0, 1, 1, 9, isOk), at(opCas, "b", 0, 1, 1, 9, isOk))
}

func TestACheckAndSetThatIsRefusedForNothingIsFound(t *testing.T) {
	judged(t, false, two, at(opWrite, "a", 0, 1, 1, 2, isOk), at(opCas, "b", 1, 0, 3, 4, isMismatch))
}

func TestAnUnknownCheckAndSetMayHaveCountedAVersion(t *testing.T) {
	judged(t, true, two, at(opCas, "a", 0, 0, 1, 2, isUnknown), at(opCas, "b", 1, 2, 3, 4, isOk))
	judged(t, true, two, at(opCas, "a", 0, 0, 1, 2, isUnknown), at(opCas, "b", 0, 1, 3, 4, isOk))
	judged(t, false, two, at(opCas, "a", 0, 0, 1, 2, isUnknown), at(opCas, "b", 0, 2, 3, 4, isOk))
}

func TestWritesOfTwoNodesInOneReignAreFound(t *testing.T) {
	o := newObserver(nil, "")
	o.writes = []taken{{"n1", "t1", 1, 2}, {"n2", "t2", 3, 4}, {"n1", "t1", 5, 6}}
	if len(o.overlaps()) == 0 {
		t.Fatal("not found")
	}
	o.writes = []taken{{"n1", "t1", 1, 2}, {"n2", "t2", 3, 4}, {"n1", "t3", 5, 6}}
	if found := o.overlaps(); len(found) > 0 {
		t.Fatalf("%v", found)
	}
}
