package local

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the handler when the host is gone, however
// it went: an orphan would hold port and store.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
