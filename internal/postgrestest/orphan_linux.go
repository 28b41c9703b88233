package postgrestest

import "syscall"

// endWithUs makes the system stop a process when this one ends, however it does.
func endWithUs(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGQUIT }
