// Journey drives a running, empty server with Vault's own Go library: from init to transit.
// VAULT_ADDR names the server.
package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/hashicorp/vault/api"
)

const policy = `path "kv2/data/app/*" { capabilities = ["create", "read", "update"] }`

type data = map[string]interface{}

// must ends the program when a call failed.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// same ends the program when what was got is not what was wanted.
func same(got, want interface{}) {
	if !reflect.DeepEqual(got, want) {
		panic(fmt.Sprintf("got %#v, want %#v", got, want))
	}
}

// refused ends the program unless err is an answer of this status.
func refused(err error, status int) {
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		panic(fmt.Sprintf("status %d expected, got %v", status, err))
	}
	same(answer.StatusCode, status)
}

func connect() *api.Client {
	client, err := api.NewClient(api.DefaultConfig())
	must(err)
	client.ClearToken()
	return client
}

func write(c *api.Client, path string, body data) *api.Secret {
	secret, err := c.Logical().Write(path, body)
	must(err)
	return secret
}

func read(c *api.Client, path string) *api.Secret {
	secret, err := c.Logical().Read(path)
	must(err)
	return secret
}

func unseal(root *api.Client) {
	keys, err := root.Sys().Init(&api.InitRequest{SecretShares: 3, SecretThreshold: 2})
	must(err)
	_, err = root.Sys().Unseal(keys.Keys[0])
	must(err)
	status, err := root.Sys().Unseal(keys.Keys[1])
	must(err)
	same(status.Sealed, false)
	root.SetToken(keys.RootToken)
	health, err := root.Sys().Health()
	must(err)
	same(health.Initialized, true)
}

func kv1(root *api.Client) {
	options := map[string]string{"version": "1"}
	must(root.Sys().Mount("kv1", &api.MountInput{Type: "kv", Options: options}))
	write(root, "kv1/app", data{"a": "b"})
	same(read(root, "kv1/app").Data, data{"a": "b"})
	list, err := root.Logical().List("kv1")
	must(err)
	same(list.Data["keys"], []interface{}{"app"})
	_, err = root.Logical().Delete("kv1/app")
	must(err)
	same(read(root, "kv1/app"), (*api.Secret)(nil))
}

func kv2(root *api.Client) {
	options := map[string]string{"version": "2"}
	must(root.Sys().Mount("kv2", &api.MountInput{Type: "kv", Options: options}))
	write(root, "kv2/data/app/one", data{"data": data{"n": "1"}})
	write(root, "kv2/data/app/one", data{"data": data{"n": "2"}, "options": data{"cas": 1}})
	same(read(root, "kv2/data/app/one").Data["data"], data{"n": "2"})
	_, err := root.Logical().Write("kv2/data/app/one",
		data{"data": data{}, "options": data{"cas": 1}})
	refused(err, 400)
	old, err := root.Logical().ReadWithData("kv2/data/app/one", map[string][]string{"version": {"1"}})
	must(err)
	same(old.Data["data"], data{"n": "1"})
	write(root, "kv2/destroy/app/one", data{"versions": []int{1}})
}

func policiesAndUserpass(root *api.Client) {
	must(root.Sys().PutPolicy("app", policy))
	rules, err := root.Sys().GetPolicy("app")
	must(err)
	same(rules, policy)
	must(root.Sys().EnableAuthWithOptions("userpass", &api.EnableAuthOptions{Type: "userpass"}))
	write(root, "auth/userpass/users/ann", data{"password": "pw", "policies": "app"})

	user := connect()
	_, err = user.Logical().Write("auth/userpass/login/ann", data{"password": "wrong"})
	refused(err, 400)
	login := write(user, "auth/userpass/login/ann", data{"password": "pw"})
	user.SetToken(login.Auth.ClientToken)
	same(login.Auth.Policies, []string{"app", "default"})
	write(user, "kv2/data/app/two", data{"data": data{"a": "b"}})
	_, err = user.Logical().List("kv2/metadata/app")
	refused(err, 403)
	_, err = user.Auth().Token().RenewSelf(60)
	must(err)

	user.SetWrappingLookupFunc(func(string, string) string { return "60s" })
	wrapped := read(user, "kv2/data/app/two")
	user.SetWrappingLookupFunc(nil)
	opened, err := user.Logical().Unwrap(wrapped.WrapInfo.Token)
	must(err)
	same(opened.Data["data"], data{"a": "b"})

	must(user.Auth().Token().RevokeSelf(""))
	_, err = user.Auth().Token().LookupSelf()
	refused(err, 403)
}

func transit(root *api.Client) {
	must(root.Sys().Mount("transit", &api.MountInput{Type: "transit"}))
	write(root, "transit/keys/app", nil)
	plain := base64.StdEncoding.EncodeToString([]byte("plain"))
	sealed := write(root, "transit/encrypt/app", data{"plaintext": plain}).Data["ciphertext"]
	same(strings.HasPrefix(sealed.(string), "vault:v1:"), true)
	same(write(root, "transit/decrypt/app", data{"ciphertext": sealed}).Data["plaintext"], plain)
	_, err := root.Logical().Write("transit/decrypt/app", data{"ciphertext": "vault:v1:AAAA"})
	refused(err, 400)
}

func main() {
	steps := []struct {
		name string
		run  func(*api.Client)
	}{{"unseal", unseal}, {"kv1", kv1}, {"kv2", kv2},
		{"policies and userpass", policiesAndUserpass}, {"transit", transit}}
	root := connect()
	for _, step := range steps {
		step.run(root)
		fmt.Fprintln(os.Stdout, "ok", step.name)
	}
}
