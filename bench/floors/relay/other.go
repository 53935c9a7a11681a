//go:build !linux || !(amd64 || arm64 || riscv64 || loong64)

package main

import "fmt"

func main() { fmt.Println("these measurements need Linux") }
