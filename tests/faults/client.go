// HTTP to a node: requests, what became of them, and the answers that the harness reads.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// fate is what a client knows of its request.
type fate int

const (
	good    fate = iota // done, as the answer says
	refused             // surely not done
	unknown             // perhaps done, perhaps done later
)

// answer is what came back, if anything did.
type answer struct {
	fate   fate
	status int
	body   []byte
	err    error
}

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %.300s", a.status, bytes.TrimSpace(a.body))
}

// into reads the body's JSON.
func (a answer) into(v interface{}) error {
	if a.err != nil {
		return a.err
	}
	if a.status != 200 {
		return fmt.Errorf("%v", a)
	}
	return json.Unmarshal(a.body, v)
}

// has reports whether the answer's errors contain this text.
func (a answer) has(text string) bool { return bytes.Contains(a.body, []byte(text)) }

// client sends requests; one for each goroutine that works.
type client struct {
	http  *http.Client
	token string
}

func newClient(token string, patience time.Duration) *client {
	dial := &net.Dialer{Timeout: patience / 2}
	return &client{token: token, http: &http.Client{
		Timeout: patience,
		Transport: &http.Transport{DialContext: dial.DialContext, MaxIdleConnsPerHost: 4,
			DisableCompression: true},
	}}
}

// send makes one request below /v1/ of a node.
func (c *client) send(n *node, method, path string, body interface{}, headers ...string) answer {
	var payload []byte
	if raw, is := body.([]byte); is {
		payload = raw
	} else if body != nil {
		payload, _ = json.Marshal(body) // our own maps
	}
	request, err := http.NewRequest(method, n.url()+"/v1/"+path, bytes.NewReader(payload))
	if err != nil {
		return answer{fate: refused, err: err}
	}
	if c.token != "" {
		request.Header.Set("X-Vault-Token", c.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{fate: fateOf(err), err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{fate: unknown, status: response.StatusCode, err: err}
	}
	return answer{fate: fateOfStatus(response.StatusCode), status: response.StatusCode, body: text}
}

// fateOf: a request whose connection was never made was not done.
func fateOf(err error) fate {
	var operation *net.OpError
	if errors.As(err, &operation) && operation.Op == "dial" {
		return refused
	}
	return unknown
}

func fateOfStatus(status int) fate {
	switch {
	case status < 300:
		return good
	case status >= 500:
		return unknown
	}
	return refused
}

// leaderAnswer is sys/leader's.
type leaderAnswer struct {
	IsSelf    bool   `json:"is_self"`
	Active    string `json:"active_time"`
	Address   string `json:"leader_address"`
	Committed uint64 `json:"raft_committed_index"`
	Applied   uint64 `json:"raft_applied_index"`
}

func (c *client) leader(n *node) (leaderAnswer, error) {
	var out leaderAnswer
	err := c.send(n, "GET", "sys/leader", nil).into(&out)
	return out, err
}

// member is a row of sys/storage/raft/configuration.
type member struct {
	ID      string `json:"node_id"`
	Address string `json:"address"`
	Leader  bool   `json:"leader"`
	Voter   bool   `json:"voter"`
}

func (c *client) members(n *node) ([]member, error) {
	var out struct {
		Data struct {
			Config struct {
				Servers []member `json:"servers"`
			} `json:"config"`
		} `json:"data"`
	}
	err := c.send(n, "GET", "sys/storage/raft/configuration", nil).into(&out)
	return out.Data.Config.Servers, err
}

// sealed is what seal-status says.
func (c *client) sealed(n *node) (bool, error) {
	var out struct {
		Sealed bool `json:"sealed"`
	}
	err := c.send(n, "GET", "sys/seal-status", nil).into(&out)
	return out.Sealed, err
}

// kvValue is what a read of either version of kv found: the value and its version (1 for kv v1).
func kvValue(a answer, v2 bool) (value string, version int, err error) {
	if a.status == 404 {
		if a.has(`"errors":[]`) || (v2 && a.has(`"metadata"`)) {
			return "", 0, nil
		}
		return "", 0, fmt.Errorf("%v", a)
	}
	if !v2 {
		var one struct {
			Data struct {
				V string `json:"v"`
			} `json:"data"`
		}
		err = a.into(&one)
		return one.Data.V, 1, err
	}
	var two struct {
		Data struct {
			Data struct {
				V string `json:"v"`
			} `json:"data"`
			Metadata struct {
				Version int `json:"version"`
			} `json:"metadata"`
		} `json:"data"`
	}
	err = a.into(&two)
	return two.Data.Data.V, two.Data.Metadata.Version, err
}

// brief is an error without the address of every try.
func brief(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i > 0 && len(text) > 120 {
		return text[i+2:]
	}
	return text
}
