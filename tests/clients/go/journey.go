package main

import _ "github.com/hashicorp/vault/api"

func main() {}
