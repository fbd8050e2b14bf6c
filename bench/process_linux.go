package main

import "syscall"

// attributes lets the kernel end a child when this process is killed and can't.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
